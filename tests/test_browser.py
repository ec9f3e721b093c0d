"""Pages in a real browser: they are accessible, ask for nothing elsewhere, and raise no error."""

import nbformat
import pandas
import pytest
from axe_playwright_python.sync_playwright import Axe
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workbench.core import paths
from workbench.record import state
from workbench.record.result import Cost, Metric, Result
from workbench.report import index, page


def serious(opened) -> list[str]:
    """What axe-core finds that keeps people out."""
    found = Axe().run(opened).response["violations"]
    return [
        f"{each['id']}: {[node['html'][:200] for node in each['nodes']][:3]}"
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]


@pytest.fixture
def run(reports):
    """A run that has a figure, a table and an answer, with its page and the index."""
    from workbench.display.html import Html, table

    body = table(["label", "F1"], [[name, "0.500 [0.400, 0.600]"] for name in "abcde"])
    metric = Metric(value=0.5, low=0.4, high=0.6, n=10, how="bootstrap over 3 documents")
    record = Result(
        task="ner", notebook="50_ner", status="succeeded", sources={}, parameters={"seed": 0},
        metrics={"test/entity_f1": metric}, headline=("test/entity_f1",),
        cost=Cost(seconds=61, memory_mb={"resident": 10}, device="cpu", precision="float32"),
        environment={"python": "3", "packages": {"torch": "2"}},
    )  # fmt: skip
    folder = reports / "runs" / "50-ner-0123456789ab"
    folder.mkdir(parents=True)
    shown = new_output("display_data", data={"text/html": Html(body)._repr_html_()})
    cells = [
        new_markdown_cell("# A question?\n\nWhy it matters."),
        new_markdown_cell("## F1 by type"),
        new_code_cell("wb.tables.scores(result)", execution_count=1, outputs=[shown]),
    ]
    nbformat.write(new_notebook(cells=cells), folder / "notebook.ipynb")
    state.write(folder, status="succeeded", notebook="50_ner", task="ner")
    n = 10
    frame = pandas.DataFrame(
        {
            "item": [f"test/{place}" for place in range(n)], "split": "test", "method": "own",
            "cluster": "0", "input": [[f"text {place}"] for place in range(n)],
            "gold": [["calm"]] * n,
            "predicted": [["glad"] if place % 3 == 0 else ["calm"] for place in range(n)],
            "loss": [place / n for place in range(n)],
        }
    )  # fmt: skip
    record.with_details(directory=None, items=frame, history=[]).save(folder)
    page.write(folder)
    index.write(reports)
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_and_index_are_accessible(run, visit, scheme):
    for file in (run / "report.html", paths.reports() / "index.html"):
        assert not serious(visit(file, color_scheme=scheme)), file.name


def test_items_are_filtered_and_sorted_by_keyboard_too(run, visit):
    opened = visit(run / "report.html")
    rows = opened.locator("table.items tbody tr")
    assert rows.count() == 4, "the wrong ones"
    assert rows.first.locator("td").last.inner_text() == "0.900"
    opened.get_by_label("Order").select_option("lowest loss first")
    assert rows.first.locator("td").last.inner_text() == "0.000"
    opened.get_by_label("Outcome").select_option("all")
    assert opened.locator("section.items output").inner_text() == "10 of 10 shown"
    opened.get_by_label("Text").focus()
    opened.keyboard.type("text 7")
    assert rows.count() == 1
    opened.keyboard.type(" <b>")
    assert (
        opened.locator("section.items output").inner_text()
        == "No item is like this; choose others above."
    )


def test_a_page_is_printed_with_all_that_is_folded(run, visit):
    opened = visit(run / "report.html")
    closed = "document.querySelectorAll('details:not([open])').length"
    before = opened.evaluate(closed)
    assert before
    opened.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.evaluate(closed) == 0
    opened.evaluate("dispatchEvent(new Event('afterprint'))")
    assert opened.evaluate(closed) == before
