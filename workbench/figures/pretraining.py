"""Charts of what a pretrained model knows."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from workbench.figures.canvas import ACCENT, COLOURS, SECOND, Figure, styled
from workbench.figures.decoder import by_layer, line
from workbench.result import Metric, Result

KINDS = {"pos": "part of speech", "chunk": "chunk", "ner": "named entity"}
SCORES = {"accuracy": "accuracy", "macro_f1": "macro F1"}


@styled
def bits_per_byte(result: Result) -> Figure:
    """Bits per byte of each domain, beside lzma compression of the same text."""
    rows = _by_domain(result.metrics, "bits_per_byte")
    compressed = _by_domain(result.baselines["lzma"], "bits_per_byte")
    canvas = Canvas(figsize=(5.8, 0.55 * len(rows) + 1.4))
    axes = canvas.subplots()
    for row, (name, metric) in enumerate(rows.items()):
        _interval(axes, row, metric, ACCENT)
        axes.plot(metric.value, row, "o", color=ACCENT, label="" if row else "the model")
        label = "" if row else "lzma"
        axes.plot(compressed[name].value, row, "D", color=SECOND, label=label)
        axes.annotate(
            f"{metric.value:.2f}", (metric.value, row), textcoords="offset points",
            xytext=(0, 7), ha="center", color=ACCENT,
        )  # fmt: skip
    names = [f"{name}  (n = {metric.n:,})" for name, metric in rows.items()]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.4, -0.8)
    axes.set(xlabel="bits per byte, with 95 % interval", xlim=(0, None))
    axes.set_title("How well is the text predicted?")
    canvas.legend(loc="outside lower center", ncols=2)
    return Figure(canvas, "Bits per byte by domain with 95 % intervals", _easiest(rows, compressed))


def _interval(axes: Axes, row: float, metric: Metric, colour: str) -> None:
    if metric.low is not None and metric.high is not None:
        axes.hlines(row, metric.low, metric.high, color=colour, linewidth=2.5)


def _by_domain(metrics: dict[str, Metric], wanted: str) -> dict[str, Metric]:
    """Domain -> its metric of that name, in the run's order."""
    split = (name.rpartition("/") for name in metrics)
    return {domain: metrics[f"{domain}/{name}"] for domain, _, name in split if name == wanted}


def _easiest(rows: dict[str, Metric], compressed: dict[str, Metric]) -> str:
    """Which domain is predicted best and worst, and how the model compares with lzma."""
    ordered = sorted(rows, key=lambda name: rows[name].value)
    parts = []
    if len(ordered) > 1:
        first, last = rows[ordered[0]], rows[ordered[-1]]
        parts.append(
            f"{ordered[0]} is predicted best ({first} bits a byte) and {ordered[-1]} worst "
            f"({last}); {_apart(first, last)}."
        )
    saved = {name: 1 - rows[name].value / compressed[name].value for name in rows}
    shares = ", ".join(f"{share:.0%} for {name}" for name, share in saved.items())
    parts.append(f"Bits saved against lzma: {shares}.")
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
def probes(result: Result) -> Figure:
    """Score of the probes by layer, beside shuffled tags, an untrained encoder and no model."""
    kinds = [kind for kind in KINDS if kind in result.tables["best_layers"]]
    canvas = Canvas(figsize=(5.4, 2.1 * len(kinds) + 0.7))
    panels = canvas.subplots(len(kinds), 1, sharex=True, squeeze=False)[:, 0]
    for panel, kind in zip(panels, kinds, strict=True):
        name = _name(result, kind)
        line(panel, by_layer(result.metrics, name), ACCENT, label="pretrained")
        for method, colour in (("untrained encoder", COLOURS[2]), ("shuffled tags", SECOND)):
            line(panel, by_layer(result.baselines[method], name), colour, label=method)
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
