"""Processes that a run starts: what memory they take, and that none of them outlives it."""

import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

EVERY_S = 0.5
GRACE_S = 3.0
AGAIN_S = 10.0
CGROUP_EVENTS = Path("/sys/fs/cgroup/memory.events")


class Watch:
    """Look at all descendants of this process while the block runs; afterwards end those left.

    Descendants that were there before are not looked at, but for the process `own`. Those that
    together take more than `limit_mb` are killed.
    """

    peak_mb = 0.0
    """Most resident memory of all of them together, in MiB, as sampled twice a second."""
    over_limit = False
    """Whether they were killed for taking more than they may."""

    def __init__(self, limit_mb: float | None = None, own: int | None = None) -> None:
        self.limit_mb = limit_mb or math.inf
        self._own = own

    def __enter__(self) -> "Watch":
        before = {process.pid for process in psutil.Process().children(recursive=True)}
        self._known = before - {self._own}
        self._seen: dict[int, psutil.Process] = {}
        self._out_of_memory_before = _out_of_memory_kills()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()
        left = [process for process in self._seen.values() if process.is_running()]
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        for process in psutil.wait_procs(left, timeout=GRACE_S)[1]:
            with contextlib.suppress(psutil.Error):
                process.kill()

    @property
    def out_of_memory(self) -> bool:
        """Whether the system has killed a process of this control group for memory meanwhile."""
        return _out_of_memory_kills() > self._out_of_memory_before

    def _sample(self) -> None:
        while not self._over.wait(EVERY_S):
            self._look()

    def _look(self) -> None:
        found = psutil.Process().children(recursive=True)
        own = [process for process in found if process.pid not in self._known]
        for process in own:
            self._seen.setdefault(process.pid, process)
        total = _taken(own)
        self.peak_mb = max(self.peak_mb, total / (1 << 20))
        if total / (1 << 20) > self.limit_mb and not self._over.is_set():
            self.over_limit = True
            for process in self._seen.values():
                with contextlib.suppress(psutil.Error):
                    process.kill()


@contextlib.contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Take the signal to terminate, as a cluster sends it, for an interrupt from the keyboard."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def interrupted_after(wait: Callable[[], object]) -> None:
    """Be interrupted once `wait` returns, and again until this process ends.

    For those that are not to go on without another process, which `wait` waits for.
    """

    def interrupt() -> None:
        wait()
        while True:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(AGAIN_S)

    threading.Thread(target=interrupt, name="end", daemon=True).start()


def gone(process: psutil.Process) -> None:
    """Wait for a process to end; one that ended may stay listed where nobody asks how."""
    while alive(process):
        time.sleep(EVERY_S)


def alive(process: psutil.Process) -> bool:
    """Whether a process is there and not only listed."""
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _taken(processes: Sequence[psutil.Process]) -> float:
    """Resident memory of processes together, in bytes; pages that several share count once."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            shared = len(processes) > 1 and psutil.LINUX
            total += process.memory_full_info().pss if shared else process.memory_info().rss
    return total


def _out_of_memory_kills() -> int:
    """Processes of this control group that Linux killed for memory; 0 where it can't be told."""
    try:
        lines = CGROUP_EVENTS.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def limit_mb() -> float:
    """Memory that this machine, or this control group, can give, in MiB."""
    total = psutil.virtual_memory().total
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(CGROUP_EVENTS.with_name("memory.max").read_text(encoding="ascii")))
    return total / (1 << 20)
