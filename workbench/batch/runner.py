"""Run what a plan asks for, several runs at once, each in a process of its own."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any

from workbench import paths
from workbench.batch import forked, gpus, server, standing, suite
from workbench.batch.execute import Outcome, execute
from workbench.batch.plan import Run
from workbench.batch.standing import Standing
from workbench.errors import (
    InterruptedRunError,
    KernelDiedError,
    MachineError,
    ParameterError,
    WorkbenchError,
)
from workbench.report import index
from workbench.result import Result, duration

DONE_BEFORE = "done before"
GRACE_S = 15.0
"""Time for a run to end by itself after an interrupt."""


@dataclass(frozen=True)
class Line:
    """One row of the closing table."""

    label: str
    status: str
    exit_code: int
    seconds: float
    note: str


def run_suite(name: str, jobs: int = 0) -> int:
    """Run what is not done yet, go on after failures; return the worst exit code.

    `jobs` runs go on at once; 0 is one for each GPU, or one where there is none, because a run
    uses all cores. Raises ParameterError for fewer than none.
    """
    if jobs < 0:
        raise ParameterError(f"jobs={jobs}", expected="a number of runs at once; 0 chooses one")
    plan = standing.judge(suite.read(name))
    with _terminated_as_interrupted():
        lines = _Crew(plan, jobs).run()
    width = max((len(line.label) for line in lines), default=0)
    print()
    for line in lines:
        print(f"{line.label:<{width}}  {line.status:<11} {duration(line.seconds):>12}  {line.note}")
    done = sum(line.status == DONE_BEFORE for line in lines)
    print(f"{len(lines) - done} of {len(plan)} runs executed, {done} were done before")
    print(index.write(paths.reports()))
    codes = [line.exit_code for line in lines]
    if len(lines) < len(plan):
        codes.append(InterruptedRunError.exit_code)
    return max(codes)


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Take the signal to terminate, as a cluster sends it, for an interrupt from the keyboard."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@dataclass
class _Child:
    """A process at one run of the plan."""

    number: int
    process: Any
    answer: connection.Connection
    gpu: str | None


class _Crew:
    """Processes at the runs of a plan, at most `jobs` at once; each on a GPU of its own."""

    def __init__(self, plan: Sequence[Standing], jobs: int) -> None:
        self.plan = plan
        self.free_gpus: deque[str | None] = deque(gpus.visible())
        self.jobs = jobs or len(self.free_gpus) or 1
        if len(self.free_gpus) < self.jobs:
            # Without a GPU each: all runs see what there is.
            self.free_gpus = deque([None] * self.jobs)
        self.threads = max(1, (os.cpu_count() or 1) // self.jobs)
        self.active: list[_Child] = []
        self.lines: dict[int, Line] = {}
        self.processes: Any = None

    def run(self) -> list[Line]:
        """Run all; after an interrupt end those on their way and begin no more."""
        with server.processes(self._environment(None)) as self.processes:
            waiting = deque(enumerate(self.plan))
            try:
                while waiting or self.active:
                    while waiting and len(self.active) < self.jobs:
                        self._begin(*waiting.popleft())
                    if self.active:  # to wait for nothing would take for ever
                        answered = connection.wait([child.answer for child in self.active])
                        for child in [child for child in self.active if child.answer in answered]:
                            self._end(child)
            except KeyboardInterrupt:
                self._stop()
        return [line for _, line in sorted(self.lines.items())]

    def _begin(self, number: int, found: Standing) -> None:
        """Start a process at a run, unless it is done or can't be."""
        if found.status == standing.DONE and found.run:
            note = f"{found.why}; {_headline(found.run)}"
            self.lines[number] = Line(found.job.label, DONE_BEFORE, 0, 0.0, note)
        elif found.run is None:
            self.lines[number] = Line(found.job.label, "failed", found.exit_code, 0.0, found.why)
        else:
            answer, end = self.processes.Pipe(duplex=False)
            gpu = self.free_gpus.popleft()
            arguments = (found.run, self._environment(gpu), end)
            process = self.processes.Process(target=_work, args=arguments, name=found.name)
            process.start()
            end.close()
            self.active.append(_Child(number, process, answer, gpu))
            self._say(number, f"running, log in {found.run.directory / 'run.log'}")

    def _environment(self, gpu: str | None) -> dict[str, str]:
        """The environment of a run: one GPU, and its share of the cores where runs share them."""
        found = dict(os.environ)
        if gpu is not None:
            found["CUDA_VISIBLE_DEVICES"] = gpu
        if self.jobs > 1:
            found.setdefault("OMP_NUM_THREADS", str(self.threads))
        return found

    def _end(self, child: _Child) -> None:
        """Take a run's outcome; a process that gave none has died."""
        run = self.plan[child.number].run
        assert run is not None
        try:
            outcome = child.answer.recv()
        except EOFError:
            child.process.join()
            message = f"the run's own process ended with code {child.process.exitcode}"
            outcome = Outcome("killed", KernelDiedError.exit_code, message, 0.0)
        child.process.join()
        child.answer.close()
        self.active.remove(child)
        self.free_gpus.append(child.gpu)
        succeeded = outcome.status == "succeeded"
        note = _headline(run) if succeeded else outcome.message.replace("\n", "; ")
        label = self.plan[child.number].job.label
        line = Line(label, outcome.status, outcome.exit_code, outcome.seconds, note)
        self.lines[child.number] = line
        self._say(child.number, f"{line.status} after {duration(line.seconds)}; {line.note}")

    def _stop(self) -> None:
        """Interrupt all processes; those that take too long, or a second interrupt, are killed."""
        for child in self.active:
            _signal(child.process, signal.SIGINT)
        try:
            for child in self.active:
                child.answer.poll(GRACE_S)
        except KeyboardInterrupt:
            pass
        for child in list(self.active):
            if not child.answer.poll(0):
                _signal(child.process, signal.SIGKILL)
            self._end(child)

    def _say(self, number: int, text: str) -> None:
        label = self.plan[number].job.label
        print(f"[{number + 1}/{len(self.plan)}] {label}: {text}", file=sys.stderr, flush=True)


def _signal(process: Any, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)


def _work(run: Run, environment: dict[str, str], end: connection.Connection) -> None:
    """What a process does: one run in that environment; it says how the run ended."""
    forked.prepare()  # before there is a thread, or a signal's handler that is not a kernel's
    os.setsid()  # the keyboard's interrupt is for the first process, which passes it on
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    try:
        outcome = execute(run)
        outcome = Outcome(outcome.status, outcome.exit_code, outcome.message, outcome.seconds)
    except KeyboardInterrupt:
        outcome = Outcome("interrupted", InterruptedRunError.exit_code, "interrupted", 0.0)
    except (WorkbenchError, OSError) as error:
        code = error.exit_code if isinstance(error, WorkbenchError) else MachineError.exit_code
        outcome = Outcome("failed", code, str(error), 0.0)
    end.send(outcome)


def _end_with_parent() -> None:
    """Be interrupted when the first process ends, however it ends: no run goes on without it."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def _headline(run: Run) -> str:
    """The first headline metric in words."""
    record = Result.read_record(run.directory)
    metric = record.metrics[record.headline[0]]
    return f"{record.headline[0]} {metric}, n = {metric.n:,}"
