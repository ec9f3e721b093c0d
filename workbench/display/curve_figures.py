"""Learning curves against levels: what is reached without these labelled examples, or few."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from workbench.display.canvas import COLOURS, GREY, Figure, styled
from workbench.record.result import Result

MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">")
REFERENCE_STYLES = ("-", "--")
APART = 1.4
"""Least ratio of two crossings whose numbers stand side by side; nearer ones stand below."""


@styled
def overtaking(result: Result) -> Figure:
    """Test accuracy by labelled examples: a curve what learns from them, a band each level.

    Crosses mark where a curve passes the first of the levels.
    """
    curve, crossings = result.tables["curve"], result.tables["crossings"]
    methods = list(dict.fromkeys(point["method"] for point in curve))
    sizes = sorted({point["texts"] for point in curve})
    canvas = Canvas(figsize=(6.4, 4.2))
    axes = canvas.subplots()
    _bands(axes, result, sizes)
    for place, method in enumerate(methods):
        line = [point for point in curve if point["method"] == method]
        colour = COLOURS[place % len(COLOURS)]
        # Side by side, so that intervals can be read.
        shift = 1 + 0.04 * (place - (len(methods) - 1) / 2)
        texts = np.array([point["texts"] for point in line])
        values = [point["value"] for point in line]
        # More methods than colours: the others have them again, dashed.
        style = "-" if place < len(COLOURS) else "--"
        marker = MARKERS[place % len(MARKERS)]
        axes.plot(texts, values, style, color=colour, marker=marker, label=method)
        if all(point["low"] is not None for point in line):
            low, high = ([point[end] for point in line] for end in ("low", "high"))
            axes.vlines(texts * shift, low, high, color=colour, alpha=0.45)
    first = [found for found in crossings if found["level"] == crossings[0]["level"]]
    _crosses(axes, result, first, methods)
    axes.set(xlabel="labelled examples, log scale", ylabel="test accuracy", xscale="log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set_title(f"What labelled examples buy, n = {curve[0]['n']:,} test items")
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.16), ncols=2)
    return Figure(canvas, "Test accuracy by labelled examples", _caption(result, first))


def _bands(axes: Axes, result: Result, sizes: list[int]) -> None:
    """The levels, with their intervals, and the majority label."""
    levels = {level["method"]: level for level in result.tables["levels"]}
    references = list(dict.fromkeys(found["level"] for found in result.tables["crossings"]))
    for name, style, shade in zip(references, REFERENCE_STYLES, (0.22, 0.12), strict=False):
        level = levels[name]
        axes.axhline(level["value"], color="black", linestyle=style, linewidth=1.2, label=name)
        if level["low"] is not None:
            axes.axhspan(level["low"], level["high"], color=GREY, alpha=shade, linewidth=0)
    majority = result.baselines["majority"]["test/accuracy"].value
    axes.axhline(majority, color=GREY, linestyle=":", linewidth=1.2, label="majority")
    axes.set_xlim(sizes[0] * 0.8, sizes[-1] * 1.25)


def _crosses(
    axes: Axes, result: Result, crossings: list[dict[str, Any]], methods: list[str]
) -> None:
    """A cross on the level where a curve passes it, with the number of examples."""
    levels = {level["method"]: level["value"] for level in result.tables["levels"]}
    lines: list[float] = []  # the last crossing whose number stands in each line
    passed = [found for found in crossings if not isinstance(found["at"], str)]
    for found in sorted(passed, key=lambda one: one["at"]):
        place = methods.index(found["method"])
        free = (n for n, last in enumerate(lines) if found["at"] >= APART * last)
        line = next(free, len(lines))
        lines[line : line + 1] = [found["at"]]
        spot = (found["at"], levels[found["level"]])
        axes.plot(*spot, marker="x", markersize=8, markeredgewidth=2.2, color="black", zorder=5)
        axes.annotate(
            f"{found['at']:,.0f}", spot, textcoords="offset points",
            xytext=(0, -12 - 9 * line), ha="center", color=COLOURS[place % len(COLOURS)],
            fontweight="bold", zorder=6,
        )  # fmt: skip


def _caption(result: Result, crossings: list[dict[str, Any]]) -> str:
    """The crossings in words, and how bars, bands and crosses are to be read."""
    said = " ".join(found["said"] for found in crossings)
    how = crossings[0]["how"]
    shown = [*result.tables["curve"], *result.tables["levels"]]
    few = any(point["how"].startswith("Wilson") for point in shown)
    draws = result.parameters["draws"]
    lines = f"Lines: the mean of {draws} draws of examples" if draws > 1 else "Lines: one draw"
    reading = f"{lines}. Bars and bands: 95 % intervals, {how}"
    reading += "; Wilson's where few items are right or wrong." if few else "."
    if "no interval" in how:
        reading = f"{lines}; {how}."
    return f"{said} {reading} A cross is where a curve passes the line of {crossings[0]['level']}."
