"""Runs, or methods of one, over the items they share: paired differences and verdicts.

Results in, a `Comparison` of two or a `Several` out; nothing is read or printed here.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core.errors import DataError, ParameterError
from workbench.record.comparison.measures import main_measure, measures
from workbench.record.comparison.pairs import (
    clusters_of,
    data_issues,
    finite_losses,
    method_of,
    rows_of,
    shared,
)
from workbench.record.comparison.ratios import KINDS, known
from workbench.record.comparison.records import (
    Beside,
    Comparison,
    Example,
    Measure,
    Several,
    Side,
    amounts,
)
from workbench.record.result import Result
from workbench.record.statistics import TURNED, correction, verdicts

if TYPE_CHECKING:
    import pandas

    from workbench.record.comparison.pairs import Pair, Places

__all__ = ["Comparison", "Example", "Measure", "Several", "Side", "amounts", "compare", "several"]

EXAMPLES = 3
"""Items shown of those that only one of the two has right, where no number is asked for."""
MAX_RUNS = 100
"""Runs compared at once."""
ANY_RIGHT = "an item with every label right"
"""What a right item is where the record does not say."""


def compare(
    a: Result, b: Result, *, methods: Sequence[str] = (), examples: int = EXAMPLES
) -> Comparison:
    """Compare two results by their own methods, by one method of both, or by one named for each.

    Raises ParameterError for a method that a run lacks, DataError where no item is shared or the
    gold of shared items differs.
    """
    names = _methods((a, b), methods)
    whole = rows_of(a, names[0]), rows_of(b, names[1])
    rows = shared(*whole)
    main = known(_main((a, b)), finite_losses(rows))
    right = _right(rows)
    outcomes = {
        "both": right.all(axis=1),
        "only_a": right[:, 0] & ~right[:, 1],
        "only_b": right[:, 1] & ~right[:, 0],
        "neither": ~right.any(axis=1),
    }
    if not KINDS[main].has_right:
        outcomes = {}
    clusters, grouping = clusters_of(*rows)
    return Comparison(
        a=_side(a, names[0]),
        b=_side(b, names[1]),
        parameters=_differing(a.parameters, b.parameters),
        items=len(right),
        splits=tuple(dict.fromkeys(rows[0].index.get_level_values("split"))),
        clusters=len(set(clusters.tolist())),
        grouping=grouping,
        right="; or ".join(dict.fromkeys(run.right or ANY_RIGHT for run in (a, b) if outcomes)),
        measures=measures(rows, right, clusters, main),
        counts={name: int(items.sum()) for name, items in outcomes.items()},
        examples={
            name: _examples(rows, np.flatnonzero(items)[:examples])
            for name, items in outcomes.items()
            if name.startswith("only")
        },
        data_issues=data_issues(whole, rows),
    )


def several(runs: Sequence[Result], *, methods: Sequence[str] = ()) -> Several:
    """Compare each of several results with the first, by the main measure if all have the same.

    A run that shares no item with the first, or has other gold, is there with the reason. Raises
    ParameterError for a method that a run lacks and for more than 100 runs.
    """
    if len(runs) > MAX_RUNS:
        raise ParameterError(f"{len(runs):,} runs", expected=f"at most {MAX_RUNS} at once")
    names = _methods(runs, methods)
    first, *rest = (rows_of(run, name) for run, name in zip(runs, names, strict=True))
    losses = [frame["loss"].to_numpy(dtype=float) for frame in (first, *rest)]
    main = known(_main(runs), np.concatenate(losses))
    found: list[Measure | str] = [_beside(first, frame, main) for frame in rest]
    differences = {
        str(place): each.difference for place, each in enumerate(found) if not isinstance(each, str)
    }
    said = verdicts(differences)
    others = []
    for place, (run, name, each) in enumerate(zip(runs[1:], names[1:], found, strict=True)):
        if isinstance(each, str):
            others.append(Beside(_side(run, name), why=each))
            continue
        verdict = said[str(place)]
        word = TURNED[verdict.word] if KINDS[main].less_is_better else verdict.word
        others.append(Beside(_side(run, name), each, word, verdict.borderline))
    values = {
        name: [run.parameters.get(name) for run in runs] for run in runs for name in run.parameters
    }
    differing = {
        name: found for name, found in values.items() if any(each != found[0] for each in found)
    }
    return Several(main, _side(runs[0], names[0]), others, differing, correction(differences))


def _methods(runs: Sequence[Result], methods: Sequence[str]) -> list[str]:
    """The method of each run: its own, one for all, or one each."""
    if len(methods) not in {0, 1, len(runs)}:
        expected = f"one for all runs, or one for each of the {len(runs)}"
        raise ParameterError(f"{len(methods)} methods", expected=expected)
    named = [*methods] * len(runs) if len(methods) == 1 else [*methods] or [""] * len(runs)
    return [method_of(run, name) for run, name in zip(runs, named, strict=True)]


def _main(runs: Sequence[Result]) -> str:
    """The main measure of all; "" where they have different ones."""
    found = {run.main_measure for run in runs}
    return found.pop() if len(found) == 1 else ""


def _beside(first: "pandas.DataFrame", frame: "pandas.DataFrame", main: str) -> Measure | str:
    """The measure of two methods' items, or why there is none."""
    try:
        rows = shared(first, frame)
    except DataError as error:
        return str(error).partition(": ")[0].partition(", such as")[0]
    found = main_measure(rows, _right(rows), clusters_of(*rows)[0], main)
    return found or "the measure is not defined"


def _right(rows: "Pair") -> Any:
    """Whether each item of both is right [N, 2]."""
    return np.array([frame["predicted"] == frame["gold"] for frame in rows]).T


def _side(run: Result, method: str) -> Side:
    return Side(run.run_id, run.task, method, amounts(run.cost), run.cost.device)


def _examples(rows: "Pair", places: "Places") -> list[Example]:
    a, b = (frame.iloc[places] for frame in rows)
    columns = (a["input"], a["gold"], a["predicted"], b["predicted"])
    return [Example(*name, *values) for name, *values in zip(a.index, *columns, strict=True)]


def _differing(a: dict[str, Any], b: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Parameters that are not the same in both, with the values of the sides that have them.

    >>> _differing({"seed": 0, "epochs": 2}, {"seed": 0, "epochs": 3, "rank": 8})
    {'epochs': {'a': 2, 'b': 3}, 'rank': {'b': 8}}
    """
    found = {}
    for name in dict.fromkeys([*a, *b]):
        values = {side: run[name] for side, run in (("a", a), ("b", b)) if name in run}
        if len(values) == 1 or values["a"] != values["b"]:
            found[name] = values
    return found
