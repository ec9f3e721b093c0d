"""Comparisons as plain text or JSON for a terminal, which no text of the data can steer."""

import dataclasses
import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from workbench.core.errors import ParameterError, printable
from workbench.core.unspaced import joined
from workbench.record import comparison
from workbench.record.comparison.records import (
    Beside,
    Comparison,
    Example,
    Measure,
    Several,
    Side,
)
from workbench.record.result import Result, words

WIDTH = 96
"""Characters shown of a line."""
SHORT = 24
"""Characters shown of a name or a label."""
PLACES = 4
"""Labels shown of an item that has several."""


def compared(
    runs: Sequence[Result], methods: Sequence[str], examples: int, *, as_json: bool
) -> str:
    """Two runs side by side, or several next to the first, as text or JSON."""
    if examples < 0:
        raise ParameterError(f"--examples {examples}", expected="0 or more")
    if len(runs) == 2:
        pair = comparison.compare(*runs, methods=methods, examples=examples)
        return _json(pair) if as_json else as_text(pair)
    found = comparison.several(runs, methods=methods)
    return _json(found) if as_json else as_table(found)


def _json(found: Comparison | Several) -> str:
    """One JSON object on one line, in ASCII, so that nothing in it can be a control character."""

    def plain(record: Any) -> Any:
        return record.model_dump(mode="json")

    return json.dumps(dataclasses.asdict(found), default=plain, allow_nan=False)


def as_text(found: Comparison) -> str:
    """The comparison in lines of at most 96 characters."""
    lines = [_side("A", found.a), _side("B", found.b), "", *_parameters(found), ""]
    lines += [*_items(found), ""]
    for name, measure in found.measures.items():
        lines += [*_measure(name, measure), ""]
    lines += [*_intervals(found), "", *_costs([found.a, found.b])]
    for key, name in (("only_a", "A"), ("only_b", "B")):
        if found.counts.get(key):
            shown = found.examples[key]
            of = f"{len(shown):,} of {found.counts[key]:,}"
            lines += ["", f"right in {name} only, the first {of}"]
            lines += [line for example in shown for line in _example(example)]
    return _harmless(lines)


def as_table(found: Several) -> str:
    """Several runs as lines of at most 96 characters, one for each below the first."""
    sides = [found.first, *(each.side for each in found.others)]
    lines = []
    for place, side in enumerate(sides):
        values = (f"{name}={each[place]!r}" for name, each in found.parameters.items())
        lines += [_side(letters(place), side), *_wrapped(f"     {'  '.join(values)}")]
    lines += ["", f"{words(f'/{found.measure}')}, each next to A on the items that both have"]
    heads = ("", "value", "difference from A", "verdict", "n", "A there")
    lines += _aligned([heads, *map(_row, range(1, len(sides)), found.others)])
    if found.correction:
        lines += ["", found.correction]
    measures = [each.measure for each in found.others if each.measure]
    if any(measure.difference.low is not None for measure in measures):
        lines += _wrapped("In brackets 95 % intervals; A and the other are resampled together.")
    elif measures:
        lines += _wrapped(measures[0].difference.how)
    return _harmless([*lines, "", *_costs(sides)])


def letters(place: int) -> str:
    """The name of a run in a table: A to Z, then AA.

    >>> letters(0), letters(25), letters(26), letters(99)
    ('A', 'Z', 'AA', 'CV')
    """
    more, last = divmod(place, 26)
    return (letters(more - 1) if more else "") + chr(ord("A") + last)


def _row(place: int, found: Beside) -> tuple[str, ...]:
    """A run's cells: name, value, difference, verdict, items, and the first one's value there."""
    if found.measure is None:
        return letters(place), "", "", found.why, "", ""
    said = f"{found.verdict}, borderline" if found.borderline else found.verdict
    ours = found.measure.b
    apart = f"{found.measure.difference:+}"
    return letters(place), str(ours), apart, said, f"{ours.n:,}", f"{found.measure.a.value:.3f}"


def _costs(sides: Sequence[Side]) -> list[str]:
    """What each run took, a line for each; of later ones also how many times the first's."""
    names = list(dict.fromkeys(name for side in sides for name in side.cost))
    rows = [
        (letters(place), *(amount(side.cost, sides[0].cost, name) for name in names), side.device)
        for place, side in enumerate(sides)
    ]
    said = "cost of the whole run, all its methods together; in brackets, times A's"
    return [said, *_aligned([("", *names, "device"), *rows])]


def amount(cost: Mapping[str, float], first: Mapping[str, float], name: str) -> str:
    """A number of a run's cost, and how many times the first run's it is.

    >>> amount({"wall time, s": 90.0}, {"wall time, s": 60.0}, "wall time, s")
    '90 (1.50)'
    """
    if name not in cost:
        return ""
    value, of = cost[name], first.get(name)
    shown = f"{value:,.1f}".removesuffix(".0") if value < 100 else f"{value:,.0f}"
    return shown if cost is first or not of else f"{shown} ({value / of:.2f})"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Cells in columns; a column in which all cells are empty is left out."""
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    lines = ("  ".join(map(str.ljust, row, widths)) for row in zip(*columns, strict=True))
    return [f"  {line}".rstrip() for line in lines]


def _harmless(lines: Iterable[str]) -> str:
    """The lines, none of which can steer a terminal; the last step, over every line."""
    return "\n".join(one_line(line) for line in lines)


def one_line(text: str, width: int = WIDTH) -> str:
    r"""The text on one line of at most `width` characters, all of them printable.

    >>> one_line("a\x1b[2J\nb")
    'a\\x1b[2J\\nb'
    >>> one_line("many words", width=8)
    'many ...'
    """
    shown = printable(text).replace("\n", "\\n")
    return shown if len(shown) <= width else f"{shown[: width - 3]}..."


def _side(name: str, side: Side) -> str:
    return f"{name}  {side.run or 'not saved'}: {side.method}"


def _parameters(found: Comparison) -> list[str]:
    if not found.parameters:
        return ["parameters: none differs"]
    width = max(map(len, found.parameters))
    lines = ["parameters that differ"]
    for name, values in found.parameters.items():
        a, b = (repr(values[side]) if side in values else "has none" for side in ("a", "b"))
        lines += [f"  {name:<{width}}  A {a}", f"  {'':<{width}}  B {b}"]
    return lines


def _items(found: Comparison) -> list[str]:
    splits, counts = ", ".join(found.splits), found.counts
    lines = [
        f"{found.items:,} shared items of {splits}, in {found.clusters:,} clusters",
        *(
            line
            for issue in found.data_issues.values()
            if issue.count
            for line in _wrapped(f"  {issue.describe()}")
        ),
    ]
    if not counts:
        return lines
    return [
        *lines,
        f"right: {found.right}",
        f"  both {counts['both']:,}, only A {counts['only_a']:,}, only B {counts['only_b']:,}, "
        f"neither {counts['neither']:,}",
    ]


def _measure(name: str, found: Measure) -> list[str]:
    """A block of lines: both values, their difference, and what that says."""
    unit = f" in {found.a.unit}" if found.a.unit == "nats" else ""
    said = {"cannot tell": "cannot tell which is better"}.get(
        found.verdict, f"B is {found.verdict}"
    )
    if found.borderline:
        said += "; borderline, other draws may turn this"
    lines = [
        f"{words(f'/{name}')}{unit}, n = {found.a.n:,}",
        f"  A      {found.a}",
        f"  B      {found.b}",
        f"  B - A  {found.difference:+}: {said}",
    ]
    if found.detectable is not None:
        lines.append(f"  a true difference of {found.detectable:.3f} would show in 8 of 10 samples")
    return lines


def _intervals(found: Comparison) -> Iterator[str]:
    """How the intervals were made, or why there are none."""
    if any(measure.difference.low is not None for measure in found.measures.values()):
        yield "in brackets 95 % intervals; A and B are resampled together"
    for name, measure in found.measures.items():
        yield from _wrapped(f"  {words(f'/{name}')}: {measure.difference.how}")
    if found.grouping:
        yield from _wrapped(found.grouping)


def _wrapped(line: str) -> list[str]:
    """A sentence of ours on as many lines as it needs; what follows the first is indented."""
    return textwrap.wrap(line, WIDTH, subsequent_indent="    ", break_on_hyphens=False)


def _example(example: Example) -> list[str]:
    """An item's name and text, then its labels; of several, the first on which A and B differ."""
    rows = list(zip(example.gold, example.a, example.b, strict=False))
    words = example.input if len(example.input) == len(rows) > 1 else [""] * len(rows)
    apart = [
        f"    {f'{_short(word)}: ' if word else ''}"
        f"gold {_short(gold)}, A {_short(a)}, B {_short(b)}"
        for word, (gold, a, b) in zip(words, rows, strict=True)
        if a != b
    ]
    more = [f"    and {len(apart) - PLACES:,} more"] if len(apart) > PLACES else []
    text = " ".join(joined(example.input).split())
    return [f"  {_short(example.item)}  {text}", *apart[:PLACES], *more]


def _short(text: str) -> str:
    """A name or label in as much room as a line has for several."""
    return one_line(text, width=SHORT)
