"""A run's notebook through papermill, in a kernel of its own with a small environment."""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
from papermill import execute_notebook
from traitlets.config import Config as Traits

from workbench.batch import client, forked
from workbench.batch.plan import DEFAULT_TIMEOUT_S, Run
from workbench.batch.scrub import NAMES, Scrubber, without_logins
from workbench.core.files import write_text
from workbench.core.sources import HUB
from workbench.record.result import LOG, NOTEBOOK

PASSED_ON = re.compile(
    "PATH|HOME|USER|LOGNAME|SHELL|LANG|TZ|TMPDIR|LD_LIBRARY_PATH|VIRTUAL_ENV"
    "|(LC|CUDA|NVIDIA|WORKBENCH|HF|OMP|GOMP|KMP|MKL|OPENBLAS|XDG)_.*|PYTHON.*|IPYTHONDIR"
    r"|JUPYTER_\w*(PATH|DIR)"
    "|(HTTPS?|NO|ALL)_PROXY|SSL_CERT_.*|REQUESTS_CA_BUNDLE"
    # where a process of several finds the others
    "|(LOCAL_|GROUP_|ROLE_)?RANK|(LOCAL_|ROLE_)?WORLD_SIZE|MASTER_(ADDR|PORT)"
    "|(ACCELERATE|TORCHELASTIC|NCCL|TORCH_NCCL|GLOO)_.*",
    re.IGNORECASE,
)
"""Variables that a kernel gets; any other may be a secret."""
START_TIMEOUT_S = 180
TOKENS = {"HF_TOKEN", "HF_TOKEN_PATH"}
"""Passed on only to a run that names something on the Hub."""


def run_notebook(run: Run, scrubber: Scrubber) -> None:
    """Run the notebook into the run directory, what it prints into the log as well.

    Raises what papermill and nbclient raise, a cell's error, a timeout, a dead kernel; and
    MachineError where the kernel did not start, KernelStartError where to try again may help.
    """
    cell = run.job.notebook.parameters
    wanted = run.job.config.model_dump(mode="json")
    changed = {name: value for name, value in wanted.items() if cell.get(name) != value}
    source, target = run.job.notebook, run.directory / NOTEBOOK
    with (
        (run.directory / LOG).open("a", encoding="utf-8") as log,
        _environment(run),
        # Sockets as files: no port can be taken by somebody else between choice and use. In /tmp,
        # as their names have to be short.
        tempfile.TemporaryDirectory(prefix="wb-", dir="/tmp") as sockets,
    ):
        manager = f"{forked.__name__ if forked.ready() else client.__name__}.Manager"
        traits = Traits(
            {
                "KernelManager": {"transport": "ipc", "ip": f"{sockets}/k"},
                "NotebookClient": {"kernel_manager_class": manager},
            }
        )
        try:
            # As it was when the run's id was made, whatever has become of the file meanwhile.
            snapshot = Path(sockets) / NOTEBOOK
            write_text(snapshot, nbformat.writes(source.content))
            execute_notebook(
                str(snapshot),
                client.SCHEME + _literal(target),
                engine_name=client.ENGINE,
                parameters=changed,
                kernel_name="python3",
                language="python",
                cwd=str(source.path.parent),
                progress_bar=False,
                log_file=log,
                scrubber=scrubber,
                autosave_cell_every=10,
                start_timeout=START_TIMEOUT_S,
                execution_timeout=run.job.timeout_s or DEFAULT_TIMEOUT_S,
                iopub_timeout=60,
                coalesce_streams=True,
                store_widget_state=False,
                config=traits,
            )
        finally:
            _without_places(target)


def _literal(path: Path) -> str:
    """The path as papermill wants it: it formats paths with the parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


@contextlib.contextmanager
def _environment(run: Run) -> Iterator[None]:
    """The environment a kernel inherits: where to save, no progress bars or colours, no secrets."""
    values = run.job.config.model_dump().values()
    hub = any(isinstance(value, str) and HUB in value for value in values)
    own = {"WORKBENCH_RUN_DIRECTORY": str(run.directory)}
    with replaced(passed_on(os.environ, hub=hub) | own):
        yield


def passed_on(environment: Mapping[str, str], *, hub: bool = False) -> dict[str, str]:
    """What a kernel gets of an environment, and what every kernel gets.

    Tokens, and the logins in a proxy's address, are for runs that name something on the `hub`.
    """
    kept = {
        name: value if hub else without_logins(value)
        for name, value in environment.items()
        if PASSED_ON.fullmatch(name) and (hub if name in TOKENS else not NAMES.search(name))
    }
    return kept | {
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",
    }


@contextlib.contextmanager
def replaced(environment: Mapping[str, str]) -> Iterator[None]:
    """Have this environment while the block runs, as a process started in it inherits it."""
    before = dict(os.environ)
    _set_environment(environment)
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(values: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(values)


def _without_places(path: Path) -> None:
    """Take this machine's paths out of the executed notebook's metadata."""
    if path.exists():
        with contextlib.suppress(ValueError):  # torn: the page says so
            content: Any = nbformat.read(path, as_version=4)
            content.metadata.get("papermill", {}).pop("input_path", None)
            content.metadata.get("papermill", {}).pop("output_path", None)
            write_text(path, nbformat.writes(content))
