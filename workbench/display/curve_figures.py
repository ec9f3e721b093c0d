"""Learning curves against levels: what is reached without these labelled examples, or few."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from workbench.display.canvas import GREY, HALO, Figure, Look, looks, styled
from workbench.display.series import tie
from workbench.record.result import Result

REFERENCE_STYLES = ("-", "--")
APART = 1.4
"""Least ratio of two crossings whose numbers stand side by side; nearer ones stand below."""


@styled
def overtaking(result: Result) -> Figure:
    """Test accuracy by labelled examples: a curve what learns from them, a band each level.

    Large markers show where a curve passes the first of the levels.
    """
    curve, crossings = result.tables["curve"], result.tables["crossings"]
    methods = list(dict.fromkeys(point["method"] for point in curve))
    sizes = sorted({point["texts"] for point in curve})
    canvas = Canvas(figsize=(6.4, 4.2))
    axes = canvas.subplots()
    _bands(axes, result, sizes)
    styles = looks(result, *methods)
    for place, method in enumerate(methods):
        line = [point for point in curve if point["method"] == method]
        colour = styles[method].colour
        # Side by side, so that intervals can be read.
        shift = 1 + 0.04 * (place - (len(methods) - 1) / 2)
        texts = np.array([point["texts"] for point in line])
        values = [point["value"] for point in line]
        (drawn,) = axes.plot(
            texts, values, color=colour, marker=styles[method].marker, label=method
        )
        if all(point["low"] is not None for point in line):
            low, high = ([point[end] for point in line] for end in ("low", "high"))
            bars = axes.vlines(texts * shift, low, high, color=colour, alpha=0.45)
            tie(axes, drawn, bars, "y")
    first = [found for found in crossings if found["level"] == crossings[0]["level"]]
    _crosses(axes, result, first, styles)
    axes.set(xlabel="labelled examples, log scale", ylabel="test accuracy", xscale="log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set_title(f"Learning curves, n = {curve[0]['n']:,} test items")
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.16), ncols=2)
    return Figure(canvas, "Test accuracy by labelled examples", _caption(result, first))


def _bands(axes: Axes, result: Result, sizes: list[int]) -> None:
    """The levels, with their intervals, and the majority label."""
    levels = {level["method"]: level for level in result.tables["levels"]}
    references = list(dict.fromkeys(found["level"] for found in result.tables["crossings"]))
    for name, style, shade in zip(references, REFERENCE_STYLES, (0.22, 0.12), strict=False):
        level = levels[name]
        line = axes.axhline(
            level["value"], color="black", linestyle=style, linewidth=1.2, label=name
        )
        if level["low"] is not None:
            band = axes.axhspan(level["low"], level["high"], color=GREY, alpha=shade, linewidth=0)
            tie(axes, line, band, "y")
    majority = result.baselines["majority"]["test/accuracy"].value
    axes.axhline(majority, color=GREY, linestyle=":", linewidth=1.2, label="majority")
    axes.set_xlim(sizes[0] * 0.8, sizes[-1] * 1.25)


def _crosses(
    axes: Axes, result: Result, crossings: list[dict[str, Any]], styles: dict[str, Look]
) -> None:
    """The method's marker where its curve passes the level, with the number of examples."""
    levels = {level["method"]: level["value"] for level in result.tables["levels"]}
    lines: list[float] = []  # the last crossing whose number stands in each line
    passed = [found for found in crossings if not isinstance(found["at"], str)]
    for found in sorted(passed, key=lambda one: one["at"]):
        free = (n for n, last in enumerate(lines) if found["at"] >= APART * last)
        line = next(free, len(lines))
        lines[line : line + 1] = [found["at"]]
        spot = (found["at"], levels[found["level"]])
        look = styles[found["method"]]
        axes.plot(
            *spot, marker=look.marker, markersize=9, markeredgewidth=1.6, color=look.colour,
            markeredgecolor="black", zorder=5, label=f"_{found['method']}, crossing",
        )  # fmt: skip
        axes.annotate(
            f"{found['at']:,.0f}", spot, textcoords="offset points",
            xytext=(0, -13 - 9 * line), ha="center", fontweight="bold", zorder=6,
            path_effects=HALO,
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
    level = crossings[0]["level"]
    return f"{said} {reading} A large marker is where a curve passes the line of {level}."
