"""A run in a process of its own, and how it ended."""

import contextlib
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any

import psutil

from workbench.batch import forked
from workbench.batch.execute import Outcome, execute
from workbench.batch.plan import Run
from workbench.batch.watch import interrupted_after, terminated_as_interrupted
from workbench.core import paths
from workbench.core.errors import (
    InterruptedRunError,
    KernelDiedError,
    MachineError,
    WorkbenchError,
)
from workbench.report import index

GRACE_S = 15.0
"""Time for a run to end by itself after an interrupt."""
# A new process each, not a copy: threads of this one could leave a copy locks that nobody frees.
NEW: Any = multiprocessing.get_context("spawn")


@dataclass
class Child:
    """A process at one run."""

    process: Any
    answer: connection.Connection
    ended: bool = False
    """Whether it was killed after an interrupt."""

    @classmethod
    def start(
        cls, run: Run, environment: dict[str, str], processes: Any = NEW, **options: Any
    ) -> "Child":
        """Begin a run in a process with that environment; `options` are those of `execute`."""
        answer, end = processes.Pipe(duplex=False)
        arguments = (run, environment, end, options)
        process = processes.Process(target=_work, args=arguments, name=run.run_id)
        process.start()
        end.close()
        return cls(process, answer)

    def outcome(self) -> Outcome:
        """Wait for the run to end; a process that gave no answer has died."""
        try:
            outcome: Outcome = self.answer.recv()
        except (EOFError, OSError):  # nothing, or a part of it
            self.process.join()
            message = f"the run's own process ended with code {self.process.exitcode}"
            outcome = Outcome("killed", KernelDiedError.exit_code, message, 0.0)
            if self.ended:
                outcome = outcome_of(KeyboardInterrupt())
        self.process.join()
        self.answer.close()
        return outcome

    def interrupt(self) -> None:
        """Interrupt it, unless it has ended: its number may be another's by then."""
        if not self.answer.poll(0):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """Kill it and all that it has started, unless it has ended."""
        if not self.answer.poll(0):
            self.ended = True
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(self.process.pid)
                for each in [process, *process.children(recursive=True)]:
                    with contextlib.suppress(psutil.Error):
                        each.kill()


def stop(children: Sequence[Child]) -> None:
    """Interrupt all processes; those that take too long, or a second interrupt, are killed."""
    for child in children:
        child.interrupt()
    end = time.monotonic() + GRACE_S
    with contextlib.suppress(KeyboardInterrupt):
        for child in children:
            child.answer.poll(max(0.0, end - time.monotonic()))
    for child in children:
        child.kill()


def run_one(run: Run, *, again: bool = False) -> Outcome:
    """Execute one run as a suite does: in a process that does not outlive this one."""
    with terminated_as_interrupted():
        child = Child.start(run, dict(os.environ), again=again)
        try:
            outcome = child.outcome()
        except KeyboardInterrupt:
            stop([child])
            outcome = child.outcome()
    index.write(paths.reports())
    return outcome


def _work(
    run: Run, environment: dict[str, str], end: connection.Connection, options: dict[str, Any]
) -> None:
    """What a process does: one run in that environment; it says how the run ended."""
    forked.prepare()  # before there is a thread, or a signal's handler that is not a kernel's
    os.setsid()  # the keyboard's interrupt is for the first process, which passes it on
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        parent = multiprocessing.parent_process()
        assert parent is not None
        interrupted_after(parent.join)
        os.environ.clear()
        os.environ.update(environment)
        outcome = execute(run, **options)
        outcome = Outcome(outcome.status, outcome.exit_code, outcome.message, outcome.seconds)
    except BaseException as error:  # noqa: BLE001  whatever it is, the first process is told
        outcome = outcome_of(error)
    end.send(outcome)


def outcome_of(error: BaseException) -> Outcome:
    """How a run ended that was interrupted, or could not begin."""
    if isinstance(error, KeyboardInterrupt):
        return Outcome("interrupted", InterruptedRunError.exit_code, "interrupted", 0.0)
    if isinstance(error, InterruptedRunError):
        return Outcome("running", error.exit_code, str(error), 0.0)
    if isinstance(error, WorkbenchError):
        return Outcome("failed", error.exit_code, str(error), 0.0)
    if isinstance(error, OSError):
        return Outcome("failed", MachineError.exit_code, str(error), 0.0)
    traceback.print_exception(error)  # a bug
    return Outcome("failed", WorkbenchError.exit_code, f"{type(error).__name__}: {error}", 0.0)
