"""Charts of results: each gives a Figure whose caption is made from the result's numbers."""

import base64
import functools
import io
from collections import Counter
from collections.abc import Callable

import matplotlib
import numpy as np
from matplotlib.figure import Figure as Canvas

from workbench import paths
from workbench.iob import spans
from workbench.result import Metric, Result

STYLE = paths.PACKAGE / "workbench.mplstyle"
ACCENT, SECOND = "#0072b2", "#d55e00"
"""Okabe and Ito's blue and vermilion."""
NONE = "none"


class Figure:
    """A chart with its title as alternative text and a caption; notebooks show it by itself."""

    def __init__(self, canvas: Canvas, title: str, caption: str) -> None:
        self.title, self.caption = title, caption
        with io.BytesIO() as stream:
            canvas.savefig(stream, format="png", metadata={"Software": None})
            self.png = stream.getvalue()
        self.width = int(canvas.get_figwidth() * 96)

    def _ipython_display_(self) -> None:
        from IPython.display import Markdown, display

        image = {"image/png": base64.b64encode(self.png).decode(), "text/plain": self.title}
        shown = {"image/png": {"width": self.width, "alt": self.title}}
        display(image, metadata=shown, raw=True)
        display(Markdown(self.caption))


def _styled(draw: Callable[[Result], Figure]) -> Callable[[Result], Figure]:
    """Draw with the project's style, whatever the notebook has set."""

    @functools.wraps(draw)
    def inside(result: Result) -> Figure:
        with matplotlib.rc_context(fname=str(STYLE)):
            return draw(result)

    return inside


@_styled
def history(result: Result) -> Figure:
    """Training loss by step and validation score by epoch."""
    steps = [record for record in result.history if record["event"] == "step"]
    epochs = [record for record in result.history if record["event"] == "epoch"]
    canvas = Canvas(figsize=(7.5, 2.9))
    left, right = canvas.subplots(1, 2)
    when = [record["epoch"] - 1 + record["step"] / record["steps"] for record in steps]
    left.plot(when, [record["loss"] for record in steps], color=ACCENT)
    left.set(xlabel="epoch", ylabel="nats a word, log scale", yscale="log")
    left.set_title("Training loss")
    numbers = [record["epoch"] for record in epochs]
    right.plot(numbers, [record["score"] for record in epochs], color=ACCENT, marker="o")
    right.set(xlabel="epoch", ylabel="validation entity F1", xticks=numbers)
    right.margins(x=0.15, y=0.2)
    right.set_title("Validation score")
    best = max(epochs, key=lambda record: record["score"])
    right.annotate(
        f"{best['score']:.3f}", (best["epoch"], best["score"]), textcoords="offset points",
        xytext=(0, 7), ha="center",
    )  # fmt: skip
    last = epochs[-1]
    if best is last:
        verdict = "The last epoch is the best, so more epochs may still help."
    else:
        verdict = "Later epochs were worse on this split."
    return Figure(
        canvas,
        "Training loss and validation score by epoch",
        f"Epoch {best['epoch']} of {len(epochs)} is kept, with a validation F1 of "
        f"{result.metrics['validation/entity_f1']}. {verdict}",
    )


@_styled
def confusion(result: Result) -> Figure:
    """Gold types against predicted types of entities that overlap; `none` where none does."""
    pairs, kinds = _aligned(result)
    names = [*kinds, NONE]
    grid = np.array([[pairs[gold, predicted] for predicted in names] for gold in names])
    shares = grid / np.maximum(grid.sum(axis=1, keepdims=True), 1)
    canvas = Canvas(figsize=(4.4, 3.8))
    axes = canvas.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted type", ylabel="gold type")
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set_title(f"Entities by type, n = {int(grid[:-1].sum()):,}")
    axes.grid(visible=False)
    for row, column in np.ndindex(*grid.shape):
        if grid[row, column]:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, f"{grid[row, column]:,}", ha="center", va="center", color=colour)
    return Figure(canvas, "Confusion of entity types", _worst_confusion(pairs))


def _aligned(result: Result) -> tuple[Counter[tuple[str, str]], list[str]]:
    """Count (gold type, predicted type) of each entity and the one it overlaps most."""
    pairs: Counter[tuple[str, str]] = Counter()
    for gold_tags, predicted_tags in zip(
        result.items["gold"], result.items["predicted"], strict=True
    ):
        gold, free = spans(gold_tags), spans(predicted_tags)
        for kind, start, end in sorted(gold, key=lambda span: span[1]):
            overlaps = {
                span: min(end, span[2]) - max(start, span[1])
                for span in free
                if min(end, span[2]) > max(start, span[1])
            }
            if overlaps:
                best = max(overlaps, key=lambda span: (overlaps[span], span))
                free.discard(best)
                pairs[kind, best[0]] += 1
            else:
                pairs[kind, NONE] += 1
        pairs.update((NONE, kind) for kind, _, _ in free)
    return pairs, sorted({kind for pair in pairs for kind in pair} - {NONE})


def _worst_confusion(pairs: Counter[tuple[str, str]]) -> str:
    wrong = Counter({pair: count for pair, count in pairs.items() if pair[0] != pair[1]})
    if not wrong:
        return "No entity has a wrong type, none is missed and none is spurious."
    (gold, predicted), count = wrong.most_common(1)[0]
    share = count / wrong.total()
    if gold == NONE:
        what = f"{predicted} where there is no entity"
    else:
        what = f"{gold} that is missed" if predicted == NONE else f"{gold} taken for {predicted}"
    return (
        f"Entities that share a word are matched, whatever their boundaries. The most frequent "
        f"error is {what}: {count:,} of {wrong.total():,} errors of type ({share:.0%})."
    )


@_styled
def f1_by_type(result: Result) -> Figure:
    """Entity F1 on the test split by type, and over all, with 95 % intervals."""
    prefix = "test/entity_f1/"
    metrics = {
        name.removeprefix(prefix): metric
        for name, metric in result.metrics.items()
        if name.startswith(prefix)
    }
    ordered = dict(sorted(metrics.items(), key=lambda pair: pair[1].value))
    ordered["all types"] = result.metrics["test/entity_f1"]
    canvas = Canvas(figsize=(6.4, 0.5 * len(ordered) + 1.2))
    axes = canvas.subplots()
    for row, (name, metric) in enumerate(ordered.items()):
        colour = SECOND if name == "all types" else ACCENT
        if metric.low is not None and metric.high is not None:
            axes.hlines(row, metric.low, metric.high, color=colour, linewidth=2.5)
        axes.plot(metric.value, row, marker="o", color=colour)
        axes.annotate(
            f"{metric.value:.3f}", (metric.value, row), textcoords="offset points",
            xytext=(0, 7), ha="center", color=colour,
        )  # fmt: skip
    labels = [f"{name}  (n = {metric.n:,})" for name, metric in ordered.items()]
    axes.set_yticks(range(len(ordered)), labels)
    axes.set(xlabel="entity F1, with 95 % interval", ylim=(-0.6, len(ordered) - 0.2))
    axes.set_title("Test entity F1 by type")
    return Figure(canvas, "Test entity F1 by type with 95 % intervals", _spread(metrics))


def _spread(metrics: dict[str, Metric]) -> str:
    """The easiest and the hardest type, and whether their intervals tell them apart."""
    if len(metrics) < 2:
        return "There is one type only."
    ordered = sorted(metrics, key=lambda name: metrics[name].value)
    low, high = metrics[ordered[0]], metrics[ordered[-1]]
    order = (
        f"{ordered[-1]} is easiest ({high.value:.3f}) and {ordered[0]} hardest ({low.value:.3f})"
    )
    if low.high is None or high.low is None:
        return f"{order}; without intervals the order may be chance."
    if low.high < high.low:
        return f"{order}; their intervals do not overlap."
    return f"{order}; their intervals overlap, so the order may be chance."
