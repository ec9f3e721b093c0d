"""The processes that runs are given: forked from a server of this suite, or new ones."""

import contextlib
import multiprocessing
import sys
from collections.abc import Iterator, Mapping
from multiprocessing import forkserver
from typing import Any

from workbench.batch import forked, gpus, kernel


@contextlib.contextmanager
def processes(environment: Mapping[str, str]) -> Iterator[Any]:
    """A multiprocessing context: a process each, which starts with everything imported if it can.

    `environment` is that of the runs; the server gets what a kernel would get of it. New processes
    where the system can't fork safely, and where there is a GPU: none was at hand to try it on.
    Never a copy of this process: its threads could leave a copy locks that nobody frees.
    """
    if sys.platform != "linux" or gpus.visible():
        yield multiprocessing.get_context("spawn")
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([forked.PRELOAD])
    with kernel.replaced(kernel.passed_on(environment)):
        forkserver.ensure_running()
    try:
        yield context
    finally:
        started: Any = forkserver
        started._forkserver._stop()  # else the next suite would have this one's environment
