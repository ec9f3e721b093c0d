"""How training went."""

from matplotlib.figure import Figure as Canvas

from workbench.figures.canvas import ACCENT, Figure, styled
from workbench.result import Result


@styled
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
