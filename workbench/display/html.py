"""Tables as HTML, and back as data frames. Everything that comes from data is escaped."""

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from workbench.core import paths
from workbench.core.errors import DataError

if TYPE_CHECKING:
    import pandas

MEASURE = re.compile(r"([-+.\d]+) (\[([-+.\d]+), ([-+.\d]+)\])")
"""A number with its interval, as `Metric` writes it."""
NUMBER = re.compile(
    r"[-+]?((\d{1,3}(,\d{3})+|\d+)\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE | re.ASCII
)
LONGEST_NUMBER = 300
"""Characters up to which a text may be a number."""
STYLE = (paths.PACKAGE / "display" / "tables.css").read_text(encoding="utf-8")


class Html:
    """Markup that notebooks show, with the project's style for tables."""

    def __init__(self, body: str) -> None:
        self.body = body

    @property
    def frame(self) -> "pandas.DataFrame":
        """The one table in it; DataError where there is none, or where `frames` are several."""
        if len(found := self.frames) != 1:
            raise DataError(
                f"this output has {len(found) or 'no'} table{'s' * (len(found) != 1)}",
                expected="one table",
                do="take one of its frames" if found else "",
            )
        return found[0]

    @property
    def frames(self) -> "list[pandas.DataFrame]":
        """Its tables, numbers as numbers; one with an interval has two more columns for it."""
        from bs4 import BeautifulSoup

        found = BeautifulSoup(self.body, "html.parser").find_all("table")
        lines = (
            [list(row.find_all(["th", "td"])) for row in each.find_all("tr")] for each in found
        )
        return [_frame([[cell.get_text() for cell in row] for row in each]) for each in lines]

    def _repr_html_(self) -> str:
        return f"<style>{STYLE}</style>\n{self.body}"


def _frame(lines: list[list[str]]) -> "pandas.DataFrame":
    import pandas

    heads, *rows = lines
    columns: list[tuple[str, list[float | str | None]]] = []
    for column, head in enumerate(heads):
        cells = [row[column] for row in rows]
        measures = [MEASURE.fullmatch(cell) for cell in cells]
        if not any(measures):
            columns.append((head, [_value(cell) for cell in cells]))
            continue
        both = list(zip(measures, cells, strict=True))
        columns.append((head, [_value(match[1] if match else cell) for match, cell in both]))
        for place, end in ((3, "low"), (4, "high")):
            ends = [_value(match[place]) if match else None for match in measures]
            columns.append((f"{head} {end}".strip(), ends))
    frame = pandas.DataFrame(dict(enumerate(values for _, values in columns)))
    frame.columns = pandas.Index([name for name, _ in columns])
    return frame


def _value(text: str) -> float | str | None:
    """A cell as a number where it is one; None where it is empty.

    >>> [_value(text) for text in ("1,234", "+0.5", "12 MiB", "E5", "")]
    [1234, 0.5, '12 MiB', 'E5', None]
    """
    text = text.strip()
    if len(text) > LONGEST_NUMBER or not NUMBER.fullmatch(text):
        return text or None
    plain = text.replace(",", "")
    return int(plain) if plain.lstrip("+-").isdecimal() else float(plain)


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    rule_before: str = "",
    wide: str = "",
    caption: str = "",
) -> str:
    """A table of texts, with a line above the row whose first cell is `rule_before`.

    The first cell of a row is its header. The column headed `wide` holds running text and wraps.
    """
    marks = [' class="wb-text"' if head == wide else "" for head in heads]
    marked = list(zip(marks, heads, strict=True))
    head = "".join(f'<th scope="col"{mark}>{escape(cell)}</th>' for mark, cell in marked)
    lines = []
    for row in rows:
        rule = ' class="wb-rule"' if rule_before and row[0] == rule_before else ""
        first = f'<th scope="row"{marks[0]}>{escape(row[0])}</th>'
        rest = [_cell(cell, mark) for mark, cell in zip(marks[1:], row[1:], strict=True)]
        lines.append(f"<tr{rule}>{first}{''.join(rest)}</tr>")
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<table class="wb-table">{said}<thead><tr>{head}</tr></thead>'
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
