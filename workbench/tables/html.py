"""Tables as HTML. Everything that comes from data is escaped."""

from collections.abc import Iterable, Sequence
from html import escape

from workbench import paths

STYLE = (paths.PACKAGE / "tables" / "tables.css").read_text(encoding="utf-8")


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
        cells = zip(marks, row, strict=True)
        cells_of_row = "".join(f"<td{mark}>{escape(cell)}</td>" for mark, cell in cells)
        lines.append(f"<tr{rule}>{cells_of_row}</tr>")
    return (
        f'<table class="wb-table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def note(text: str) -> str:
    """A remark below a table."""
    return f'<p class="wb-note">{escape(text)}</p>'
