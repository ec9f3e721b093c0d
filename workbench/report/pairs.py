"""What the index page needs to compare any two runs by itself: a bit an item, within a budget."""

import base64
import contextlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import WorkbenchError
from workbench.record import comparison
from workbench.record.comparison import correctness
from workbench.record.comparison.ratios import KINDS
from workbench.record.result import Result
from workbench.report.rows import Row

MAX_BYTES = 2_500_000
"""Of all that comparisons need on the page."""
EXAMPLES = 300
"""First items of a group whose texts are on the page."""
ALONE = "no other run here has the same items, groups and labels"
ID = 12
"""Characters of a group's hash."""


def embedded(reports: Path, rows: Sequence[Row], budget: int = MAX_BYTES) -> dict[str, Any]:
    """Runs by groups that share all items, as far as the budget goes; `rows` are newest first.

    `left_out` says of every other run why it is not there.
    """
    members = Counter(row.correctness.items for row in rows if row.correctness)
    groups: dict[str, dict[str, Any]] = {}
    runs: dict[str, list[Any]] = {}
    left_out: dict[str, str] = {}
    spent, full = 0, False
    for row in rows:
        own = row.correctness
        if own is None or members[own.items] == 1:
            left_out[row.run_id] = (
                "no other run here has the same items, groups and labels"
                if own
                else row.no_correctness
            )
            continue
        name = own.items[:ID]
        entry = [
            name, own.method, own.unparsed, own.right, row.right or comparison.ANY_RIGHT,
            own.measure, own.sums, own.sums_n,
        ]  # fmt: skip
        cost, group = len(json.dumps(entry)) + len(row.run_id), groups.get(name)
        if group is None and not full and (group := _group(reports / "runs" / row.run_id)):
            cost += len(json.dumps(group))
            # After the first group that does not fit no other is read: reading takes time.
            full = spent + cost > budget
        if group is None or spent + cost > budget:
            left_out[row.run_id] = "this page holds no more runs for comparison"
            continue
        spent += cost
        groups[name], runs[row.run_id] = group, entry
    rules = correctness.rules() | {"examples": comparison.EXAMPLES, "runs": comparison.MAX_RUNS}
    kinds = {
        name: {"unit": kind.unit, "less": kind.less_is_better, "right": kind.has_right}
        for name, kind in KINDS.items()
    }
    return {"rules": rules, "kinds": kinds, "groups": groups, "runs": runs, "left_out": left_out}


def _group(directory: Path) -> dict[str, Any] | None:
    """The items of a run, as all runs of its group have them; None where it went meanwhile."""
    with contextlib.suppress(OSError, WorkbenchError):
        items = correctness.read_items(directory, Result.read_record(directory), EXAMPLES)
        clusters = int(np.max(items.clusters)) + 1
        places = items.clusters.astype("<u2" if clusters <= 1 << 16 else "<u4")
        return {
            "n": items.n,
            "splits": items.splits,
            "clusters": clusters,
            "places": base64.b64encode(places.tobytes()).decode(),
            "examples": items.examples,
        }
    return None
