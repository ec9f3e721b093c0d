"""Execute one run: its notebook through papermill, its page, and last its `result.json`."""

import contextlib
import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill import PapermillExecutionError, execute_notebook
from traitlets.config import Config as Traits

from workbench import paths, state
from workbench.batch.plan import Run
from workbench.errors import (
    InterruptedRunError,
    KernelDiedError,
    MachineError,
    NotebookError,
    RunTimeoutError,
    WorkbenchError,
    exit_code_of,
)
from workbench.files import write_json, write_text
from workbench.report import index, page
from workbench.result import (
    DRAFT,
    LOCK,
    LOG,
    NOTEBOOK,
    PAGE,
    PARAMETERS,
    RESULT,
    Result,
    artefacts,
)


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    status: str
    """succeeded, failed, timeout, killed or interrupted."""
    exit_code: int
    message: str
    seconds: float
    record: Result | None = None


def execute(run: Run) -> Outcome:
    """Run a notebook from start to end, whatever happens in it, and leave its page and state.

    Raises InterruptedRunError when another process is at the same run.
    """
    with state.held(run.directory):
        _clear(run.directory)
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        config = run.job.config
        facts: dict[str, Any] = {"notebook": run.job.notebook.name, "task": config.task}
        facts |= {"started": started, "identity": run.identity}
        write_json(run.directory / PARAMETERS, config.model_dump(mode="json"))
        state.write(run.directory, status="running", pid=os.getpid(), **facts)
        outcome = _outcome(run, started)
        ended = {"seconds": outcome.seconds, "exit_code": outcome.exit_code}
        state.write(run.directory, status=outcome.status, message=outcome.message, **ended, **facts)
        if outcome.record:
            write_json(run.directory / RESULT, outcome.record.model_dump(mode="json"))
            (run.directory / DRAFT).unlink()
        else:
            write_text(run.directory / PAGE, page.render(run.directory))
    index.write(paths.reports())
    return outcome


def _outcome(run: Run, started: str) -> Outcome:
    """Execute the notebook and put whatever came of it into words.

    papermill's own metadata is not asked: it calls cells of a killed kernel completed.
    """
    began = time.monotonic()
    status, error_code, message, record = "failed", 1, "", None
    try:
        _execute_notebook(run)
        if not (run.directory / DRAFT).exists():
            raise NotebookError(
                "the notebook ended without a result", do="end it with result.save()"
            )
        record = _complete(run, started, time.monotonic() - began)
        status, error_code = "succeeded", 0
    except PapermillExecutionError as error:
        error_code = exit_code_of(error.ename)
        message = f"{_where(run)}{error.ename}: {error.evalue}"
    except CellTimeoutError:
        status, error_code = "timeout", RunTimeoutError.exit_code
        message = f"{_where(run)}took longer than {run.job.timeout_s} s"
    except DeadKernelError:
        status, error_code = "killed", KernelDiedError.exit_code
        message = f"{_where(run)}the kernel's process ended or was killed;"
        message += " too little memory is the usual reason"
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
    return Outcome(status, error_code, message, time.monotonic() - began, record)


def _where(run: Run) -> str:
    """The code cell that was the last to begin, to start a message with; "" where none did."""
    try:
        cells: Any = nbformat.read(run.directory / NOTEBOOK, as_version=4).cells
    except (OSError, ValueError):
        return ""
    own = [
        cell
        for cell in cells
        if cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", [])
    ]
    begun = [number for number, cell in enumerate(own, 1) if cell.execution_count is not None]
    if not begun:
        return ""
    first_line = own[begun[-1] - 1].source.strip().partition("\n")[0]
    return f"code cell {begun[-1]} ({first_line}): "


def _clear(directory: Path) -> None:
    """Remove what an earlier, unfinished attempt left."""
    for path in directory.iterdir():
        if path.name != LOCK:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _execute_notebook(run: Run) -> None:
    cell = run.job.notebook.parameters
    wanted = run.job.config.model_dump(mode="json")
    changed = {name: value for name, value in wanted.items() if cell.get(name) != value}
    target = run.directory / NOTEBOOK
    with (
        (run.directory / LOG).open("w", encoding="utf-8") as log,
        _kernel_environment(run.directory),
        # Sockets as files: no port can be taken by somebody else between choice and use.
        tempfile.TemporaryDirectory(prefix="wb-") as sockets,
    ):
        traits = Traits({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/k"}})
        try:
            execute_notebook(
                _literal(run.job.notebook.path),
                _literal(target),
                parameters=changed,
                kernel_name="python3",
                language="python",
                cwd=str(run.job.notebook.path.parent),
                progress_bar=False,
                stdout_file=log,
                stderr_file=log,
                autosave_cell_every=10,
                start_timeout=180,
                execution_timeout=run.job.timeout_s,
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
def _kernel_environment(directory: Path) -> Iterator[None]:
    """Environment that the kernel inherits: where to save, and no progress bars or colours."""
    added = {
        "WORKBENCH_RUN_DIRECTORY": str(directory),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",
    }
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _without_places(path: Path) -> None:
    """Take this machine's paths out of the executed notebook's metadata."""
    if path.exists():
        with contextlib.suppress(ValueError):  # torn: the page says so
            content: Any = nbformat.read(path, as_version=4)
            content.metadata.get("papermill", {}).pop("input_path", None)
            content.metadata.get("papermill", {}).pop("output_path", None)
            write_text(path, nbformat.writes(content))


def _complete(run: Run, started: str, seconds: float) -> Result:
    """Write the page; return the record that lists every file, the mark of a whole run."""
    record = Result.model_validate_json((run.directory / DRAFT).read_bytes())
    record = record.model_copy(
        update={
            "run_id": run.run_id,
            "notebook": run.job.notebook.name,
            "status": "succeeded",
            "started": started,
            "cost": record.cost.model_copy(update={"seconds": seconds}),
        }
    )
    write_text(run.directory / PAGE, page.render(run.directory, record))
    return record.model_copy(update={"artefacts": artefacts(run.directory)})
