"""The page over all runs: status, headline numbers, and the parameters in which runs differ."""

import contextlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import state
from workbench.errors import DataError
from workbench.files import write_text
from workbench.report import page
from workbench.result import NOTEBOOK, PAGE, RESULT, Metric, Result, is_whole

INDEX = "index.html"


@dataclass(frozen=True)
class Row:
    """One run as the index shows it."""

    run_id: str
    notebook: str
    status: str
    message: str
    started: str
    seconds: float | None
    parameters: dict[str, Any]
    metrics: dict[str, Metric]
    page: str


def write(reports: Path) -> Path:
    """Write `index.html` over all run directories below `reports`; return its path."""
    rows = [_row(directory) for directory in sorted((reports / "runs").glob("*/"))]
    groups = []
    for notebook in sorted({row.notebook for row in rows}):
        runs = [row for row in rows if row.notebook == notebook]
        runs.sort(key=lambda row: row.started, reverse=True)
        groups.append(
            {
                "notebook": notebook,
                "runs": runs,
                "metrics": list(dict.fromkeys(name for row in runs for name in row.metrics)),
                "differing": _differing(runs),
            }
        )
    counts = Counter(row.status for row in rows)
    summary = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    reports.mkdir(parents=True, exist_ok=True)
    text = page.shell("index.html", groups=groups, counts=summary or "no runs")
    write_text(reports / INDEX, text)
    return reports / INDEX


def refresh(reports: Path) -> Path:
    """Render every run's page anew, then the index."""
    for directory in sorted((reports / "runs").glob("*/")):
        # A record that can't be read is shown as damaged in the index; its old page stays.
        if (directory / NOTEBOOK).exists() or (directory / RESULT).exists():
            with contextlib.suppress(DataError):
                page.refresh(directory)
    return write(reports)


def _row(directory: Path) -> Row:
    facts = state.read(directory)
    record, whole = None, is_whole(directory)
    with contextlib.suppress(DataError):
        record = Result.read_record(directory)
    status, message = facts.get("status", "unknown"), facts.get("message", "")
    if record and whole:
        status = record.status
    elif (directory / RESULT).exists():
        status, message = "damaged", "a file of this run is not as its record says; run it again"
    elif status == "succeeded":
        status, message = "interrupted", "ended before its record was written; run it again"
    return Row(
        run_id=directory.name,
        notebook=facts.get("notebook")
        or (record and (record.notebook or record.task))
        or "unknown",
        status=status,
        message=message,
        started=facts.get("started") or (record.started if record else ""),
        seconds=record.cost.seconds if record else facts.get("seconds"),
        parameters=record.parameters if record else page.parameters(directory),
        metrics={name: record.metrics[name] for name in record.headline} if record else {},
        page=f"runs/{directory.name}/{PAGE}" if (directory / PAGE).exists() else "",
    )


def _differing(rows: list[Row]) -> list[str]:
    """Names of the parameters that are not the same in all runs that have them."""
    values: dict[str, set[str]] = {}
    for row in rows:
        for name, value in row.parameters.items():
            values.setdefault(name, set()).add(repr(value))
    return [name for name, found in values.items() if len(found) > 1]
