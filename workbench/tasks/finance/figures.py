"""Charts of guessed directions: methods beside chance, folds in time, and the last word."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from workbench.display.canvas import (
    ACCENT,
    GREY,
    SECOND,
    Figure,
    Look,
    dot,
    forest,
    looks,
    styled,
    with_intervals,
)
from workbench.record.result import Metric, Result

LEVEL = 0.05
"""Largest corrected p-value of an edge that is shown."""


@styled
def edges(result: Result) -> Figure:
    """Matthews correlation of each method with its 95 % interval; chance is 0."""
    rows = {result.method: result.metrics["test/mcc"]}
    rows |= {name: found["test/mcc"] for name, found in result.baselines.items()}
    limit = result.tables["verdict"]["limit"]
    canvas = Canvas(figsize=(5.8, 0.5 * len(rows) + 1.4))
    axes = canvas.subplots()
    axes.axvline(0, color=GREY, linewidth=1, label="_chance")
    axes.axvline(limit, color=GREY, linewidth=1, linestyle=":", label="_limit of a no")
    forest(axes, rows, mark=result.method, styles=looks(result))
    axes.set_yticks(range(len(rows)), [name.replace(" on the ", "\non the ") for name in rows])
    axes.set(
        xlabel=f"MCC{with_intervals(rows.values())}\nsolid: chance, dotted: limit of a no ({limit})"
    )
    axes.set_title(f"Edge over chance, n = {rows[result.method].n:,}")
    caption = f"{_against_chance(rows)} {_corrected(result.tables['verdict']['methods'], rows)}"
    return Figure(canvas, "Matthews correlation by method", caption)


def _corrected(judged: dict[str, dict], rows: dict[str, Metric]) -> str:
    """What is left of the intervals above 0 when all methods judged are counted."""
    counted = f"Each interval is of one method alone; {len(judged)} are judged"
    told = {name: one["p"] for name, one in judged.items() if one["p"] is not None}
    alone = [name for name in told if (rows[name].low or 0) > 0]
    if not told:
        return f"{counted}."
    if lost := [name for name in alone if told[name] > LEVEL]:
        return f"{counted}, and with Holm's correction these are borderline: {', '.join(lost)}."
    kept = "the edges above 0 remain" if alone else "none of these is above 0"
    return f"{counted}, and with Holm's correction {kept}."


def _against_chance(rows: dict[str, Metric]) -> str:
    """Which methods' intervals lie above 0, below it, or hold it."""
    groups: dict[str, list[str]] = {"above 0": [], "below 0": [], "around 0": []}
    without = []
    for name, row in rows.items():
        if row.low is None or row.high is None:
            without.append(name)
            continue
        place = "above 0" if row.low > 0 else "below 0" if row.high < 0 else "around 0"
        groups[place].append(name)
    if len(without) == len(rows):
        return "There are too few blocks of days for intervals, so nothing can be told."
    clauses = [f"{place}: {', '.join(names)}" for place, names in groups.items() if names]
    same = f" Without an interval, as it says the same on all days: {', '.join(without)}."
    return f"Intervals that lie {'; '.join(clauses)}.{same if without else ''}"


@styled
def folds(result: Result) -> Figure:
    """Accuracy in each fold, in order of time, beside always guessing the majority."""
    found = result.tables["folds"]
    styles = looks(result)
    methods = (result.method, "majority")
    canvas = Canvas(figsize=(5.6, 3.9))
    axes = canvas.subplots()
    axes.axhline(0.5, color=GREY, linewidth=1, label="_guessing evenly")
    for shift, method in zip((-0.12, 0.12), methods, strict=True):
        for place, fold in enumerate(found):
            metric, label = Metric(**fold["accuracy"][method]), "" if place else method
            dot(axes, place + shift, metric, styles[method], label=label, upright=True)
    ticks = [f"{fold['first'][:7]}\nto {fold['last'][:7]}\nn = {fold['n']:,}" for fold in found]
    axes.set_xticks(range(len(found)), ticks)
    shown = [Metric(**fold["accuracy"][method]) for fold in found for method in methods]
    axes.set(ylabel=f"accuracy{with_intervals(shown)}", xlim=(-0.6, len(found) - 0.4))
    axes.grid(visible=False, axis="x")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2)
    axes.set_title("Accuracy by fold in time")
    ahead = sum(
        fold["accuracy"][result.method]["value"] > fold["accuracy"]["majority"]["value"]
        for fold in found
    )
    caption = (
        f"The {result.method} has a higher accuracy than the majority in {ahead} of {len(found)} "
        "folds, whatever the intervals; it says "
        f"up on {_span([fold['said_up'] for fold in found])} of a fold's days. "
        f"Each fold's encoders learned from the days before it: the first from "
        f"{found[0]['trained_from']} to {found[0]['trained_to']} "
        f"({found[0]['trained']:,} examples)."
    )
    return Figure(canvas, "Accuracy by fold in time", caption)


def _span(fractions: list[float]) -> str:
    """Least and most in words."""
    low, high = f"{min(fractions):.0%}", f"{max(fractions):.0%}"
    return low if low == high else f"{low} to {high}"


@styled
def last_words(result: Result) -> Figure:
    """How often the next day rose after each last word, and how often the model said it would.

    Words of too few days for an interval are left out, where any has one.
    """
    found = result.tables["last_words"]
    found = [word for word in found if word["rose"]["low"] is not None] or found
    canvas = Canvas(figsize=(5.6, 0.42 * len(found) + 1.5))
    axes = canvas.subplots()
    axes.axvline(0.5, color=GREY, linewidth=1, label="_half of the days")
    for row, word in enumerate(found):
        dot(axes, row, Metric(**word["rose"]), Look(ACCENT, "o"), label="" if row else "rose")
        axes.plot(word["said_up"], row, marker="D", linestyle="", color=SECOND,
                  label="said to rise" if row == 0 else None)  # fmt: skip
    axes.set_yticks(
        range(len(found)), [f"{word['word']}  (n = {word['rose']['n']:,})" for word in found]
    )
    shown = [Metric(**word["rose"]) for word in found]
    axes.set(xlabel=f"fraction of next days{with_intervals(shown)}")
    axes.invert_yaxis()
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    axes.set_title("What followed a day that ...")
    return Figure(canvas, "Next day after each last word", _habit(found))


def _habit(found: list[dict]) -> str:
    """Between which words the next day differed most, and whether the intervals tell."""
    told = [word for word in found if word["rose"]["low"] is not None]
    if len(told) < 2:
        return "There are too few days after each word to say anything."
    low = min(told, key=lambda word: word["rose"]["value"])
    high = max(told, key=lambda word: word["rose"]["value"])
    apart = low["rose"]["high"] < high["rose"]["low"]
    sure = "do not overlap" if apart else "overlap"
    spread = np.ptp([word["said_up"] for word in told])
    return (
        f"The next day rose most often after a day that {high['word']} "
        f"({high['rose']['value']:.1%}) and least often after one that {low['word']} "
        f"({low['rose']['value']:.1%}); their intervals {sure}, "
        f"and these are the extremes of {len(told)} words, so chance widens "
        f"their gap. The fraction of days that the model calls up varies by {100 * spread:.0f} "
        "percentage points between last words."
    )
