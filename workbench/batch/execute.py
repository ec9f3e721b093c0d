"""Execute one run: its notebook through papermill, its page, and last its `result.json`."""

import errno
import os
import shutil
import time
import traceback
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill import PapermillExecutionError

from workbench.batch import forked, kernel, scrub, unchanged
from workbench.batch.client import KernelStartError
from workbench.batch.plan import DEFAULT_TIMEOUT_S, Run
from workbench.batch.scrub import Scrubber
from workbench.batch.watch import Watch, limit_mb
from workbench.core.errors import (
    InterruptedRunError,
    KernelDiedError,
    MachineError,
    NotebookError,
    RunTimeoutError,
    WorkbenchError,
    exit_code_of,
)
from workbench.core.files import write_json
from workbench.record import state
from workbench.record.result import (
    CHECKPOINTS,
    DRAFT,
    LOCK,
    LOG,
    NOTEBOOK,
    PARAMETERS,
    RESULT,
    STATE,
    Result,
    artefacts,
    is_whole,
)
from workbench.report import page
from workbench.report.cells import last_begun

MIN_FREE_BYTES = 1 << 30
MAX_MESSAGE = 4000
"""Characters kept of why a run ended."""
RETRIES = 2
"""Further attempts where a kernel does not start; nothing else is tried again."""
OUT_OF_MEMORY = ("MemoryError", "OutOfMemoryError")
NO_MEMORY = "can't allocate memory"
"""What torch says of a processor's memory, in an error without a class of its own."""
UNHEARD = "waiting for IOPub output"
"""In nbclient's error of a cell that has ended, where messages of it do not come."""
NO_SPACE = os.strerror(errno.ENOSPC)


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    status: str
    """succeeded, failed, timeout, killed, oom or interrupted; running, by another process."""
    exit_code: int
    message: str
    seconds: float
    record: Result | None = None


def execute(run: Run, *, attempt: int = 1, again: bool = False) -> Outcome:
    """Run a notebook from start to end, whatever happens in it, and leave its page and state.

    A run that is whole by now is left as it is, unless it is to be done again. `attempt`
    counts how often it was begun because a machine was lost under it. Raises InterruptedRunError
    when another process is at the same run, MachineError for a full disk.
    """
    _require_space(run)
    with state.held(run.directory), Watch(run.job.memory_mb, own=forked.pid()) as watch:
        if is_whole(run.directory) and not again:
            return Outcome("succeeded", 0, "another process has done it meanwhile", 0.0)
        _clear(run.directory, again=again)
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        config, scrubber = run.job.config, scrub.of_environment()
        facts: dict[str, Any] = {"notebook": run.job.notebook.name, "task": config.task}
        facts |= {"started": started, "identity": run.identity, "attempts": attempt}
        facts |= {"timeout_s": run.job.timeout_s or DEFAULT_TIMEOUT_S}
        write_json(run.directory / PARAMETERS, config.model_dump(mode="json"))
        state.write(run.directory, status="running", pid=os.getpid(), **facts)
        outcome = _outcome(run, facts, watch, scrubber)
        facts |= {"status": outcome.status, "message": outcome.message}
        facts |= {"seconds": outcome.seconds, "exit_code": outcome.exit_code}
        facts |= {"peak_mb": round(watch.peak_mb, 1), "secrets": scrubber.found}
        facts |= {"kernel": forked.kind()}
        _write_state(run.directory, facts)
        if outcome.record:
            write_json(run.directory / RESULT, outcome.record.model_dump(mode="json"))
            (run.directory / DRAFT).unlink()
        else:
            page.write(run.directory)
    return outcome


def _write_state(directory: Path, facts: dict[str, Any]) -> None:
    """Write how the run ended; on a full disk what it made gives way to that."""
    try:
        state.write(directory, **facts)
    except OSError:
        for path in directory.iterdir():
            if path.name not in {LOCK, STATE, PARAMETERS}:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        state.write(directory, **facts)
        raise


def _outcome(run: Run, facts: dict[str, Any], watch: Watch, scrubber: Scrubber) -> Outcome:
    """Execute the notebook and put whatever came of it into words.

    papermill's own status of cells is not asked: it calls those of a killed kernel completed.
    """
    began = time.monotonic()
    status, error_code, message, record = "failed", 1, "", None
    try:
        unchanged.require(run)  # it may have waited for hours
        _run_notebook(run, facts, scrubber)
        unchanged.require(run)
        if not (run.directory / DRAFT).exists():
            raise NotebookError(
                "the notebook ended without a result", do="end it with result.save()"
            )
        record = _complete(run, facts["started"], time.monotonic() - began)
        status, error_code = "succeeded", 0
    except PapermillExecutionError as error:
        error_code = exit_code_of(error.ename)
        message = f"{_where(run)}{error.ename}: {error.evalue}"
        if error.ename in OUT_OF_MEMORY or NO_MEMORY in error.evalue:
            status, error_code = "oom", KernelDiedError.exit_code
            message += f"\n{_memory(watch)}"
        elif NO_SPACE in error.evalue:
            error_code = MachineError.exit_code
    except CellTimeoutError as error:
        status, error_code = "timeout", RunTimeoutError.exit_code
        message = f"{_where(run)}took longer than {run.job.timeout_s or DEFAULT_TIMEOUT_S} s"
        if UNHEARD in str(error):
            status, error_code = "failed", MachineError.exit_code
            message = f"{_where(run)}ended, but not all that the kernel says of it arrived"
    except DeadKernelError:
        error_code = KernelDiedError.exit_code
        status, message = _death(watch)
        message = f"{_where(run)}{message}\n{_memory(watch)}"
    except KeyboardInterrupt:
        status, error_code, message = "interrupted", InterruptedRunError.exit_code, "interrupted"
    except WorkbenchError as error:
        error_code, message = error.exit_code, str(error)
    except OSError as error:
        error_code, message = MachineError.exit_code, str(error)
    except Exception as error:  # noqa: BLE001  whatever it is, the state must not stay "running"
        message = f"{type(error).__name__}: {error}"
        with (run.directory / LOG).open("a", encoding="utf-8") as log:
            traceback.print_exc(file=log)
    message = scrubber.shown(message)
    if len(message) > MAX_MESSAGE:
        message = f"{message[:MAX_MESSAGE]}... and {len(message) - MAX_MESSAGE:,} more characters"
    return Outcome(status, error_code, message, time.monotonic() - began, record)


def _run_notebook(run: Run, facts: dict[str, Any], scrubber: Scrubber) -> None:
    """Execute the notebook, once more where its kernel did not start; leave no secret in files."""
    try:
        while True:
            try:
                return kernel.run_notebook(run, scrubber)
            except KernelStartError as error:
                if facts["attempts"] > RETRIES:
                    raise
                facts["attempts"] += 1
                with (run.directory / LOG).open("a", encoding="utf-8") as log:
                    print(f"[workbench] attempt {facts['attempts']}: {error}", file=log)
    finally:
        scrubber.files(run.directory)
        if scrubber.found:
            with (run.directory / LOG).open("a", encoding="utf-8") as log:
                print(
                    f"\n[workbench] masked what looked like a secret, {scrubber.found} times",
                    file=log,
                )


def _death(watch: Watch) -> tuple[str, str]:
    """Status and message of a run whose kernel is gone."""
    if watch.over_limit:
        return "oom", f"ended for taking more than its {watch.limit_mb:,.0f} MiB of memory"
    if watch.out_of_memory:
        return "oom", "the system killed the kernel for its memory"
    return "killed", "the kernel's process ended or was killed"


def _memory(watch: Watch) -> str:
    """What a run took that may have ended for want of memory, and what to try."""
    return (
        f"peak memory {watch.peak_mb:,.0f} of {limit_mb():,.0f} MiB"
        "\ndo: lower what it holds at once (batch_tokens, max_tokens, items), or run fewer jobs"
    )


def _require_space(run: Run) -> None:
    """Raise MachineError where the disk could not hold what a run writes."""
    place = run.directory
    kept = sum(path.stat().st_size for path in place.glob("*") if path.is_file())
    while not place.exists():
        place = place.parent
    needed = max(MIN_FREE_BYTES, 2 * kept)
    if (free := shutil.disk_usage(place).free) < needed:
        raise MachineError(
            f"{run.directory} is on a disk with {free:,} bytes free",
            expected=f"{needed:,} bytes",
            do="free some space, or set WORKBENCH_REPORTS to a folder on another disk",
        )


def _where(run: Run) -> str:
    """The code cell that was the last to begin, to start a message with; "" where none did."""
    try:
        cells: Any = nbformat.read(run.directory / NOTEBOOK, as_version=4).cells
    except (OSError, ValueError):
        return ""
    place = last_begun(cells)
    return f"code cell {place.number} ({place.first_line}): " if place else ""


def _clear(directory: Path, *, again: bool) -> None:
    """Remove what an earlier, unfinished attempt left, but what its training can go on from."""
    kept = {LOCK} if again else {LOCK, CHECKPOINTS}
    for path in directory.iterdir():
        if path.name not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _complete(run: Run, started: str, seconds: float) -> Result:
    """Write the page; return the record that lists every file, the mark of a whole run."""
    record = Result.read_record(run.directory, DRAFT)
    record = record.model_copy(
        update={
            "run_id": run.run_id,
            "notebook": run.job.notebook.name,
            "status": "succeeded",
            "started": started,
            "cost": record.cost.model_copy(update={"seconds": seconds}),
        }
    )
    shutil.rmtree(run.directory / CHECKPOINTS, ignore_errors=True)
    page.write(run.directory, record)
    return record.model_copy(update={"artefacts": artefacts(run.directory)})
