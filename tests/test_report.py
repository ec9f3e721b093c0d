"""Pages: nothing runs in them, nothing is fetched, everything is said."""

import base64
import hashlib
import json
import re
import shlex

import nbformat
import pandas
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell

from workbench import tables
from workbench.display.html import table
from workbench.record import state
from workbench.record.result import Cost, Metric, Result
from workbench.report import cells, ending, items, page, prose

PAYLOADS = [
    "<script>steal()</script>",
    "<img src=x onerror=steal()>",
    "<svg onload=steal()><script>steal()</script></svg>",
    "<a href='javascript:steal()'>x</a>",
    "<a href='data:text/html,<script>steal()</script>'>x</a>",
    "<iframe src='https://example.org'></iframe>",
    "<object data='x'></object><embed src='x'>",
    "<style>@import 'https://example.org/x.css'</style>",
    "<div style='background:url(https://example.org/x)'>x</div>",
    "<form action='https://example.org'><button>x</button></form>",
    "<img src='https://example.org/pixel.png'>",
    "<link rel=stylesheet href=https://example.org/x.css>",
    "<meta http-equiv=refresh content='0;url=https://example.org'>",
    "</pre><script>steal()</script><pre>",
    "<math><mtext><style><img src=x onerror=steal()></style></mtext></math>",
    "<b onmouseover=steal()>x</b>",
]
KINDS = [
    "text/plain", "text/html", "text/markdown", "text/latex", "image/svg+xml",
    "application/javascript", "text/vnd.mermaid", "application/vnd.jupyter.widget-view+json",
]  # fmt: skip


def record(**changes) -> Result:
    metric = Metric(value=0.5, low=0.4, high=0.6, n=10, how="bootstrap over 3 documents")
    fields = {
        "task": "template", "parameters": {"seed": 0}, "sources": {},
        "metrics": {"test/entity_f1": metric}, "headline": ("test/entity_f1",),
        "cost": Cost(seconds=61, memory_mb={"resident": 10}, device="cpu", precision="float32"),
        "environment": {"python": "3", "packages": {"torch": "2"}},
    }  # fmt: skip
    return Result(**(fields | changes))


def run_directory(folder, cells, **facts):
    folder.mkdir(parents=True)
    nbformat.write(new_notebook(cells=cells), folder / "notebook.ipynb")
    state.write(folder, **({"status": "succeeded", "notebook": "90_trial"} | facts))
    return folder


OWN_SCRIPTS = {path.read_text() for path in page.TEMPLATES.glob("*.js")}


def harmless(html: str) -> None:
    soup = BeautifulSoup(html, "html.parser")
    assert not soup.find_all(["iframe", "object", "embed", "form", "svg", "math"])
    assert all(script.string in OWN_SCRIPTS for script in soup.find_all("script"))
    assert all(link["href"] == "data:," for link in soup.find_all("link"))
    for tag in soup.find_all(True):
        assert not [name for name in tag.attrs if name.startswith("on")], tag
        assert not re.match(r"\s*(javascript|data:text)", tag.get("href", "")), tag
        if tag.name == "img":
            assert tag.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
        if tag.name not in {"html", "main"}:
            assert not tag.get("style"), tag
    outside = [tag for tag in soup.find_all(src=True) if not tag["src"].startswith("data:")]
    assert not outside
    assert "@import" not in "".join(style.get_text() for style in soup.find_all("style"))


@pytest.mark.parametrize("kind", KINDS)
def test_output_of_any_kind_can_not_run_or_fetch(tmp_path, kind):
    outputs = [new_output("display_data", data={kind: payload}) for payload in PAYLOADS]
    html = page.render(run_directory(tmp_path / "run", [new_code_cell("x", outputs=outputs)]))
    harmless(html)


def test_text_from_anywhere_else_can_not_run_or_fetch(tmp_path):
    text = "\n\n".join(PAYLOADS)
    cells = [
        new_markdown_cell(f"# {PAYLOADS[0]}\n\n{text}"),
        new_markdown_cell(f"## {PAYLOADS[1]}\n"),
        new_raw_cell(text),
        new_code_cell(
            text,
            outputs=[
                new_output("stream", name="stdout", text=text),
                new_output("stream", name="stderr", text=text),
                new_output("error", ename="E", evalue=text, traceback=[text]),
                new_output(
                    "display_data", data={"image/png": 'x"onerror="steal()'},
                    metadata={"image/png": {"alt": '"onerror="steal()', "width": "1' onload=x"}},
                ),
            ],
        ),
    ]  # fmt: skip
    folder = run_directory(tmp_path / "run", cells, message=text, started=text)
    changed = record(parameters={text: text}, environment={text: text, "packages": {}})
    harmless(page.render(folder, changed))


def test_words_of_the_data_are_escaped_in_tables():
    rows = pandas.DataFrame(
        {
            "item": ["test/0"], "split": ["test"], "method": ["a"], "cluster": [PAYLOADS[0]],
            "input": [[*PAYLOADS]], "gold": [["B-<b>", *["O"] * (len(PAYLOADS) - 1)]],
            "predicted": [["O"] * len(PAYLOADS)], "loss": [1.0],
        }
    )  # fmt: skip
    result = record(main_measure="entity_f1")
    result = result.with_details(directory=None, items=rows, history=[])
    body = tables.worst_sentences(result).body
    harmless(body)
    assert "steal()" in BeautifulSoup(body, "html.parser").get_text(), "the text is still readable"


def test_page_shows_header_contents_and_folded_code(tmp_path):
    cells = [
        new_markdown_cell("# A question?\n\nWhy it matters."),
        new_markdown_cell("## Data"),
        new_code_cell("print('x')", outputs=[new_output("stream", name="stdout", text="a\rb\n")]),
    ]
    html = page.render(run_directory(tmp_path / "run", cells), record(status="succeeded"))
    soup = BeautifulSoup(html, "html.parser")
    assert soup.h1.get_text().startswith("A question?")
    assert len(soup.find_all("h1")) == 1
    assert soup.find(class_="chip").get_text() == "succeeded"
    assert "0.400 to 0.600" in soup.find(class_="cards").get_text()
    assert [a.get_text() for a in soup.select("nav.contents a")] == ["Data", "How it was done"]
    anchor = soup.select_one("nav.contents a")["href"]
    assert soup.find(id=anchor.removeprefix("#"))
    assert not soup.find("details", class_="code").has_attr("open")
    assert soup.find("pre", class_="output").get_text() == "b\n"
    assert "1 min 1 s" in html
    assert "default-src 'none'" in html


def test_what_comes_before_the_results_is_folded_below_them_where_a_run_succeeded(tmp_path):
    cells = [
        new_markdown_cell("# A question?"),
        new_markdown_cell("## Data"),
        new_code_cell("result = wb.run(cfg, model, data)"),
        new_markdown_cell("## Scores"),
    ]
    folder = run_directory(tmp_path / "run", cells)
    soup = BeautifulSoup(page.render(folder, record(status="succeeded")), "html.parser")
    heads = [head.get_text().removesuffix("¶") for head in soup.select("main h2")]
    assert heads == ["Scores", "How it was done", "Data"]
    folded = soup.select_one("section.how details")
    assert "Data" in folded.get_text()
    assert not folded.has_attr("open")
    failed = BeautifulSoup(page.render(folder, record(status="failed")), "html.parser")
    heads = [head.get_text().removesuffix("¶") for head in failed.select("main h2")]
    assert heads == ["Data", "Scores", "How it was done"]


def items_of(texts, gold, predicted, loss=None, measure="entity_f1"):
    frame = pandas.DataFrame(
        {
            "item": [f"test/{place}" for place in range(len(texts))], "split": "test",
            "method": "own", "cluster": "0", "input": texts, "gold": gold, "predicted": predicted,
            "loss": loss or [1.0] * len(texts),
        }
    )  # fmt: skip
    whole = record(status="succeeded", main_measure=measure)
    return whole.with_details(directory=None, items=frame, history=[])


def test_items_of_a_run_are_on_its_page_and_their_text_can_not_run(tmp_path):
    texts = [["Ada", "ran"], [*PAYLOADS[:2]]]
    result = items_of(texts, [["B-PER", "O"], ["O", "O"]], [["O", "O"], ["O", "O"]])
    folder = run_directory(tmp_path / "run", FIRST)
    directory = result.save(folder)
    soup = BeautifulSoup(page.render(directory), "html.parser")
    data = json.loads(soup.find(id="items-data").string)
    assert data["of"] == 2
    assert data["wrong"] == 1
    assert data["rows"][0] == ["test/0", "Ada ran", [["PER", "Ada"]], [], 1.0, 0]
    assert data["rows"][1][1] == " ".join(" ".join(PAYLOADS[:2]).split())
    soup.find(id="items-data").decompose()
    harmless(str(soup))


def test_labels_of_whole_texts_are_no_tags_and_a_loss_that_is_no_number_is_none(tmp_path):
    texts, labels = [["Hi"], ["there", "too"]], [["e-mail"], ["O-x"]]
    result = items_of(texts, labels, labels, [float("inf"), 0.5], measure="accuracy")
    folder = run_directory(tmp_path / "run", FIRST)
    result.save(folder)
    soup = BeautifulSoup(page.render(folder), "html.parser")
    rows = json.loads(soup.find(id="items-data").string)["rows"]
    assert [row[2:5] for row in rows] == [
        [[["e-mail", ""]], [["e-mail", ""]], None],
        [[["O-x", ""]], [["O-x", ""]], 0.5],
    ]


def test_items_that_are_neither_right_nor_wrong_have_no_outcome_or_labels(tmp_path):
    result = items_of([["a text"]], [["key"]], [["key"]], [12.5], measure="bits_per_byte")
    folder = run_directory(tmp_path / "run", FIRST)
    result.save(folder)
    soup = BeautifulSoup(page.render(folder), "html.parser")
    assert not json.loads(soup.find(id="items-data").string)["labelled"]
    assert "wrong" not in soup.select_one("section.items .note").get_text()
    assert soup.select_one("table.items th").get_text() == "item"


def test_wrong_items_and_high_losses_come_first_where_a_page_can_not_hold_all(tmp_path):
    n = 50
    texts, gold = [[f"text {place}"] for place in range(n)], [["calm"]] * n
    predicted = [["glad"] if place % 10 == 0 else ["calm"] for place in range(n)]
    result = items_of(texts, gold, predicted, [place / n for place in range(n)])
    directory = result.save(tmp_path / "run")
    found = items.browsable(directory, Result.read_record(directory), budget=700)
    kept = [int(name.partition("/")[2]) for name, *_ in found["rows"]]
    assert {0, 10, 20, 30, 40} < set(kept)
    right = sorted(set(kept) - {0, 10, 20, 30, 40})
    assert right == [place for place in range(n) if place % 10][-len(right) :]
    assert kept == sorted(kept)
    assert found["of"] == n


def test_page_of_a_torn_notebook_is_still_a_page(tmp_path):
    folder = run_directory(tmp_path / "run", [], status="interrupted", message="cut")
    (folder / "notebook.ipynb").write_text('{"cells": [')
    (folder / "params.json").write_text('{"seed": 1, "casing": true}')
    html = page.render(folder)
    assert "not written to its end" in html
    assert "cut" in html
    assert "workbench run 90_trial --set seed=1 --set casing=true" in html


def papermill(start: str | None = "2026-11-24T23:46:49", **said) -> dict:
    """A cell's metadata as papermill leaves it, whatever became of the cell."""
    return {"papermill": {"status": "completed", "start_time": start, "exception": False} | said}


def cell(source: str, *outputs, began: bool = True, tags=()):
    told = papermill() if began else papermill(None)
    return new_code_cell(source, outputs=list(outputs), metadata=told | {"tags": list(tags)})


def printed(text: str):
    return new_output("stream", name="stdout", text=text)


BROKEN = new_output(
    "error", ename="ZeroDivisionError", evalue="division by zero", traceback=["Traceback", "1 / 0"]
)
FIRST = [
    new_markdown_cell("# A question?"),
    cell("seed = 0\nmodel = 'a'", tags=["parameters"]),
    cell("seed = 3", tags=["injected-parameters"]),
    cell("load()", printed("loaded")),
]


def page_of(folder) -> BeautifulSoup:
    html = page.render(folder)
    harmless(html)
    return BeautifulSoup(html, "html.parser")


def test_failed_run_says_on_top_which_cell_raised_what_and_how_to_run_it_again(tmp_path):
    found = [
        # papermill puts this above all, and another one above the cell that raised
        new_markdown_cell("An Exception was ...", metadata={"tags": ["papermill-error-cell-tag"]}),
        *FIRST,
        cell("share()\nmore()", printed("counting"), BROKEN),
        new_markdown_cell("## Scores"),
        cell("print('never')", began=False),
    ]
    message = "code cell 3 (share()): ZeroDivisionError: division by zero"
    facts = {"status": "failed", "message": message, "peak_mb": 1234.4, "exit_code": 5}
    folder = run_directory(tmp_path / "90-trial-1", found, **facts, seconds=61.0)
    (folder / "params.json").write_text('{"seed": 3, "model": "a"}')
    (folder / "run.log").write_text("counting")
    soup = page_of(folder)
    panel = soup.body.find("section")
    assert panel["class"] == ["ending"]
    assert panel.find_next("h1").get_text().strip() == "A question?"
    said = panel.get_text()
    assert "A cell raised an error" in said
    assert panel.pre.get_text() == "ZeroDivisionError: division by zero"
    for fact in (
        "code cell 3: share()",
        "peak memory 1,234 MiB",
        "ran for 1 min 1 s",
        "exit code 5",
    ):
        assert fact in said
    assert panel.find("p", class_="again").code.get_text() == "workbench run 90_trial --set seed=3"
    assert panel.find("a", href="run.log")
    fatal = soup.find(id=panel.p.a["href"].removeprefix("#"))
    assert "share()" in fatal.get_text()
    assert fatal.details.has_attr("open")
    assert "The run ended in this cell" in fatal.get_text()
    assert [each.get_text() for each in soup.select("main pre.output")][:2] == [
        "loaded",
        "counting",
    ]
    assert "An Exception was" not in soup.get_text()
    unrun = soup.find_all(class_="unrun")
    assert [each.name for each in unrun] == ["section", "div"]
    assert "not run" in unrun[1].get_text()
    assert "not run" not in fatal.get_text()


@pytest.mark.parametrize(
    ("status", "title"),
    [
        ("killed", "The kernel's process ended or was killed"),
        ("timeout", "A cell took longer than it may"),
        ("oom", "The memory did not suffice"),
        ("interrupted", "The run was interrupted"),
    ],
)
def test_cells_after_a_death_are_not_run_though_papermill_calls_them_completed(
    tmp_path, status, title
):
    found = [*FIRST, cell("die()"), cell("print('never')", began=False)]
    found[-1].metadata.papermill.update(end_time="2026-11-24T23:46:50", status="completed")
    soup = page_of(run_directory(tmp_path / "run", found, status=status))
    panel = soup.find(class_="ending")
    assert title in panel.get_text()
    assert "code cell 3: die()" in panel.get_text()
    assert [each["id"] for each in soup.find_all(class_="unrun")] == ["cell-4"]
    assert "The run ended in this cell" in soup.find(id="cell-3").get_text()


def test_run_that_began_no_cell_has_none_that_ran(tmp_path):
    found = [cell("first()", began=False), cell("second()", began=False)]
    facts = {"status": "failed", "message": "No space left on device\ndo: free some space"}
    soup = page_of(run_directory(tmp_path / "run", found, **facts))
    assert len(soup.find_all(class_="unrun")) == 2
    panel = soup.find(class_="ending").get_text()
    assert "The run failed" in panel
    assert "code cell" not in panel
    assert "Free some space." in panel


def test_run_that_failed_after_its_last_cell_blames_none(tmp_path):
    message = "the notebook ended without a result\ndo: end it with result.save()"
    found = [*FIRST, new_markdown_cell("## Limits")]
    soup = page_of(run_directory(tmp_path / "run", found, status="failed", message=message))
    assert not soup.find_all(class_=["unrun", "ended"])
    assert "without a result" in soup.find(class_="ending").pre.get_text()
    assert "End it with result.save()." in soup.find(class_="ending").get_text()


def test_page_of_a_run_that_goes_on_says_so_and_blames_nothing(tmp_path):
    folder = run_directory(tmp_path / "run", [*FIRST, cell("now()"), cell("later()", began=False)])
    with state.held(folder):
        state.write(folder, status="running", notebook="90_trial")
        soup = page_of(folder)
    assert not soup.find(class_="ending")
    assert "still going on" in soup.find(class_="note").get_text()
    assert [each["id"] for each in soup.find_all(class_="unrun")] == ["cell-4"]


def test_success_without_a_record_is_an_interruption(tmp_path):
    soup = page_of(run_directory(tmp_path / "run", FIRST, status="succeeded"))
    assert "ended before its record was written" in soup.find(class_="ending").get_text()


@pytest.mark.parametrize("attempts", [1, 2])
def test_attempts_are_said_where_there_were_several(tmp_path, attempts):
    facts = {"status": "killed", "attempts": attempts}
    panel = page_of(run_directory(tmp_path / "run", FIRST, **facts)).find(class_="ending")
    assert ("attempts 2" in panel.get_text()) == (attempts == 2)


def test_command_can_be_pasted_into_a_shell_whatever_the_values_are():
    values = {"dataset": "it's; rm -rf ~ $(x)\n", "epochs": 3, "casing": False, "rate": 0.5}
    words = shlex.split(ending.command("50_ner", values))
    assert words[:3] == ["workbench", "run", "50_ner"]
    assert words[4::2] == [f"dataset={values['dataset']}", "epochs=3", "casing=false", "rate=0.5"]
    assert ending.command("", values) == ""


def test_a_run_that_took_too_long_gets_more_time_by_the_command_that_its_page_gives(tmp_path):
    folder = run_directory(tmp_path / "run", FIRST, status="timeout", timeout_s=3600)
    again = BeautifulSoup(page.render(folder), "html.parser").select_one(".again code").get_text()
    assert again == "workbench run 90_trial --timeout-s 14400"


def test_header_names_the_files_that_exist_and_the_parameters_that_were_changed(tmp_path):
    folder = run_directory(tmp_path / "run", FIRST)
    (folder / "run.log").write_text("")
    (folder / "run.log.bak").write_text("")
    changed = record(status="succeeded", parameters={"seed": 3, "model": "a"})
    soup = BeautifulSoup(page.render(folder, changed), "html.parser")
    links = [a["href"] for a in soup.find(class_="links").find_all("a")]
    assert links == ["../../index.html", "notebook.ipynb", "result.json", "run.log"]
    given = soup.find("details", class_="facts")
    assert given.summary.get_text() == "Parameters seed = 3"
    assert [dd.get_text() for dd in given.find_all("dd")] == ["3 changed", "a"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("It costs $5 and $6.", "It costs $5 and $6."),
        ("From $5 to $10 a day, or US$7.", "From $5 to $10 a day, or US$7."),
        ("`$x$` and ``$y$``", "$x$ and $y$"),
        ("```\n$x$\n```", "$x$"),
        ("a \\$x$ b", "a $x$ b"),
        (r"$\frac{$", r"$\frac{$"),
        (r"$\nosuchthing{x}$", r"$\nosuchthing{x}$"),
        (r"$\href{javascript:x()}{x}$", r"$\href{javascript:x()}{x}$"),
        (r"$\hspace{-900em}x$", r"$\hspace{-900em}x$"),
        ("<math><mi>x</mi></math>", "<math><mi>x</mi></math>"),
        ("<script>x()</script>", "<script>x()</script>"),
    ],
)
def test_text_that_is_no_formula_stays_as_it_is(text, says):
    soup = BeautifulSoup(prose.markdown(text), "html.parser")
    assert not soup.find("math")
    assert soup.get_text().strip() == says


@pytest.mark.parametrize(
    ("text", "display", "says"),
    [
        ("is $x^2$.", "inline", "x2"),
        ("$$\n\\sum_{i=1}^n x_i\n$$", "block", "∑i=1nxi"),
        (r"\begin{align}a &= b\end{align}", "block", "a=b"),
        ("## The $F_1$ score", "inline", "F1"),
        (r"$\text{<b onclick=x()>}$", "inline", "<b\xa0onclick=x()>"),
    ],
)
def test_formula_is_drawn_without_scripts(text, display, says):
    soup = BeautifulSoup(prose.markdown(text, anchors=True), "html.parser")
    assert soup.math["display"] == display
    assert soup.math.get_text() == says
    assert not soup.math.find("b")
    assert "formula-" not in str(soup)


def test_output_in_latex_is_a_formula_or_its_source():
    assert "<math" in prose.latex("$\\displaystyle x^2$")
    assert "<math" in prose.latex("\\begin{align}a &= b\\end{align}")
    table = "\\begin{tabular}{l}<b>\\end{tabular}"
    assert "<b>" not in prose.latex(table)
    assert BeautifulSoup(prose.latex("a " + table), "html.parser").get_text() == "a " + table


def test_policy_allows_the_pages_own_scripts_by_hash_and_nothing_else(tmp_path):
    soup = page_of(run_directory(tmp_path / "run", FIRST))
    policy = soup.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
    allowed = re.search(r"script-src ([^;]+)", policy)[1].split()
    scripts = [each.string.encode() for each in soup.find_all("script")]
    digests = [base64.b64encode(hashlib.sha256(text).digest()).decode() for text in scripts]
    assert allowed == [f"'sha256-{digest}'" for digest in digests]
    assert len(allowed) == 3
    for rule in ("default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'"):
        assert rule in policy


def in_use(browse, folder, steps: str) -> dict:
    """What JavaScript says in a page of a run, whose policy is off to let it in."""
    html = page.render(folder).replace("Content-Security-Policy", "x-none")
    ended = "document.title = JSON.stringify(said);"
    driver = f"addEventListener('DOMContentLoaded', () => {{ const said = {{}}; {steps} {ended} }})"
    path = folder / "driven.html"
    path.write_text(html.replace("</body>", f"<script>{driver}</script></body>"))
    return json.loads(BeautifulSoup(browse(f"file://{path}"), "html.parser").title.get_text())


def test_tables_sort_by_value_and_come_back(tmp_path, browse):
    rows = [
        ["b", "0.500 [0.400, 0.610]", "1,000 MiB", "2 min 1 s"],
        ["a", "-0.250 [-0.4, 0.1]", "90 MiB", "59.0 s"],
        ["c10", "", "200 MiB", "1 h 0 min"],
        ["c9", "0.060 [0.01, 0.2]", "100 MiB", "3 min 0 s"],
        ["all", "9.000", "1 MiB", "0.0 s"],
    ]
    body = table(["name", "score", "memory", "time"], rows, rule_before="all")
    few = table(["name"], [["a"], ["b"], ["c"]])
    frame = pandas.DataFrame({"x": [3, 1, 2, 11]}).to_html()
    two = pandas.DataFrame({("a", "x"): [3, 1, 2, 11], ("a", "y"): 0}).to_html()
    outputs = [
        new_output("execute_result", data={"text/html": each}) for each in (body, few, frame, two)
    ]
    folder = run_directory(tmp_path / "run", [cell("x", *outputs)])
    said = in_use(browse, folder, """
        const [table, few, frame, two] = document.querySelectorAll("main table");
        const column = (table) => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent);
        const click = (table, index) => {
          table.tHead.rows[0].cells[index].querySelector("button").click();
          return [table.tHead.rows[0].cells[index].ariaSort, ...column(table)].join(" ");
        };
        for (const [index, name] of ["name", "score", "memory", "time"].entries())
          said[name] = [click(table, index), click(table, index), click(table, index)];
        said.buttons = [few, two].map((each) => each.querySelectorAll("button").length);
        said.frame = click(frame, 1);
    """)  # fmt: skip
    before = "b a c10 c9 all"
    assert said["name"] == ["descending c10 c9 b a all", "ascending a b c9 c10 all", f" {before}"]
    assert said["score"] == ["descending b c9 a c10 all", "ascending a c9 b c10 all", f" {before}"]
    assert said["memory"][:2] == ["descending b c10 c9 a all", "ascending a c9 c10 b all"]
    assert said["time"][:2] == ["descending c10 c9 b a all", "ascending a b c9 c10 all"]
    assert said["buttons"] == [0, 0]
    assert said["frame"] == "descending 3 0 2 1"


def test_theme_and_code_change_by_button(tmp_path, browse):
    folder = run_directory(tmp_path / "run", FIRST, status="unknown")
    said = in_use(browse, folder, """
        const button = document.querySelector("body > .theme > button");
        const colour = () => getComputedStyle(document.body).backgroundColor;
        said.themes = [];
        for (let step = 0; step < 4; step += 1) {
          button.click();
          const theme = document.documentElement.dataset.theme ?? "system";
          said.themes.push([theme, colour()].join(" "));
        }
        const all = document.querySelector("button.all-code");
        const open = () => document.querySelectorAll("details.code[open]").length;
        said.code = [open()];
        all.click(); said.code.push(open(), all.ariaPressed);
        all.click(); said.code.push(open());
    """)  # fmt: skip
    light, dark = "rgb(255, 255, 255)", "rgb(20, 23, 29)"
    assert said["themes"][:2] == [f"light {light}", f"dark {dark}"]
    assert said["themes"][2].startswith("system")
    assert said["themes"][3] == f"light {light}"
    assert said["code"] == [0, 3, "true", 0]


def test_very_long_output_is_cut_and_says_so():
    shown = cells.last_lines("x" * 100_000)
    assert len(shown) < 21_000
    assert "80,000 more characters in run.log" in shown


def test_a_run_by_hand_says_how_to_get_its_cells(tmp_path):
    found = record(parameters={"dataset": "my <b>.txt", "seed": 3})
    found.with_details(directory=tmp_path, items=None, history=[]).save()
    text = BeautifulSoup(page.render(tmp_path), "html.parser").get_text(" ", strip=True)
    assert "done by hand in JupyterLab" in text
    command = "workbench run 00_template --set 'dataset=my <b>.txt' --set seed=3"
    assert text.count(command) == 1
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Mine")]), tmp_path / "notebook.ipynb")
    assert "by hand in" not in page.render(tmp_path)


def test_a_result_that_shows_itself_keeps_its_lines_on_a_page(tmp_path):
    html = record(answer="<i>one</i>")._repr_html_()
    output = new_output("execute_result", {"text/html": html, "text/plain": "x"})
    folder = run_directory(tmp_path / "run", [new_code_cell("result", outputs=[output])])
    (shown,) = BeautifulSoup(page.render(folder), "html.parser").select("pre.wb-shown")
    assert shown.get_text().startswith("result of the task template\n<i>one</i>\ntest/entity_f1")
