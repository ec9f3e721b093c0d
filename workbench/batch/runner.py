"""Run what a plan asks for, several runs at once, each in a process of its own."""

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any

from workbench.batch import gpus, plan_status, ray_engine, server, suite
from workbench.batch.child import NEW, Child, outcome_of, stop
from workbench.batch.plan import Run
from workbench.batch.results import SuiteResults
from workbench.batch.watch import terminated_as_interrupted
from workbench.core import paths
from workbench.core.errors import (
    MachineError,
    ParameterError,
)
from workbench.report import index, planned

INDEX_EVERY_S = 20.0
"""How often the index says how far the runs are that are on their way."""


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
    plan = plan_status.judge(suite.read(name))
    planned.write(paths.reports(), name, (found.planned() for found in plan))
    index.write(paths.reports())
    results = SuiteResults(plan)
    with results.display, terminated_as_interrupted():
        run(results, jobs)
        while results.take_from_others():
            run(results, jobs)
    return results.close()


def _engine(name: str, address: str | None) -> Callable[[SuiteResults, int], None]:
    """What carries out the runs of a plan, so many at once."""
    if name == "ray":
        return ray_engine.engine(address)
    if address:
        raise ParameterError(f"--address {address}", expected="it together with --engine ray")
    return lambda results, jobs: _WorkerPool(results, jobs).run()


@dataclass
class _Slot:
    """A child, the number of its run in the plan, and the GPUs it holds."""

    child: Child
    number: int
    gpus: list[str]
    share: float


class _WorkerPool:
    """Processes at the runs of a plan, at most `jobs` at once; each with the GPUs it asks for."""

    def __init__(self, results: SuiteResults, jobs: int) -> None:
        self.results = results
        names = gpus.visible()
        self.leases, self.usual = gpus.Leases(names), 1.0 if names else 0.0
        parts = filter(None, (self._share(run) for _, run in results.to_do))
        self.jobs = jobs or max(1, int(len(names) / min(parts, default=1.0)))
        self.threads = max(1, (os.cpu_count() or 1) // self.jobs)
        self.active: list[_Slot] = []
        self.processes: Any = NEW

    def run(self) -> None:
        """Run all; after an interrupt end those on their way and begin no more."""
        waiting = deque(self.results.to_do)
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
                stop([slot.child for slot in self.active])
                for slot in list(self.active):
                    self._end(slot)

    def _begin(self, number: int, run: Run) -> bool:
        """Start a process at a run; False where it has to wait for a GPU."""
        share = self._share(run)
        try:
            names = self.leases.take(share)
        except MachineError as error:
            self.results.end(number, outcome_of(error))
            return True
        if names is None:
            return False
        self.results.begin(number)
        environment = self._environment(names)
        child = Child.start(run, environment, self.processes)
        self.active.append(_Slot(child, number, names, share))
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
            answers = [slot.child.answer for slot in self.active]
            while not (answered := connection.wait(answers, INDEX_EVERY_S)):
                self.results.write_index()  # how far they are
            for slot in [slot for slot in self.active if slot.child.answer in answered]:
                self._end(slot)

    def _end(self, slot: _Slot) -> None:
        """Take a run's outcome, and its GPUs once they are free."""
        outcome = slot.child.outcome()
        self.active.remove(slot)
        self.results.end(slot.number, outcome)
        self.leases.give(slot.gpus, slot.share)
