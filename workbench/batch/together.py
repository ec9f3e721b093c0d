"""One run in several processes that train together: all run its notebook, the first keeps it."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from workbench import paths, ranks, state
from workbench.batch import execute as single
from workbench.batch import runner
from workbench.batch.execute import Outcome
from workbench.batch.plan import Run
from workbench.batch.watch import terminated_as_interrupted
from workbench.errors import MachineError


def launch(run: Run, processes: int, name: str, settings: Sequence[str]) -> Outcome:
    """Execute a run in so many processes of this machine, by `accelerate launch`.

    Raises MachineError where they could not be started. Each has a GPU, or its share of the cores.
    """
    command = [sys.executable, "-m", "accelerate.commands.launch", f"--num_processes={processes}"]
    command += ["--num_machines=1", "--main_process_port=0", "--mixed_precision=no"]
    # Its name for several processes on a machine, with GPUs or without; with --cpu it starts one.
    command += ["--dynamo_backend=no", "--multi_gpu"]
    command += ["-m", "workbench", "run", name, "--force"]
    command += [word for text in settings for word in ("--set", text)]
    threads = str(max(1, (os.cpu_count() or 1) // processes))
    before = state.read(run.directory)
    with terminated_as_interrupted():
        done = subprocess.run(
            command,
            cwd=paths.ROOT,
            env={"OMP_NUM_THREADS": threads, **os.environ},
            capture_output=True,
            text=True,
            check=False,
        )
    facts = state.read(run.directory)
    if facts == before or "status" not in facts:
        last = "; ".join(done.stderr.strip().splitlines()[-3:])
        raise MachineError(f"the processes ended with code {done.returncode}: {last}")
    code = facts.get("exit_code", runner.outcome_of(KeyboardInterrupt()).exit_code)
    return Outcome(facts["status"], code, facts.get("message", ""), facts.get("seconds", 0.0))


def execute(run: Run, *, again: bool = False) -> Outcome:
    """Execute a run; as one of several processes but the first, into a folder that is thrown away.

    All leave their runs to be begun again when the one that started them ends them.
    """
    with terminated_as_interrupted():
        if ranks.rank() == 0:
            return single.execute(run, again=again)
        with tempfile.TemporaryDirectory(prefix="wb-rank-") as folder:
            os.environ["WORKBENCH_REPORTS"] = folder
            return single.execute(run, again=again)
