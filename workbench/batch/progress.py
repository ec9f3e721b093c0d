"""What a suite's runs are at, in the terminal: a live table, or plain lines where it is a file."""

import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from workbench.core.errors import printable
from workbench.record.result import LOG, duration

LAST = 4096
"""Bytes of a log's end that are looked at for its last line."""


@dataclass
class _Going:
    """A run on its way."""

    label: str
    directory: Path
    began: float
    expected: float | None


class ProgressDisplay:
    """Lines of what begins and ends; below them, in a terminal, the runs that are on their way."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self.total = total
        self.console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True)
        self.going: dict[int, _Going] = {}
        self.ended: Counter[str] = Counter()
        self.live = (
            Live(get_renderable=self._table, console=self.console, refresh_per_second=2)
            if self.console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()

    def begin(self, number: int, label: str, directory: Path, expected: float | None) -> None:
        """A run begins; `expected` is how many seconds it may take, where that is known."""
        self.going[number] = _Going(label, directory, time.monotonic(), expected)
        if not self.live:
            self.say(number, label, f"running, log in {directory / LOG}")

    def end(self, number: int, label: str, status: str, text: str) -> None:
        """A run ended, or needs not or can't be run."""
        self.going.pop(number, None)
        self.ended[status] += 1
        self.say(number, label, text)

    def wait(self, number: int, label: str, why: str) -> None:
        """A run that was to begin has to wait."""
        self.going.pop(number, None)
        self.say(number, label, f"{why}; its result is waited for")

    def say(self, number: int, label: str, text: str) -> None:
        """A line that stays."""
        line = f"[{number + 1}/{self.total}] {label}: {text}"
        self.console.print(Text(printable(line)))

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
        table.add_column("running", no_wrap=True, ratio=2)
        table.add_column("time", justify="right", no_wrap=True)
        table.add_column("of about", justify="right", no_wrap=True)
        table.add_column("last line of its log", no_wrap=True, overflow="ellipsis", ratio=3)
        for run in list(self.going.values()):
            table.add_row(
                Text(printable(run.label)),
                duration(time.monotonic() - run.began),
                duration(run.expected) if run.expected else "",
                Text(_last_line(run.directory / LOG), style="dim"),
            )
        left = self.total - len(self.going) - self.ended.total()
        counts = [f"{count} {status}" for status, count in self.ended.items()]
        table.caption = Text(", ".join([f"{len(self.going)} running", f"{left} waiting", *counts]))
        table.caption_justify = "left"
        return table


def _last_line(path: Path) -> str:
    """The end of a log, as a terminal would show it; empty where there is none yet."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - LAST))
            lines = log.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return printable(next((line.strip() for line in reversed(lines) if line.strip()), ""))
