"""How right given answers are: labels or tags in plain lists, with intervals and comparisons.

Of ranked lists the hits and the gain of each, and how much of what there is all of them show.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core import arguments
from workbench.core.errors import ParameterError
from workbench.methods import label_scores
from workbench.record.draws import numbered
from workbench.record.f1 import f1
from workbench.record.metric import UNPARSED, Metric
from workbench.record.metrics import entity_counts
from workbench.record.result import Result
from workbench.record.statistics import difference
from workbench.record.statistics import measure as _measured


def measure(
    gold: Sequence[Any],
    predicted: Sequence[Any],
    *,
    clusters: Sequence[Any] | None = None,
) -> dict[str, Metric]:
    """Score N predictions, with 95 % intervals.

    Of labels: `accuracy`, `macro_f1`, `mcc`, and each label's `f1/...`. Of lists of IOB2 tags:
    `entity_f1`. `clusters` [N] says which items belong together, such as those of one document;
    else each is by itself. An answer "unparsed" is wrong and no label. ParameterError for lists
    of different lengths, or of none.
    """
    gold, predicted = _items(gold), _items(predicted)
    groups = _groups(clusters, gold, predicted)
    if isinstance(gold[0], str):
        labels = _labels(gold, predicted)
        found = label_scores.metrics(
            gold, predicted, labels, groups, of=_what(clusters, "items"), split=""
        )
        return {name.removeprefix("/"): metric for name, metric in found.items()}
    counts = _entities(gold, [predicted], groups)[:, 0]
    n = int(counts[:, 2].sum())
    metric = _measured(counts, f1, n=n, clusters=_what(clusters, "sentences"))
    return {"entity_f1": metric} if metric else {}


def compare(
    gold: Sequence[Any],
    ours: Sequence[Any],
    theirs: Sequence[Any] = (),
    *,
    clusters: Sequence[Any] | None = None,
) -> dict[str, Metric]:
    """Our scores minus theirs on the same N items, paired, with 95 % intervals and p-values.

    Metrics, `clusters` and errors as of `measure`; `.verdict` of one says `better`, `worse` or
    `cannot tell`. Two finished runs are compared by `compare_runs`.
    """
    gold, ours, theirs = _items(gold), _items(ours), _items(theirs)
    groups = _groups(clusters, gold, ours, theirs)
    if isinstance(gold[0], str):
        labels = _labels(gold, ours, theirs)
        found = label_scores.differences(
            gold, ours, theirs, labels, groups, of=_what(clusters, "items"), split=""
        )
        return {name.removeprefix("/"): metric for name, metric in found.items()}
    counts = _entities(gold, [ours, theirs], groups)
    n = int(counts[:, 0, 2].sum())
    metric = difference(counts, f1, n=n, clusters=_what(clusters, "sentences"))
    return {"entity_f1": metric} if metric else {}


def hits(ranked: NDArray[np.int64], targets: Sequence[frozenset[int]]) -> NDArray[np.float64]:
    """1 where an item of a list [N, K] is one of its targets, 0 elsewhere [N, K]."""
    return np.array(
        [[item in own for item in row] for row, own in zip(ranked.tolist(), targets, strict=True)],
        dtype=np.float64,
    )


def ndcg(found: NDArray[np.float64], targets: Sequence[frozenset[int]]) -> NDArray[np.float64]:
    """Normalised discounted cumulative gain of each list's `hits` [N], 0 to 1, every hit worth 1.

    The discount is that of Burges et al. 2005, "Learning to Rank using Gradient Descent".

    >>> ndcg(np.array([[0.0, 1.0, 0.0]]), [frozenset({7})]).round(3).tolist()
    [0.631]
    """
    gains = 1 / np.log2(np.arange(2, found.shape[1] + 2))
    best = np.array([gains[: len(own)].sum() for own in targets])
    scores: NDArray[np.float64] = found @ gains / best
    return scores


def spread(ranked: NDArray[np.int64], features: NDArray[np.float32]) -> dict[str, float]:
    """Coverage: the fraction of all M items that at least one of the lists [N, K] has. Diversity: 1
    less the mean cosine of two items of a list, by the items' features [M, H] of length 1.

    >>> spread(np.array([[0, 1]]), np.eye(4, dtype=np.float32))
    {'coverage': 0.5, 'diversity': 1.0}
    """
    pairs = ranked.shape[1] * (ranked.shape[1] - 1)
    likeness = [features[row] @ features[row].T for row in ranked]
    apart = [1 - (own.sum() - np.trace(own)) / pairs for own in likeness]
    return {"coverage": len(np.unique(ranked)) / len(features), "diversity": float(np.mean(apart))}


def _items(column: Sequence[Any]) -> list[Any]:
    """Labels as a list, or lists of tags; ParameterError for anything else."""
    if isinstance(column, str | Result) or not isinstance(column, Iterable):
        raise ParameterError(
            f"{arguments.shown(column)} where a list of labels or tags is meant",
            expected="lists: gold answers and predicted ones",
            do="wb.compare_runs(a, b) compares two runs or results",
        )
    found = list(column)
    if all(isinstance(each, str) for each in found):
        return found
    if any(isinstance(each, str) for each in found) or not all(map(_is_tags, found)):
        raise ParameterError(
            f"answers such as {arguments.shown(next(e for e in found if not _is_tags(e)))}",
            expected="labels (str), or lists of IOB2 tags (lists of str), all of one kind",
            do="str(label) makes a label of a number",
        )
    return [list(each) for each in found]


def _is_tags(row: Any) -> bool:
    return isinstance(row, Sequence | np.ndarray) and all(isinstance(tag, str) for tag in row)


def _groups(clusters: Sequence[Any] | None, *columns: Any) -> list[int]:
    sizes = [len(column) for column in (*columns, *([] if clusters is None else [clusters]))]
    if len(set(sizes)) != 1 or not sizes[0]:
        raise ParameterError(
            f"lists of {', '.join(map(str, sizes))} items", expected="as many of each, one at least"
        )
    if len({isinstance(column[0], str) for column in columns}) > 1:
        raise ParameterError("one list has labels, another lists of tags", expected="one kind")
    found = range(len(columns[0])) if clusters is None else clusters
    return [int(place) for place in numbered(list(found))]


def _what(clusters: Sequence[Any] | None, alone: str) -> str:
    return alone if clusters is None else "clusters"


def _labels(*columns: Any) -> list[str]:
    return sorted({label for column in columns for label in column} - {UNPARSED})


def _entities(gold: Any, predicted: Sequence[Any], groups: list[int]) -> NDArray[np.float64]:
    """Correct, predicted and gold entities of each prediction: [clusters, predictions, 3]."""
    types = sorted({tag[2:] for side in (gold, *predicted) for row in side for tag in row} - {""})
    found = [entity_counts(gold, one, groups, types).sum(axis=1) for one in predicted]
    return np.stack(found, axis=1)
