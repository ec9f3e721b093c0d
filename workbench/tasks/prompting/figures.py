"""Charts of prompts: how much they differ, and which labels they lean to."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from workbench.display.canvas import COLOURS, GREY, MARKERS, Figure, ink, styled
from workbench.display.series import GUIDE
from workbench.record.result import Result

GOLD = "gold labels"
BOUND = "oracle"
"""The variant that is no method: the best that offsets could do on the test items."""
SERIES = {"": "As scored", "batch": "Batch-calibrated"}
"""Variants whose accuracy is drawn by number of examples."""
NEAR = "nearest"
STRIP = 0.32
"""Height of a row's dots, from the first template's to the last's."""
MOST_LABELS = len(COLOURS)
Prompts = list[dict[str, Any]]


@styled
def prompt_spread(result: Result) -> Figure:
    """Test accuracy of single prompts, before and after calibration, and of their ensemble.

    Of those without examples and of the run's own kind; `accuracy_by_shots` has all kinds.
    """
    shown = {"zero-shot", _condition(result)}
    prompts: Prompts = [
        row
        for row in result.tables["prompts"]
        if row["variant"] != BOUND and row["condition"] in shown
    ]
    rows = list(dict.fromkeys(_method(prompt) for prompt in prompts))
    templates = list(dict.fromkeys(prompt["template"] for prompt in prompts))
    canvas = Canvas(figsize=(5.8, 0.42 * len(rows) + 1.7))
    axes = canvas.subplots()
    for place, template in enumerate(templates):
        own = [prompt for prompt in prompts if prompt["template"] == template]
        # Beside each other, so that equal ones can be seen.
        beside = STRIP * (place / max(len(templates) - 1, 1) - 0.5)
        height = [rows.index(_method(prompt)) + beside for prompt in own]
        axes.plot(
            [prompt["accuracy"]["value"] for prompt in own], height, label=template,
            color=COLOURS[place % len(COLOURS)], marker=MARKERS[place % len(MARKERS)],
            linestyle="", alpha=0.85,
        )  # fmt: skip
    scores = {result.method: result.metrics, **result.baselines}
    means = [scores[row]["test/accuracy"].value for row in rows]
    axes.plot(
        means, range(len(rows)), marker="|", color="black", markersize=16, linestyle="",
        label="ensemble",
    )  # fmt: skip
    _mark_majority(axes, result)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set(xlabel="test accuracy; a dot is one template with one draw of examples")
    axes.set_title(f"Accuracy by prompt, n = {prompts[0]['accuracy']['n']:,}")
    canvas.legend(loc="outside lower center", ncols=3)
    return Figure(canvas, "Test accuracy of single prompts", _spread(prompts, result))


def _mark_majority(axes: Axes, result: Result, *, across: bool = False) -> None:
    """A line at the majority label's accuracy, upright or `across`."""
    value = result.baselines["majority"]["test/accuracy"].value
    line = axes.axhline if across else axes.axvline
    line(value, color=GREY, linestyle=":", label="majority")


def _method(prompt: dict[str, Any]) -> str:
    """The method that a prompt is part of, as the record names it."""
    return " + ".join(part for part in (prompt["condition"], prompt["variant"]) if part)


def _condition(result: Result) -> str:
    """The kind of examples of the run's own method, in words."""
    return result.method.partition(" + ")[0]


def _spread(prompts: Prompts, result: Result) -> str:
    """Range and mean of the own kind's prompts, as scored and as the own method has them."""
    raw = _condition(result)
    sentences = []
    for row, words in ((raw, "As scored"), (result.method, "Batch-calibrated")):
        found = [p["accuracy"]["value"] for p in prompts if _method(p) == row]
        both = {**result.baselines, result.method: result.metrics}[row]["test/accuracy"]
        sentences.append(
            f"{words}, the {len(found)} prompts ({raw}) run from {min(found):.3f} to "
            f"{max(found):.3f}, {np.mean(found):.3f} on average; together they reach {both}."
        )
    best = [
        p["accuracy"]["value"]
        for p in result.tables["prompts"]
        if p["condition"] == raw and p["variant"] == BOUND
    ]
    sentences.append(
        f"Offsets chosen on these very items would bring them to {np.mean(best):.3f} on average."
    )
    return " ".join([*sentences, "The dotted line is the majority label's accuracy."])


@styled
def accuracy_by_shots(result: Result) -> Figure:
    """Test accuracy of every prompt by how many examples it holds, as scored and calibrated."""
    prompts: Prompts = [row for row in result.tables["prompts"] if row["variant"] in SERIES]
    prompts.sort(key=lambda row: (NEAR in row["condition"], row["shots"]))
    kinds = list(dict.fromkeys(row["condition"] for row in prompts))
    drawn = [place for place, kind in enumerate(kinds) if NEAR not in kind]
    canvas = Canvas(figsize=(5.8, 3.6))
    axes = canvas.subplots()
    told = []
    for (variant, name), colour, marker, aside in zip(
        SERIES.items(), COLOURS, MARKERS, (-0.07, 0.07), strict=False
    ):
        values = [
            [
                row["accuracy"]["value"]
                for row in prompts
                if (row["condition"], row["variant"]) == (kind, variant)
            ]
            for kind in kinds
        ]
        for place, found in enumerate(values):
            axes.plot(
                [place + aside] * len(found), found, color=colour, marker=marker, markersize=4,
                linestyle="", alpha=0.5, label=None if place else name,
            )  # fmt: skip
        means = [float(np.mean(found)) for found in values]
        axes.plot(
            [place + aside for place in drawn], [means[place] for place in drawn], color=colour,
            label=GUIDE,
        )  # fmt: skip
        axes.plot(
            [place + aside for place in range(len(kinds))], means, color=colour, marker="_",
            markersize=12, markeredgewidth=2, linestyle="", label=f"{name}, mean",
        )  # fmt: skip
        spreads = [f" (sd {np.std(found, ddof=1):.3f})" if found[1:] else "" for found in values]
        told.append(
            f"{name}: "
            + ", ".join(
                f"{kind} {mean:.3f}{spread}"
                for kind, mean, spread in zip(kinds, means, spreads, strict=True)
            )
        )
    _mark_majority(axes, result, across=True)
    axes.set_xticks(range(len(kinds)), [kind.replace(" ", "\n") for kind in kinds])
    axes.set(ylabel="test accuracy; a dot is one prompt")
    axes.set_title(f"Accuracy by number of examples, n = {prompts[0]['accuracy']['n']:,}")
    canvas.legend(loc="outside lower center", ncols=3)
    caption = _by_kind(prompts, kinds, told)
    return Figure(canvas, "Accuracy by number of examples", caption)


def _by_kind(prompts: Prompts, kinds: Sequence[str], told: Sequence[str]) -> str:
    """How many prompts of each kind there are, and what is told of them."""
    counts = [sum(row["condition"] == kind for row in prompts) // len(SERIES) for kind in kinds]
    many = ", ".join(f"{count} {kind}" for kind, count in zip(kinds, counts, strict=True))
    return (
        f"Mean over prompts, which differ in template and, where examples are drawn, in the draw: "
        f"{many}. {'. '.join(told)}. The standard deviation (sd) is over prompts; which items "
        "were asked about moves all of them beside that. The dotted line is the majority label's "
        "accuracy."
    )


@styled
def label_fractions(result: Result) -> Figure:
    """Fraction of each label that a method gives, before and after calibration, beside the gold."""
    raw = _condition(result)
    known = {result.method, *result.baselines}
    methods = [name for name in (raw, f"{raw} + contextual") if name in known] + [result.method]
    items = result.items[result.items["method"] == result.method]
    given = {GOLD: Counter(labels[0] for labels in items["gold"])}
    for method in methods:
        found = result.items[result.items["method"] == method]
        given[method] = Counter(labels[0] for labels in found["predicted"])
    total = len(items)
    canvas = Canvas(figsize=(5.8, 3.1))
    axes = canvas.subplots()
    start = np.zeros(len(given))
    for (label, fraction), colour in zip(
        _fractions(given, total).items(), [*COLOURS, GREY], strict=False
    ):
        bars = axes.barh(list(given), fraction, left=start, color=colour, label=label, height=0.65)
        texts = [f"{part:.0%}" if part > 0.07 else "" for part in fraction]
        axes.bar_label(bars, texts, label_type="center", color=ink(colour))
        start += fraction
    axes.set(xlabel="fraction of the test items", xlim=(0, 1))
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.set_title(f"Which labels are given, n = {total:,}")
    canvas.legend(loc="outside lower center", ncols=3)
    return Figure(canvas, "Fractions of the labels given", _lean(given, methods, total))


def _fractions(given: dict[str, Counter[str]], total: int) -> dict[str, NDArray[np.float64]]:
    """Label -> its fraction of each method's `total` labels; beyond the colours, of all others."""
    labels = [label for label, _ in sum(given.values(), Counter()).most_common(MOST_LABELS)]
    fractions = {
        label: np.array([counts[label] / total for counts in given.values()])
        for label in sorted(labels)
    }
    others = 1 - np.sum(list(fractions.values()), axis=0)
    return fractions | ({"all others": others} if others.max() > 1e-9 else {})


def _lean(given: dict[str, Counter[str]], methods: list[str], total: int) -> str:
    """The label most overused as scored, and how far each method's fractions are from the gold."""
    gold, raw = given[GOLD], given[methods[0]]
    label = max(raw | gold, key=lambda name: raw[name] - gold[name])
    moved = {
        method: sum(abs(given[method][name] - gold[name]) for name in gold | given[method])
        / (2 * total)
        for method in methods
    }
    distances = ", ".join(f"{method} {distance:.0%}" for method, distance in moved.items())
    return (
        f"As scored, {label} is given for {raw[label] / total:.0%} of the items; it is right for "
        f"{gold[label] / total:.0%}. Fraction of items whose label would change to give the gold "
        f"fractions: {distances}. Right fractions do not make right answers."
    )


@styled
def shot_attention(result: Result) -> Figure:
    """Fraction of the last token's attention that goes to each part of the prompt, by layer."""
    found = result.tables["attention"]
    weights = np.array(found["weights"])
    canvas = Canvas(figsize=(5.8, 3.6))
    axes = canvas.subplots()
    names = _named(found["parts"], found["words"])
    image = axes.imshow(weights, cmap="Blues", vmin=0, vmax=max(0.01, weights[:, 1:].max()))
    axes.set_aspect("auto")
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=7)
    layers = range(0, len(weights), 5)
    axes.set_yticks(layers, [str(layer + 1) for layer in layers])
    axes.set(ylabel="layer, from 1")
    axes.grid(visible=False)
    canvas.colorbar(image, label="fraction of attention", extend="max")
    axes.set_title(f"Where the answer looks, mean of {found['items']} items")
    return Figure(canvas, "Attention to the parts of the prompt", _looks(found, weights))


def _named(parts: list[str], words: list[str]) -> list[str]:
    """Parts to draw, labels by their words."""
    labels = {f"label {number}": f"\u2192 {word}" for number, word in enumerate(words, 1)}
    return [labels.get(part, part) for part in parts]


def _looks(found: dict[str, Any], weights: NDArray[np.float64]) -> str:
    """Shares over all layers, and whether a label draws more where it is the one answered."""
    mean = weights.mean(axis=0)
    groups = {
        group: mean[[part.startswith(group) for part in found["parts"]]].sum()
        for group in ("first token", "text", "label", "question")
    }
    text = (
        f"Template {found['template']!r}, {found['condition']}. Over all layers and heads, "
        f"{groups['first token']:.0%} of the last token's attention goes to the first token, "
        f"{groups['question']:.0%} to the question itself"
    )
    if not found["words"]:
        return f"{text}."
    text += (
        f", {groups['text']:.0%} to the texts of the examples and {groups['label']:.0%} to their "
        "labels."
    )
    if found["same"] and found["other"]:
        same, other = np.mean(found["same"]), np.mean(found["other"])
        text += (
            f" A label that is the one answered draws {same:.2%}, another {other:.2%}, each on "
            "average; they stand at different places too."
        )
    return text + " Attention is where a model reads, not why it answers."
