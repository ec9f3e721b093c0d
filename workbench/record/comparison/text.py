"""A comparison as plain text or JSON for a terminal, which no text of the data can steer."""

import dataclasses
import json
import textwrap
from collections.abc import Iterator
from typing import Any

from workbench.core.errors import printable
from workbench.core.unspaced import joined
from workbench.record.comparison.records import Comparison, Example, Measure, Side
from workbench.record.result import words

WIDTH = 96
"""Characters shown of a line."""
SHORT = 24
"""Characters shown of a name or a label."""
PLACES = 4
"""Labels shown of an item that has several."""


def as_json(found: Comparison) -> str:
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
    lines += _intervals(found)
    for key, name in (("only_a", "A"), ("only_b", "B")):
        if found.counts.get(key):
            shown = found.examples[key]
            of = f"{len(shown):,} of {found.counts[key]:,}"
            lines += ["", f"right in {name} only, the first {of}"]
            lines += [line for example in shown for line in _example(example)]
    # The last step, over every line: whatever came from data or records is harmless after it.
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
        yield "in brackets 95 % intervals, from the same draws for A and B"
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
