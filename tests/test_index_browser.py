"""The index as a reader uses it in a browser: filter, sort, compare, with keys alone too."""

import numpy as np
import pytest
from test_browser import serious
from test_index import begun, compared_with, items, metric, record, save

from workbench.record import comparison
from workbench.record.comparison import amounts
from workbench.record.result import Result
from workbench.report import index

IDS = ("50-ner-aa1", "50-ner-ab2", "50-ner-b33")


@pytest.fixture
def page(tmp_path):
    """An index of three runs over the same items, one over others, and one that failed."""
    chance = np.random.default_rng(0)
    for place, name in enumerate(IDS):
        cost = record().cost.model_copy(
            update={"seconds": 60.0 + place, "trained_tokens": 1000 * place}
        )
        made = compared_with(0.5 + place / 10, lexicon=0.4, majority=0.2).model_copy(
            update={"parameters": {"seed": 0, "epochs": 2 + place}, "cost": cost}
        )
        frame = items(chance.random(400) < 0.5 + place / 10, np.arange(400) // 4)
        save(tmp_path, name, made, frame)
    bits = {"wiki/bits_per_byte": metric(1.5, "bits per byte")}
    save(tmp_path, "10-pre-c", record(0.1, metrics=bits, headline=tuple(bits)), items([1] * 30))
    begun(tmp_path, "50-ner-failed", status="failed", message="DataError: broke")
    return index.write(tmp_path)


def rows_of(opened, where="#runs"):
    """Ids of the rows that can be seen."""
    found = opened.locator(f"{where} tbody tr:visible")
    return [each.get_attribute("data-run") for each in found.all()]


def take(opened, *names):
    for name in names:
        opened.locator(f'#runs tr[data-run="{name}"] .take').click()


def results(page, names):
    return [Result.read(page.parent / "runs" / name) for name in names]


def test_the_filter_reaches_every_list_and_an_empty_result_says_so(page, visit):
    opened = visit(page)
    opened.fill("#words", "EPOCHS=3")
    assert rows_of(opened) == rows_of(opened, ".leaderboard") == [IDS[1]]
    assert opened.locator("#open .empty").inner_text() == "Nothing here fits the filter."
    opened.fill("#words", "epochs=99")
    assert rows_of(opened) == rows_of(opened, "#leaderboards") == []
    assert opened.locator(".empty:visible").count() == 3
    assert opened.locator("#shown").inner_text() == "0 of 5 runs: none fits the filter"
    opened.click("#all")
    assert len(rows_of(opened)) == 5
    assert not opened.locator(".empty:visible").count()


def test_numbers_of_other_units_are_not_sorted_into_each_other(page, visit):
    opened = visit(page)
    for order in (IDS[::-1], IDS):
        opened.click("#runs th:has-text('first number') button")
        assert rows_of(opened) == [*order, "10-pre-c", "50-ner-failed"]


def test_two_runs_that_are_taken_come_into_view_with_numbers_and_costs(page, visit):
    opened = visit(page, height=500)
    take(opened, IDS[0])
    assert opened.locator("#tray").is_visible()
    take(opened, IDS[2])
    box = opened.locator('[data-part="verdict"]').bounding_box()
    assert 0 <= box["y"] < 500, "the result is in view"
    a, b = results(page, (IDS[0], IDS[2]))
    found = comparison.compare(a, b).measures["accuracy"]
    assert opened.locator('[data-part="difference"]').inner_text() == f"{found.difference:+}"
    told = opened.locator('[data-part="cost"]').inner_text()
    assert list(amounts(a.cost)) == [name for name in amounts(b.cost) if name in told]
    assert "62 (1.03)" in told


def test_examples_beyond_the_first_can_be_reached(page, visit):
    opened = visit(page)
    take(opened, *IDS[:2])
    listed = opened.locator('[data-part="examples_only_b"] li')
    assert listed.count() == comparison.EXAMPLES
    opened.click('button:has-text("show"):below([data-part="examples_only_b"])')
    assert listed.count() == comparison.EXAMPLES + 20
    told = [each.inner_text().split(" · ")[1] for each in listed.all()]
    a, b = results(page, IDS[:2])
    expected = comparison.compare(a, b, examples=len(told)).examples["only_b"]
    assert told == [each.item for each in expected]


def test_several_runs_are_compared_with_the_first(page, visit):
    opened = visit(page)
    take(opened, *IDS, "10-pre-c")
    found = comparison.several(results(page, IDS))
    rows = opened.locator('[data-part="several"] tbody tr')
    assert rows.count() == 4
    for place, each in enumerate(found.others, 1):
        cells = {
            name: rows.nth(place).locator(f'[data-part="{name}"]').inner_text().strip()
            for name in ("value", "difference", "verdict")
        }
        assert cells == {
            "value": str(each.measure.b), "difference": f"{each.measure.difference:+}",
            "verdict": each.verdict,
        }  # fmt: skip
    assert "not compared: of 10-pre-c, no other run" in rows.nth(3).inner_text()
    assert found.correction in opened.locator("#found").inner_text()
    opened.click(f'[data-first="{IDS[1]}"]')
    assert IDS[1] in rows.first.inner_text()


def test_a_run_is_named_by_the_beginning_of_its_id(page, visit):
    opened = visit(page)
    opened.fill("#add", "50-ner-a")
    opened.press("#add", "Enter")
    assert "2 runs begin with 50-ner-a: " in opened.locator("#told").inner_text()
    opened.fill("#add", "zz")
    opened.press("#add", "Enter")
    assert "No run on this page is called zz" in opened.locator("#told").inner_text()
    opened.fill("#add", "50-ner-b, 50-ner-aa")
    opened.press("#add", "Enter")
    chosen = opened.locator("#chosen").inner_text()
    assert chosen.index(IDS[2]) < chosen.index(IDS[0])
    assert opened.locator('[data-part="verdict"]').is_visible()
    assert opened.evaluate("location.hash") == f"#compare={IDS[2]},{IDS[0]}"


def test_all_that_the_filter_leaves_are_compared_at_once(page, visit):
    opened = visit(page)
    opened.click("#every")
    assert opened.locator('[data-part="several"] tbody tr').count() == 3
    opened.fill("#words", "epochs=2")
    opened.click("#every")
    assert "leaves no two runs" in opened.locator("#told").inner_text()


def test_everything_is_reached_with_keys_alone(page, visit):
    opened = visit(page)
    focused = "document.activeElement"

    def until(condition):
        for _ in range(80):
            opened.keyboard.press("Tab")
            if opened.evaluate(f"(({condition}))({focused})"):
                ring = opened.evaluate(f"getComputedStyle({focused}).outlineStyle")
                assert ring == "solid", "where the focus is can be seen"
                return
        pytest.fail(f"no key leads to {condition}")

    until("(e) => e.id === 'words'")
    opened.keyboard.type("50-ner")
    until("(e) => e.matches('#runs th button') && e.textContent === 'time'")
    opened.keyboard.press("Enter")
    assert rows_of(opened)[:3] == list(IDS)
    for name in IDS[:2]:
        until(f"(e) => e.matches('#runs [data-run=\"{name}\"] .take')")
        opened.keyboard.press("Space")
    assert opened.evaluate(f"{focused}.id") == "found", "the result has the focus"
    assert opened.locator('[data-part="verdict"]').is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("names", [IDS[:2], IDS])
def test_a_comparison_is_accessible(page, visit, scheme, names):
    opened = visit(page, color_scheme=scheme)
    take(opened, *names)
    assert not serious(opened)
    heads = opened.locator("th:not([scope])")
    assert not heads.count()
    assert not opened.locator("table:not(:has(caption))").count()


@pytest.mark.parametrize("width", [400, 1100, 1280])
def test_what_does_not_fit_is_in_a_box_that_keys_move_and_never_beside_the_page(page, visit, width):
    opened = visit(page, width=width)
    take(opened, *IDS)
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    wide = "[...document.querySelectorAll('.scroll')].filter((e) => e.scrollWidth > e.clientWidth)"
    opened.wait_for_function(f"{wide}.every((e) => e.tabIndex === 0 && e.ariaLabel)")
    first = opened.locator('[data-part="several"] tbody th').first
    before = first.bounding_box()["x"]
    opened.evaluate(f"{wide}.forEach((e) => {{ e.scrollLeft = 200; }})")
    assert first.bounding_box()["x"] == pytest.approx(before, abs=2), "the first column stays"


def test_on_paper_what_was_folded_is_open(page, visit):
    opened = visit(page, width=720)
    take(opened, *IDS)
    opened.emulate_media(media="print")
    assert opened.evaluate("document.documentElement.scrollWidth") <= 720, "nothing is cut off"
    assert opened.locator(".others li").first.is_visible()
    assert not opened.locator("#filter").is_visible()
