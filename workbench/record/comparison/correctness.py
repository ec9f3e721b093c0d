"""What of a run's items is enough to compare it elsewhere: a bit an item, and whose items they are.

`compare` takes whole results, at tens of milliseconds each; an index over thousands of runs reads
them here, column by column, by the same rules.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import DataError
from workbench.core.unspaced import joined
from workbench.record import intervals, statistics
from workbench.record.comparison.pairs import own_method
from workbench.record.comparison.ratios import Labels, bits_per_byte, entities, f1_parts, known
from workbench.record.draws import RESAMPLES, numbered
from workbench.record.metric import MONTE_CARLO, UNPARSED
from workbench.record.result import ITEMS, Result

SHORT = 160
"""Characters kept of an item's text, and of its labels."""
COLUMNS = ("split", "item", "cluster", "gold", "predicted", "loss")


@dataclass(frozen=True)
class Correctness:
    """Which items of a run's own method are right."""

    method: str
    items: str
    """Hash over split, name, cluster and gold of all items in order: runs in which it is the same
    are compared bit by bit."""
    unparsed: int
    """Answers that name no label, counted as wrong."""
    right: str
    """A bit an item in Base64, the first in the highest bit; the last byte is filled with 0."""
    measure: str = "accuracy"
    """What runs over these items are compared by."""
    sums: str = ""
    """The measure's two sums for each cluster, 64-bit floats in Base64, all first ones before all
    second ones; empty for accuracy, which follows from the bits."""
    sums_n: int = 0
    """What the measure's n is: gold entities, or documents."""


@dataclass(frozen=True)
class Items:
    """The items that runs with the same hash share."""

    n: int
    splits: list[str]
    clusters: NDArray[np.int64]
    """Cluster of each item [N], numbered as `compare` numbers them."""
    examples: list[tuple[str, str, str]]
    """Name, text and gold labels of the first items, shortened."""


def read_correctness(directory: Path, record: Result) -> Correctness:
    """The correctness of a run whose files are verified.

    Raises DataError or ParameterError where `compare` would refuse it.
    """
    try:
        return _correctness(*own_items(directory, record, COLUMNS), directory, record)
    # Arrow raises NotImplementedError for a column of a type that it can't compare.
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError) as error:
        raise DataError(f"its items can't be read: {error}") from None


def _correctness(method: str, table: Any, directory: Path, record: Result) -> Correctness:
    if _distinct(table["split"], table["item"]) < len(table):
        raise DataError("an item is there more than once")
    digest = hashlib.sha256()
    for column in ("split", "item", "cluster"):
        _digest(digest, table[column])
    _digest_labels(digest, table["gold"])
    right, unparsed = right_items(table["gold"], table["predicted"])
    measure = known(record.main_measure, table["loss"].to_numpy())
    sums, n = _sums(measure, table, lambda: own_items(directory, record, ("input",))[1])
    return Correctness(
        method=method,
        items=digest.hexdigest(),
        unparsed=unparsed,
        right=base64.b64encode(np.packbits(right).tobytes()).decode(),
        measure=measure,
        sums=base64.b64encode(sums.astype("<f8").tobytes()).decode(),
        sums_n=n,
    )


def _sums(measure: str, table: Any, texts: Callable[[], Any]) -> tuple[NDArray[np.float64], int]:
    """The two sums of a measure by cluster [2, clusters], and its n; none of accuracy."""
    if measure == "entity_f1":
        counts = entities(_listed(table["gold"]), _listed(table["predicted"]))
        parts, n = f1_parts(counts), int(counts[:, 2].sum())
    elif measure == "bits_per_byte":
        inputs = texts()["input"].to_pylist()
        parts, n = bits_per_byte(table["loss"].to_numpy(), inputs), len(inputs)
    else:
        return np.zeros(0), 0
    clusters = _clusters(table["cluster"])
    return np.stack([np.bincount(clusters, weights=column) for column in parts.T]), n


def _clusters(column: Any) -> NDArray[np.int64]:
    """Cluster of each item [N], numbered as `compare` numbers them."""
    return numbered(column.to_pylist())


def _listed(column: Any) -> Labels:
    """A column of lists of labels."""
    import pyarrow.compute as pc

    array = _array(column)
    words, codes = _codes(array.flatten())
    return Labels(words, codes, pc.list_value_length(array).to_numpy().astype(np.int64))


def read_items(directory: Path, record: Result, examples: int) -> Items:
    """The items of a run, with its first `examples` texts."""
    _, table = own_items(directory, record, (*COLUMNS, "input"))
    first = table.slice(0, examples)
    shown = zip(*(first[name].to_pylist() for name in ("item", "input", "gold")), strict=True)
    return Items(
        n=len(table),
        splits=list(dict.fromkeys(table["split"].to_pylist())),
        clusters=_clusters(table["cluster"]),
        examples=[
            (item, _short(joined(text)), _short(_labels(text, gold))) for item, text, gold in shown
        ],
    )


def rules() -> dict[str, float]:
    """The numbers by which `compare` draws and judges."""
    return {
        "resamples": RESAMPLES,
        "level": statistics.LEVEL,
        "min_clusters": statistics.MIN_CLUSTERS,
        "normal_95": intervals.NORMAL_95,
        "few": intervals.FEW,
        "monte_carlo": MONTE_CARLO,
        "normal_80": statistics.NORMAL_80,
    }


def own_items(directory: Path, record: Result, columns: Sequence[str]) -> tuple[str, Any]:
    """The run's own method and its rows, without their chunks."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if not record.items_file:
        raise DataError("it kept no items")
    # Labels repeat: as places in a dictionary they are read three times as fast, where arrow can.
    labels = [f"{name}.list.element" for name in ("gold", "predicted")]
    file = pq.ParquetFile(directory / ITEMS, read_dictionary=labels)
    if file.num_row_groups > 1:
        file = pq.ParquetFile(directory / ITEMS)
    methods = file.read(["method"], use_threads=False)["method"]
    method = own_method(record, methods.unique().to_pylist())
    table = file.read(list(columns), use_threads=False)
    if len(methods.unique()) > 1:
        table = table.filter(pc.equal(methods, method))
    return method, table.combine_chunks()


def _distinct(splits: Any, names: Any) -> int:
    """How many items have another split or name."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pa.large_string()
    columns = (column.cast(text) for column in (splits, names))
    both = pc.binary_join_element_wise(*columns, pa.scalar("\0", text))
    return int(pc.count_distinct(both).as_py())


def _digest(digest: Any, column: Any) -> None:
    """Add a column of str: lengths, then text."""
    import pyarrow as pa

    array = _array(column).cast(pa.large_string())
    _, ends, text = array.buffers()
    bounds = np.frombuffer(ends, "<i8")[array.offset : array.offset + len(array) + 1]
    digest.update(np.diff(bounds))
    if text is not None and len(array):
        digest.update(memoryview(text)[bounds[0] : bounds[-1]])


def _digest_labels(digest: Any, column: Any) -> None:
    """Add lists of few different str: the words in use, sorted, and each one's place."""
    import pyarrow.compute as pc

    array = _array(column)
    digest.update(pc.list_value_length(array).to_numpy().astype("<i8"))
    words, codes = _codes(array.flatten())
    used = np.flatnonzero(np.bincount(codes, minlength=len(words))).tolist()
    used.sort(key=words.__getitem__)
    ranks = np.zeros(len(words), dtype="<i8")
    ranks[used] = np.arange(len(used))
    digest.update(json.dumps([words[place] for place in used]).encode())
    digest.update(ranks[codes])


def right_items(gold: Any, predicted: Any) -> tuple[NDArray[np.bool_], int]:
    """Whether each item has all its labels right, in number and each; and unparsed answers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    gold, predicted = _array(gold), _array(predicted)
    lengths, found = (pc.list_value_length(each).to_numpy() for each in (gold, predicted))
    right: NDArray[np.bool_] = lengths == found
    places = np.repeat(np.flatnonzero(right), lengths[right])
    kept = pa.array(right)
    numbers: dict[str, int] = {}
    labels = []
    for each in (gold, predicted):
        words, codes = _codes((each if right.all() else each.filter(kept)).flatten())
        own = [numbers.setdefault(word, len(numbers)) for word in words]
        labels.append(np.array(own, dtype=np.int64)[codes])
    right[places[labels[0] != labels[1]]] = False
    words, codes = _codes(predicted.filter(pa.array(found == 1)).flatten())
    unparsed = codes == words.index(UNPARSED) if UNPARSED in words else codes < 0
    return right, int(unparsed.sum())


def _codes(array: Any) -> tuple[list[str], NDArray[np.int64]]:
    """Words, each once, and the place of every value among them."""
    import pyarrow as pa

    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    return array.dictionary.to_pylist(), array.indices.to_numpy().astype(np.int64)


def _array(column: Any) -> Any:
    """A column of a table as one array."""
    import pyarrow as pa

    found = column.combine_chunks()
    return pa.concat_arrays(found.chunks) if isinstance(found, pa.ChunkedArray) else found


def _labels(text: list[str], gold: list[str]) -> str:
    """Gold labels; of tags on words those that mark something, each with its word.

    >>> _labels(["Paris", "is", "big"], ["B-LOC", "O", "O"]), _labels(["Good!"], ["positive"])
    ('Paris B-LOC', 'positive')
    """
    if len(text) == len(gold) > 1:
        marked = [f"{word} {tag}" for word, tag in zip(text, gold, strict=True) if tag != "O"]
        return ", ".join(marked) or "O"
    return " ".join(gold)


def _short(text: str) -> str:
    """Text on one line of `SHORT` characters."""
    line = " ".join(text.split())
    return line if len(line) <= SHORT else f"{line[: SHORT - 3]}..."
