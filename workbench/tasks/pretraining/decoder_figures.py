"""Charts of what happens inside a decoder: the logit lens by layer, and attention."""

from collections.abc import Sequence

import matplotlib.font_manager
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import LogLocator

from workbench.display.canvas import ACCENT, Figure, styled, with_intervals
from workbench.display.series import tie
from workbench.record.result import Metric, Result

MAX_HEADS = 12
COLUMNS = 7
"""Layers shown of the lens on a sentence."""
START = "(start)"
"""What stands for the token before the text."""


@styled
def lens(result: Result) -> Figure:
    """Nats a token and agreement with the final layer, by the layer that is read."""
    canvas = Canvas(figsize=(5.2, 4.6))
    axes = canvas.subplots(2, 1, sharex=True)
    nats, agreement = (by_layer(result.metrics, f"lens/{name}") for name in ("nats", "agreement"))
    for panel, rows, label in (
        (axes[0], nats, "nats per token, log scale"),
        (axes[1], agreement, "fraction of tokens"),
    ):
        line(panel, rows, ACCENT)
        panel.set(ylabel=label)
    even = result.tables["even_nats"]
    axes[0].axhline(even, color="grey", linestyle=":", label="guessing evenly")
    axes[0].set(yscale="log")
    axes[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes[0].yaxis.set_major_formatter("{x:g}")
    axes[0].yaxis.set_minor_formatter("")
    axes[0].legend()
    axes[0].set_title("Loss of the next token, read at each layer")
    axes[1].set_title("Same choice as the last layer")
    axes[1].set(xlabel=f"layer (0: the embedding){with_intervals(nats)}", ylim=(0, 1.05))
    return Figure(canvas, "Logit lens by layer", _late(result, nats, agreement))


def by_layer(metrics: dict[str, Metric], prefix: str) -> list[Metric]:
    """The metrics of layers 0, 1, ... in order."""
    names = [name for name in metrics if name.startswith(f"{prefix}/layer_")]
    return [metrics[f"{prefix}/layer_{layer}"] for layer in range(len(names))]


def line(
    axes: Axes, rows: Sequence[Metric], colour: str, *, label: str = "", style: str = "-"
) -> None:
    """Values by layer, with their intervals as a band."""
    layers = range(len(rows))
    low = [row.value if row.low is None else row.low for row in rows]
    high = [row.value if row.high is None else row.high for row in rows]
    band = axes.fill_between(layers, low, high, color=colour, alpha=0.2, linewidth=0)
    (drawn,) = axes.plot(
        layers, [row.value for row in rows], color=colour, label=label, linestyle=style,
        marker="o", markersize=3,
    )  # fmt: skip
    tie(axes, drawn, band, "y")


def _late(result: Result, nats: Sequence[Metric], agreement: Sequence[Metric]) -> str:
    """From which layer the readings say something, and that the lens is true to the model."""
    last, even = len(nats) - 1, result.tables["even_nats"]
    worse = [layer for layer, metric in enumerate(nats) if metric.value > even]
    if not worse:
        informed = "at every layer"
    elif worse[-1] == last:
        informed = "at no layer that stays so: the last one's is worse"
    else:
        informed = f"at every layer from {worse[-1] + 1} on"
    check = result.metrics["lens/last_layer_difference"]
    off = f"are off by {check.value:.1g} at most" if check.value else "are exactly the same"
    return (
        f"Next tokens are predicted better than by guessing evenly over the vocabulary {informed}. "
        f"The layer before the last, {last - 1}, shares {agreement[-2].value:.0%} of the last "
        f"one's choices, over {check.n:,} tokens. Self-check: the last layer's scores read so and "
        f"the model's own {off}."
    )


@styled
def lens_sentence(result: Result) -> Figure:
    """Each layer's most probable next token in each place of the run's sentence."""
    found = result.tables["sentence"]
    tokens, best = [START, *found["tokens"][1:]], found["best"]
    layers = sorted({round(layer) for layer in np.linspace(0, len(best) - 1, COLUMNS)})
    final = np.array([[best[layer][row] == best[-1][row] for layer in layers]
                      for row in range(len(tokens))])  # fmt: skip
    canvas = Canvas(figsize=(5.4, 0.27 * len(tokens) + 0.9))
    axes = canvas.subplots()
    axes.imshow(final, cmap="Blues", vmin=0, vmax=2.5, aspect="auto")
    for row, column in np.ndindex(*final.shape):
        word = _shown(best[layers[column]][row])
        axes.text(column, row, word, ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(layers)), layers)
    axes.set_yticks(range(len(tokens)), [_shown(token) for token in tokens])
    axes.grid(visible=False)
    axes.set(xlabel="layer (0: the embedding)", ylabel="token read so far")
    axes.set_title("What each layer would say next (blue: as the last)")
    return Figure(canvas, "Most probable next token by layer and place", _settled(found))


def _settled(found: dict) -> str:
    """At which layer each place's last token first stands and stays."""
    best, count = found["best"], len(found["tokens"])
    places = []
    for row in range(count):
        layer = len(best) - 1
        while layer > 0 and best[layer - 1][row] == best[-1][row]:
            layer -= 1
        places.append(layer)
    right = sum(best[-1][row] == token for row, token in enumerate(found["tokens"][1:]))
    return (
        f"In at least half of the places the last layer's choice is settled by layer "
        f"{int(np.median(places))} of {len(best) - 1}. It is the sentence's own next token in "
        f"{right} of {count - 1} places.{_cut(found)}"
    )


def _cut(found: dict) -> str:
    """That only the sentence's beginning is drawn, where it is so."""
    if not found["cut"]:
        return ""
    count = len(found["tokens"]) - 1
    return f" Only the first {count} of the sentence's {count + found['cut']} tokens are read."


def _shown(token: str) -> str:
    """A token to draw: cut short, white space and letters that the font lacks made visible."""
    font = matplotlib.font_manager.get_font(matplotlib.font_manager.findfont("DejaVu Sans"))
    known = font.get_charmap()
    text = token.replace("\n", "\\n").strip() or "\u2423"
    text = "".join(letter if ord(letter) in known else "\u25a1" for letter in text)
    return text if len(text) <= 8 else f"{text[:7]}\u2026"


@styled
def attention(result: Result) -> Figure:
    """Where each head of one layer looks in the run's sentence, a panel a head."""
    found = result.tables["sentence"]
    weights = np.array(found["attention"])
    heads = min(len(weights), MAX_HEADS)
    words = [START, *map(_shown, found["tokens"][1:])]
    rows = -(-heads // 3)
    canvas = Canvas(figsize=(5.4, 1.7 * rows + 0.9))
    panels = canvas.subplots(rows, 3, sharex=True, sharey=True, squeeze=False)
    for head, panel in enumerate(panels.flat):
        panel.grid(visible=False)
        if head >= heads:
            panel.set_axis_off()
            continue
        image = panel.imshow(weights[head], cmap="Blues", vmin=0, vmax=1, aspect="auto")
        panel.set_title(f"head {head + 1}")
        panel.set_yticks(range(len(words)), words, fontsize=6.5)
        panel.set_xticks(range(len(words)), words, fontsize=6, rotation=90)
    canvas.supxlabel("token looked at", fontsize=9)
    canvas.supylabel("token that looks", fontsize=9)
    canvas.colorbar(image, ax=panels, label="fraction of attention", location="top", shrink=0.6)
    title = f"Attention of layer {found['layer']} by head"
    return Figure(canvas, title, _heads(weights, found["layer"]) + _cut(found))


def _heads(weights: np.ndarray, layer: int) -> str:
    """Heads of note: how much goes to the first token, and who looks back by one."""
    first = weights[:, 1:, 0].mean(axis=1)
    text = (
        f"Layer {layer} has {len(weights)} head{'' if len(weights) == 1 else 's'}"
        f"{'' if len(weights) <= MAX_HEADS else f' (the first {MAX_HEADS} are drawn)'}. On average "
        f"{first.mean():.0%} of a token's attention goes to the one before the text, most in head "
        f"{int(first.argmax()) + 1} ({first.max():.0%})."
    )
    # The text's first token is left out: the one before it is the one before the text.
    back = np.array([np.diagonal(head, -1)[1:] for head in weights])
    if back.size:
        mean = back.mean(axis=1)
        text += (
            f" The most that a head gives to the token just before is {mean.max():.0%}, in head "
            f"{int(mean.argmax()) + 1}."
        )
    return text
