"""Two runs, or two methods of one, over the items they share: a paired difference and a verdict.

Two results in, one `Comparison` out; nothing is read or printed here.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.comparison.measures import measures
from workbench.comparison.pairs import clusters_of, losses, method_of, rows_of, shared
from workbench.comparison.records import Comparison, Example, Measure, Side
from workbench.errors import ParameterError
from workbench.result import Result

if TYPE_CHECKING:
    import pandas

    from workbench.comparison.pairs import Places

__all__ = ["RIGHT", "Comparison", "Example", "Measure", "Side", "compare"]

EXAMPLES = 3
"""Items shown of those that only one of the two has right."""
RIGHT = {
    "contest": "a test item that got its gold label",
    "finance": "a market's day whose direction was called right",
    "fine_tuning": "a text that got its gold label",
    "multiple_choice": "a question whose right answer was picked",
    "ner": "a sentence with every tag right",
    "pretraining": "a document with every next token, or a probed sentence with every tag, right",
    "prompted_ner": "a sentence with every tag right",
    "prompting": "a test item that got its gold label",
    "template": "a sentence with every tag right",
}
"""Task -> what its `accuracy` here counts."""
ANY_RIGHT = "an item with every label right"


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
    right = np.array([frame["predicted"] == frame["gold"] for frame in rows]).T
    only_a = np.flatnonzero(right[:, 0] & ~right[:, 1])
    only_b = np.flatnonzero(right[:, 1] & ~right[:, 0])
    clusters, grouping = clusters_of(*rows)
    return Comparison(
        a=Side(a.run_id, a.task, names[0]),
        b=Side(b.run_id, b.task, names[1]),
        parameters=_differing(a.parameters, b.parameters),
        items=len(right),
        splits=tuple(dict.fromkeys(rows[0].index.get_level_values("split"))),
        clusters=len(set(clusters.tolist())),
        grouping=grouping,
        right="; or ".join(dict.fromkeys(RIGHT.get(run.task, ANY_RIGHT) for run in (a, b))),
        measures=measures(rows, right, clusters),
        counts={
            "both": int(right.all(axis=1).sum()),
            "only_a": len(only_a),
            "only_b": len(only_b),
            "neither": int((~right).all(axis=1).sum()),
        },
        examples={"only_a": _examples(rows, only_a), "only_b": _examples(rows, only_b)},
        losses=losses(whole, rows),
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
