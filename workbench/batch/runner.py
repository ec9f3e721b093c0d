"""Run a suite's jobs one after another, and say how each ended."""

import sys
from dataclasses import dataclass

from workbench import paths
from workbench.batch import suite
from workbench.batch.plan import Job, Run, resolve
from workbench.errors import MachineError, WorkbenchError
from workbench.result import Result, is_whole


@dataclass(frozen=True)
class Line:
    """One row of the closing table."""

    name: str
    status: str
    exit_code: int
    seconds: float
    note: str


def run(name: str) -> int:
    """Run what is not done yet, go on after failures; return the worst exit code."""
    from workbench.report import index

    jobs = suite.read(name)
    lines = []
    for number, job in enumerate(jobs, 1):
        lines.append(_run(job, number, len(jobs)))
        if lines[-1].status == "interrupted":
            break
    width = max(len(line.name) for line in lines)
    print()
    for line in lines:
        print(f"{line.name:<{width}}  {line.status:<11} {line.seconds:>7.1f} s  {line.note}")
    ran = sum(line.status != "done before" for line in lines)
    print(f"{ran} of {len(jobs)} runs executed, {len(lines) - ran} were done before")
    print(index.write(paths.reports()))
    return max(line.exit_code for line in lines)


def _run(job: Job, number: int, total: int) -> Line:
    """Run one job unless it is done; an expected failure becomes a line of the table."""
    name = job.notebook.name
    try:
        planned = resolve(job)
        name = planned.run_id
        if is_whole(planned.directory):
            why = f"same notebook, parameters, package, data and lock file; {_headline(planned)}"
            return Line(name, "done before", 0, 0.0, why)
        print(f"[{number}/{total}] {name}: running, log in {planned.directory / 'run.log'}",
              file=sys.stderr, flush=True)  # fmt: skip
        from workbench.batch.execute import execute

        outcome = execute(planned)
    except (WorkbenchError, OSError) as error:
        code = error.exit_code if isinstance(error, WorkbenchError) else MachineError.exit_code
        return Line(name, "failed", code, 0.0, str(error).replace("\n", "; "))
    succeeded = outcome.status == "succeeded"
    note = _headline(planned) if succeeded else outcome.message.replace("\n", "; ")
    return Line(name, outcome.status, outcome.exit_code, outcome.seconds, note)


def _headline(planned: Run) -> str:
    """The first headline metric in words."""
    record = Result.read_record(planned.directory)
    metric = record.metrics[record.headline[0]]
    return f"{record.headline[0]} {metric}, n = {metric.n:,}"
