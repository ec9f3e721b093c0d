"""Charts of what a pretrained model knows."""

from collections.abc import Sequence

import matplotlib.font_manager
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import LogLocator

from workbench.figures.canvas import ACCENT, COLOURS, SECOND, Figure, styled
from workbench.result import Metric, Result

KINDS = {"pos": "part of speech", "chunk": "chunk", "ner": "named entity"}
SCORES = {"accuracy": "accuracy", "macro_f1": "macro F1"}
MAX_HEADS = 12
COLUMNS = 7
"""Layers shown of the lens on a sentence."""
START = "(start)"
"""What stands for the token before the text."""


@styled
def bits_per_byte(result: Result) -> Figure:
    """Bits per byte of each domain, beside an archive of the same text."""
    rows = _by_domain(result.metrics, "bits_per_byte")
    archive = _by_domain(result.baselines["lzma"], "bits_per_byte")
    canvas = Canvas(figsize=(5.8, 0.55 * len(rows) + 1.4))
    axes = canvas.subplots()
    for row, (name, metric) in enumerate(rows.items()):
        _interval(axes, row, metric, ACCENT)
        axes.plot(metric.value, row, "o", color=ACCENT, label="" if row else "the model")
        label = "" if row else "an archive (lzma)"
        axes.plot(archive[name].value, row, "D", color=SECOND, label=label)
        axes.annotate(
            f"{metric.value:.2f}", (metric.value, row), textcoords="offset points",
            xytext=(0, 7), ha="center", color=ACCENT,
        )  # fmt: skip
    names = [f"{name}  (n = {metric.n:,})" for name, metric in rows.items()]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.4, -0.8)
    axes.set(xlabel="bits per byte, with 95 % interval", xlim=(0, None))
    axes.set_title("How well is the text foreseen?")
    canvas.legend(loc="outside lower center", ncols=2)
    return Figure(canvas, "Bits per byte by domain with 95 % intervals", _easiest(rows, archive))


def _interval(axes: Axes, row: float, metric: Metric, colour: str) -> None:
    if metric.low is not None and metric.high is not None:
        axes.hlines(row, metric.low, metric.high, color=colour, linewidth=2.5)


def _by_domain(metrics: dict[str, Metric], wanted: str) -> dict[str, Metric]:
    """Domain -> its metric of that name, in the run's order."""
    split = (name.rpartition("/") for name in metrics)
    return {domain: metrics[f"{domain}/{name}"] for domain, _, name in split if name == wanted}


def _easiest(rows: dict[str, Metric], archive: dict[str, Metric]) -> str:
    """Which domain is foreseen best and worst, and how the model compares with an archive."""
    ordered = sorted(rows, key=lambda name: rows[name].value)
    parts = []
    if len(ordered) > 1:
        first, last = rows[ordered[0]], rows[ordered[-1]]
        parts.append(
            f"{ordered[0]} is foreseen best ({first} bits a byte) and {ordered[-1]} worst "
            f"({last}); {_apart(first, last)}."
        )
    saved = {name: 1 - rows[name].value / archive[name].value for name in rows}
    shares = ", ".join(f"{share:.0%} for {name}" for name, share in saved.items())
    parts.append(f"Bits saved against the archive: {shares}.")
    return " ".join(parts)


def _apart(low: Metric, high: Metric) -> str:
    if low.high is None or high.low is None:
        return "without intervals the order may be chance"
    if low.high < high.low:
        return "their intervals do not overlap"
    return "their intervals overlap, so the order may be chance"


@styled
def fertility(result: Result) -> Figure:
    """Pieces that each tokenizer makes of a word, by domain."""
    encoder = str(result.sources["encoder"]["name"])
    both = {
        str(result.sources["model"]["name"]): _by_domain(result.metrics, "pieces_per_word"),
        encoder: _by_domain(result.baselines[encoder], "pieces_per_word"),
    }
    domains = list(both[encoder])
    canvas = Canvas(figsize=(5.8, 0.6 * len(domains) + 1.4))
    axes = canvas.subplots()
    for place, ((name, rows), colour) in enumerate(
        zip(both.items(), (ACCENT, SECOND), strict=True)
    ):
        for row, metric in enumerate(rows.values()):
            where = row - 0.15 + 0.3 * place
            _interval(axes, where, metric, colour)
            axes.plot(metric.value, where, "o", color=colour, label="" if row else name)
            axes.annotate(
                f"{metric.value:.2f}", (metric.high or metric.value, where),
                textcoords="offset points", xytext=(6, -3), color=colour,
            )  # fmt: skip
    counts = [f"{name}  (n = {both[encoder][name].n:,})" for name in domains]
    axes.set_yticks(range(len(domains)), counts)
    axes.set_ylim(len(domains) - 0.5, -0.5)
    axes.set(xlabel="pieces per word, with 95 % interval")
    axes.margins(x=0.15)
    axes.set_title("How finely are words cut?")
    canvas.legend(loc="outside lower center", ncols=2)
    return Figure(canvas, "Pieces per word by domain and tokenizer", _finer(result, encoder))


def _finer(result: Result, encoder: str) -> str:
    """The paired difference between the tokenizers in each domain."""
    own = result.sources["model"]["name"]
    parts = []
    for name, metric in _by_domain(result.comparisons[encoder], "pieces_per_word").items():
        if metric.verdict == "cannot tell":
            what = "the two can't be told apart"
        else:
            what = f"{own} makes {'more' if metric.value > 0 else 'fewer'} pieces"
        parts.append(f"{name}: {what} ({metric.value:+.3f})")
    return f"On the same text, {'; '.join(parts)}. In brackets: the paired difference per word."


@styled
def lens(result: Result) -> Figure:
    """Nats a token and agreement with the final layer, by the layer that is read."""
    canvas = Canvas(figsize=(5.2, 4.6))
    axes = canvas.subplots(2, 1, sharex=True)
    nats, agreement = (_by_layer(result.metrics, f"lens/{name}") for name in ("nats", "agreement"))
    for panel, rows, label in (
        (axes[0], nats, "nats per token, log scale"),
        (axes[1], agreement, "share of tokens"),
    ):
        _line(panel, rows, ACCENT)
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
    axes[1].set(xlabel="layer (0: the embedding), with 95 % interval", ylim=(0, 1.05))
    return Figure(canvas, "Logit lens by layer with 95 % intervals", _late(result, nats, agreement))


def _by_layer(metrics: dict[str, Metric], prefix: str) -> list[Metric]:
    """The metrics of layers 0, 1, ... in order."""
    names = [name for name in metrics if name.startswith(f"{prefix}/layer_")]
    return [metrics[f"{prefix}/layer_{layer}"] for layer in range(len(names))]


def _line(
    axes: Axes, rows: Sequence[Metric], colour: str, *, label: str = "", style: str = "-"
) -> None:
    """Values by layer, with their intervals as a band."""
    layers = range(len(rows))
    low = [row.value if row.low is None else row.low for row in rows]
    high = [row.value if row.high is None else row.high for row in rows]
    axes.fill_between(layers, low, high, color=colour, alpha=0.2, linewidth=0)
    values = [row.value for row in rows]
    axes.plot(layers, values, color=colour, label=label, linestyle=style, marker="o", markersize=3)


def _late(result: Result, nats: Sequence[Metric], agreement: Sequence[Metric]) -> str:
    """From which layer the readings say something, and that the lens is true to the model."""
    last, even = len(nats) - 1, result.tables["even_nats"]
    worse = [layer for layer, metric in enumerate(nats) if metric.value > even]
    informed = f"from layer {worse[-1] + 1}" if worse else "at every layer"
    check = result.metrics["lens/last_layer_difference"]
    off = f"are off by {check.value:.1g} at most" if check.value else "are exactly the same"
    return (
        f"The reading is better than guessing evenly over the vocabulary {informed}. The layer "
        f"before the last, {last - 1}, shares {agreement[-2].value:.0%} of the last one's choices, "
        f"over {check.n:,} tokens. Self-check: the last layer's scores read so and the model's own "
        f"{off}."
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
        f"In half of the places the last layer's choice is settled by layer "
        f"{int(np.median(places))} of {len(best) - 1}. It is the sentence's own next token in "
        f"{right} of {count - 1} places."
    )


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
        panel.imshow(weights[head], cmap="Blues", vmin=0, vmax=1, aspect="auto")
        panel.set_title(f"head {head + 1}")
        panel.set_yticks(range(len(words)), words, fontsize=6.5)
        panel.set_xticks(range(len(words)), words, fontsize=6, rotation=90)
    canvas.supxlabel("token looked at", fontsize=9)
    canvas.supylabel("token that looks (the darker, the more)", fontsize=9)
    title = f"Attention of layer {found['layer']} by head"
    return Figure(canvas, title, _heads(weights, found["layer"]))


def _heads(weights: np.ndarray, layer: int) -> str:
    """Heads of note: how much goes to the first token, and who looks back by one."""
    first = weights[:, 1:, 0].mean(axis=1)
    back = np.array([np.diagonal(head, -1).mean() for head in weights])
    shown = "" if len(weights) <= MAX_HEADS else f" (the first {MAX_HEADS} are drawn)"
    return (
        f"Layer {layer} has {len(weights)} heads{shown}. On average {first.mean():.0%} of a "
        f"token's attention goes to the one before the text, most in head "
        f"{int(first.argmax()) + 1} ({first.max():.0%}). Head {int(back.argmax()) + 1} looks most "
        f"at the token just before ({back.max():.0%})."
    )


@styled
def probes(result: Result) -> Figure:
    """Score of the probes by layer, beside shuffled tags, an untrained encoder and no model."""
    kinds = [kind for kind in KINDS if kind in result.tables["best_layers"]]
    canvas = Canvas(figsize=(5.4, 2.1 * len(kinds) + 0.7))
    panels = canvas.subplots(len(kinds), 1, sharex=True, squeeze=False)[:, 0]
    for panel, kind in zip(panels, kinds, strict=True):
        name = _name(result, kind)
        _line(panel, _by_layer(result.metrics, name), ACCENT, label="pretrained")
        for method, colour in (("untrained encoder", COLOURS[2]), ("shuffled tags", SECOND)):
            _line(panel, _by_layer(result.baselines[method], name), colour, label=method)
        frequent = result.baselines["most frequent tag"][name].value
        panel.axhline(frequent, color="grey", linestyle=":", label="most frequent tag")
        panel.set(ylim=(0, 1), ylabel=SCORES[name.partition("/")[2]])
        panel.set_title(f"{KINDS[kind].capitalize()}, n = {result.metrics[name].n:,} words")
    panels[-1].set(xlabel="layer of the encoder (0: the embedding), with 95 % interval")
    handles, labels = panels[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=2)
    return Figure(canvas, "Probes by layer with 95 % intervals", _best(result, kinds))


def _name(result: Result, kind: str) -> str:
    """The metric of a tag set, such as `pos/accuracy`."""
    return next(
        name for name in result.metrics if name.startswith(f"{kind}/") and "/layer_" not in name
    )


def _best(result: Result, kinds: Sequence[str]) -> str:
    """The best layer of each tag set, and whether it beats what needs no model."""
    words = {"better": "above", "worse": "below", "cannot tell": "not to be told apart from"}
    parts = []
    for kind in kinds:
        layer, name = result.tables["best_layers"][kind], _name(result, kind)
        against = result.comparisons["most frequent tag"][name]
        parts.append(
            f"{KINDS[kind]}: layer {layer}, {result.metrics[name].value:.3f}, "
            f"{words[against.verdict]} each word's most frequent tag ({against.value:+.3f})"
        )
    return f"Best layer, chosen on validation: {'; '.join(parts)}. In brackets: paired difference."
