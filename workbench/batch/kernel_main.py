"""A forked process that becomes a notebook's kernel, as near to a new one as it can be made."""

import atexit
import json
import logging
import multiprocessing
import multiprocessing.process
import multiprocessing.resource_tracker
import os
import signal
import socket
import sys
import threading
import traceback
from typing import Any, NoReturn

READY = b"1"
"""What the process answers when its kernel listens."""
MAIN = multiprocessing.process.current_process()
"""In the server, which imports this, its own process: as multiprocessing has it in a new one."""
INHERITED = 3
"""Standard input, output and error."""


def kernel(orders: socket.socket) -> NoReturn:
    """Wait for one order, be a kernel until it is told to end, and exit.

    The order is a line of JSON: `arguments` of the kernel, its `environment`, `cwd` and module
    search `path`, and the `log` for what it says itself. Without one, when the other end is
    closed, the process ends.
    """
    code = 1
    try:
        os.setsid()  # signals for the kernel reach what it starts as well, and nothing else
        _close_all_but(orders.fileno())
        _default_signals()
        with orders.makefile(encoding="utf-8") as lines:
            text = lines.readline()
        if text:
            _be_kernel(json.loads(text), orders)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001  nothing may go on in the frames of the process forked
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(code)


def _be_kernel(order: dict[str, Any], orders: socket.socket) -> None:
    from workbench.batch.application import Application

    _start_anew(order)
    early = _handlers_to_the_screen()
    app: Any = Application.instance(parent_handle=os.getppid())
    app.initialize(order["arguments"])
    for handler in early:
        handler.setStream(sys.stderr)
    orders.sendall(READY)
    orders.close()
    app.start()
    _end()


def _close_all_but(kept: int) -> None:
    """Close every file the process has from its parent: a run's lock must not stay held by it."""
    os.closerange(INHERITED, kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))


def _default_signals() -> None:
    """The handlers of a new Python process."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _start_anew(order: dict[str, Any]) -> None:
    """Set what a new process would take from its command line, its environment and chance."""
    import numpy
    import torch

    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):  # what the process itself says; a cell's output takes another way
        os.dup2(log, stream)
    os.close(log)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["cwd"])
    sys.argv = ["ipykernel_launcher", *order["arguments"]]
    sys.path[:] = order["path"]
    numpy.random.seed()  # else all kernels of a server would draw the same; Python's does it itself
    torch.seed()
    module: Any = multiprocessing.process
    module._current_process, module._parent_process, module._children = MAIN, None, set()
    MAIN.name, MAIN.authkey = "MainProcess", os.urandom(32)
    multiprocessing.set_start_method(None, force=True)
    tracker: Any = multiprocessing.resource_tracker._resource_tracker
    tracker._fd = tracker._pid = None


def _handlers_to_the_screen() -> list[logging.StreamHandler[Any]]:
    """Handlers that libraries made when imported; in a new kernel they would write to the cell."""
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    return [
        handler
        for logger in loggers
        if isinstance(logger, logging.Logger)
        for handler in logger.handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.__stderr__
    ]


def _end() -> None:
    """What Python does at the end of a process, short of leaving the frames it was forked in."""
    ending: Any = threading
    ending._shutdown()
    endings: Any = atexit
    endings._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
