"""What a run and its kernel import: all of it, so that a fork server has it before it forks them.

To import this module is to do that; only `workbench.batch.server` asks for it. No thread of
Python's may be left, no GPU touched, no random number drawn: what is forked then begins as a new
process would.
"""

import ctypes
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from pathlib import Path
from typing import Any

from workbench.core import paths

LIBRARIES = (
    # The kernel's own come first: others look whether they are in a notebook.
    "ipykernel.zmqshell ipykernel.kernelapp ipykernel.ipkernel ipykernel.debugger"
    " ipykernel.kernelspec IPython.core.completerlib IPython.core.debugger"
    " IPython.extensions.storemagic tornado.platform.asyncio jupyter_client.asynchronous"
    " papermill nbclient numpy pandas pandas.core.arrays.arrow.extension_types"
    " pyarrow.parquet scipy.stats sklearn.linear_model"
    " sklearn.metrics matplotlib.pyplot torch transformers datasets evaluate peft"
    " safetensors.torch transformers.models.auto.modeling_auto"
    " transformers.models.auto.tokenization_auto transformers.models.bert.modeling_bert"
    " transformers.models.llama.modeling_llama"
).split()
OWN = sorted(
    ".".join(("workbench", *path.relative_to(paths.PACKAGE).with_suffix("").parts))
    for path in paths.PACKAGE.rglob("*.py")
    if path.stem not in {"__init__", "__main__", "preload"}
)
ENVIRONMENT = dict(os.environ)
"""What the libraries saw when they were imported."""
ADDED: dict[str, str] = {}
"""Variables that they set then, as they would in a new kernel."""
PR_SET_PDEATHSIG = 1
"""Of Linux: the signal that a process gets when its parent ends."""
PATH: list[str] = []
"""Where a new kernel would look for modules."""
FAILURES: list[str] = []
"""Why no kernel can be forked from here; empty if one can."""


def _import_all() -> None:
    """Import libraries and package; what they warn of when imported is not shown."""
    shown = warnings.showwarning
    warnings.showwarning = lambda *_, **__: None
    # matplotlib reads it once; a kernel sets it before.
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # advice to those who debug kernels
    try:
        for name in [*LIBRARIES, *OWN]:
            importlib.import_module(name)
    finally:
        warnings.showwarning = shown
        del os.environ["PYDEVD_DISABLE_FILE_VALIDATION"]
    changed = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    ADDED.update(changed)


def _make_a_page() -> None:
    """Render a small page and an index once, so that every template is compiled."""
    import nbformat
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

    from workbench.record.result import NOTEBOOK
    from workbench.report import index, page

    shown = new_output("stream", text="text")
    content: Any = new_notebook(
        cells=[
            new_markdown_cell("# Title\n\n## Part\n\n`a` &amp; *b*"),
            new_code_cell("1", outputs=[shown]),
        ]
    )
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        run = Path(folder) / "runs" / "run"
        run.mkdir(parents=True)
        nbformat.write(content, run / NOTEBOOK)
        page.write(run)
        index.write(Path(folder))


def _find_kernels() -> None:
    """Look once for what jupyter_client finds by entry points."""
    from jupyter_client.provisioning.factory import KernelProvisionerFactory

    KernelProvisionerFactory.instance()


def _search_path() -> list[str]:
    """The module search path of a new process, without the folder it starts in."""
    command = [sys.executable, "-c", "import json, sys; print(json.dumps(sys.path))"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [entry for entry in json.loads(done.stdout) if entry]


def _look() -> None:
    """Note what stands against a fork."""
    import torch

    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        FAILURES.append("a library has taken the GPU when it was imported")
    if threading.active_count() > 1:
        names = ", ".join(sorted(thread.name for thread in threading.enumerate()))
        FAILURES.append(f"a library has begun a thread when it was imported: {names}")


def _prepare() -> None:
    # The keyboard's interrupt is for the first process; processes at a run set their own handler.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The server goes with the first process, also while it imports; what it forks does not.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        PATH.extend(_search_path())
        _import_all()
        _make_a_page()
        _find_kernels()
        _look()
    except Exception as error:  # noqa: BLE001  whatever it is, a plain kernel can be had
        FAILURES.append(f"{type(error).__name__}: {error}")
    # No collection may write to the memory that all processes share.
    gc.collect()
    gc.freeze()


_prepare()
