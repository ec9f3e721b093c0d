"""The page over all runs: what failed, what is ahead, what was found, and how two runs differ."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.core.files import write_text
from workbench.record import state
from workbench.record.result import NOTEBOOK, RESULT, duration
from workbench.report import estimates, page, pairs, planned, rows
from workbench.report.leaderboard import leaderboards
from workbench.report.rows import Row

INDEX = "index.html"


def write(reports: Path) -> Path:
    """Write `index.html` over all runs below `reports` and all plans; return its path."""
    reports.mkdir(parents=True, exist_ok=True)
    plans = planned.read(reports)
    found = estimates.estimated(rows.read(reports, plans), plans)
    begun = sorted((row for row in found if row.begun), key=rows.begun_at, reverse=True)
    text = page.shell(
        "index.html",
        scripts=["statistics.js", "compare.js", "index.js"],
        styles=["index.css"],
        rows=found,
        runs=begun,
        open=[row for row in found if row.status not in rows.GOOD],
        running={row.run_id: _running(row) for row in found if row.status == "running"},
        leaderboards=leaderboards(begun),
        counts=_counts(found),
        plans=[_progress(plan, found) for plan in plans],
        ahead=_ahead(plans, found),
        tasks=sorted({row.task for row in found}),
        statuses=[name for name in rows.ORDER if any(row.status == name for row in found)],
        written=datetime.now().astimezone().isoformat(timespec="minutes"),
        run_data=page.embed(_run_data(begun)),
        pair_data=page.embed(pairs.embedded(reports, begun)),
    )
    write_text(reports / INDEX, text)
    return reports / INDEX


def refresh(reports: Path) -> Path:
    """Render every run's page anew, then the index."""
    for directory in rows.directories(reports):
        if (directory / NOTEBOOK).exists() or (directory / RESULT).exists():
            try:
                page.write(directory)
            except OSError as error:  # a full disk stops the index, below
                state.set_aside(directory, f"its page can't be written: {error.strerror}")
    return write(reports)


def _counts(found: Sequence[Row]) -> list[tuple[str, int]]:
    """Status -> number of runs, the most urgent first."""
    counts = Counter(row.status for row in found)
    return sorted(counts.items(), key=lambda pair: rows.rank(pair[0]))


def _progress(plan: planned.Plan, found: Sequence[Row]) -> dict[str, Any]:
    """How far a plan has come, by what its runs' directories say now."""
    status = {row.run_id: row.status for row in found if row.run_id}
    counts = Counter(status.get(run.run_id, run.status) for run in plan.runs)
    done = sum(counts[name] for name in rows.GOOD)
    return {"suite": plan.suite, "made": plan.made, "done": done, "of": len(plan.runs)}


def _ahead(plans: Sequence[planned.Plan], found: Sequence[Row]) -> str:
    """How long it will take to do what plans still lack, failed runs among it."""
    ids = {run.run_id for plan in plans for run in plan.runs if run.run_id}
    over = {*rows.GOOD, "running", "impossible"}
    waiting = [row.expected for row in found if row.run_id in ids and row.status not in over]
    known = [seconds for seconds in waiting if seconds is not None]
    time = f"about {duration(sum(known))} one after another" if known else ""
    unknown = len(waiting) - len(known)
    return ", ".join(filter(None, [time, f"{unknown} of unknown time" if unknown else ""]))


def _running(row: Row) -> str:
    """How far a running run has come, in words."""
    elapsed = max(0.0, datetime.now().timestamp() - rows.begun_at(row))
    return row.progress.text(elapsed, row.expected) if row.progress else row.message


def _run_data(found: Sequence[Row]) -> dict[str, Any]:
    """Parameters, origin and cost of every run; names that several have in common once."""
    names: dict[tuple[str, ...], int] = {}
    costs: dict[tuple[str, ...], int] = {}
    runs = {
        row.run_id: [
            names.setdefault(tuple(row.parameters), len(names)),
            list(row.parameters.values()),
            row.made_by,
            costs.setdefault(tuple(row.cost), len(costs)),
            list(row.cost.values()),
        ]
        for row in found
    }
    return {"names": list(names), "costs": list(costs), "runs": runs}
