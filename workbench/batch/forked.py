"""Kernels forked from a server that has imported everything, beside new ones that import it anew.

The first process starts it (`workbench.batch.server`); each run's process is forked from it and at
once, before it has a thread or a lock, forks the process that will be its kernel. jupyter_client is
given that process in place of a command's. Where one can't be had, the run has a new kernel.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from workbench.batch import client, kernel_main
from workbench.batch.client import OWN_LAUNCHER

PRELOAD = "workbench.batch.preload"
START_S = 60.0
"""Time for a forked kernel to answer; it takes a tenth of a second."""
POLL_S = 0.01
IDLE_S = 0.2
"""Time for a message that is on its way."""
LATE = re.compile("WORKBENCH_.*|HF_TOKEN|JPY_.*|LINES|COLUMNS")
"""Variables that nothing reads as it is imported; a kernel forked may have others than the server
had. The last two are readline's, which sets them behind Python's back."""


class _Process:
    """The waiting process, with what jupyter_client asks of a `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, orders: socket.socket) -> None:
        self.pid, self.orders = pid, orders
        self.returncode: int | None = None
        self.began = False

    def begin(self, order: dict[str, Any]) -> bool:
        """Have it become a kernel; False where it ended over it."""
        with self.orders:
            self.orders.settimeout(START_S)
            try:
                self.orders.sendall(json.dumps(order).encode() + b"\n")
                self.began = self.orders.recv(1) == kernel_main.READY
            except OSError:
                self.began = False
        if not self.began:
            self.kill()
        return self.began

    def poll(self, options: int = os.WNOHANG) -> int | None:
        """Its exit code; None while it runs."""
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, options)
            except ChildProcessError:  # somebody else has waited for it: how it ended is lost
                pid, status = self.pid, 0
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self) -> int | None:
        """Wait for its end; its exit code."""
        return self.poll(0)

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it, and wait for that."""
        self.send_signal(signal.SIGKILL)
        self.wait()


_WAITING: list[_Process] = []
"""The process that waits to be, or is, this process's one kernel; empty where there is none."""


def prepare() -> None:
    """Fork the kernel of this process, which a server has just forked: no thread or lock is in it.

    Nothing happens in any other process.
    """
    found = sys.modules.get(PRELOAD)
    if found is None or found.FAILURES:
        return
    orders, other = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        kernel_main.kernel(other)
    other.close()
    _WAITING.append(_Process(pid, orders))


def pid() -> int | None:
    """The process that is or waits to be the kernel; None where there is none."""
    return _WAITING[0].pid if _WAITING else None


def kind() -> str:
    """Which kind of kernel this process's run has, or had: `forked` or `new`."""
    return "forked" if any(process.began for process in _WAITING) else "new"


def ready() -> bool:
    """Whether the waiting process can be the next kernel; else a new one has to be.

    Not where a variable which libraries read as they are imported is not what it was then.
    """
    if not _WAITING or _WAITING[0].began or _WAITING[0].poll() is not None:
        for used in _WAITING:
            used.began = False
        return False
    if early(os.environ) != early(sys.modules[PRELOAD].ENVIRONMENT):
        _WAITING[0].kill()
        return False
    return True


def early(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that a library may read as it is imported."""
    return {name: value for name, value in environment.items() if not LATE.fullmatch(name)}


class Provisioner(LocalProvisioner):
    """Launches the waiting process; by its command where that fails."""

    async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
        """Give the process what a new one would get of the command."""
        if OWN_LAUNCHER not in cmd:
            return await super().launch_kernel(cmd, **options)
        preload = sys.modules[PRELOAD]
        order = {
            "arguments": cmd[cmd.index(OWN_LAUNCHER) + 1 :],
            "environment": preload.ADDED | options["env"] | {"JPY_PARENT_PID": str(os.getpid())},
            "cwd": str(options.get("cwd") or Path.cwd()),
            "path": preload.PATH,
            "log": options["stderr"].name,
        }
        waiting: Any = _WAITING[0]
        if not waiting.begin(order):
            return await super().launch_kernel(cmd, **options)
        self.process, self.pid, self.pgid = waiting, waiting.pid, os.getpgid(waiting.pid)
        self.cwd = order["cwd"]
        return self.connection_info


class Client(AsyncKernelClient):
    """A client that asks until the kernel answers, and waits for nothing more."""

    asked = ""
    """The last question what kernel it is."""

    def kernel_info(self, reply: bool = False, timeout: float | None = None) -> Any:
        """Ask the kernel what it is; the question's id, or the answer if `reply`."""
        found = super().kernel_info(reply=reply, timeout=timeout)
        if isinstance(found, str):
            self.asked = found
        return found

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Return when an answer has come on both channels that a cell's run needs.

        jupyter_client would then wait a fifth of a second for messages that nobody sends.
        """
        async with asyncio.timeout(timeout):
            while True:
                self.kernel_info()
                with contextlib.suppress(Empty):  # it was asked before it listened
                    self._handle_kernel_info_reply(await self.get_shell_msg(timeout=1))
                    if await self.idle():
                        return
                if not await self.is_alive():
                    raise RuntimeError("Kernel died before replying to kernel_info")

    async def idle(self) -> bool:
        """Whether the kernel has said, or soon says, that it is idle after the last question."""
        with contextlib.suppress(Empty):
            while True:
                said = await self.get_iopub_msg(timeout=IDLE_S)
                state = said["content"].get("execution_state")
                if said["parent_header"].get("msg_id") == self.asked and state == "idle":
                    return True
        return False


class Manager(client.Manager):
    """A kernel manager that has the waiting process become the kernel."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.client_factory = Client
        self.provisioner = Provisioner(kernel_spec=self.kernel_spec, parent=self)

    async def _async_finish_shutdown(
        self,
        waittime: float | None = None,
        pollinterval: float = POLL_S,
        restart: bool = False,
    ) -> None:
        await super()._async_finish_shutdown(waittime, pollinterval, restart)
