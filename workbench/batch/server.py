"""The processes that runs are given: forked from a server, or new ones."""

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from multiprocessing import forkserver
from typing import Any

from workbench.batch import forked, gpus, kernel

SWITCH = "WORKBENCH_KERNELS"
"""Environment variable; `new` has every run start a kernel anew."""
FEWEST = 2
"""Runs for which a server is worth its start, which takes as long as that of a new kernel."""
_STARTED: list[dict[str, str]] = []
"""What libraries saw of the environment in the server, while there is one."""


@contextlib.contextmanager
def processes(environment: Mapping[str, str], runs: int) -> Iterator[Any]:
    """A multiprocessing context for so many runs in this environment.

    A process of it starts with everything imported where that can be done; see `possible`. It is
    never a copy of this process: threads of this one could leave a copy locks that nobody frees.
    """
    if runs < FEWEST or not possible():
        yield multiprocessing.get_context("spawn")
        return
    try:
        yield start(environment)
    finally:
        stop()


def possible() -> bool:
    """Whether processes can be forked: on Linux, and not where there is a GPU.

    On macOS a fork with libraries loaded is unsafe; no GPU was at hand to try it on.
    """
    return sys.platform == "linux" and os.environ.get(SWITCH) != "new" and not gpus.visible()


def start(environment: Mapping[str, str]) -> Any:
    """The context of a server that has what a kernel would get of this environment."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([forked.PRELOAD])
    wanted = kernel.passed_on(environment)
    if [forked.early(wanted)] != _STARTED:
        stop()
        with kernel.replaced(wanted):
            forkserver.ensure_running()
        _STARTED.append(forked.early(wanted))
    return context


def stop() -> None:
    """End the server, if there is one; its processes have to have ended."""
    started: Any = forkserver
    if pid := started._forkserver._forkserver_pid:
        # A run that was asked for while it imports must not begin.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    started._forkserver._stop()
    _STARTED.clear()
