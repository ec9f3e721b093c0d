"""JupyterLab on working copies: the tracked notebooks stay as they are, as batch runs read them."""

import errno
import hashlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import nbformat

from workbench import notebooks
from workbench.core import paths
from workbench.core.errors import MachineError, NotebookError, ParameterError
from workbench.core.files import write_json, write_text

FOLDER = "work"
"""Of the copies, in the project's root; git leaves it out."""
COPIED = "workbench"
"""Key in a copy's metadata: the hash of the cells that it was made from."""
MAX_PORT, PORTS = 65535, 50
"""The highest port, and how many after the first are tried."""
NEWS = "@jupyterlab/apputils-extension:announcements"
"""JupyterLab's extension that asks the network for news and updates."""


def serve(port: int, *, browser: bool, root: bool) -> NoReturn:
    """Become JupyterLab: on this machine only, with a token, settings inside the project."""
    if not 1 <= port <= MAX_PORT:
        raise ParameterError(f"--port {port}", expected=f"1 to {MAX_PORT}")
    if hasattr(os, "geteuid") and os.geteuid() == 0 and not root:
        raise ParameterError(
            "JupyterLab does not start as root",
            expected="another user, or your consent: what a notebook runs may do anything here",
            do='workbench lab --allow-root, or: make lab OPTIONS="--allow-root"',
        )
    for line in copy():
        _say(line)
    free = free_port(port)
    settings = paths.ROOT / ".jupyter"
    _without_news(settings / "labconfig" / "page_config.json")
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.root_dir={paths.ROOT}", f"--ServerApp.port={free}"]
    command += ["--ServerApp.port_retries=0", f"--LabApp.default_url=/lab/tree/{FOLDER}"]
    command += [] if browser else ["--no-browser"]
    command += ["--allow-root"] if root else []
    if free != port:
        _say(f"port {port} is taken: {free}")
    _say(f"from another machine: ssh -L {free}:127.0.0.1:{free} <this machine>, then the address "
         "below")  # fmt: skip
    os.execve(sys.executable, command, os.environ | {"JUPYTER_CONFIG_DIR": str(settings)})


def _without_news(file: Path) -> None:
    """Turn JupyterLab's news off, once: what the user sets there later stays."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {"disabledExtensions": {NEWS: True}})


def free_port(first: int) -> int:
    """The first port from `first` on that nothing serves on 127.0.0.1."""
    for port in range(first, min(first + PORTS, MAX_PORT + 1)):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except PermissionError:
                raise ParameterError(
                    f"--port {port} is not open to you", expected="1024 or more"
                ) from None
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            return port
    raise MachineError(f"ports {first} to {port} are taken", do="give another one by --port")


def copy() -> Iterator[str]:
    """Make the working copies that are missing, renew those that nobody touched; say what differs.

    A copy that was edited or run is never written over.
    """
    folder = paths.ROOT / FOLDER
    folder.mkdir(exist_ok=True)
    edited = []
    for path in notebooks.every():
        target, content = folder / path.name, notebooks.read(path).content
        made_from = _cells(content)
        if target.exists():
            cells, before, ran = _of_copy(target)
            if cells != made_from and (ran or cells != before):
                edited.append(path.name)
            if ran or cells != before or cells == made_from:
                continue
        content.metadata[COPIED] = {"cells_sha256": made_from}
        write_text(target, nbformat.writes(content, indent=1, ensure_ascii=False) + "\n")
    yield f"working copies of the notebooks: {folder}; batch runs read {paths.NOTEBOOKS}"
    if edited:
        yield f"edited or run there, so kept, not as in notebooks/: {', '.join(edited)}"
        yield f"to take one anew, delete or rename it, such as: rm {folder / edited[0]}"


def _of_copy(path: Path) -> tuple[str, str, bool]:
    """Hash of a copy's cells as they are, of those it was made from, and whether it has outputs."""
    try:
        content = notebooks.read(path).content
    except NotebookError:
        return "can't be read", "", True
    made = content.metadata.get(COPIED, {})
    before = str(made.get("cells_sha256", "")) if isinstance(made, dict) else ""
    return _cells(content), before, any(cell.get("outputs") for cell in content.cells)


def _cells(content: Any) -> str:
    """Hash of the kinds and sources of all cells: what a run prints is no edit."""
    found = "\0".join(f"{cell.cell_type}\0{cell.source}" for cell in content.cells)
    return hashlib.sha256(found.encode("utf-8", "surrogatepass")).hexdigest()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
