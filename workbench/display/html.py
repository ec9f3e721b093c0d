"""Tables as HTML. Everything that comes from data is escaped."""

import re
from collections.abc import Iterable, Sequence
from html import escape

from workbench.core import paths

MEASURE = re.compile(r"([-+.\d]+) (\[[-+.\d]+, [-+.\d]+\])")
"""A number with its interval, as `Metric` writes it."""
STYLE = (paths.PACKAGE / "display" / "tables.css").read_text(encoding="utf-8")


class Html:
    """Markup that notebooks show, with the project's style for tables."""

    def __init__(self, body: str) -> None:
        self.body = body

    def _repr_html_(self) -> str:
        return f"<style>{STYLE}</style>\n{self.body}"


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, rule_before: str = "", wide: str = ""
) -> str:
    """A table of texts, with a line above the row whose first cell is `rule_before`.

    The column headed `wide` holds running text and wraps.
    """
    marks = [' class="wb-text"' if head == wide else "" for head in heads]
    marked = list(zip(marks, heads, strict=True))
    head = "".join(f"<th{mark}>{escape(cell)}</th>" for mark, cell in marked)
    lines = []
    for row in rows:
        rule = ' class="wb-rule"' if rule_before and row[0] == rule_before else ""
        cells = [_cell(cell, mark) for mark, cell in zip(marks, row, strict=True)]
        lines.append(f"<tr{rule}>{''.join(cells)}</tr>")
    return (
        f'<table class="wb-table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def _cell(text: str, mark: str) -> str:
    """A cell; where a table is narrow, a line may end between a number and its interval.

    >>> _cell("0.500 [0.400, 0.610]", "")
    '<td class="wb-measure">0.500 <span>[0.400, 0.610]</span></td>'
    """
    if match := MEASURE.fullmatch(text):
        return f'<td class="wb-measure">{match[1]} <span>{match[2]}</span></td>'
    return f"<td{mark}>{escape(text)}</td>"


def note(text: str) -> str:
    """A remark below a table."""
    return f'<p class="wb-note">{escape(text)}</p>'
