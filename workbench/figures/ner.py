"""Charts of entities."""

from collections import Counter

import numpy as np
from matplotlib.figure import Figure as Canvas

from workbench.figures.canvas import Figure, forest, grid_of_counts, styled
from workbench.iob import spans
from workbench.result import Metric, Result

NONE = "none"


@styled
def confusion(result: Result) -> Figure:
    """Gold types against predicted types of entities that overlap; `none` where none does."""
    pairs, kinds = _aligned(result)
    names = [*kinds, NONE]
    grid = np.array([[pairs[gold, predicted] for predicted in names] for gold in names])
    canvas = Canvas(figsize=(4.4, 3.8))
    axes = canvas.subplots()
    grid_of_counts(axes, grid, names, names)
    axes.set(xlabel="predicted type", ylabel="gold type")
    axes.set_title(f"Entities by type, n = {int(grid[:-1].sum()):,}")
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


@styled
def f1_by_type(result: Result) -> Figure:
    """Entity F1 on the test split by type, and over all, with 95 % intervals."""
    prefix = "test/entity_f1/"
    metrics = {
        name.removeprefix(prefix): metric
        for name, metric in result.metrics.items()
        if name.startswith(prefix)
    }
    ordered = sorted(metrics.items(), key=lambda pair: pair[1].value, reverse=True)
    both = [("all types", result.metrics["test/entity_f1"]), *ordered]
    rows = {f"{name}  (n = {metric.n:,})": metric for name, metric in both}
    canvas = Canvas(figsize=(6.4, 0.5 * len(rows) + 1.2))
    axes = canvas.subplots()
    forest(axes, rows, mark=next(iter(rows)))
    axes.set(xlabel="entity F1, with 95 % interval")
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
