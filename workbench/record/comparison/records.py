"""What a comparison is made of. A is the first run, B the second; a difference is B minus A."""

from dataclasses import dataclass
from typing import Any

from workbench.record.result import Cost, DataIssue, Metric


def amounts(cost: Cost) -> dict[str, float]:
    """What a run took, by names with units; page and terminal show these and no other.

    >>> cost = Cost(seconds=61, memory_mb={"gpu": 900}, device="cuda", precision="float32")
    >>> amounts(cost)["peak memory, gpu, MiB"], list(amounts(cost))[0]
    (900.0, 'wall time, s')
    """
    memory = {f"peak memory, {kind}, MiB": float(mb) for kind, mb in cost.memory_mb.items()}
    times = {"wall time, s": cost.seconds, "training time, s": cost.train_seconds}
    return times | memory | {"trained tokens": float(cost.trained_tokens)}


@dataclass(frozen=True)
class Side:
    """One of the two that are compared."""

    run: str
    """Its id; empty where it was not saved."""
    task: str
    method: str
    cost: dict[str, float]
    """What the whole run took, all its methods together, by name and unit."""
    device: str = ""


@dataclass(frozen=True)
class Measure:
    """One number of both over the same items."""

    a: Metric
    b: Metric
    difference: Metric
    """B minus A, both in each draw."""
    detectable: float | None
    """Smallest true difference that 8 of 10 samples like this one would show, where it is known."""
    verdict: str
    """On B: `better`, `worse` or `cannot tell`."""
    borderline: bool
    """Whether other draws of the bootstrap may turn the verdict."""


@dataclass(frozen=True)
class Example:
    """An item that only one of the two has right; texts and labels as the data has them."""

    split: str
    item: str
    input: tuple[str, ...]
    gold: tuple[str, ...]
    a: tuple[str, ...]
    b: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """What two runs say of the items they share."""

    a: Side
    b: Side
    parameters: dict[str, dict[str, Any]]
    """Those that differ: name -> value by side, `a` and `b`; a side that lacks it is not there."""
    items: int
    splits: tuple[str, ...]
    clusters: int
    grouping: str
    """Whose clusters are drawn, where A and B group the items differently; else empty."""
    right: str
    """What counts as a right item, in words; empty where no item is right or wrong."""
    measures: dict[str, Measure]
    """The task's main measure first; `accuracy`; `macro_f1` where each item has one label,
    `token_accuracy` where items have several; `loss` where both have it."""
    counts: dict[str, int]
    """Items that `both`, `only_a`, `only_b` or `neither` have right; none without right items."""
    examples: dict[str, list[Example]]
    """The first items of `only_a` and of `only_b`, in A's order."""
    data_issues: dict[str, DataIssue]
    """What was left out or is doubtful."""


@dataclass(frozen=True)
class Beside:
    """One of several runs, next to the first."""

    side: Side
    measure: Measure | None = None
    """The first run's number is `a`, this one's `b`, both over the items that they share."""
    verdict: str = ""
    """On this run, corrected for all that are compared with the first."""
    borderline: bool = False
    why: str = ""
    """Why the two can't be compared."""


@dataclass(frozen=True)
class Several:
    """Runs next to the first of them, by one measure."""

    measure: str
    first: Side
    others: list[Beside]
    parameters: dict[str, list[Any]]
    """Those that are not the same in all -> the value of each run, None where it has none."""
    correction: str
    """How the verdicts deal with the number of comparisons; empty for one."""
