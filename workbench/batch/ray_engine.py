"""The runs of a plan as Ray tasks, one a run, on a cluster or on a local one made for them.

A run's id makes it safe to begin it again: whole runs are not redone, and a lock in the run
directory keeps a second process away. Retries are for lost machines only, never for a notebook
that failed, and they are made here, where they can be counted.
"""

import contextlib
import dataclasses
import importlib
import os
import re
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import psutil

from workbench import notebooks
from workbench.batch import child, plan, plan_status
from workbench.batch.execute import Outcome
from workbench.batch.plan import Run
from workbench.batch.results import SuiteResults
from workbench.batch.watch import alive, terminated_as_interrupted
from workbench.core.errors import MachineError, ParameterError, WorkbenchError
from workbench.record import state
from workbench.record.result import is_whole

ATTEMPTS = 3
"""How often a run is begun at most when machines are lost under it."""
LOST = ("WorkerCrashedError", "NodeDiedError", "LocalRayletDiedError")
"""Ray's names for it: the process at a run went away, with its node or alone."""
RELEASE_S = 60.0
"""Time for what is left of a lost attempt to let go of the run's lock."""
LOCAL_STARTS = 3
TOO_LATE = "timed out during startup"
"""In Ray's error of a node that did not answer in its 30 seconds."""
LOOK_S = 0.5
REACH_S = 10.0
TAKEN_ALONG = re.compile(r"WORKBENCH_(?!RUN_DIRECTORY)\w+|HF_HUB_OFFLINE")
"""Variables that a node takes from here; all others are its own, tokens among them."""


def engine(address: str | None) -> Callable[[SuiteResults, int], None]:
    """Carry out plans on the cluster at `address`, else `RAY_ADDRESS`, else a local one.

    Raises ParameterError where Ray is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is sent to Ray's makers
    if not (address or os.environ.get("RAY_ADDRESS")):
        os.environ |= _on_this_machine_only()
    try:
        ray = importlib.import_module("ray")
    except ImportError:
        raise ParameterError(
            "--engine ray, and Ray is not installed",
            expected="the extra ray of this project, on every node",
            do='pip install "llm-workbench[ray]"',
        ) from None

    def run(results: SuiteResults, jobs: int) -> None:
        with (
            _connected(ray, address, jobs),
            terminated_as_interrupted(),
        ):
            _Cluster(ray, results, jobs).run()

    return run


def _on_this_machine_only() -> dict[str, str]:
    """Variables with which a local cluster listens on 127.0.0.1, to who has its token."""
    return {
        # Off, a node's address is 127.0.0.1 on Linux too; Ray has no other switch for it.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }


@contextlib.contextmanager
def _connected(ray: Any, address: str | None, jobs: int) -> Iterator[None]:
    """Be a client of the cluster; a local one ends with the block."""
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    address = address or os.environ.get("RAY_ADDRESS")
    with (
        tempfile.TemporaryDirectory(
            prefix="wb-ray-",
            dir="/tmp",  # names of sockets, made below it, must be short
            ignore_cleanup_errors=True,
        ) as folder,
        # Ray tells of lost nodes on standard output, which is for results.
        contextlib.redirect_stdout(sys.stderr),
    ):
        if address:
            options["address"] = address
        else:
            options |= {"address": "local", "include_dashboard": False}
            options["num_cpus"] = max(os.cpu_count() or 1, jobs)
        try:
            _reach(address)
            _start(ray, options, folder, attempts=1 if address else LOCAL_STARTS)
        except Exception as error:  # noqa: BLE001 - Ray raises just this of a node that is late
            raise MachineError(
                f"no Ray cluster at {address or 'this machine'}: {error}",
                expected="host:port of a cluster that this machine is a node of",
                do="ray status --address HOST:PORT; or try again when the machine is less busy",
            ) from None
        try:
            yield
        finally:
            ray.shutdown()


def _start(ray: Any, options: dict[str, Any], folder: str, *, attempts: int) -> None:
    """Join or start the cluster; one that came too late on a busy machine is started again."""
    for attempt in range(1, attempts + 1):
        if options["address"] == "local":
            # Ray opens its folder to everyone; the one around it stays closed.
            options = options | {"_temp_dir": f"{folder}/{attempt}"}
        try:
            ray.init(**options)
        except Exception as error:
            if attempt == attempts or TOO_LATE not in str(error):
                raise
            print("the local Ray cluster did not start in time; starting it again", file=sys.stderr)
            ray.shutdown()
        else:
            return


def _reach(address: str | None) -> None:
    """Raise OSError where nobody listens at host:port; Ray would try for minutes."""
    host, separator, port = (address or "").rpartition(":")
    if separator and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_S).close()


@dataclasses.dataclass
class _Attempt:
    """A task at one run."""

    number: int
    run: Run
    count: int
    """1 for the first attempt."""


class _Cluster:
    """Tasks at the runs of a plan; the cluster decides which goes where, and when."""

    def __init__(self, ray: Any, results: SuiteResults, jobs: int) -> None:
        self.ray, self.results = ray, results
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        self.most_gpus = max((node.get("GPU", 0) for node in nodes), default=0)
        # Each in a worker of its own, which ends with it: nothing of one run is left for another.
        options = share(nodes, jobs) | {"max_calls": 1, "max_retries": 0}
        self.task = ray.remote(**options)(attempt)
        self.at_once = jobs or len(results.to_do)
        self.variables = {k: v for k, v in os.environ.items() if TAKEN_ALONG.fullmatch(k)}
        if not options["num_gpus"]:
            self.variables["CUDA_VISIBLE_DEVICES"] = ""  # whether Ray hides GPUs has changed
        self.active: dict[Any, _Attempt] = {}

    def run(self) -> None:
        """Run all; after an interrupt cancel those on their way and begin no more."""
        waiting = deque(_Attempt(number, run, 1) for number, run in self.results.to_do)
        try:
            while waiting or self.active:
                while waiting and len(self.active) < self.at_once:
                    self._begin(waiting.popleft())
                for task in self.ray.wait(list(self.active))[0] if self.active else ():
                    self._end(task)
        except KeyboardInterrupt:
            self._stop()

    def _begin(self, this: _Attempt) -> None:
        """Hand a run to the cluster."""
        share = this.run.job.gpus
        if share is not None and share > self.most_gpus:
            # Ray would wait for such a node, and not say so.
            expected = f"at most the {self.most_gpus:g} of a node"
            error = MachineError(f"a run asks for {share:g} GPUs", expected=expected)
            self.results.end(this.number, child.outcome_of(error))
            return
        task = self.task if share is None else self.task.options(num_gpus=share)
        variables = self.variables | ({"CUDA_VISIBLE_DEVICES": ""} if share == 0 else {})
        self.active[task.remote(this.run, variables, this.count)] = this
        self.results.begin(this.number)

    def _end(self, task: Any) -> None:
        """Take a run's outcome, or begin it again where its machine was lost."""
        this = self.active.pop(task)
        try:
            outcome = self.ray.get(task)
        except self.ray.exceptions.RayError as error:
            why = type(error).__name__
            if why in LOST and this.count < ATTEMPTS:
                self.results.say(this.number, f"its worker was lost ({why}), again elsewhere")
                self._begin(dataclasses.replace(this, count=this.count + 1))
                return
            lines = str(error).strip().splitlines() or [""]
            outcome = child.outcome_of(MachineError(f"Ray: {why}: {lines[-1]}"))
        self.results.end(this.number, outcome, this.count)

    def _stop(self) -> None:
        """Cancel all tasks; those that take too long, or a second interrupt, are killed."""
        for task in self.active:
            self.ray.cancel(task)
        tasks = list(self.active)
        with contextlib.suppress(KeyboardInterrupt):
            self.ray.wait(tasks, num_returns=len(tasks), timeout=2 * child.GRACE_S)
        for task, this in self.active.items():
            self.ray.cancel(task, force=True)
            if state.read(this.run.directory).get("status") == "interrupted":
                self.results.end(this.number, child.outcome_of(KeyboardInterrupt()), this.count)


def share(nodes: Sequence[Mapping[str, float]], jobs: int) -> dict[str, float]:
    """`num_cpus` and `num_gpus` of a run: a GPU with its part of the node, else a whole node.

    Without GPUs, `jobs` runs at once divide the nodes, down to one core each.

    >>> share([{"CPU": 8.0}, {"CPU": 16.0}, {}], 0)
    {'num_cpus': 8, 'num_gpus': 0}
    >>> share([{"CPU": 8.0}, {"CPU": 16.0}], 4)
    {'num_cpus': 5, 'num_gpus': 0}
    >>> share([{"CPU": 8.0}, {"CPU": 64.0, "GPU": 4.0}], 0)
    {'num_cpus': 16, 'num_gpus': 1}
    """
    with_gpus = [node for node in nodes if node.get("GPU", 0) >= 1]
    if with_gpus:
        cores = min(int(node.get("CPU", 0) // node["GPU"]) for node in with_gpus)
        return {"num_cpus": cores, "num_gpus": 1}
    sizes = [int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1]
    if not sizes:
        raise MachineError("the Ray cluster has no cores to run on", do="ray status")
    cores = min(sizes)
    while cores > 1 and sum(size // cores for size in sizes) < jobs:
        cores -= 1
    return {"num_cpus": cores, "num_gpus": 0}


def attempt(run: Run, variables: dict[str, str], count: int) -> Outcome:
    """What a task does, on whatever node it is: the run in a process of its own.

    A run that an earlier attempt finished is done; one that still holds the lock is waited for.
    """
    # Ray's processes ignore the interrupt, and what they start would inherit that.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    os.environ.update(variables)
    deadline = time.monotonic() + RELEASE_S
    while count > 1 and _held(run) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    if count > 1 and is_whole(run.directory):
        return Outcome("succeeded", 0, "", state.read(run.directory).get("seconds", 0.0))
    try:
        run = same_here(run)
    except (WorkbenchError, OSError) as error:
        return child.outcome_of(error)
    raylet = psutil.Process().parent()
    process = child.Child.start(run, dict(os.environ), attempt=count)
    try:
        # In short waits: Ray's cancelling is an interrupt of Python's, no signal that ends a wait.
        while not process.answer.poll(LOOK_S):
            if raylet and not alive(raylet):
                child.stop([process])
                os._exit(MachineError.exit_code)  # no answer: the run goes on elsewhere
    except KeyboardInterrupt:
        child.stop([process])
    return process.outcome()


def same_here(run: Run) -> Run:
    """The run as this node knows it: its notebook, package, data and lock file must be the same.

    Raises MachineError where they are not: the result would be another's than its id says.
    """
    notebook = notebooks.read(run.job.notebook.path)
    here = plan.resolve(dataclasses.replace(run.job, notebook=notebook))
    if here.run_id != run.run_id:
        raise MachineError(
            f"{os.uname().nodename}: {plan_status.changes(run.identity, here.identity)}",
            expected="what the machine has that made the plan",
            do="bring the project on this node to the same commit and environment",
        )
    return here


def _held(run: Run) -> bool:
    return state.read(run.directory).get("status") == "running"
