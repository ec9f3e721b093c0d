"""Runs as the index shows them: those that left a directory, and those that are only planned."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.record import state
from workbench.record.answer import Other
from workbench.record.comparison.correctness import Correctness
from workbench.record.result import PAGE, Metric
from workbench.report import page, progress
from workbench.report.planned import Plan, Planned
from workbench.report.progress import Progress
from workbench.report.verified import Verified, verified

FAILED = ("failed", "killed", "oom", "timeout", "damaged", "impossible")
ENDED = ("interrupted", "unknown")
AHEAD = ("running", "stale", "planned")
GOOD = ("succeeded", "interactive")
ORDER = (*FAILED, *ENDED, *AHEAD, *GOOD)
"""All states, the most urgent first."""
CODE = ("notebook's code", "package", "lock file, torch")
"""What a number comes from besides parameters, model and data."""
MAX_MESSAGE = 600
"""Characters shown of a message; the run's page has the rest."""
NO_CORRECTNESS = "it has not ended well"
GONE = "the process that ran it is gone and left no reason"


@dataclass(frozen=True)
class Row:
    """One run."""

    run_id: str
    notebook: str
    task: str
    status: str
    message: str = ""
    started: str = ""
    seconds: float | None = None
    expected: float | None = None
    """Seconds that it may take in all, where that can be told and it is not done."""
    begun: bool = True
    """Whether it left a directory; else it is only planned."""
    parameters: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, tuple[str, str]] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)
    made_by: dict[str, str] = field(default_factory=dict)
    """Code, data and machine, as short hashes or words."""
    label: str = ""
    """The parameters in which it differs from others of its notebook."""
    page: str = ""
    answer: str = ""
    """What was found, in one sentence."""
    method: str = ""
    others: Sequence[Other] = ()
    """The methods beside its own, the best first."""
    cost: dict[str, float] = field(default_factory=dict)
    progress: Progress | None = None
    """How far it has come, while it is running."""
    right: str = ""
    """What makes an item right, in words."""
    test: dict[str, Any] | None = None
    """Parameters that make the test what it is; None where the record does not say."""
    correctness: Correctness | None = None
    no_correctness: str = NO_CORRECTNESS
    """Why its items can't be compared."""


def read(reports: Path, plans: Sequence[Plan]) -> list[Row]:
    """All runs below `reports` and all planned ones, failures first, then the newest first."""
    there = directories(reports)
    records = verified(reports, there)
    rows = [_row_or_why_not(directory, records.get(directory.name)) for directory in there]
    known = {row.run_id for row in rows}
    labels = _labels(rows)
    rows = [_labelled(row, labels) for row in rows]
    for plan in plans:
        for found in plan.runs:
            if found.run_id not in known or not found.run_id:
                known.add(found.run_id)
                rows.append(_ahead(found, plan))
    rows.sort(key=begun_at, reverse=True)
    return sorted(rows, key=lambda row: rank(row.status))


def directories(reports: Path) -> list[Path]:
    """All run directories; one that begins with a dot is some program's own."""
    return sorted((reports / "runs").glob("[!.]*/"))


def begun_at(row: Row) -> float:
    """When a run began, in seconds; its text may be of any time zone."""
    try:
        return datetime.fromisoformat(row.started).timestamp()
    except ValueError:
        return 0.0


def apart_from_seed(row: Row) -> str:
    """Notebook and parameters of a run but for its seed, as one text."""
    found = {name: value for name, value in row.parameters.items() if name != "seed"}
    return json.dumps([row.notebook, found], sort_keys=True, default=str)


def rank(status: str) -> int:
    """Place of a status in the order of urgency; what is not known comes with what broke off."""
    return ORDER.index(status if status in ORDER else "unknown")


def _row_or_why_not(directory: Path, record: Verified | None) -> Row:
    """The row of a run, or one that says why there is no more: no directory stops an index."""
    try:
        row = _row(directory, record)
    except Exception as error:  # noqa: BLE001  a directory may hold whatever anybody put there
        message = _cut(f"it can't be read: {type(error).__name__}: {error}")
        row = Row(directory.name, "unknown", "unknown", state.DAMAGED, message)
    if row.status == state.DAMAGED or (record and record.why):
        state.set_aside(directory, row.message)
    return row


def _row(directory: Path, record: Verified | None) -> Row:
    facts = state.read(directory)
    status, message = _text(facts, "status") or "unknown", _text(facts, "message")
    if record and record.whole:
        status = record.status
    elif record and record.why:
        status, message = record.status, record.why
    elif record:
        status, message = "damaged", "a file of this run is not as its record says; run it again"
    elif status == "succeeded":
        status, message = "interrupted", "its record was not written yet; run it again"
    if status == "interrupted" and not message:
        message = GONE
    found = record if record and record.task else None
    seconds = found.seconds if found else facts.get("seconds")
    whole = found if found and found.whole else None
    return Row(
        run_id=directory.name,
        notebook=_text(facts, "notebook")
        or (found and (found.notebook or found.task))
        or "unknown",
        task=(found and found.task) or _text(facts, "task") or "unknown",
        status=status,
        message=_cut(message),
        started=_text(facts, "started") or (found.started if found else ""),
        seconds=seconds if isinstance(seconds, int | float) else None,
        parameters=found.parameters if found else page.parameters(directory),
        sources=found.sources if found else {},
        metrics=whole.metrics if whole else {},
        made_by=_made_by(facts, found),
        progress=progress.read(directory) if status == "running" else None,
        page=f"runs/{directory.name}/{PAGE}" if (directory / PAGE).exists() else "",
        answer=whole.answer if whole else "",
        method=whole.method if whole else "",
        others=whole.others if whole else (),
        cost=whole.cost if whole else {},
        right=found.right if found else "",
        test=found.test if found else None,
        correctness=whole.correctness if whole else None,
        no_correctness=whole.no_correctness if whole else NO_CORRECTNESS,
    )


def _ahead(found: Planned, plan: Plan) -> Row:
    """A planned run without a directory."""
    impossible = found.status == "impossible"
    status = found.status if found.status in {"impossible", "stale"} else "planned"
    gone = found.status not in {"impossible", "stale", "new"}
    why = "its directory is gone" if gone else found.why
    return Row(
        run_id=found.run_id,
        notebook=found.notebook,
        task=found.task,
        status=status,
        message=_cut(why if impossible else f"in suite {plan.suite}; {why}"),
        begun=False,
        label=found.label.removeprefix(found.notebook).strip(),
        no_correctness="it has not run yet",
    )


def _text(facts: Mapping[str, Any], name: str) -> str:
    found = facts.get(name)
    return found if isinstance(found, str) else ""


def _cut(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE - 3]}..."


def _made_by(facts: Mapping[str, Any], record: Verified | None) -> dict[str, str]:
    """What else than parameters may differ between two runs."""
    identity = facts.get("identity")
    identity = identity if isinstance(identity, dict) else {}
    environment = identity.get("environment") or []
    values = (
        _short(identity.get("notebook")),
        _short(identity.get("package")),
        ", ".join(map(_short, environment if isinstance(environment, list) else [])),
    )
    found = dict(zip(CODE, values, strict=True))
    if record:
        sources = record.sources.items()
        found |= {f"{kind}'s content": _short(content) for kind, (_, content) in sources}
        found["device"] = record.device
    return {name: value for name, value in found.items() if value}


def _short(value: object) -> str:
    """The beginning of a hash."""
    return value[:12] if isinstance(value, str) else ""


def differing(rows: Iterable[Mapping[str, Any]], *, lacking: bool = True) -> list[str]:
    """Names whose values are not the same in all, or, not counting `lacking` ones, in all with it.

    >>> runs = [{"seed": 0, "rank": 8}, {"seed": 1, "rank": 8}, {"seed": 1}]
    >>> differing(runs), differing(runs, lacking=False)
    (['seed', 'rank'], ['seed'])
    """
    rows = list(rows)
    names = dict.fromkeys(name for row in rows for name in row)
    values = {n: {repr(row[n]) if n in row else None for row in rows} for n in names}
    return [n for n, found in values.items() if len(found if lacking else found - {None}) > 1]


def _labels(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Notebook -> the parameters that tell its runs apart."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        runs.setdefault(row.notebook, []).append(row.parameters)
    return {notebook: differing(found, lacking=False) for notebook, found in runs.items()}


def _labelled(row: Row, labels: Mapping[str, Sequence[str]]) -> Row:
    named = [name for name in labels[row.notebook] if name in row.parameters]
    text = " ".join(f"{name}={row.parameters[name]}" for name in named)
    return dataclasses.replace(row, label=text)
