"""What a run found, in one sentence: its first number, and what stands beside it."""

from workbench.record.metric import Metric
from workbench.record.result import Result, words
from workbench.record.statistics import verdicts

LESS_IS_BETTER = {"bits per byte", "nats"}
"""Units of metrics that are better the smaller they are."""
SPLITS = ("train", "validation", "test")


def answer(record: Result) -> str:
    """The first headline metric with its interval, the best baseline, and their difference.

    The verdict on the difference is corrected for all the baselines that the record compares. ""
    for a record without such a metric.
    """
    name = next((name for name in record.headline if name in record.metrics), "")
    if not name:
        return ""
    metric, split = record.metrics[name], name.partition("/")[0]
    method = record.method or _source(record, "model")
    where = _source(record, "dataset") if split in SPLITS else split
    of = " on ".join(filter(None, (method, where)))
    said = f"{of}: {words(name)} {metric}, n = {metric.n:,}." if of else f"{words(name)} {metric}."
    others = {other: found[name] for other, found in record.baselines.items() if name in found}
    return " ".join(filter(None, [said, _beside(record, name, metric, others)]))


def _source(record: Result, kind: str) -> str:
    """Names of the models or data sets of a run."""
    names = [
        source.get("name", "")
        for role, source in record.sources.items()
        if role == kind or role.startswith(f"{kind} ")
    ]
    return ", ".join(filter(None, names))


def _beside(record: Result, name: str, metric: Metric, others: dict[str, Metric]) -> str:
    """The best of the others, and whether it can be told from the run's own."""
    if not others:
        return ""
    sign = -1 if metric.unit in LESS_IS_BETTER else 1
    best = max(others, key=lambda other: sign * others[other].value)
    of = f"The best of {len(others):,} others, {best}," if len(others) > 1 else f"Beside it, {best}"
    said = f"{of} has {others[best].value:.3f}"
    known = {other: found[name] for other, found in record.comparisons.items() if name in found}
    if best not in known:
        return f"{said}."
    apart, verdict = known[best], verdicts(known)[best]
    if verdict.word == "cannot tell":
        corrected = f" after correction for {len(known)}" if apart.verdict != verdict.word else ""
        return f"{said}; the two can't be distinguished{corrected}: difference {apart:+}."
    word = "better" if sign * apart.value > 0 else "worse"
    only_just = ", borderline" if verdict.borderline else ""
    return f"{said}; the run's own is {word}{only_just}: difference {apart:+}."
