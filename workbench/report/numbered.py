"""Figures and tables of a notebook: their numbers and captions, and what can be taken away."""

import base64
import re
from collections.abc import Iterator, Mapping
from html import escape, unescape
from itertools import count
from typing import Any

from bs4 import BeautifulSoup

from workbench.record.result import FIGURE, MAX_FIGURE_FILE
from workbench.report.cleaning import MAX_OPEN, most_open, without_home
from workbench.report.drawing import only_draws, pdf_only_draws
from workbench.report.prose import markdown

KINDS = ("image/png", "text/html", "text/markdown", "text/latex", "text/plain")
"""Kinds of output that a page shows, the best first; nothing else gets in."""
FILES = {"svg": "image/svg+xml", "pdf": "application/pdf", "csv": "text/csv"}
"""Files of a figure, and the kind that a browser takes them for."""
HEADING = re.compile(r"(?m)^#{2,4} (.+)$")
CAPTION = re.compile(r'\s*<p class="caption">([^<]*)</p>\s*')
"""The paragraph with which the project's figures end."""
PART = re.compile(r"<(table|thead|tbody|th)\b([^<>]*)>(\s*<caption\b[^<>]*>)?", re.IGNORECASE)


def best_kind(data: Mapping[str, Any]) -> str:
    """The kind that a page shows of an output; "" where it can show none."""
    return next((kind for kind in KINDS if kind in data), "")


def number(cells: list[Any], name: str) -> None:
    """Number figures and tables in place, and note in a figure's output what the template shows.

    A caption's paragraph goes into the figure's note, a table's number into its markup; where there
    is no caption, the heading above stands for it. Files to take away are called by `name`.
    """
    figures, tables, heading = count(1), count(1), ""
    for cell in cells:
        if cell.cell_type == "markdown":
            heading = _heading(cell.source) or heading
        if cell.cell_type != "code":
            continue
        kept: list[Any] = []
        figure: dict[str, Any] | None = None
        for output in cell.outputs:
            data = output.get("data", {})
            kind = best_kind(data)
            if figure and kind == "text/html" and (told := CAPTION.fullmatch(str(data[kind]))):
                figure["caption"], figure = unescape(told[1]), None
                continue
            kept.append(output)
            figure = None
            if kind == "image/png":
                note = _figure(data, next(figures), heading, name)
                output["metadata"] = {kind: output.metadata.get(kind, {}), "workbench": note}
                figure = output.metadata.workbench  # a notebook's node copies what it is given
            elif kind == "text/html":
                data[kind] = tables_numbered(str(data[kind]), tables, heading)
        cell.outputs = kept


def _heading(source: str) -> str:
    """The last heading of a cell, without its markup."""
    found = HEADING.findall(source)
    return BeautifulSoup(markdown(found[-1]), "html.parser").get_text().strip() if found else ""


def _figure(data: Mapping[str, Any], place: int, heading: str, name: str) -> dict[str, Any]:
    """What the template shows of a figure."""
    files = found if isinstance(found := data.get(FIGURE), Mapping) else {}
    links, missing = [], []
    for kind, mime in FILES.items() if files else ():
        content = _content(kind, files.get(kind))
        if content is None:
            missing.append(kind.upper())
            continue
        text = base64.b64encode(content).decode()
        links.append((kind.upper(), f"{name}-figure-{place}.{kind}", f"data:{mime};base64,{text}"))
    return {"number": place, "caption": heading, "links": links, "missing": missing}


def _content(kind: str, text: Any) -> bytes | None:
    """A figure's file, where it is what it says it is and not too large."""
    if not isinstance(text, str) or len(text) > MAX_FIGURE_FILE:
        return None
    if kind == "pdf":
        try:
            content = base64.b64decode(text, validate=True)
        except ValueError:
            return None
        return content if pdf_only_draws(content) else None
    text = without_home(text)
    if kind == "svg" and not only_draws(text):
        return None
    return text.encode("utf-8", "backslashreplace")


def tables_numbered(html: str, numbers: Iterator[int], heading: str = "") -> str:
    """Markup, yet to be cleaned, whose tables have a number, a caption, and headers with a scope.

    >>> tables_numbered("<table><thead><th>a</table>", iter([2]), "F1 & more")
    '<table id="table-2"><caption><a href="#table-2">Table 2.</a> F1 &amp; more</caption>\
<thead><th scope="col">a</table>'
    """
    if most_open(html) > MAX_OPEN:  # it is shown as its source
        return html
    scope = "row"

    def each(match: re.Match[str]) -> str:
        nonlocal scope
        tag, given, caption = match[1].lower(), match[2], match[3] or ""
        if tag == "table":
            place = next(numbers)
            link = f'<a href="#table-{place}">Table {place}.</a> '
            caption = f"{caption}{link}" if caption else (
                f"<caption>{link}{escape(heading)}".rstrip() + "</caption>"
            )  # fmt: skip
            return f'<table id="table-{place}"{given}>{caption}'
        if tag == "th":
            said = "" if "scope" in given.lower() else f' scope="{scope}"'
            return f"<th{said}{given}>{caption}"
        scope = "col" if tag == "thead" else "row"
        return match[0]

    return PART.sub(each, html)
