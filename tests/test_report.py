"""Pages: nothing runs in them, nothing is fetched, everything is said."""

import re

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell

from workbench import state, tables
from workbench.report import page
from workbench.result import Cost, Metric, Result

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


def harmless(html: str) -> None:
    soup = BeautifulSoup(html, "html.parser")
    assert not soup.find_all(["script", "iframe", "object", "embed", "form", "link", "svg", "math"])
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
    import pandas

    rows = pandas.DataFrame(
        {
            "item": ["test/0"], "split": ["test"], "method": ["a"], "cluster": [PAYLOADS[0]],
            "input": [[*PAYLOADS]], "gold": [["B-<b>", *["O"] * (len(PAYLOADS) - 1)]],
            "predicted": [["O"] * len(PAYLOADS)], "loss": [1.0],
        }
    )  # fmt: skip
    result = record().with_details(directory=None, items=rows, history=[])
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
    assert [a.get_text() for a in soup.select("nav.contents a")] == ["Data"]
    anchor = soup.select_one("nav.contents a")["href"]
    assert soup.find(id=anchor.removeprefix("#"))
    assert not soup.find("details", class_="code").has_attr("open")
    assert soup.find("pre", class_="output").get_text() == "b\n"
    assert "1 min 1 s" in html
    assert "default-src 'none'" in html


def test_page_of_a_torn_notebook_is_still_a_page(tmp_path):
    folder = run_directory(tmp_path / "run", [], status="interrupted", message="cut")
    (folder / "notebook.ipynb").write_text('{"cells": [')
    html = page.render(folder)
    assert "not written to its end" in html
    assert "cut" in html


def test_very_long_output_is_cut_and_says_so():
    shown = page.last_lines("x" * 100_000)
    assert len(shown) < 21_000
    assert "80,000 more characters in run.log" in shown
