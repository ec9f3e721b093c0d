"""How training went."""

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from workbench.display.canvas import Figure, Look, looks, styled
from workbench.record.result import Result

WINDOWS = 40
"""Points of a curve, each the mean loss of as many steps; reports come by the clock."""
WIDE = 20
"""Ratio of the largest loss to the smallest from which on a log scale shows more."""


@styled
def history(result: Result, *, score: str, unit: str = "nats") -> Figure:
    """Training loss by examples seen and validation score by epoch, a line for each thing trained.

    `score` says in words what validation measured, `unit` what the loss is in.
    """
    methods = list(dict.fromkeys(record["method"] for record in result.history))
    epochs = [record for record in result.history if record["event"] == "epoch"]
    scored = any(record["score"] is not None for record in epochs)
    shown: list[float] = []
    canvas = Canvas(figsize=(5.4, 4.8 if scored else 2.8))
    panels = canvas.subplots(2 if scored else 1, 1, squeeze=False)[:, 0]
    styles = looks(result, *methods)
    for method in methods:
        colour = styles[method].colour
        losses = np.array(list(_losses(result.history, method)))
        windows = np.array_split(losses, min(WINDOWS, len(losses)))
        when, loss = np.array([window.mean(axis=0) for window in windows]).T
        shown += loss.tolist()
        panels[0].plot(when, loss, color=colour, label=method, marker=".")
        if scored:
            ends = [record for record in epochs if record["method"] == method]
            _scores(panels[1], ends, styles[method], named=len(methods) == 1)
    panels[0].set(xlabel="passes over the training split", ylabel=unit)
    if max(shown) > WIDE * min(shown):
        panels[0].set(yscale="log", ylabel=f"{unit}, log scale")
        panels[0].yaxis.set_major_formatter("{x:g}")
    panels[0].set_title("Training loss")
    if len(methods) > 1:
        panels[0].legend()
    if scored:
        panels[1].set(xlabel="epoch", ylabel=score, xticks=sorted({r["epoch"] for r in epochs}))
        panels[1].margins(x=0.2, y=0.25)
        panels[1].set_title("Validation score")
    title = "Training loss and validation score by epoch" if scored else "Training loss"
    return Figure(canvas, title, " ".join(_reading(m, epochs, score) for m in methods))


def _losses(history: list[dict], method: str) -> Iterator[tuple[float, float]]:
    """Epochs passed and loss of each step of a training."""
    for record in history:
        if record["method"] == method and record["event"] == "step":
            losses = record.get("losses", [record["loss"]])  # early records have means alone
            for step, loss in enumerate(losses, record["step"] - len(losses) + 1):
                yield record["epoch"] - 1 + step / record["steps"], loss


def _scores(axes: Axes, ends: list[dict], look: Look, *, named: bool) -> None:
    """A line of scores by epoch; with `named` the best is written beside its dot."""
    epochs, scores = [r["epoch"] for r in ends], [r["score"] for r in ends]
    axes.plot(epochs, scores, color=look.colour, marker=look.marker)
    if not named:
        return
    best = max(ends, key=lambda record: record["score"])
    axes.annotate(
        f"{best['score']:.3f}", (best["epoch"], best["score"]), textcoords="offset points",
        xytext=(0, 7), ha="center",
    )  # fmt: skip


def _reading(method: str, epochs: list[dict], score: str) -> str:
    """Which epoch is kept, and whether more might help."""
    ends = [record for record in epochs if record["method"] == method]
    name = f"{method[:1].upper()}{method[1:]}: epoch" if method else "Epoch"
    if ends[-1]["score"] is None:
        return f"{name} {len(ends)} of {len(ends)} is kept: nothing was held out to choose by."
    best = max(ends, key=lambda record: record["score"])
    kept = f"{name} {best['epoch']} of {len(ends)} is kept, with a {score} of {best['score']:.3f}."
    if best is ends[-1]:
        return (
            f"{kept} It is the last, where the learning rate reaches 0, so this doesn't tell "
            "whether a longer training would be better."
        )
    return f"{kept} Later epochs were no better on this split."
