"""The cells of an executed notebook as cleaned HTML, and how far its run came."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup
from nbconvert.exporters import TemplateExporter
from nbconvert.filters import Highlight2HTML

from workbench.core.config import names
from workbench.report.cleaning import clean
from workbench.report.numbered import best_kind, number
from workbench.report.prose import latex, markdown

TEMPLATES = Path(__file__).parent / "templates"
MAX_STREAM = 20_000
"""Characters shown of one cell's printed output; the rest is in run.log."""
MAX_CODE_LINE = 1_000
"""Characters of a line of code that gets colours."""

INJECTED = "injected-parameters"
"""papermill's tag of the cell with the parameters that are not as in the notebook."""
MARKER = "papermill-error-cell-tag"
"""papermill's tag of what it writes around an error, which the page says in its own way."""
ONLY = "only:"
"""A tag `only:dataset=conll2003` shows prose where that parameter names that, and nowhere else."""
RUN = re.compile(r"\bwb\.run\(")
STOPPED = ("timeout", "killed", "oom", "interrupted")
"""Statuses of runs that ended while a cell was at work."""
UNFINISHED = ("running", "failed", *STOPPED)


@dataclass(frozen=True)
class Place:
    """The code cell at which a run ended."""

    number: int
    """As in messages: code cells from 1, that of the given parameters not counted."""
    first_line: str
    error: str = ""
    """The last line of its traceback, where it has one."""
    of: int = 0
    """How many code cells there are."""


@dataclass(frozen=True)
class Shown:
    """An executed notebook as its page shows it."""

    title: str = ""
    body: str = ""
    setup: str = ""
    """What stands before the results of a run that succeeded: data, model, training log."""
    contents: tuple[tuple[str, str], ...] = ()
    """Anchor and text of each section."""
    changed: frozenset[str] | None = frozenset()
    """Parameters that are not as in the notebook; None where that can't be told."""
    ended: Place | None = None


def read(path: Path, status: str, parameters: Mapping[str, Any]) -> Shown:
    """Read the notebook that a run with that status and those parameters has left."""
    if not path.is_file():
        return Shown(changed=None)
    try:
        content: Any = nbformat.read(path, as_version=4)
    except Exception:  # noqa: BLE001  nbformat's errors have no class in common
        text = "<p>The notebook file was not written to its end.</p>"
        return Shown(body=text, changed=None)
    cells = [cell for cell in content.cells if _applies(cell, parameters)]
    title = ""
    if cells and (match := re.match(r"# (.+)\n*", cells[0].source)):
        title = match[1]
        cells[0].source = cells[0].source[match.end() :]
    ended = _mark(cells, status)
    first, results = _setup(cells) if status == "succeeded" else (0, 0)
    shown, folded = cells[:first] + cells[results:], cells[first:results]
    number(shown + folded, short_name(path.parent.name))
    body, setup = _exported(content, shown), _exported(content, folded)
    return Shown(title, body, setup, _contents(body), _changed(cells), ended)


def _exported(content: Any, cells: list[Any]) -> str:
    content.cells = cells
    return str(_exporter().from_notebook_node(content)[0])


def _setup(cells: list[Any]) -> tuple[int, int]:
    """Where the cells from the first section to the call of `wb.run` begin, and where they end."""
    runs = (n for n, c in enumerate(cells) if c.cell_type == "code" and RUN.search(c.source))
    end = next(runs, -1) + 1
    heads = (n for n, cell in enumerate(cells[:end]) if cell.source.startswith("## "))
    return next(heads, end), end


def _applies(cell: Any, parameters: Mapping[str, Any]) -> bool:
    """Whether a page shows a cell: what is said of some model or data only where it is used."""
    tags = cell.metadata.get("tags", [])
    meant = [tag.removeprefix(ONLY).partition("=") for tag in tags if tag.startswith(ONLY)]
    named = (value in names(str(parameters.get(name, ""))) for name, _, value in meant)
    return MARKER not in tags and (not meant or any(named))


def short_name(run_id: str) -> str:
    """What files of a run are called by: its id without the hash.

    >>> short_name("50-ner-0123456789ab"), short_name("my run/")
    ('50-ner', 'my-run')
    """
    return re.sub(r"[^\w-]+", "-", re.sub(r"-[0-9a-f]{12}$", "", run_id)).strip("-") or "run"


def last_begun(cells: list[Any]) -> Place | None:
    """The code cell of an executed notebook that was the last to begin; None where none did.

    A cell began if it has papermill's start, a count or an output. papermill's own status of cells
    is not asked: it calls those of a dead kernel completed.
    """
    own = _own(cells)
    begun = [number for number, cell in enumerate(own, 1) if _began(cell)]
    if not begun:
        return None
    cell = own[begun[-1] - 1]
    error = next((each for each in cell.outputs if each.output_type == "error"), None)
    line = f"{error.ename}: {error.evalue}" if error else ""
    return Place(begun[-1], cell.source.strip().partition("\n")[0], line, len(own))


def _own(cells: list[Any]) -> list[Any]:
    """The notebook's own code cells."""
    code = (cell for cell in cells if cell.cell_type == "code")
    return [cell for cell in code if INJECTED not in cell.metadata.get("tags", [])]


def _mark(cells: list[Any], status: str) -> Place | None:
    """Note in each cell what the template asks for; return where the run ended, if in a cell."""
    own, place = _own(cells), last_begun(cells)
    last = place.number if place else 0
    ended = place if place and _ended_there(place, len(own), status) else None
    numbers = {id(cell): number for number, cell in enumerate(own, 1)}
    unrun = status in UNFINISHED and not place
    for cell in cells:
        number = numbers.get(id(cell), 0)
        at_end = number == last and (ended is not None or status == "running")
        fatal = at_end and ended is not None
        cell.metadata["workbench"] = {"number": number, "fatal": fatal, "unrun": unrun}
        unrun = unrun or at_end
    return ended


def _ended_there(place: Place, cells: int, status: str) -> bool:
    """Whether a run of that status and so many cells ended in the last cell that began."""
    if status not in UNFINISHED or status == "running":
        return False
    return bool(place.error) or status in STOPPED or place.number < cells


def _began(cell: Any) -> bool:
    started = cell.metadata.get("papermill", {}).get("start_time")
    return bool(started or cell.execution_count or cell.outputs)


def _contents(body: str) -> tuple[tuple[str, str], ...]:
    """The sections of the notebook's own prose; headings in outputs are none."""
    found = BeautifulSoup(body, "html.parser").select("section.prose > h2[id]")
    return tuple((str(each["id"]), each.get_text().removesuffix("¶")) for each in found)


def _changed(cells: list[Any]) -> frozenset[str] | None:
    """Names that the cell of given parameters assigns."""
    given = [cell for cell in cells if INJECTED in cell.metadata.get("tags", [])]
    try:
        nodes = ast.walk(ast.parse("\n".join(cell.source for cell in given)))
    except (SyntaxError, ValueError):
        return None
    return frozenset(
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )


@cache
def _exporter() -> TemplateExporter:
    # Not HTMLExporter: that one parses and writes anew what was cleaned before.
    exporter = TemplateExporter(
        file_extension=".html", template_name="workbench", extra_template_basedirs=[str(TEMPLATES)]
    )
    exporter.register_filter("highlight", _highlighted)
    exporter.register_filter("capped", capped)
    exporter.register_filter("traceback", lambda lines: capped("\n".join(lines), end=True))
    exporter.register_filter("clean", clean)
    exporter.register_filter("markdown", markdown)
    exporter.register_filter("prose", lambda text: markdown(text, anchors=True))
    exporter.register_filter("latex", latex)
    exporter.register_filter("best_kind", best_kind)
    exporter.register_filter("last_lines", last_lines)
    exporter.register_filter("base64_only", lambda text: re.sub(r"[^A-Za-z0-9+/=]", "", text))
    return exporter


def last_lines(text: str) -> str:
    r"""Printed text as a terminal leaves it: what a carriage return overwrote is gone; capped.

    >>> last_lines("1 of 2\r2 of 2\ndone")
    '2 of 2\ndone'
    """
    lines = (line.rstrip("\r").rsplit("\r", 1)[-1].rstrip() for line in text.split("\n"))
    return capped("\n".join(lines), where="run.log")


def capped(text: str, *, end: bool = False, where: str = "notebook.ipynb") -> str:
    """The beginning of a long text, or its `end`, and where the rest is.

    Colours take nbconvert a time that grows with the square of their number.
    """
    if len(text) <= MAX_STREAM:
        return text
    rest = f"... {len(text) - MAX_STREAM:,} more characters in {where}"
    return f"{rest}\n{text[-MAX_STREAM:]}" if end else f"{text[:MAX_STREAM]}\n{rest}"


def _highlighted(source: str) -> str:
    """Code in colours, its beginning where it is long; without them where a line is long.

    The lexer needs minutes for some lines of a few thousand characters.
    """
    code = capped(source)
    if max(map(len, code.split("\n"))) > MAX_CODE_LINE:
        return f'<div class="highlight"><pre>{escape(code)}</pre></div>'
    return Highlight2HTML(pygments_lexer="ipython3")(code)
