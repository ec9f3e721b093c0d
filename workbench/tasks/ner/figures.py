"""Charts of entities."""

from collections import Counter
from collections.abc import Collection

import numpy as np
from matplotlib.figure import Figure as Canvas

from workbench.display.canvas import Figure, forest, grid_of_counts, styled, with_intervals
from workbench.display.label_figures import most_frequent
from workbench.record.iob import aligned, spans
from workbench.record.result import Metric, Result

NONE = "none"


@styled
def confusion(result: Result) -> Figure:
    """Gold types against predicted types of entities that overlap; `none` where none does."""
    pairs, kinds = _pairs(result)
    names = [*kinds, NONE]
    grid = np.array([[pairs[gold, predicted] for predicted in names] for gold in names])
    canvas = Canvas(figsize=(4.4, 3.8))
    axes = canvas.subplots()
    grid_of_counts(axes, grid, names, names)
    axes.set(xlabel="predicted type", ylabel="gold type")
    axes.set_title(f"Entities by type, n = {int(grid[:-1].sum()):,}")
    return Figure(canvas, "Confusion of entity types", _worst_confusion(pairs))


def _pairs(result: Result) -> tuple[Counter[tuple[str, str]], list[str]]:
    """Count (gold type, predicted type) of each entity and the one it overlaps most."""
    pairs: Counter[tuple[str, str]] = Counter()
    for gold, predicted in zip(result.items["gold"], result.items["predicted"], strict=True):
        for pair in aligned(spans(gold), spans(predicted)):
            wanted, found = (span[0] if span else NONE for span in pair)
            pairs[wanted, found] += 1
    return pairs, sorted({kind for pair in pairs for kind in pair} - {NONE})


def _worst_confusion(pairs: Counter[tuple[str, str]]) -> str:
    wrong = Counter({pair: count for pair, count in pairs.items() if pair[0] != pair[1]})
    if not wrong:
        return "No entity has a wrong type, none is missed and none is spurious."
    named = Counter({_said(*pair): count for pair, count in wrong.items()})
    return (
        "Entities that share a word are matched, whatever their boundaries; an error is another "
        f"type, a missed or a spurious entity. {most_frequent(named)}"
    )


def _said(gold: str, predicted: str) -> str:
    """An error of type in words."""
    if gold == NONE:
        return f"{predicted} where there is no entity"
    return f"{gold} that is missed" if predicted == NONE else f"{gold} predicted as {predicted}"


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
    alone = result.metrics.get("test/entity_f1_sentence_alone")
    both = [("all types", result.metrics["test/entity_f1"])]
    both += [("all types, each sentence alone", alone)] if alone else []
    both += ordered
    rows = {f"{name}  (n = {metric.n:,})": metric for name, metric in both}
    canvas = Canvas(figsize=(6.4, 0.5 * len(rows) + 1.2))
    axes = canvas.subplots()
    forest(axes, rows, mark=next(iter(rows)))
    axes.set(xlabel="entity F1, with 95 % interval")
    axes.set_title("Test entity F1 by type")
    caption = _spread(metrics) + _alone(result)
    return Figure(canvas, "Test entity F1 by type with 95 % intervals", caption)


def _alone(result: Result) -> str:
    """What the other test sentences of a document add to reading each sentence alone."""
    alone = result.metrics.get("test/entity_f1_sentence_alone")
    gain = result.metrics.get("test/entity_f1_gain_of_document")
    if not (alone and gain):
        return ""
    return (
        f" Each sentence is read among the other test sentences of its document, which is "
        f"transductive; read alone, F1 is {alone}, and the difference {gain:+}."
    )


@styled
def errors(result: Result) -> Figure:
    """What entity F1 would gain were all errors of a kind mended, with 95 % intervals."""
    found = {row["kind"]: row for row in result.tables["errors"] if row["gain"]}
    ordered = sorted(found.values(), key=lambda row: row["gain"]["value"], reverse=True)
    rows = {f"{row['kind']}\n(n = {row['count']:,})": Metric(**row["gain"]) for row in ordered}
    total = sum(row["count"] for row in result.tables["errors"])
    canvas = Canvas(figsize=(6.4, 0.55 * len(rows) + 1.2))
    axes = canvas.subplots()
    forest(axes, rows)
    axes.set(xlabel=f"gain in entity F1 if all were corrected{with_intervals(rows.values())}")
    axes.set_title("Errors by kind")
    return Figure(canvas, "What each kind of error costs in entity F1", _costliest(ordered, total))


def _costliest(rows: list[dict], total: int) -> str:
    """Which kind of error costs most; `rows` have a gain, the largest first."""
    if not total:
        return "There are no errors."
    if not rows:
        return f"There are {total:,} errors; F1 has no value to gain on."
    worst = rows[0]
    return (
        f"Of {total:,} errors {worst['count']:,} ({worst['count'] / total:.0%}) are of the kind "
        f"{worst['kind']}; fixing all of them would add {worst['gain']['value']:.3f} to entity F1."
    )


@styled
def f1_by_part(result: Result) -> Figure:
    """Entity F1 on parts of the test split: by form, length, letter case and density."""
    found = result.tables["parts"]
    ways = list(dict.fromkeys(row["by"] for row in found))
    counts = [sum(row["by"] == way for row in found) for way in ways]
    canvas = Canvas(figsize=(6.8, 0.5 * len(found) + 0.7 * len(ways) + 0.6))
    grids = canvas.subplots(len(ways), sharex=True, squeeze=False, height_ratios=counts)[:, 0]
    for axes, way in zip(grids, ways, strict=True):
        rows = {
            f"{row['part']}  (n = {row['f1']['n']:,})": Metric(**row["f1"])
            for row in found
            if row["by"] == way
        }
        forest(axes, rows)
        axes.set_title(way, loc="left")
    shown = [Metric(**row["f1"]) for row in found]
    grids[-1].set(xlabel=f"entity F1{with_intervals(shown)}")
    return Figure(canvas, "Entity F1 by part of the test split", _new_names(found))


def _new_names(rows: list[dict]) -> str:
    """How much harder entities are that training lacks."""
    seen = {row["part"]: Metric(**row["f1"]) for row in rows if row["by"] == "form in training"}
    if not {"seen", "not seen"} <= set(seen):
        return "Entities are counted in the part that their own words or sentence belong to."
    new, known = seen["not seen"], seen["seen"]
    return (
        f"Entities whose words training never marked are found with F1 {new.value:.3f} "
        f"(n = {new.n:,}), those it marked with the same type alone with {known.value:.3f} "
        f"(n = {known.n:,}): {known.value - new.value:+.3f}."
    )


def _spread(metrics: dict[str, Metric]) -> str:
    """The easiest and the hardest types, and whether their intervals tell them apart."""
    if len(metrics) < 2:
        return f"{next(iter(metrics), 'No type')} alone has a score."
    values = [metric.value for metric in metrics.values()]
    if min(values) == max(values):
        return f"All {len(values)} types have the same F1, {values[0]:.3f}."
    low, high = (
        {name: metric for name, metric in metrics.items() if metric.value == value}
        for value in (min(values), max(values))
    )
    order = (
        f"{' and '.join(high)} {_is(high)} easiest ({max(values):.3f}) and {' and '.join(low)} "
        f"{'' if len(low) == 1 else 'are '}hardest ({min(values):.3f})"
    )
    tops = [metric.high for metric in low.values() if metric.high is not None]
    bottoms = [metric.low for metric in high.values() if metric.low is not None]
    if (len(tops), len(bottoms)) != (len(low), len(high)):
        return f"{order}; without intervals the order may be chance."
    if max(tops) < min(bottoms):
        return f"{order}; their intervals do not overlap."
    return f"{order}; their intervals overlap, so the order may be chance."


def _is(names: Collection[str]) -> str:
    return "is" if len(names) == 1 else "are"
