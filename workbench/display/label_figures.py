"""Charts of predicted labels: methods side by side, confusion, reliability, learning curve."""

from collections import Counter

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from workbench.display.canvas import (
    ACCENT,
    SECOND,
    Figure,
    forest,
    grid_of_counts,
    looks,
    styled,
    with_intervals,
)
from workbench.display.drawn import INTERVAL
from workbench.display.series import tie
from workbench.record.answer import against_others
from workbench.record.metric import UNPARSED
from workbench.record.result import Metric, Result, words

MAX_LABELS = 12
"""Labels that a grid shows, the most frequent; the rest are one."""
OTHERS = "(other labels)"


@styled
def methods(result: Result, metric: str) -> Figure:
    """One metric of the run's own method and of all others, best first, with 95 % intervals."""
    rows = {result.method: result.metrics[metric]}
    rows |= {name: found[metric] for name, found in result.baselines.items() if metric in found}
    rows = dict(sorted(rows.items(), key=lambda row: row[1].value, reverse=True))
    name = words(metric)
    canvas = Canvas(figsize=(5.8, 0.5 * len(rows) + 1.2))
    axes = canvas.subplots()
    forest(axes, rows, mark=result.method, styles=looks(result))
    axes.set(xlabel=f"{name}{with_intervals(rows.values())}")
    axes.set_title(f"{name[:1].upper()}{name[1:]} by method, n = {rows[result.method].n:,}")
    return Figure(canvas, f"{name} by method with 95 % intervals", against_others(result, metric))


@styled
def label_confusion(result: Result) -> Figure:
    """Gold labels against the own method's predicted labels."""
    own = result.items[result.items["method"] == result.method]
    if own.empty or any(len(labels) != 1 for labels in own["gold"]):
        raise ValueError("a confusion of labels needs one label an item")
    seen = Counter(label[0] for column in ("gold", "predicted") for label in own[column])
    kept = {name for name, _ in seen.most_common(MAX_LABELS)}
    kept.add(UNPARSED)
    pairs = Counter(
        tuple(label[0] if label[0] in kept else OTHERS for label in pair)
        for pair in zip(own["gold"], own["predicted"], strict=True)
    )
    rows = sorted({gold for gold, _ in pairs})
    columns = [*rows, *sorted({found for _, found in pairs} - set(rows))]
    grid = np.array([[pairs[row, column] for column in columns] for row in rows])
    canvas = Canvas(figsize=(max(3.6, 1.1 * len(columns) + 1.2), max(2.8, 0.7 * len(rows) + 1.2)))
    axes = canvas.subplots()
    grid_of_counts(axes, grid, rows, columns)
    axes.set(xlabel="predicted label", ylabel="gold label")
    axes.set_title(f"Labels, n = {pairs.total():,}")
    every = Counter(
        (gold[0], found[0]) for gold, found in zip(own["gold"], own["predicted"], strict=True)
    )
    return Figure(canvas, "Confusion of labels", _worst(every) + _hidden(every, kept))


def _worst(pairs: Counter[tuple[str, str]]) -> str:
    """The most frequent error among all pairs of gold and predicted label, none folded."""
    wrong = Counter({pair: count for pair, count in pairs.items() if pair[0] != pair[1]})
    if not wrong:
        return "No item has a wrong label."
    named = {
        (gold, found): f"no readable answer for {gold}"
        if found == UNPARSED
        else f"{gold} predicted as {found}"
        for gold, found in wrong
    }
    return most_frequent(Counter({named[pair]: count for pair, count in wrong.items()}))


def _hidden(pairs: Counter[tuple[str, str]], kept: set[str]) -> str:
    """How many errors lie in the cell that the labels without a row of their own share."""
    hidden = sum(
        count for pair, count in pairs.items() if pair[0] != pair[1] and not kept & set(pair)
    )
    if not hidden:
        return ""
    many = "error is" if hidden == 1 else "errors are"
    return f" {hidden:,} {many} between {OTHERS}, and so on the diagonal."


def most_frequent(errors: Counter[str]) -> str:
    """Say which error is the most frequent, or that several are; one at least is needed.

    >>> most_frequent(Counter({"a predicted as b": 3, "b predicted as a": 1}))
    'The most frequent error is a predicted as b: 3 of 4 errors (75%).'
    >>> most_frequent(Counter({"a predicted as b": 1, "b predicted as a": 1}))
    'No error is the most frequent: 2 occur once each, of 2 errors.'
    """
    (first, most), *_ = errors.most_common(1)
    total, equal = errors.total(), sum(count == most for count in errors.values())
    if equal > 1:
        times = "once" if most == 1 else f"{most:,} times"
        return f"No error is the most frequent: {equal} occur {times} each, of {total:,} errors."
    return f"The most frequent error is {first}: {most:,} of {total:,} errors ({most / total:.0%})."


@styled
def reliability(result: Result) -> Figure:
    """How often the own method is right, by how sure it says it is."""
    found = result.tables["reliability"]
    bins = found["bins"]
    cooled = result.tables.get("tempered")
    canvas = Canvas(figsize=(4.2, 3.8))
    axes = canvas.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="as sure as right")
    _dots(axes, bins, ACCENT, "o", "as trained" if cooled else "")
    if cooled:
        _dots(axes, cooled["bins"], SECOND, "s", f"temperature {cooled['temperature']:.2f}")
        bins = bins + cooled["bins"]
    low = min(0.95, *(min(part["low"], part["confidence"]) for part in bins)) - 0.05
    axes.set(
        xlabel="mean confidence in the chosen label", ylabel=f"accuracy{INTERVAL}",
        xlim=(low, 1.02), ylim=(low, 1.02),
    )  # fmt: skip
    axes.set_title(f"Reliability, n = {found['n']:,}")
    axes.legend(loc="lower right")
    caption = _trust(found) + (_cooled(cooled) if cooled else "")
    return Figure(canvas, "Accuracy by confidence", caption)


def _dots(axes: Axes, bins: list[dict], colour: str, marker: str, label: str) -> None:
    """Accuracy over confidence of each bin, with its interval."""
    sure, right, low, high = (
        np.array([part[key] for part in bins]) for key in ("confidence", "accuracy", "low", "high")
    )
    spread = np.maximum([right - low, high - right], 0)
    axes.errorbar(sure, right, yerr=spread, color=colour, marker=marker, ls="", label=label)


def _cooled(cooled: dict) -> str:
    """What dividing the logits by a temperature does to the error and the loss."""
    if cooled["temperature"] == 1:
        return " Validation holds too few errors to choose a temperature by."
    loss = Metric(**cooled["loss"])
    return (
        f" Divided by a temperature of {cooled['temperature']:.2f}, which "
        f"{cooled['validation_n']:,} validation texts chose, the "
        f"logits give an error of {cooled['expected_calibration_error']:.3f}; the loss changes by "
        f"{loss:+} nats a text."
    )


def _trust(found: dict) -> str:
    """Whether confidence and accuracy differ on the whole, and by how much in the bins."""
    gap = Metric(**found["overconfidence"])
    said = {
        "better": "On average the method is more confident than it is right",
        "worse": "On average the method is less confident than it is right",
        "cannot tell": "On average confidence and accuracy can't be distinguished",
    }
    return (
        f"{said[gap.verdict]}: confidence {found['confidence']:.3f}, accuracy "
        f"{found['accuracy']:.3f}, difference {gap:+}. The expected calibration error, over bins "
        f"of about {found['bins'][0]['n']:,} texts, is {found['expected_calibration_error']:.3f}; "
        "it has no interval, because a mean of absolute gaps is too large in any sample, and in a "
        "bootstrap more so."
    )


@styled
def learning_curve(result: Result) -> Figure:
    """Test accuracy by number of labelled texts learned from, a line a method."""
    points = result.tables["curve"]
    canvas = Canvas(figsize=(5.4, 3.4))
    axes = canvas.subplots()
    names = list(dict.fromkeys(point["method"] for point in points))
    styles = looks(result, *names)
    for place, method in enumerate(names):
        colour = styles[method].colour
        line = [point for point in points if point["method"] == method]
        texts = np.array([point["texts"] for point in line])
        value = [point["value"] for point in line]
        (drawn,) = axes.plot(texts, value, color=colour, marker=styles[method].marker, label=method)
        if all(point["low"] is not None for point in line):
            # Side by side, so that intervals can be read.
            beside = texts * (1 + 0.03 * (place - 1))
            bars = axes.vlines(
                beside, [p["low"] for p in line], [p["high"] for p in line], color=colour, alpha=0.5
            )
            tie(axes, drawn, bars, "y")
    ticks = sorted({point["texts"] for point in points})
    axes.set(xlabel="labelled texts, log scale", ylabel="test accuracy", xscale="log")
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_title(f"Learning curve, n = {points[0]['n']:,} test texts")
    axes.legend()
    return Figure(canvas, "Test accuracy by labelled texts", _labels_saved(points, names, ticks))


def _labels_saved(points: list[dict], names: list[str], ticks: list[int]) -> str:
    """How few texts the last method needs to do as well as the others with all of them."""
    best = {(point["method"], point["texts"]): point["value"] for point in points}
    own, sentences = names[-1], []
    for other in names[:-1]:
        goal = best[other, ticks[-1]]
        enough = [tick for tick in ticks if best[own, tick] >= goal]
        if enough:
            sentences.append(
                f"{own[:1].upper()}{own[1:]} on {enough[0]:,} texts reaches at least the accuracy "
                f"of {other} on {ticks[-1]:,} ({goal:.3f})."
            )
        else:
            sentences.append(f"With these texts, {own} does not reach {other} ({goal:.3f}).")
    if points[0]["low"] is not None:
        sentences.append("Bars: 95 % intervals over the test texts, one training seed.")
    held_out = ", ".join(f"{n:,}" for n in sorted({p["validation"] for p in points}))
    return " ".join(
        [
            *sentences,
            f"Epoch and penalty were chosen on other, validation texts: {held_out} by point. "
            "All points have the same number of epochs, so fewer texts also mean fewer steps.",
        ]
    )
