"""How each run of a plan stands: done, failed, stale and why, or new; and how long it will take."""

import dataclasses
import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from workbench.batch import speed
from workbench.batch.plan import DEFAULT_TIMEOUT_S, Job, Run, resolve
from workbench.core import paths
from workbench.core.errors import MachineError, WorkbenchError, printable
from workbench.record import state
from workbench.record.result import RESULT, duration, is_whole
from workbench.report.planned import Planned

DONE, RUNNING, FAILED, STALE, NEW, IMPOSSIBLE = (
    "done", "running", "failed", "stale", "new", "impossible",
)  # fmt: skip
"""`impossible`: its model or data can't be had, so it has no id."""


SLACK = 4
"""A cell may take this many times as long as the slowest earlier run of its notebook."""
ESTIMATED = "~: estimated from another machine's time and a short test of this one"


@dataclass(frozen=True)
class RunStatus:
    """One run of a plan."""

    job: Job
    status: str
    why: str
    seconds: float | None = None
    """How long it is expected to take; None where nothing like it ran before."""
    run: Run | None = None
    exit_code: int = 0
    estimated: bool = False
    """Whether `seconds` come from another machine's time and a short test of this one."""

    @property
    def name(self) -> str:
        """The run's id, or its notebook where it has none."""
        return self.run.run_id if self.run else self.job.notebook.name

    def planned(self) -> Planned:
        """What the index keeps of it."""
        return Planned(
            run_id=self.run.run_id if self.run else "",
            label=self.job.label,
            notebook=self.job.notebook.name,
            task=self.job.config.task,
            status=self.status,
            why=self.why,
            seconds=self.seconds,
            estimated=self.estimated,
        )


@dataclass(frozen=True)
class _Earlier:
    """An earlier run, by what its directory says."""

    run_id: str
    notebook: str
    identity: dict[str, Any]
    seconds: float | None


def judge(jobs: Sequence[Job]) -> list[RunStatus]:
    """How each job stands, in order; models and data that are missing are fetched for it.

    A run that is not done is stale where an earlier run of its notebook, models, data and seed, no
    longer in the plan, differs in one parameter at most; each earlier run is replaced by one new
    run only.
    """
    jobs, planned = _once(jobs, [_resolved(job) for job in jobs])
    wanted = {found.run_id for found in planned if isinstance(found, Run)}
    earlier = _earlier()
    left = [found for found in earlier if found.run_id not in wanted]
    statuses = []
    for job, found in zip(jobs, planned, strict=True):
        if isinstance(found, WorkbenchError):
            why = str(found).replace("\n", "; ")
            statuses.append(RunStatus(job, IMPOSSIBLE, why, exit_code=found.exit_code))
            continue
        status, why, seconds = _own(found)
        if status == NEW and (nearest := _nearest(found, left)):
            left.remove(nearest)
            status, why, seconds = STALE, changes(nearest.identity, found.identity), nearest.seconds
        if seconds is None:
            seconds = _usual(found, earlier)
        estimate = speed.expected(job) if seconds is None else None
        run, seconds = _limited(found, earlier), seconds or estimate
        statuses.append(RunStatus(job, status, why, seconds, run, estimated=estimate is not None))
    return statuses


def limited(run: Run) -> Run:
    """The run with its longest time of a cell, from how long its notebook's runs took here."""
    return _limited(run, _earlier()) if run.job.timeout_s is None else run


def _limited(run: Run, earlier: Sequence[_Earlier]) -> Run:
    if run.job.timeout_s is not None:
        return run
    slowest = max(_times(run, earlier), default=0.0)
    limit = max(DEFAULT_TIMEOUT_S, math.ceil(SLACK * slowest))
    return dataclasses.replace(run, job=dataclasses.replace(run.job, timeout_s=limit))


def _once(
    jobs: Sequence[Job], planned: Sequence[Run | WorkbenchError]
) -> tuple[list[Job], list[Run | WorkbenchError]]:
    """Jobs with what became of them; of those with one id the first, the others are said."""
    first: dict[str, Job] = {}
    kept = []
    for job, found in zip(jobs, planned, strict=True):
        if isinstance(found, Run):
            if found.run_id in first:
                said = f"{job.label}: left out, the same run as {first[found.run_id].label}"
                print(printable(said), file=sys.stderr, flush=True)
                continue
            first[found.run_id] = job
        kept.append((job, found))
    return [job for job, _ in kept], [found for _, found in kept]


def _resolved(job: Job) -> Run | WorkbenchError:
    try:
        return resolve(job)
    except WorkbenchError as error:
        return error
    except OSError as error:
        return MachineError(str(error))


def _own(run: Run) -> tuple[str, str, float | None]:
    """What the run's own directory says: status, reason, seconds."""
    facts = state.read(run.directory)
    status, message = facts.get("status"), (facts.get("message") or "").replace("\n", "; ")
    if status == "running":
        return RUNNING, f"since {facts.get('started', 'just now')}", None
    if is_whole(run.directory):
        return DONE, "same notebook, parameters, code, data and environment", None
    if status is None:
        return NEW, "never ran", None
    if status == "succeeded":
        there = (run.directory / RESULT).exists()
        why = "a file of it is not as its record says" if there else "its record was not written"
        return FAILED, why, facts.get("seconds")
    return FAILED, message if status == "failed" else f"{status}: {message}".rstrip(": "), None


def _earlier() -> list[_Earlier]:
    """Runs in batch that have succeeded once, the newest first."""
    found = []
    for directory in (paths.reports() / "runs").glob("*/"):
        facts = state.read(directory)
        started, notebook = (str(facts.get(name) or "") for name in ("started", "notebook"))
        identity = facts.get("identity")
        if facts.get("status") == "succeeded" and started and notebook and identity:
            run = _Earlier(directory.name, notebook, identity, facts.get("seconds"))
            found.append((started, run))
    return [run for _, run in sorted(found, key=lambda pair: pair[0], reverse=True)]


def _nearest(run: Run, left: Sequence[_Earlier]) -> _Earlier | None:
    """The earlier run that this one stands in for, with the fewest other parameters."""
    own = run.identity["parameters"]

    def differing(found: _Earlier) -> int:
        other = found.identity["parameters"]
        return sum(own.get(name) != other.get(name) for name in own.keys() | other.keys())

    alike = [
        found
        for found in left
        if found.notebook == run.job.notebook.name
        and _same_sources(run, found)
        and found.identity["parameters"].get("seed") == own["seed"]
    ]
    best = min(alike, key=differing, default=None)
    return best if best and differing(best) <= 1 else None


def _same_sources(run: Run, found: _Earlier) -> bool:
    """Whether an earlier run names the same models and data."""
    own, other = run.identity["parameters"], found.identity["parameters"]
    return all(own.get(name) == other.get(name) for name in run.job.config.sources)


def _usual(run: Run, earlier: Sequence[_Earlier]) -> float | None:
    """Median seconds of earlier runs of the notebook with the same models and data."""
    times = _times(run, [found for found in earlier if _same_sources(run, found)])
    return median(times) if times else None


def _times(run: Run, earlier: Sequence[_Earlier]) -> list[float]:
    name = run.job.notebook.name
    return [found.seconds for found in earlier if found.notebook == name and found.seconds]


def changes(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Which parts of an identity differ, parameters and data by name.

    >>> old = {"notebook": "a", "parameters": {"seed": 0}, "data": {"model": ["x"]}}
    >>> changes(old, {"notebook": "b", "parameters": {"seed": 1}, "data": {"model": ["y"]}})
    'notebook, parameters (seed 0 -> 1) and data (model) changed'
    """
    parts = []
    for part, new in now.items():
        names, old = "", before.get(part)
        if isinstance(new, dict) and isinstance(old, dict):
            changed = (name for name, value in new.items() if old.get(name) != value)
            names = ", ".join(
                f"{name} {_literal(old.get(name))} -> {_literal(new[name])}"
                if part == "parameters"
                else name
                for name in changed
            )
        if old != new:
            parts.append(f"{part} ({names})" if names else part)
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]])) + " changed"


def _literal(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def table(statuses: Sequence[RunStatus]) -> str:
    """The plan as text: a line a run, and the counts with the time it will take."""
    rows = [
        (
            found.status,
            _time(found),
            found.job.label,
            found.why,
        )
        for found in statuses
    ]
    heads = ("status", "time", "run", "why")
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(3)]
    lines = ["  ".join([*map(str.ljust, row, widths), row[3]]) for row in [heads, *rows]]
    counts = Counter(found.status for found in statuses)
    ahead = [found for found in statuses if found.status != DONE]
    known = [found.seconds for found in ahead if found.seconds is not None]
    time = f", about {duration(sum(known))} one after another" if known else ""
    if unknown := len(ahead) - len(known):
        time += f", {unknown} of unknown time"
    summary = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    runs = "run" if len(statuses) == 1 else "runs"
    lines.append(f"{len(statuses)} {runs}: {summary}{time}")
    if any(found.estimated for found in ahead):
        lines.append(ESTIMATED)
    return "\n".join(lines)


def _time(found: RunStatus) -> str:
    if found.seconds is None or found.status == DONE:
        return ""
    return ("~" if found.estimated else "") + duration(found.seconds)
