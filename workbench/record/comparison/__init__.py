"""Two runs, or two methods of one, over the items they share: a paired difference and a verdict.

Two results in, one `Comparison` out; nothing is read or printed here.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core.errors import ParameterError
from workbench.record.comparison.measures import measures
from workbench.record.comparison.pairs import (
    clusters_of,
    data_issues,
    finite_losses,
    method_of,
    rows_of,
    shared,
)
from workbench.record.comparison.ratios import KINDS, known
from workbench.record.comparison.records import Comparison, Example, Measure, Side
from workbench.record.result import Result

if TYPE_CHECKING:
    import pandas

    from workbench.record.comparison.pairs import Places

__all__ = ["Comparison", "Example", "Measure", "Side", "compare"]

EXAMPLES = 3
"""Items shown of those that only one of the two has right."""
ANY_RIGHT = "an item with every label right"
"""What a right item is where the record does not say."""


def compare(a: Result, b: Result, *, methods: Sequence[str] = ()) -> Comparison:
    """Compare two results by their own methods, by one method of both, or by one named for each.

    Raises ParameterError for a method that a run lacks, DataError where no item is shared or the
    gold of shared items differs.
    """
    if len(methods) > 2:
        raise ParameterError(f"{len(methods)} methods", expected="one for both runs, or one each")
    names = method_of(a, *methods[:1]), method_of(b, *methods[-1:])
    whole = rows_of(a, names[0]), rows_of(b, names[1])
    rows = shared(*whole)
    main = known(a.main_measure if a.main_measure == b.main_measure else "", finite_losses(rows))
    right = np.array([frame["predicted"] == frame["gold"] for frame in rows]).T
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
        a=Side(a.run_id, a.task, names[0]),
        b=Side(b.run_id, b.task, names[1]),
        parameters=_differing(a.parameters, b.parameters),
        items=len(right),
        splits=tuple(dict.fromkeys(rows[0].index.get_level_values("split"))),
        clusters=len(set(clusters.tolist())),
        grouping=grouping,
        right="; or ".join(dict.fromkeys(run.right or ANY_RIGHT for run in (a, b) if outcomes)),
        measures=measures(rows, right, clusters, main),
        counts={name: int(items.sum()) for name, items in outcomes.items()},
        examples={
            name: _examples(rows, np.flatnonzero(items))
            for name, items in outcomes.items()
            if name.startswith("only")
        },
        data_issues=data_issues(whole, rows),
    )


def _examples(rows: "tuple[pandas.DataFrame, pandas.DataFrame]", places: "Places") -> list[Example]:
    a, b = (frame.iloc[places[:EXAMPLES]] for frame in rows)
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
