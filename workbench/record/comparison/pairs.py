"""The items that two results share, row by row, and which of them belong together."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import DataError, ParameterError
from workbench.record.draws import numbered
from workbench.record.metric import UNPARSED
from workbench.record.result import DataIssue, Result

if TYPE_CHECKING:
    import pandas

    Pair = tuple[pandas.DataFrame, pandas.DataFrame]
Places = NDArray[np.int64]


def method_of(result: Result, name: str = "") -> str:
    """The named method; without a name the run's own.

    Raises ParameterError where the method is not there, DataError where there are no items.
    """
    return own_method(result, list(dict.fromkeys(result.items["method"])), name)


def own_method(record: Result, known: Sequence[str], name: str = "") -> str:
    """The named one of the `known` methods of a run's items; without a name the run's own.

    That is the one its record names, else its only one, else the one called as its model.
    """
    run = repr(record.run_id) if record.run_id else "a run that was not saved"
    if not known:
        raise DataError(f"{run} holds no items", expected="one row an item and method")
    only = known[0] if len(known) == 1 else ""
    own = (record.method, only, record.sources.get("model", {}).get("name", ""))
    for method in (name,) if name else own:
        if method in known:
            return method
    raise ParameterError(
        f"{run} has no method {name!r}" if name else f"{run} has no method of its own",
        expected=f"one of {', '.join(map(repr, known))}",
        do="name one with --method",
    )


def rows_of(result: Result, method: str) -> "pandas.DataFrame":
    """A method's items by split and item, lists as tuples. DataError for an item that is twice."""
    frame = result.items[result.items["method"] == method].set_index(["split", "item"])
    if not frame.index.is_unique:
        twice = frame.index[frame.index.duplicated()][0]
        raise DataError(
            f"item {twice[1]!r} of {result.run_id!r}, {method!r}, is there more than once",
            expected="one row an item and method",
        )
    lists = {name: frame[name].map(tuple) for name in ("input", "gold", "predicted")}
    return frame.assign(**lists)


def shared(a: "pandas.DataFrame", b: "pandas.DataFrame") -> "Pair":
    """The items of both, in A's order. DataError if there are none or their gold differs."""
    index = a.index[a.index.isin(b.index)]
    if index.empty:
        raise DataError(
            f"the runs share no item: A has {len(a):,}, such as {a.index[0][1]!r}, "
            f"and B {len(b):,}, such as {b.index[0][1]!r}",
            expected="two runs over the same data",
        )
    ours, theirs = a.loc[index], b.loc[index]
    differ = (ours["gold"] != theirs["gold"]).to_numpy()
    if differ.any():
        raise DataError(
            f"the gold of {differ.sum():,} of {len(index):,} shared items differs, "
            f"such as that of {index[differ][0][1]!r}",
            expected="two runs over the same labels; of decoders, with the same tokenizer",
        )
    return ours, theirs


def clusters_of(a: "pandas.DataFrame", b: "pandas.DataFrame") -> tuple[Places, str]:
    """Cluster of each shared item [N]; and whose clusters they are, where A's and B's differ.

    Of two groupings the coarser is taken: the finer may part what belongs together, and then the
    interval is too narrow.
    """
    ours, theirs = (numbered(rows["cluster"].tolist()) for rows in (a, b))
    sizes = len(set(ours.tolist())), len(set(theirs.tolist()))
    if len(set(zip(ours.tolist(), theirs.tolist(), strict=True))) == sizes[0] == sizes[1]:
        return ours, ""
    if sizes[1] < sizes[0]:
        return theirs, "clusters are B's; A groups these items differently"
    return ours, "clusters are A's; B groups these items differently"


def finite_losses(rows: "Pair") -> NDArray[np.float64]:
    """Losses of A and B [N, 2] in nats; NaN where one is missing or infinite."""
    losses = np.stack([frame["loss"].to_numpy(dtype=float) for frame in rows], axis=1)
    losses[~np.isfinite(losses).all(axis=1)] = np.nan
    return losses


def data_issues(whole: "Pair", rows: "Pair") -> dict[str, DataIssue]:
    """Items that one side lacks, that were read as other text or have no loss; unparsed answers."""
    n = len(rows[0])
    found = {}
    for side, items, kept in zip("ab", whole, rows, strict=True):
        note = f"items that only {side.upper()} has, left out"
        found[f"only_{side}"] = DataIssue(count=len(items) - n, of=len(items), note=note)
        note = f"answers of {side.upper()} that name no label, counted as wrong"
        count = _count(answer == (UNPARSED,) for answer in kept["predicted"])
        found[f"unparsed_{side}"] = DataIssue(count=count, of=n, note=note)
    pairs = zip(rows[0]["input"], rows[1]["input"], strict=True)
    note = "shared items that A and B read as other text"
    found["inputs"] = DataIssue(count=_count(a != b for a, b in pairs), of=n, note=note)
    missing = int(np.isnan(finite_losses(rows)[:, 0]).sum())
    note = "shared items without a finite loss of both, left out of the loss"
    found["loss"] = DataIssue(count=missing, of=n, note=note)
    return found


def _count(facts: Iterable[bool]) -> int:
    return sum(1 for fact in facts if fact)
