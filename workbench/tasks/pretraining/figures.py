"""Charts of what a pretrained model knows."""

from collections.abc import Sequence

from matplotlib.figure import Figure as Canvas

from workbench.display.canvas import (
    ACCENT,
    COLOURS,
    SECOND,
    Figure,
    Look,
    dot,
    styled,
    with_intervals,
)
from workbench.record.result import Metric, Result
from workbench.record.statistics import Verdict, correction, verdicts
from workbench.tasks.pretraining.decoder_figures import by_layer, line

KINDS = {"pos": "part of speech", "chunk": "chunk", "ner": "named entity"}
WORDS = "word, ending and shape"
SCORES = {"accuracy": "accuracy", "macro_f1": "macro F1"}


@styled
def bits_per_byte(result: Result) -> Figure:
    """Bits per byte of each domain, with lzma and n-grams on the same text."""
    rows = _by_domain(result.metrics, "bits_per_byte")
    others = {
        method: _by_domain(result.baselines[method], "bits_per_byte")
        for method in ("n-gram", "lzma")
    }
    canvas = Canvas(figsize=(5.8, 0.55 * len(rows) + 1.4))
    axes = canvas.subplots()
    for row, (name, metric) in enumerate(rows.items()):
        for (method, found), sign, colour in zip(
            others.items(), "sD", (COLOURS[2], SECOND), strict=True
        ):
            dot(axes, row, found[name], Look(colour, sign), label="" if row else method)
        dot(axes, row, metric, Look(ACCENT, "o"), label="" if row else "the model")
        axes.annotate(
            f"{metric.value:.2f}", (metric.value, row), textcoords="offset points",
            xytext=(0, 7), ha="center",
        )  # fmt: skip
    names = [f"{name}  (n = {metric.n:,})" for name, metric in rows.items()]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.4, -0.8)
    axes.set(xlabel=f"bits per byte{with_intervals(rows.values())}", xlim=(0, None))
    axes.set_title("How well is the text predicted?")
    canvas.legend(loc="outside lower center", ncols=3)
    return Figure(canvas, "Bits per byte by domain", _predicted(result, rows, others))


def _by_domain(metrics: dict[str, Metric], wanted: str) -> dict[str, Metric]:
    """Domain -> its metric of that name, in the run's order."""
    split = (name.rpartition("/") for name in metrics)
    return {domain: metrics[f"{domain}/{name}"] for domain, _, name in split if name == wanted}


def _predicted(
    result: Result, rows: dict[str, Metric], others: dict[str, dict[str, Metric]]
) -> str:
    """Which domain takes the fewest bits and the most, and the model beside the compressors."""
    ordered = sorted(rows, key=lambda name: rows[name].value)
    parts = [_equal(result)]
    if len(ordered) > 1:
        first, last = rows[ordered[0]], rows[ordered[-1]]
        parts.append(
            f"{ordered[0]} takes the fewest bits a byte ({first}) and {ordered[-1]} the most "
            f"({last}); {_apart(first, last)}."
        )
    against = []
    for name, difference in _by_domain(result.comparisons["n-gram"], "bits_per_byte").items():
        lzma = rows[name].value - others["lzma"][name].value
        against.append(f"{name}: n-gram {_signed(difference)}, lzma {lzma:+.2f}")
    parts.append(
        "The model minus each of the two, which are given other documents of the corpus; below 0 "
        f"the model needs fewer bits: {'; '.join(against)}."
    )
    return " ".join(parts)


def _equal(result: Result) -> str:
    """Whether the domains can be compared: passages of one size, and as many of each."""
    size = result.parameters["passage_bytes"]
    counts = {name: metric.n for name, metric in _by_domain(
        result.metrics, "bits_per_byte").items()}  # fmt: skip
    short = [name for name, found in result.tables["domains"].items()
             if found["bytes"] <= counts[name] * (size - 4)]  # fmt: skip
    if not short and len(set(counts.values())) == 1:
        return f"Each passage (n) has {size:,} bytes, up to 3 fewer where a character is cut."
    why = f" ({', '.join(short)}: less than {size:,} bytes a passage)" if short else ""
    return f"The domains differ in size{why}: compare them with care."


def _signed(difference: Metric) -> str:
    """A difference with its interval, in two decimals."""
    if difference.low is None or difference.high is None:
        return f"{difference.value:+.2f} (no interval)"
    return f"{difference.value:+.2f} [{difference.low:+.2f}, {difference.high:+.2f}]"


def _apart(low: Metric, high: Metric) -> str:
    if low.high is None or high.low is None:
        return "without intervals the order may be chance"
    if low.high < high.low:
        return "their intervals do not overlap"
    return "their intervals overlap, so the order may be chance"


@styled
def fertility(result: Result) -> Figure:
    """Tokens that each tokenizer makes of a word, by domain."""
    encoder = str(result.sources["encoder"]["name"])
    both = {
        str(result.sources["model"]["name"]): _by_domain(result.metrics, "tokens_per_word"),
        encoder: _by_domain(result.baselines[encoder], "tokens_per_word"),
    }
    domains = list(both[encoder])
    canvas = Canvas(figsize=(5.8, 0.6 * len(domains) + 1.4))
    axes = canvas.subplots()
    for place, ((name, rows), colour) in enumerate(
        zip(both.items(), (ACCENT, SECOND), strict=True)
    ):
        for row, metric in enumerate(rows.values()):
            where = row - 0.15 + 0.3 * place
            dot(axes, where, metric, Look(colour, "os"[place]), label="" if row else name)
            axes.annotate(
                f"{metric.value:.2f}", (metric.high or metric.value, where),
                textcoords="offset points", xytext=(6, -3),
            )  # fmt: skip
    counts = [f"{name}  (n = {both[encoder][name].n:,})" for name in domains]
    axes.set_yticks(range(len(domains)), counts)
    axes.set_ylim(len(domains) - 0.5, -0.5)
    axes.set(xlabel=f"tokens per word{with_intervals(both[encoder].values())}")
    axes.margins(x=0.15)
    axes.set_title("How finely are words cut?")
    canvas.legend(loc="outside lower center", ncols=2)
    return Figure(canvas, "Tokens per word by domain and tokenizer", _finer(result, encoder))


def _finer(result: Result, encoder: str) -> str:
    """The paired difference between the tokenizers in each domain."""
    own = result.sources["model"]["name"]
    parts = []
    for name, metric in _by_domain(result.comparisons[encoder], "tokens_per_word").items():
        if metric.low is None:
            what = "there is no interval to judge by"
        elif metric.verdict == "cannot tell":
            what = "no clear difference"
        else:
            what = f"{own} makes {'more' if metric.value > 0 else 'fewer'} tokens"
        parts.append(f"{name}: {what} ({metric.value:+.3f})")
    return f"On the same text, {'; '.join(parts)}. In brackets: the paired difference per word."


@styled
def probes(result: Result) -> Figure:
    """Score of the probes by layer, with control task, untrained encoder and words alone."""
    kinds = [kind for kind in KINDS if kind in result.tables["best_layers"]]
    canvas = Canvas(figsize=(5.4, 2.1 * len(kinds) + 0.7))
    panels = canvas.subplots(len(kinds), 1, sharex=True, squeeze=False)[:, 0]
    for panel, kind in zip(panels, kinds, strict=True):
        name = _name(result, kind)
        rows = by_layer(result.metrics, name)
        line(panel, rows, ACCENT, label="pretrained")
        for method, colour in (("untrained encoder", COLOURS[2]), ("control task", SECOND)):
            line(panel, by_layer(result.baselines[method], name), colour, label=method)
        words = result.baselines[WORDS][name].value
        panel.axhline(words, color="grey", linestyle=":", label=WORDS)
        panel.set(ylim=(0, 1), ylabel=SCORES[name.partition("/")[2]])
        panel.set_title(f"{KINDS[kind].capitalize()}, n = {result.metrics[name].n:,} words")
    shown = with_intervals(rows)
    panels[-1].set(xlabel=f"layer of the encoder (0: the embedding){shown}")
    handles, labels = panels[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=2)
    return Figure(canvas, "Probes by layer", _best(result, kinds))


def _name(result: Result, kind: str) -> str:
    """The metric of a tag set, such as `pos/accuracy`."""
    return next(
        name for name in result.metrics if name.startswith(f"{kind}/") and "/layer_" not in name
    )


def _best(result: Result, kinds: Sequence[str]) -> str:
    """The best layer of each tag set beside words alone, and the most selective layer."""
    parts, selective = [], []
    names = [_name(result, kind) for kind in result.tables["best_layers"]]
    # All that the table of probes shows, so that both say the same.
    differences = {
        f"{method}: {name}": found[name]
        for method, found in result.comparisons.items()
        for name in names
        if name in found
    }
    said = verdicts(differences)
    for kind in kinds:
        layer, name = result.tables["best_layers"][kind], _name(result, kind)
        against = result.comparisons[WORDS][name]
        parts.append(
            f"{KINDS[kind]}: layer {layer}, {result.metrics[name].value:.3f}, "
            f"{_beside(against, said[f'{WORDS}: {name}'])} ({against:+})"
        )
        chosen = result.tables["selective_layers"][kind]
        gap = result.comparisons["control task"][f"{name}/layer_{chosen}"]
        selective.append(f"{KINDS[kind]}: layer {chosen} ({gap:+})")
    return (
        f"Best layer, chosen on validation, beside what word, ending and shape tell without a "
        f"model: {'; '.join(parts)}. In brackets: paired difference. {correction(differences)} "
        "Selectivity, the score minus that of the control task, is highest on validation at "
        f"{'; '.join(selective)}, in brackets on test."
    )


def _beside(difference: Metric, said: Verdict) -> str:
    if difference.low is None:
        return "without an interval to judge by"
    return {"better": "above", "worse": "below"}.get(said.word, "no clear difference")
