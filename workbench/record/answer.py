"""What a run found, in one sentence: its first number, and what stands beside it."""

from workbench.record.metric import Metric
from workbench.record.result import Result, duration, words
from workbench.record.statistics import correction, verdicts

LESS_IS_BETTER = {"bits per byte", "nats"}
"""Units of metrics that are better the smaller they are."""
SPLITS = ("train", "validation", "test")


def answer(record: Result) -> str:
    """The first headline metric with its interval, the best baseline, and their difference.

    The verdict on the difference is corrected for all the baselines that the record compares. ""
    for a record without such a metric.
    """
    if not (name := first_metric(record)):
        return ""
    metric, split = record.metrics[name], name.partition("/")[0]
    method = record.method or _source(record, "model")
    where = _source(record, "dataset") if split in SPLITS else split
    of = " on ".join(filter(None, (method, where)))
    said = f"{of}: {words(name)} {metric}, n = {metric.n:,}." if of else f"{words(name)} {metric}."
    others = {other: found[name] for other, found in record.baselines.items() if name in found}
    return " ".join(filter(None, [said, _beside(record, name, metric, others)]))


def first_metric(record: Result) -> str:
    """The headline's first metric; "" where it has none."""
    return next((name for name in record.headline if name in record.metrics), "")


def findings(record: Result) -> list[str]:
    """What else a reader should know first: against all others, its parts, its cost."""
    name = first_metric(record)
    cost = record.cost
    trained = f", {cost.trained_tokens:,} tokens trained" if cost.trained_tokens else ""
    memory = max(cost.memory_mb.values(), default=0)
    took = (
        f"It took {duration(cost.seconds)} and at most {memory:,.0f} MiB on {cost.device} in "
        f"{cost.precision}{trained}."
    )
    others = against_others(record, name) if len(record.comparisons) > 1 else ""
    return [said for said in (others, _parts(record, name), took) if said]


def against_others(record: Result, metric: str) -> str:
    """What the paired differences of a metric say, a clause for each verdict."""
    groups: dict[str, list[str]] = {"better": [], "worse": [], "cannot tell": []}
    differences = {
        other: found[metric] for other, found in record.comparisons.items() if metric in found
    }
    for other, verdict in verdicts(differences).items():
        near = ", borderline" if verdict.borderline else ""
        groups[verdict.word].append(f"{other} ({differences[other].value:+.3f}{near})")
    said = {
        "better": "is better than",
        "worse": "is worse than",
        "cannot tell": "shows no clear difference from",
    }
    clauses = [f"{said[verdict]} {', '.join(who)}" for verdict, who in groups.items() if who]
    if not clauses:
        return ""
    own = f"By {words(metric)}, on the same items, {record.method} "
    told = f"{own}{'; '.join(clauses)}. In brackets: the paired difference."
    return f"{told} {correction(differences)}".rstrip()


def _parts(record: Result, name: str) -> str:
    """The highest and the lowest of the parts of a metric, such as the types of entities."""
    found = {
        part.removeprefix(f"{name}/"): metric
        for part, metric in record.metrics.items()
        if name and part.startswith(f"{name}/")
    }
    if len(found) < 2:
        return ""
    high = max(found, key=lambda part: found[part].value)
    low = min(found, key=lambda part: found[part].value)
    return f"Highest for {high}, {found[high]}; lowest for {low}, {found[low]}."


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
