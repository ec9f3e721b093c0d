"""Kernels forked from a server that has imported everything, beside new ones that import it anew.

The first process starts it (`workbench.batch.server`); each run's process is forked from it and at once, before it
has a thread or a lock, forks the process that will be its kernel. jupyter_client is given that
process in place of a command's. Where one can't be had, the run has a new kernel as ever.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner

from workbench.batch import become

PRELOAD = "workbench.batch.preload"
START_S = 60.0
"""Time for a forked kernel to answer; it takes a tenth of a second."""
POLL_S = 0.01
LATE = {"WORKBENCH_RUN_DIRECTORY", "HF_TOKEN", "JPY_PARENT_PID", "JPY_SESSION_NAME"}
"""Variables that nothing reads when it is imported: a forked kernel may have others than the
server had."""


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
                self.began = self.orders.recv(1) == become.READY
            except OSError:
                self.began = False
        if not self.began:
            self.kill()
            self.wait()
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
        """End it."""
        self.send_signal(signal.SIGKILL)


_waiting: _Process | None = None
"""The process that waits to be this process's one kernel."""


def prepare() -> None:
    """Fork the kernel of this process, which has to have one thread only and no lock yet.

    Nothing happens in a process that no server has forked.
    """
    global _waiting
    found = sys.modules.get(PRELOAD)
    if found is None or found.FAILURE or len(list(Path("/proc/self/task").iterdir())) > 1:
        return
    orders, other = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        become.kernel(other)
    other.close()
    _waiting = _Process(pid, orders)


def pid() -> int | None:
    """The process that is or waits to be the kernel; None where there is none."""
    return _waiting.pid if _waiting else None


def kind() -> str:
    """Which kind of kernel this process's run has, or had: `forked` or `new`."""
    return "forked" if _waiting and _waiting.began else "new"


def traits() -> dict[str, Any]:
    """Settings that make nbclient use the waiting process; none where a new kernel has to be.

    That is so where a variable which libraries read as they are imported is not what it was then.
    """
    if _waiting is None:
        return {}
    if _early(os.environ) != _early(sys.modules[PRELOAD].ENVIRONMENT):
        _waiting.kill()
        _waiting.wait()
        return {}
    return {"NotebookClient": {"kernel_manager_class": f"{__name__}.Manager"}}


def _early(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in LATE}


class Provisioner(LocalProvisioner):
    """Launches the waiting process; by its command where that fails."""

    async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
        """Give the process what a new one would get of the command."""
        preload = sys.modules[PRELOAD]
        order = {
            "arguments": cmd[cmd.index("ipykernel_launcher") + 1 :],
            "environment": preload.ADDED | options["env"] | {"JPY_PARENT_PID": str(os.getpid())},
            "cwd": str(options.get("cwd") or Path.cwd()),
            "path": preload.PATH,
        }
        if _waiting is None or not _waiting.begin(order):
            return await super().launch_kernel(cmd, **options)
        self.process, self.pid, self.pgid = _waiting, _waiting.pid, os.getpgid(_waiting.pid)
        self.cwd = order["cwd"]
        return self.connection_info


class Client(AsyncKernelClient):
    """A client that asks until the kernel answers, and waits for nothing more."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Return when the answer has come on both channels that a cell's run needs.

        jupyter_client would then wait a fifth of a second for messages that nobody sends.
        """
        async with asyncio.timeout(timeout):
            while not await self._answered(self.kernel_info()):
                if not await self.is_alive():
                    raise RuntimeError("Kernel died before replying to kernel_info")

    async def _answered(self, asked: str) -> bool:
        """Whether the kernel says what it is, and that it is idle after that."""
        try:
            self._handle_kernel_info_reply(await self.get_shell_msg(timeout=1))
            while True:
                said = await self.get_iopub_msg(timeout=0.2)
                ours = said["parent_header"].get("msg_id") == asked
                if ours and said["content"].get("execution_state") == "idle":
                    return True
        except Empty:  # it has not heard the question, or its answer was sent before we listened
            return False


class Manager(AsyncKernelManager):
    """A kernel manager that has the waiting process become the kernel."""

    client_class = f"{__name__}.Client"

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.provisioner = Provisioner(kernel_spec=self.kernel_spec, parent=self)

    async def _async_finish_shutdown(
        self,
        waittime: float | None = None,
        pollinterval: float = POLL_S,
        restart: bool = False,
    ) -> None:
        await super()._async_finish_shutdown(waittime, pollinterval, restart)
