"""What a run found, in one sentence: its first number, and the best of the other methods'."""

from pydantic import BaseModel, ConfigDict

from workbench.record.metric import LESS_IS_BETTER, Metric
from workbench.record.result import Result, duration, words
from workbench.record.statistics import TURNED, Verdict, correction, verdicts

SPLITS = ("train", "validation", "test")


class Other(BaseModel):
    """A method that the run's own is compared with, by one metric."""

    model_config = ConfigDict(frozen=True)

    name: str
    metric: Metric
    difference: Metric | None = None
    """The own method's minus this one's, paired; None where the record has none."""
    verdict: str = ""
    """On the own method, corrected for all that are compared; empty without a difference."""
    borderline: bool = False


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
    return " ".join(filter(None, [said, _best_other(others(record, name))]))


def first_metric(record: Result) -> str:
    """The headline's first metric; "" where it has none."""
    return next((name for name in record.headline if name in record.metrics), "")


def others(record: Result, name: str) -> list[Other]:
    """The run's other methods by the named metric, the best first."""
    values = {other: found[name] for other, found in record.baselines.items() if name in found}
    known = {other: found[name] for other, found in record.comparisons.items() if name in found}
    said = verdicts(known)
    less = name in record.metrics and record.metrics[name].unit in LESS_IS_BETTER
    found = [
        _other(other, metric, known.get(other), said.get(other), less=less)
        for other, metric in values.items()
    ]
    return sorted(found, key=lambda each: each.metric.value * (1 if less else -1))


def _other(
    name: str, metric: Metric, apart: Metric | None, verdict: Verdict | None, *, less: bool
) -> Other:
    if verdict is None:
        return Other(name=name, metric=metric)
    word = TURNED[verdict.word] if less else verdict.word
    borderline = verdict.borderline
    return Other(name=name, metric=metric, difference=apart, verdict=word, borderline=borderline)


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
    against = against_others(record, name) if len(record.comparisons) > 1 else ""
    return [said for said in (against, _parts(record, name), took) if said]


def against_others(record: Result, metric: str) -> str:
    """What the paired differences of a metric say, a clause for each verdict."""
    groups: dict[str, list[str]] = {"better": [], "worse": [], "cannot tell": []}
    differences = {}
    for other in others(record, metric):
        if other.difference:
            differences[other.name] = other.difference
            near = ", borderline" if other.borderline else ""
            groups[other.verdict].append(f"{other.name} ({other.difference.value:+.3f}{near})")
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
    if len({metric.value for metric in found.values()}) < 2:
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


def _best_other(found: list[Other]) -> str:
    """The best of the others, and whether it can be told from the run's own."""
    if not found:
        return ""
    best = found[0]
    of = f"The best of {len(found):,} others" if len(found) > 1 else "The other method"
    said = f"{of}, {best.name}, has {best.metric}"
    if best.difference is None:
        return f"{said}; their paired difference was not taken."
    if best.verdict == "cannot tell":
        compared = sum(each.difference is not None and each.difference.low is not None
                       for each in found)  # fmt: skip
        undone = best.difference.verdict != best.verdict
        corrected = f" after correction for {compared}" if undone else ""
        return f"{said}; the two can't be distinguished{corrected}: difference {best.difference:+}."
    only_just = ", borderline" if best.borderline else ""
    return f"{said}; the run's own is {best.verdict}{only_just}: difference {best.difference:+}."
