"""What can be taken from a run's page: files, numbers, commands, a citation; all of it safe."""

import base64
import io
import re
import zlib

import matplotlib
import nbformat
import pandas
import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from matplotlib.figure import Figure as Canvas
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workbench.display.canvas import STYLE, Figure, forest
from workbench.display.html import Html, table
from workbench.record import state
from workbench.record.result import FIGURE, MAX_FIGURE_FILE, Cost, Metric, Result
from workbench.report import citation, page
from workbench.report.drawing import only_draws, pdf_only_draws

METRIC = Metric(value=1 / 3, low=0.1, high=0.6, n=10, how="bootstrap over 3 documents")
ROWS = [
    ["a & b_1", "0.500 [0.400, 0.610]", "1,234", "+0.5"],
    ['say "x", y', "0.250", "5", ""],
    ["c", "", "7,000,000", "-1.25"],
    ["d", "0.100 [-0.100, 0.300]", "8", "n/a"],
]
FRAME = pandas.DataFrame({"loss": [0.5, 2.0]}, index=["x", "y"])
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"><g/></svg>'
PDF = base64.b64encode(b"%PDF-1.4 x").decode()
DATA_LINK = re.compile(r"data:(image/svg\+xml|application/pdf|text/csv);base64,[A-Za-z0-9+/=]*")


@pytest.fixture(scope="module")
def files():
    """What a notebook holds of a figure, as the figure shows itself."""
    with matplotlib.rc_context(fname=str(STYLE)):
        canvas = Canvas(figsize=(4, 2))
        forest(canvas.subplots(), {"first": METRIC})
        figure = Figure(canvas, "Accuracy", "Is 0.333. More.")
    return figure, figure._files()


def shown(files, png: str = "", caption: str = "Is 0.333. More.") -> list:
    data = {"image/png": png or "iVBORw0KGgo=", "text/plain": "Accuracy", FIGURE: files}
    alt = {"image/png": {"alt": "Accuracy. Is 0.333."}}
    text = {"text/html": f'<p class="caption">{caption}</p>'}
    return [
        new_output("display_data", data=data, metadata=alt),
        new_output("display_data", data=text),
    ]


def html(body: str):
    return new_output("execute_result", data={"text/html": body})


def record(**changes) -> Result:
    fields = {
        "task": "ner", "notebook": "50_ner", "status": "succeeded", "parameters": {"seed": 3},
        "started": "2026-03-05T10:00:00+00:00", "metrics": {"test/entity_f1": METRIC},
        "headline": ("test/entity_f1",),
        "sources": {
            "model": {"name": "hf:a/b_c@abc123"},
            "dataset": {"name": "conll2003", "fingerprint": "0123456789abcdef"},
            "transfer": {"name": "my/own.conll"},
        },
        "cost": Cost(seconds=61, memory_mb={"resident": 10}, device="cpu", precision="float32"),
        "environment": {"commit": "1a2b3c4", "packages": {"torch": "2.13.0"}},
    }  # fmt: skip
    return Result(**(fields | changes))


def write(folder, *outputs, changes=None):
    """A run's page with the outputs in one cell below a heading."""
    folder = folder / "50-ner-0123456789ab"
    folder.mkdir(parents=True)
    cells = [
        new_markdown_cell("# Who & what?"),
        new_markdown_cell("## By $F_1$\n\n```\n# no heading\n```"),
        new_code_cell("seed = 3", metadata={"tags": ["injected-parameters"]}),
        new_code_cell("show()", execution_count=1, outputs=list(outputs)),
    ]
    nbformat.write(new_notebook(cells=cells), folder / "notebook.ipynb")
    state.write(folder, status="succeeded", notebook="50_ner", task="ner")
    page.write(folder, record(**(changes or {})))
    return folder / "report.html"


@pytest.fixture
def made(tmp_path, files):
    """A page with a figure, a table of the project's and one of pandas'."""
    figure, content = files
    png = base64.b64encode(figure.png).decode()
    body = table(["name", "F1", "n", "change"], ROWS)
    return write(tmp_path, *shown(content, png), html(Html(body)._repr_html_()),
                 html(FRAME.to_html()))  # fmt: skip


def soup_of(path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def saved(opened, locator: str) -> tuple[str, bytes]:
    with opened.expect_download() as waiting:
        opened.locator(locator).click()
    return waiting.value.suggested_filename, waiting.value.path().read_bytes()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_figure_is_downloaded_as_svg_pdf_and_csv_without_scripts_too(made, visit, files, scripts):
    figure, content = files
    opened = visit(made, java_script_enabled=scripts)
    names = ("svg", "pdf", "csv")
    got = [saved(opened, f"#figure-1 a[download$={kind}]") for kind in names]
    assert [name for name, _ in got] == [f"50-ner-figure-1.{kind}" for kind in names]
    assert got[0][1].decode() == content["svg"]
    assert base64.b64encode(got[1][1]).decode() == content["pdf"]
    read = pandas.read_csv(io.BytesIO(got[2][1]), float_precision="round_trip")
    assert read.to_numpy().tolist() == figure.frame.to_numpy().tolist()


def test_a_table_is_downloaded_as_csv_with_the_numbers_that_its_frame_has(made, visit):
    opened = visit(made)
    name, content = saved(opened, "button[aria-label='CSV of table 1']")
    assert name == "50-ner-table-1.csv"
    read = pandas.read_csv(io.BytesIO(content), keep_default_na=False, na_values=[""])
    frame = Html(table(["name", "F1", "n", "change"], ROWS)).frame
    assert list(frame) == ["name", "F1", "F1 low", "F1 high", "n", "change"]
    assert frame["F1 low"].tolist()[0] == 0.4
    assert frame["n"].tolist() == [1234, 5, 7_000_000, 8]
    told = [[str(cell) for cell in row] for row in read.fillna("").to_numpy().tolist()]
    assert told == [
        ["a & b_1", "0.5", "0.4", "0.61", "1234", "0.5"],
        ['say "x", y', "0.25", "", "", "5", ""],
        ["c", "", "", "", "7000000", "-1.25"],
        ["d", "0.1", "-0.1", "0.3", "8", "n/a"],
    ]
    _, content = saved(opened, "button[aria-label='CSV of table 2']")
    assert content.decode() == ",loss\nx,0.5\ny,2.0\n"


def test_a_table_is_latex_that_says_what_it_shows(made, visit):
    opened = visit(made)
    name, content = saved(opened, "button[aria-label='LaTeX of table 1']")
    assert name == "50-ner-table-1.tex"
    lines = content.decode().splitlines()
    assert r"\caption{By F1}" in lines
    assert r"\label{tab:50-ner-table-1}" in lines
    assert r"\begin{tabular}{lrrl}" in lines
    assert r"a \& b\_1 & 0.500 [0.400, 0.610] & 1,234 & +0.5 \\" in lines
    assert [line for line in lines if line.endswith("rule")] == [
        r"\toprule", r"\midrule", r"\bottomrule",
    ]  # fmt: skip


def taken(opened, name: str, kind: str) -> str:
    return saved(opened, f"button[aria-label='{kind} of {name}']")[1].decode()


def test_a_cell_that_spans_rows_stands_in_each(tmp_path, visit):
    index = pandas.MultiIndex.from_product([["x", "y"], ["u", "v"]], names=["a", "b"])
    frame = pandas.DataFrame({"c": [1.0, -0.25, 3.0, 4.0]}, index=index)
    spans = "<table><tr><th rowspan=0>p<td colspan=2 rowspan=2>q<td>r</tr><tr><td>s</tr></table>"
    opened = visit(write(tmp_path, html(frame.to_html()), html(spans)))
    read = pandas.read_csv(io.StringIO(taken(opened, "table 1", "CSV")), header=None, skiprows=2)
    assert read.to_numpy().tolist() == [
        ["x", "u", 1.0], ["x", "v", -0.25], ["y", "u", 3.0], ["y", "v", 4.0],
    ]  # fmt: skip
    assert r"x & v & $-$0.25 \\" in taken(opened, "table 1", "LaTeX")
    assert taken(opened, "table 2", "CSV") == "p,q,,r\np,q,,s\n"


def test_what_a_spreadsheet_would_compute_is_text_in_the_file(tmp_path, visit):
    texts = ['=A("http://x.org")', "+49 1", "@x", "-a", "E5", "-", "-0.25", "+1,000", "1e-5"]
    opened = visit(write(tmp_path, html(table(["=1+1"], [[text] for text in texts]))))
    read = pandas.read_csv(io.StringIO(taken(opened, "table 1", "CSV")), dtype=str)
    assert list(read) == ["'=1+1"]
    assert read["'=1+1"].tolist() == [
        "'=A(\"http://x.org\")", "'+49 1", "'@x", "'-a", "E5", "-", "-0.25", "1000", "1e-5",
    ]  # fmt: skip
    lines = taken(opened, "table 1", "LaTeX").splitlines()
    assert {r"$-$0.25 \\", r"1e$-$5 \\", r"-a \\", r"- \\"} <= set(lines)


def test_names_that_look_like_exponents_are_no_numbers():
    rows = [["E5", "e10"], ["E1", "."], ["1e3", "9" * 5000]]
    frame = Html(table(["model", "n"], rows)).frame
    assert frame["model"].tolist() == ["E5", "E1", 1000.0]
    assert frame["n"].tolist() == ["e10", ".", "9" * 5000]


def test_sorted_rows_are_taken_as_they_are_shown(made, visit):
    opened = visit(made)
    opened.locator("#table-1 thead th button").nth(2).click()
    _, content = saved(opened, "button[aria-label='CSV of table 1']")
    assert [line[0] for line in content.decode().splitlines()[1:]] == [*"cad", '"']


def test_commands_and_code_are_copied(made, visit):
    opened = visit(made, permissions=["clipboard-read", "clipboard-write"])
    for where, text in (
        (".takeaway .copied:has(.command) .copy", "workbench run 50_ner --set seed=3"),
        ("details.code:has-text('show()') .copy", "show()"),
    ):
        opened.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        opened.locator(where).click()
        assert opened.locator(where).text_content() == "Copied"
        assert opened.evaluate("navigator.clipboard.readText()") == text
    assert opened.locator("#told").text_content() == "copied"


@pytest.mark.parametrize(("allowed", "says"), [("true", "Copied"), ("false", "Not copied")])
def test_without_a_clipboard_the_button_says_whether_it_copied_and_keeps_the_focus(
    made, visit, allowed, says
):
    opened = visit(made)
    opened.evaluate(
        "navigator.clipboard.writeText = async () => { throw new Error('no'); };"
        f"document.execCommand = () => {allowed}"
    )
    button = opened.locator("button[aria-label='Copy LaTeX of table 1']")
    button.focus()
    opened.keyboard.press("Enter")
    opened.wait_for_function("document.getElementById('told').textContent")
    assert button.text_content() == says
    assert opened.locator("#told").text_content().startswith(says.lower())
    focused = "document.activeElement.getAttribute('aria-label')"
    assert opened.evaluate(focused) == "Copy LaTeX of table 1"


def test_a_reader_without_a_mouse_reaches_content_headings_and_files(made, visit):
    opened = visit(made)
    opened.keyboard.press("Tab")
    focused = "document.activeElement"
    assert opened.evaluate(f"{focused}.textContent") == "Skip to the content"
    assert opened.evaluate(f"{focused}.getBoundingClientRect().left") >= 0
    opened.keyboard.press("Enter")
    assert opened.evaluate(f"{focused}.tagName") == "MAIN"
    seen = []
    for _ in range(40):
        opened.keyboard.press("Tab")
        seen.append(
            opened.evaluate(f"{focused}.getAttribute('aria-label') ?? {focused}.textContent")
        )
        if seen[-1] == "¶" and seen.count("¶") == 1:
            assert opened.evaluate(f"getComputedStyle({focused}).opacity") == "1"
            opened.keyboard.press("Enter")
            assert "#By-" in opened.url
    assert "¶" in seen, seen
    order = ["SVG of figure 1", "CSV of figure 1", "CSV of table 1", "LaTeX of table 2"]
    assert [seen.index(one) for one in order] == sorted(seen.index(one) for one in order)


EDGES = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => colour.slice(0, 3).map((part) => part / 255)
    .map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const back = luminance(rgb(getComputedStyle(document.body).backgroundColor));
  const ratio = (colour) => {
    const [high, low] = [back, luminance(colour)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const base = rgb(getComputedStyle(document.body).backgroundColor);
  const found = {};
  for (const each of document.querySelectorAll("button, #table-1 td, #table-2 td")) {
    const style = getComputedStyle(each);
    const arrow = getComputedStyle(each, "::after");
    const name = each.getAttribute("aria-label") ?? each.textContent;
    if (parseFloat(style.borderBottomWidth)) found[name] = ratio(rgb(style.borderBottomColor));
    if (arrow.content.startsWith('"')) {
      const opacity = Number(arrow.opacity);
      found[`${name} arrow`] = ratio(rgb(arrow.color).slice(0, 3)
        .map((part, index) => part * opacity + base[index] * (1 - opacity)));
    }
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_accessible_and_its_edges_and_arrows_stand_out(made, visit, scheme):
    opened = visit(made, color_scheme=scheme)
    found = Axe().run(opened).response["violations"]
    assert not [each["id"] for each in found if each["impact"] in {"serious", "critical"}]
    edges = opened.evaluate(EDGES)
    assert {"CSV of table 1", "Copy citation", "name arrow", "1,234"} <= set(edges)
    assert {name: ratio for name, ratio in edges.items() if ratio < 3} == {}


def test_figures_and_tables_have_numbers_captions_headers_and_alt_text(made):
    soup = soup_of(made)
    figure = soup.find("figure", id="figure-1")
    assert figure.img["alt"] == "Accuracy. Is 0.333."
    assert figure.figcaption.get_text() == "Figure 1. Is 0.333. More."
    assert figure.figcaption.a["href"] == "#figure-1"
    assert not soup.select("main p.caption"), "the caption is in its figure only"
    first, second = soup.select("main table")
    assert (first["id"], second["id"]) == ("table-1", "table-2")
    assert first.caption.get_text() == "Table 1. By F1"
    assert [th["scope"] for th in first.select("thead th")] == ["col"] * 4
    assert [th.get_text() for th in first.select("tbody th[scope=row]")] == [r[0] for r in ROWS]
    assert [th["scope"] for th in second.find_all("th")] == ["col", "col", "row", "row"]


def test_a_table_keeps_the_caption_that_it_has(tmp_path):
    path = write(tmp_path, html(table(["a"], [["b"]], caption="Costs < 1")))
    assert soup_of(path).select_one("main table caption").get_text() == "Table 1. Costs < 1"


def test_figures_without_files_and_of_others_are_numbered_too(tmp_path):
    old, caption = shown({})
    del old.data[FIGURE]
    plain = new_output("display_data", data={"image/png": "iVBORw0KGgo="})
    soup = soup_of(write(tmp_path, old, caption, plain, caption, html("<p>more</p>")))
    assert [each.get_text() for each in soup.find_all("figcaption")] == [
        "Figure 1. Is 0.333. More.", "Figure 2. Is 0.333. More.",
    ]  # fmt: skip
    assert not soup.select("figure a[download]")
    assert not soup.select("figure .take")


def test_page_says_what_is_left_out(tmp_path):
    given = {"svg": None, "pdf": "x" * (MAX_FIGURE_FILE + 1), "csv": "a\n1\n"}
    take = soup_of(write(tmp_path, *shown(given))).select_one("figure .take")
    assert [a.get_text() for a in take.find_all("a")] == ["CSV"]
    assert "SVG, PDF" in take.small.get_text()


BAD = [
    "<svg onload='steal()'/>", SVG.replace("<g/>", "<script>steal()</script>"),
    SVG.replace("<g/>", '<image href="https://example.org/x.png"/>'),
    SVG.replace("<g/>", '<a href="javascript:steal()"><text>x</text></a>'),
    SVG.replace("<g/>", "<foreignObject><b>x</b></foreignObject>"),
    SVG.replace("<g/>", '<g style="fill: url(https://example.org/x)"/>'),
    SVG.replace("<g/>", "<style>@import 'https://example.org'</style>"),
    SVG.replace("<g/>", '<animate attributeName="x"/>'), SVG.replace("<g/>", "<g onclick=x()/>"),
    SVG.replace("<g/>", '<x:script xmlns:x="http://www.w3.org/2000/svg">steal()</x:script>'),
    f'<!DOCTYPE svg [<!ENTITY x "y">]>{SVG}', f'<?xml-stylesheet href="https://x.org"?>{SVG}',
    SVG.replace("<g/>", "<!-- --><g onload=\"steal()\"/><!-- -->"),
    SVG.replace("<g/>", "<![CDATA[<script>steal()</script>]]>"),
    SVG.replace("<g/>", '<use xlink:href="data:image/svg+xml;base64,PHN2Zz4="/>'),
    *(SVG.replace("<g/>", part) for part in (
        '<style>&#64;import "http://example.org/x.css";</style>',
        '<s:style xmlns:s="http://www.w3.org/2000/svg">@import "//example.org"</s:style>',
        "<style>@import 'http://example.org'</style >", "<style>*{fill: red}<g/></style>",
        r'<g style="fill:u\72 l(http://example.org)"/>', '<g fill="ur&#108;(//example.org/x)"/>',
        """<g style="fill: image-set('http://example.org' 1x)"/>""",
        """<g style="fill: url('#x')"/>""", '<g style="fill: u/**/rl(example.org)"/>',
        '<g xml:base="http://example.org"/>', '<use href="x.svg#y"/>', '<image href="#x"/>',
        '<g xmlns="http://www.w3.org/1999/xhtml"/>', "<g>&x;</g>", "<set/>", "<feImage/>",
        '<script xmlns="urn:x"/>', '<g xmlns:x="urn:x" x:onload="steal()"/>',
    )),
    f'<?xml version="1.0" encoding="UTF-7"?>{SVG}', f'<?xml version="1.1"?>{SVG}',
    f'<!DOCTYPE svg SYSTEM "http://example.org/x.dtd">{SVG}', SVG.replace("2000/svg", "x"),
    SVG.replace("<g/>", "<g>" * 9),
    "<script>steal()</script>", '"><script>steal()</script>', "", "<svg", 5, ["<svg/>"], {"a": 1},
]  # fmt: skip


@pytest.mark.parametrize("svg", BAD, ids=range(len(BAD)))
def test_an_svg_that_does_more_than_draw_is_not_offered(tmp_path, svg):
    soup = soup_of(write(tmp_path, *shown({"svg": svg, "pdf": PDF, "csv": "a"})))
    assert [a.get_text() for a in soup.select("figure a[download]")] == ["PDF", "CSV"]


PACKED = zlib.compress(b"0 0 m")
STREAM = b"<</Length 9 /Filter /FlateDecode>>\nstream\n%s\nendstream"
BAD_PDF = [
    b"<</OpenAction <</S /JavaScript /JS (steal)>> >>", b"<</JS (x)>>", b"<</A <</S /Launch>> >>",
    b"<</URI (http://example.org)>>", b"<</Names <</EmbeddedFiles 1 0 R>> >>", b"<</AA 5 0 R>>",
    b"<</Type /EmbeddedFile>>", b"<</J#53 (x)>>", b"<</Open#41ction 5 0 R>>", b"<</Encrypt 1 0 R>>",
    b"<</Type /ObjStm /Filter /FlateDecode>>\nstream\n" + PACKED + b"\nendstream",
    STREAM % (PACKED + b") /x ("), STREAM % b"0 0 m", STREAM % PACKED[:-1],
    STREAM.replace(b"FlateDecode", b"JBIG2Decode") % PACKED, STREAM % zlib.compress(b"/URI", 0),
]  # fmt: skip


@pytest.mark.parametrize("content", BAD_PDF, ids=range(len(BAD_PDF)))
def test_a_pdf_that_does_more_than_draw_is_not_offered(tmp_path, content):
    good, bad = b"%PDF-1.4\n" + STREAM % PACKED, b"%PDF-1.4\n" + content
    for pdf, offered in ((good, ["SVG", "PDF"]), (bad, ["SVG"])):
        given = shown({"svg": SVG, "pdf": base64.b64encode(pdf).decode()})
        soup = soup_of(write(tmp_path / offered[-1], *given))
        assert [a.get_text() for a in soup.select("figure a[download]")] == offered


def test_own_drawings_only_draw(files):
    assert only_draws(files[1]["svg"])
    assert not only_draws(files[1]["svg"].replace("</svg>", "<text>\ud800</text></svg>"))
    assert pdf_only_draws(base64.b64decode(files[1]["pdf"]))
    canvas = Canvas(figsize=(3, 2))
    axes = canvas.subplots()
    axes.imshow([[1, 2]])
    axes.bar([0, 1], [1, 2], hatch="/", clip_path=None)
    axes.fill_between([0, 1], [0, 1], alpha=0.5)
    axes.set_title("onload=steal() <script> --> url(x) & javascript:")
    for kind in ("path", "none"):
        with matplotlib.rc_context({"svg.fonttype": kind, "text.parse_math": False}):
            stream = io.StringIO()
            canvas.savefig(stream, format="svg")
        assert only_draws(stream.getvalue()), kind
    for number in range(40):  # what compressed bytes end with is by chance
        axes.set_xlabel(f"{number}")
        packed = io.BytesIO()
        canvas.savefig(packed, format="pdf")
        assert pdf_only_draws(packed.getvalue()), number


HOSTILE = ['"><script>steal()</script>', "<img src=x onerror=steal()>", "javascript:steal()"]


@pytest.mark.parametrize("payload", HOSTILE)
def test_files_of_any_kind_can_neither_run_nor_leave_their_links(tmp_path, visit, payload):
    mark = payload.replace("steal()", "document.documentElement.dataset.canary=1")
    outputs = [
        *shown({"svg": mark, "pdf": mark, "csv": mark, mark: mark}),
        *shown(mark), *shown([mark]), *shown({"csv": mark}, caption=mark),
        html(f'<table id="x" class="{mark}"><caption>{mark}</caption><th scope="{mark}">{mark}'),
        html(f"<table><table {mark}"),
    ]  # fmt: skip
    outputs[0].metadata["workbench"] = {"number": mark, "links": [[mark, mark, mark]]}
    changes = {
        "notebook": mark, "started": mark, "parameters": {mark: mark},
        "sources": {mark: {"name": f"hf:{mark}"}, "b": {"name": mark}},
    }  # fmt: skip
    path = write(tmp_path, *outputs, changes=changes)
    soup = soup_of(path)
    for link in soup.select("a[download]"):
        assert DATA_LINK.fullmatch(link["href"])
        assert re.fullmatch(r"50-ner-figure-\d\.csv", link["download"])
        assert base64.b64decode(link["href"].partition(",")[2]).decode() == mark
    others = [tag["href"] for tag in soup.find_all(href=True) if not tag.has_attr("download")]
    assert not [href for href in others if re.match(r"\s*(javascript|data:[^,])", href)]
    opened = visit(path)
    for button in opened.locator(".take button").all():
        if "Copy" not in button.text_content():
            with opened.expect_download():
                button.click()
    assert opened.evaluate("document.documentElement.dataset.canary ?? null") is None


def test_the_citation_names_the_run_and_what_it_used():
    text = citation.bibtex("50 % of {F_1}?", "50-ner-0123456789ab", record())
    entries = dict(re.findall(r"(?ms)^@\w+\{([^,]+),\n(.*?)^\}$", text))
    assert list(entries) == [
        "50-ner-0123456789ab", "hf-a-b_c-abc123", "conll2003", "tjongkimsang2003introduction",
    ]  # fmt: skip
    own = entries["50-ner-0123456789ab"]
    assert r"title = {{50 \% of F\_1?}}" in own
    assert "year = {2026}" in own
    assert "month = mar" in own
    for said in ("commit 1a2b3c4", "torch 2.13.0", "started 2026-03-05", r"my/own.conll"):
        assert said in own
    assert "url = {https://huggingface.co/a/b_c}" in entries["hf-a-b_c-abc123"]
    assert "revision abc123" in entries["hf-a-b_c-abc123"]
    assert "fingerprint 0123456789ab" in entries["conll2003"]
    assert text.count("{") == text.count("}")


def test_the_page_of_a_success_says_how_to_run_it_again_and_to_cite_it(made):
    soup = soup_of(made)
    assert soup.select_one(".takeaway .command").get_text() == "workbench run 50_ner --set seed=3"
    assert soup.select_one(".takeaway .bibtex").get_text().startswith("@misc{50-ner-0123456789ab,")
