"""Run what a plan asks for, several runs at once, each in a process of its own."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any

from workbench.batch import gpus, standing, suite
from workbench.batch.execute import Outcome, execute
from workbench.batch.plan import Run
from workbench.batch.tally import Tally
from workbench.batch.watch import terminated_as_interrupted
from workbench.errors import (
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

    @classmethod
    def start(
        cls, run: Run, environment: dict[str, str], attempt: int = 1, processes: Any = NEW
    ) -> "Child":
        """Begin a run in a process with that environment."""
        answer, end = processes.Pipe(duplex=False)
        arguments = (run, environment, end, attempt)
        process = processes.Process(target=_work, args=arguments, name=run.run_id)
        process.start()
        end.close()
        return cls(process, answer)

    def outcome(self) -> Outcome:
        """Wait for the run to end; a process that gave no answer has died."""
        try:
            outcome: Outcome = self.answer.recv()
        except EOFError:
            self.process.join()
            message = f"the run's own process ended with code {self.process.exitcode}"
            outcome = Outcome("killed", KernelDiedError.exit_code, message, 0.0)
        self.process.join()
        self.answer.close()
        return outcome

    def signal(self, number: int) -> None:
        """Send a signal, if it is still there to get it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)


def stop(children: Sequence[Child]) -> None:
    """Interrupt all processes; those that take too long, or a second interrupt, are killed."""
    for child in children:
        child.signal(signal.SIGINT)
    try:
        for child in children:
            child.answer.poll(GRACE_S)
    except KeyboardInterrupt:
        pass
    for child in children:
        if not child.answer.poll(0):
            child.signal(signal.SIGKILL)


@dataclass
class _Seat:
    """A child, the number of its run in the plan, and its GPU."""

    child: Child
    number: int
    gpu: str | None


class _Crew:
    """Processes at the runs of a plan, at most `jobs` at once; each on a GPU of its own."""

    def __init__(self, tally: Tally, jobs: int) -> None:
        self.tally = tally
        self.free_gpus: deque[str | None] = deque(gpus.visible())
        self.jobs = jobs or len(self.free_gpus) or 1
        if len(self.free_gpus) < self.jobs:
            # Without a GPU each: all runs see what there is.
            self.free_gpus = deque([None] * self.jobs)
        self.threads = max(1, (os.cpu_count() or 1) // self.jobs)
        self.active: list[_Seat] = []

    def run(self) -> None:
        """Run all; after an interrupt end those on their way and begin no more."""
        waiting = deque(self.tally.to_do)
        with terminated_as_interrupted():
            try:
                while waiting or self.active:
                    while waiting and len(self.active) < self.jobs:
                        self._begin(*waiting.popleft())
                    answered = connection.wait([seat.child.answer for seat in self.active])
                    for seat in [seat for seat in self.active if seat.child.answer in answered]:
                        self._end(seat)
            except KeyboardInterrupt:
                stop([seat.child for seat in self.active])
                for seat in list(self.active):
                    self._end(seat)

    def _begin(self, number: int, run: Run) -> None:
        """Start a process at a run."""
        gpu = self.free_gpus.popleft()
        self.active.append(_Seat(Child.start(run, self._environment(gpu)), number, gpu))
        self.tally.say(number, f"running, log in {run.directory / 'run.log'}")

    def _environment(self, gpu: str | None) -> dict[str, str]:
        """The environment of a run: one GPU, and its share of the cores where runs share them."""
        found = dict(os.environ)
        if gpu is not None:
            found["CUDA_VISIBLE_DEVICES"] = gpu
        if self.jobs > 1:
            found.setdefault("OMP_NUM_THREADS", str(self.threads))
        return found

    def _end(self, seat: _Seat) -> None:
        """Take a run's outcome."""
        outcome = seat.child.outcome()
        self.active.remove(seat)
        self.free_gpus.append(seat.gpu)
        self.tally.end(seat.number, outcome)


def _work(
    run: Run, environment: dict[str, str], end: connection.Connection, attempt: int = 1
) -> None:
    """What a process does: one run in that environment; it says how the run ended."""
    os.setsid()  # the keyboard's interrupt is for the first process, which passes it on
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    try:
        outcome = execute(run, attempt=attempt)
        outcome = Outcome(outcome.status, outcome.exit_code, outcome.message, outcome.seconds)
    except (WorkbenchError, OSError, KeyboardInterrupt) as error:
        outcome = outcome_of(error)
    end.send(outcome)


def outcome_of(error: BaseException) -> Outcome:
    """How a run ended that was interrupted, or could not begin."""
    if isinstance(error, KeyboardInterrupt):
        return Outcome("interrupted", InterruptedRunError.exit_code, "interrupted", 0.0)
    code = error.exit_code if isinstance(error, WorkbenchError) else MachineError.exit_code
    return Outcome("failed", code, str(error), 0.0)


def _end_with_parent() -> None:
    """Be interrupted when the first process ends, however it ends: no run goes on without it."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait, name="parent", daemon=True).start()
