"""How training went."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from workbench.display.canvas import COLOURS, Figure, styled
from workbench.record.result import Result

WIDE = 20
"""Ratio of the largest loss to the smallest from which on a log scale shows more."""


@styled
def history(result: Result, *, score: str, unit: str = "nats") -> Figure:
    """Training loss by step and validation score by epoch, a line for each thing trained.

    `score` says in words what validation measured, `unit` what the loss is in.
    """
    methods = list(dict.fromkeys(record["method"] for record in result.history))
    epochs = [record for record in result.history if record["event"] == "epoch"]
    scored = any(record["score"] is not None for record in epochs)
    canvas = Canvas(figsize=(5.4, 4.8 if scored else 2.8))
    panels = canvas.subplots(2 if scored else 1, 1, squeeze=False)[:, 0]
    for method, colour in zip(methods, COLOURS, strict=False):
        steps = [r for r in result.history if r["method"] == method and r["event"] == "step"]
        when = [record["epoch"] - 1 + record["step"] / record["steps"] for record in steps]
        panels[0].plot(when, [r["loss"] for r in steps], color=colour, label=method, marker=".")
        if scored:
            ends = [record for record in epochs if record["method"] == method]
            _scores(panels[1], ends, colour, named=len(methods) == 1)
    panels[0].set(xlabel="epoch", ylabel=unit)
    shown = [record["loss"] for record in result.history if record["event"] == "step"]
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


def _scores(axes: Axes, ends: list[dict], colour: str, *, named: bool) -> None:
    """A line of scores by epoch; with `named` the best is written beside its dot."""
    axes.plot([r["epoch"] for r in ends], [r["score"] for r in ends], color=colour, marker="o")
    if not named:
        return
    best = max(ends, key=lambda record: record["score"])
    axes.annotate(
        f"{best['score']:.3f}", (best["epoch"], best["score"]), textcoords="offset points",
        xytext=(0, 7), ha="center", color=colour,
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
