"""Run what a plan asks for, several runs at once, each in a process of its own."""

import contextlib
import multiprocessing
import os
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any

import psutil

from workbench.batch import forked, gpus, server, standing, suite
from workbench.batch.execute import Outcome, execute
from workbench.batch.plan import Run
from workbench.batch.tally import Tally
from workbench.batch.watch import interrupted_after, terminated_as_interrupted
from workbench.core import paths
from workbench.core.errors import (
    InterruptedRunError,
    KernelDiedError,
    MachineError,
    ParameterError,
    WorkbenchError,
)
from workbench.report import index, planned

GRACE_S = 15.0
"""Time for a run to end by itself after an interrupt."""
# A new process each, not a copy: threads of this one could leave a copy locks that nobody frees.
NEW: Any = multiprocessing.get_context("spawn")


def run_suite(
    name: str, jobs: int = 0, engine: str = "processes", address: str | None = None
) -> int:
    """Run what is not done yet, go on after failures; return the worst exit code.

    `jobs` runs go on at once; 0 is one for each GPU, or one where there is none, because a run
    uses all cores. The engine `ray` runs them on the cluster at `address`, or on one of its own.
    Raises ParameterError for fewer than none, or an engine that can't be had.
    """
    if jobs < 0:
        raise ParameterError(f"jobs={jobs}", expected="a number of runs at once; 0 chooses one")
    run = _engine(engine, address)
    plan = standing.judge(suite.read(name))
    planned.write(paths.reports(), name, (found.planned() for found in plan))
    index.write(paths.reports())
    tally = Tally(plan)
    with tally.board, terminated_as_interrupted():
        run(tally, jobs)
        while tally.take_from_others():
            run(tally, jobs)
    return tally.close()


def _engine(name: str, address: str | None) -> Callable[[Tally, int], None]:
    """What carries out the runs of a plan, so many at once."""
    if name == "ray":
        from workbench.batch import ray_engine

        return ray_engine.engine(address)
    if address:
        raise ParameterError(f"--address {address}", expected="it together with --engine ray")
    return lambda tally, jobs: _Crew(tally, jobs).run()


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


@dataclass
class _Seat:
    """A child, the number of its run in the plan, and the GPUs it holds."""

    child: Child
    number: int
    gpus: list[str]
    share: float


class _Crew:
    """Processes at the runs of a plan, at most `jobs` at once; each with the GPUs it asks for."""

    def __init__(self, tally: Tally, jobs: int) -> None:
        self.tally = tally
        names = gpus.visible()
        self.leases, self.usual = gpus.Leases(names), 1.0 if names else 0.0
        parts = filter(None, (self._share(run) for _, run in tally.to_do))
        self.jobs = jobs or max(1, int(len(names) / min(parts, default=1.0)))
        self.threads = max(1, (os.cpu_count() or 1) // self.jobs)
        self.active: list[_Seat] = []
        self.processes: Any = NEW

    def run(self) -> None:
        """Run all; after an interrupt end those on their way and begin no more."""
        waiting = deque(self.tally.to_do)
        with (
            terminated_as_interrupted(),
            server.processes(self._environment([]), len(waiting)) as self.processes,
        ):
            try:
                while waiting or self.active:
                    while waiting and len(self.active) < self.jobs and self._begin(*waiting[0]):
                        waiting.popleft()
                    self._take_answers()
            except KeyboardInterrupt:
                pass
            finally:  # also where something of ours fails: no run is left alone
                stop([seat.child for seat in self.active])
                for seat in list(self.active):
                    self._end(seat)

    def _begin(self, number: int, run: Run) -> bool:
        """Start a process at a run; False where it has to wait for a GPU."""
        share = self._share(run)
        try:
            names = self.leases.take(share)
        except MachineError as error:
            self.tally.end(number, outcome_of(error))
            return True
        if names is None:
            return False
        self.tally.begin(number)
        environment = self._environment(names)
        child = Child.start(run, environment, self.processes)
        self.active.append(_Seat(child, number, names, share))
        return True

    def _share(self, run: Run) -> float:
        return self.usual if run.job.gpus is None else run.job.gpus

    def _environment(self, names: list[str]) -> dict[str, str]:
        """The environment of a run: its GPUs, and its share of the cores where runs share them."""
        found = dict(os.environ)
        if self.usual:
            found["CUDA_VISIBLE_DEVICES"] = ",".join(names)
        if self.jobs > 1:
            found.setdefault("OMP_NUM_THREADS", str(self.threads))
        return found

    def _take_answers(self) -> None:
        if self.active:  # to wait for nothing would take for ever
            answered = connection.wait([seat.child.answer for seat in self.active])
            for seat in [seat for seat in self.active if seat.child.answer in answered]:
                self._end(seat)

    def _end(self, seat: _Seat) -> None:
        """Take a run's outcome, and its GPUs once they are free."""
        outcome = seat.child.outcome()
        self.active.remove(seat)
        self.tally.end(seat.number, outcome)
        self.leases.give(seat.gpus, seat.share)


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
