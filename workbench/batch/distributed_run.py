"""One run in several processes that train together: all run its notebook, the first keeps it."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import psutil

from workbench.batch import child, unchanged
from workbench.batch import execute as single
from workbench.batch.execute import Outcome
from workbench.batch.plan import Run
from workbench.batch.watch import gone, interrupted_after, terminated_as_interrupted
from workbench.core import distributed, paths
from workbench.core.errors import InterruptedRunError, MachineError
from workbench.record import state

LATER_S = 5.0
"""How much later a process ends that failed, in seconds: the launcher then ends the first, which
is to say why it failed, where it failed for the same reason."""
SUPERVISOR = "WORKBENCH_SUPERVISOR"
"""Variable with the id of the process without which the others are to end."""


def launch(
    run: Run, processes: int, name: str, settings: Sequence[str], *, again: bool = False
) -> Outcome:
    """Execute a run in so many processes of this machine, by torch's launcher.

    Each has a GPU, or its share of the cores. They listen on the loopback interface only. Raises
    MachineError where they could not be started, InterruptedRunError where the run goes on
    elsewhere.
    """
    arguments = ["-m", "workbench", "run", name, *(["--force"] if again else [])]
    arguments += [word for text in settings for word in ("--set", text)]
    arguments += ["--timeout-s", str(run.job.timeout_s)] if run.job.timeout_s else []
    before = state.read(run.directory)
    if before.get("status") == "running":
        raise InterruptedRunError(f"{run.run_id} is already running, since {before.get('started')}")
    with tempfile.TemporaryDirectory(prefix="wb-ranks-") as folder:
        command = [*_launcher(processes, Path(folder)), *arguments]
        said, code = _supervise(command, _environment(processes, Path(folder)))
    facts = state.read(run.directory)
    if facts == before or "status" not in facts:
        unchanged.require(run, notebook=True)  # else they may have done other work
        last = "; ".join(said.strip().splitlines()[-3:])
        raise MachineError(f"the processes ended with code {code}: {last}")
    status, message = facts["status"], facts.get("message", "")
    code = facts.get("exit_code", InterruptedRunError.exit_code)
    # torch's launcher lists who failed, the cause last; the first process was ended for it.
    if status == "interrupted" and (others := re.findall(r"exitcode\s*: (\d+)", said)):
        code, message = int(others[-1]), f"another of the processes ended with code {others[-1]}"
    return Outcome(status, code, message, facts.get("seconds", 0.0))


def _launcher(processes: int, folder: Path) -> list[str]:
    """The command of torch's launcher; it meets its processes by a file.

    Its usual meeting point, a TCPStore, listens on every interface, whatever address it is given.
    """
    return [
        *(sys.executable, "-m", "torch.distributed.run"),
        *("--nnodes=1", f"--nproc-per-node={processes}", "--max-restarts=0"),
        *("--rdzv-backend=c10d", f"--rdzv-endpoint={folder / 'rendezvous'}"),
        *("--rdzv-conf=store_type=file", "--local-addr=127.0.0.1"),
    ]


def _environment(processes: int, folder: Path) -> Mapping[str, str]:
    """Variables of the launcher: threads, and where its processes meet and listen."""
    threads = str(max(1, (os.cpu_count() or 1) // processes))
    loopback = next(
        name
        for name, addresses in psutil.net_if_addrs().items()
        if any(each.address == "127.0.0.1" for each in addresses)
    )
    return {
        "OMP_NUM_THREADS": threads,
        **os.environ,
        SUPERVISOR: str(os.getpid()),
        distributed.STORE: str(folder / "store"),
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        "GLOO_SOCKET_IFNAME": loopback,
        "NCCL_SOCKET_IFNAME": loopback,
    }


def _supervise(command: Sequence[str], environment: Mapping[str, str]) -> tuple[str, int]:
    """Run a launcher; what it said and its code. It is asked to end its processes if we are."""
    with (
        terminated_as_interrupted(),
        subprocess.Popen(
            command,
            cwd=paths.ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # the keyboard's interrupt is for us, who pass it on
        ) as launcher,
    ):
        try:
            said = launcher.communicate()[1]
        except KeyboardInterrupt:
            launcher.terminate()
            said = launcher.communicate()[1]
    return said, launcher.returncode


def execute(run: Run, *, again: bool = False) -> Outcome:
    """Execute a run; as one of several processes but the first, into a folder that is thrown away.

    All leave their runs to be begun again when the one that started them ends them.
    """
    if distributed.count() == 1:
        return child.run_one(run, again=again)
    supervisor = psutil.Process(int(os.environ.get(SUPERVISOR) or os.getppid()))
    interrupted_after(partial(gone, supervisor))
    with terminated_as_interrupted():
        if distributed.rank() == 0:
            return single.execute(run, again=again)
        with tempfile.TemporaryDirectory(prefix="wb-rank-") as folder:
            os.environ["WORKBENCH_REPORTS"] = folder
            outcome = single.execute(run, again=again)
            if outcome.exit_code not in (0, InterruptedRunError.exit_code):
                time.sleep(LATER_S)
            return outcome
