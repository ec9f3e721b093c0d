"""papermill's client of a kernel, made careful: whole files, capped output, no secrets."""

from collections import deque
from pathlib import Path
from typing import Any, TextIO

import zmq
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_output
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.iorw import LocalHandler, papermill_io

from workbench.batch.scrub import Scrubber
from workbench.core.errors import MachineError
from workbench.core.files import replacing

ENGINE = "workbench"
SCHEME = "whole:"
"""Paths that begin so are written in one step; papermill's own writer destroys the file before."""
MAX_PRINTED = 2_000_000
"""Characters of printed output kept of a cell: this many of its beginning, and TAIL of its end."""
TAIL = 20_000
MAX_SHOWN = 50_000_000
"""Characters of figures, tables and other displays kept of a cell."""
MAX_ERROR, MAX_FRAMES = 20_000, 200
"""Characters kept of an error's message and of each frame of its traceback, the last ones."""
MAX_LOG = 50_000_000
PART = 65_536
"""Printed text grows in outputs of this size, as to append to a long text copies it."""


LAUNCHER, OWN_LAUNCHER = "ipykernel_launcher", "workbench.batch.application"
"""Modules that are a kernel: ipykernel's, and ours in its place."""


class Manager(AsyncKernelManager):
    """Starts a kernel that loses no message, where ipykernel's is asked for.

    At its end a kernel that has nothing to do is not interrupted first: it would say so in the log.
    """

    at_rest = False
    """Whether the last cell has ended."""

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        """The command that starts the kernel."""
        command = super().format_kernel_cmd(extra_arguments)
        return [OWN_LAUNCHER if word == LAUNCHER else word for word in command]

    async def _async_interrupt_kernel(self) -> None:
        if not (self.shutting_down and self.at_rest):
            await super()._async_interrupt_kernel()


class KernelStartError(MachineError):
    """The kernel did not start; to try again may help."""


class Printed:
    """What is printed in one cell, as far as it is kept."""

    def __init__(self) -> None:
        self.kept = self.cut = self.shown = self.hidden = 0
        self.tail: deque[str] = deque()
        self.tail_length = 0

    def add(self, outputs: list[NotebookNode], name: str, text: str) -> None:
        """Append text to the outputs, or past the cap to the tail."""
        if self.kept >= MAX_PRINTED:
            self._cut(text)
            return
        last = outputs[-1] if outputs else None
        if last and last.output_type == "stream" and last.name == name and len(last.text) < PART:
            self.kept -= len(last.text)
            last.text = overwritten(last.text + text)
        else:
            last = new_output("stream", name=name, text=overwritten(text))
            outputs.append(last)
        self.kept += len(last.text)
        if self.kept > MAX_PRINTED:
            keep = len(last.text) - (self.kept - MAX_PRINTED)
            self._cut(last.text[keep:])
            last.text, self.kept = last.text[:keep], MAX_PRINTED

    def _cut(self, text: str) -> None:
        self.cut += len(text)
        self.tail.append(text[-TAIL:])
        self.tail_length += len(self.tail[-1])
        while self.tail_length - len(self.tail[0]) >= TAIL:
            self.tail_length -= len(self.tail.popleft())

    def room(self, output: NotebookNode) -> bool:
        """Whether a display still fits; counts those that do not."""
        size = len(str(output.get("data", "")))
        if self.shown + size > MAX_SHOWN:
            self.hidden += 1
            return False
        self.shown += size
        return True

    def close(self, outputs: list[NotebookNode]) -> list[str]:
        """Append the tail, and lines that say what was cut; return these lines."""
        said = []
        if self.cut:
            tail = overwritten("".join(self.tail))[-TAIL:]
            lost = self.cut - len(tail)
            said.append(f"{lost:,} characters of printed output were cut here")
            outputs.append(new_output("stream", name="stdout", text=f"\n[{said[0]}]\n{tail}"))
        if self.hidden:
            said.append(f"{self.hidden:,} displays were left out, past {MAX_SHOWN:,} characters")
            outputs.append(new_output("stream", name="stderr", text=f"\n[{said[-1]}]\n"))
        return said


def overwritten(text: str) -> str:
    r"""Printed text without what a carriage return overwrote; a last one is still to overwrite.

    >>> overwritten("1 of 2\r2 of 2\ndone\r")
    '2 of 2\ndone\r'
    """
    if "\r" not in text:
        return text
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(_last(line) for line in lines)


def _last(line: str) -> str:
    body = line.rstrip("\r")
    return body.rpartition("\r")[2] + line[len(body) :][:1]


class Client(PapermillNotebookClient):
    """Executes cells; what they print goes to the log as well, past the caps to neither."""

    def __init__(self, *args: Any, scrubber: Scrubber, log_file: TextIO, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._scrubber, self.log_file = scrubber, log_file
        self._logged = self._unlogged = 0
        self._printed = Printed()
        self.clear_before_next_output = False

    async def async_start_new_kernel(self, **kwargs: Any) -> None:
        """Start the kernel; MachineError where there is none, KernelStartError where it failed."""
        try:
            await super().async_start_new_kernel(**kwargs)
        except Exception as error:
            raise self._no_kernel(error) from error

    start_new_kernel = run_sync(async_start_new_kernel)

    async def async_start_new_kernel_client(self) -> Any:
        """Wait for the kernel's first answer; KernelStartError where it dies before."""
        # As in `application`: a reader that is a thousand messages behind would lose some.
        self.km.context.setsockopt(zmq.RCVHWM, 0)
        try:
            return await super().async_start_new_kernel_client()
        except Exception as error:
            raise self._no_kernel(error) from error

    start_new_kernel_client = run_sync(async_start_new_kernel_client)

    def _no_kernel(self, error: Exception) -> MachineError:
        # A kernel that died may live the next time; one that is unknown or too slow will not.
        died = isinstance(error, DeadKernelError) or "died before" in str(error)
        return (KernelStartError if died else MachineError)(
            f"the kernel {self.kernel_name!r} did not start: {error}",
            expected="an answer from it",
            do="make setup, or look at run.log and at the machine's load",
        )

    async def async_execute_cell(self, cell: NotebookNode, cell_index: int, **kw: Any) -> Any:
        """Execute one cell; afterwards its outputs and the log say what was cut."""
        self._printed = Printed()
        manager: Any = self.km
        manager.at_rest = False
        try:
            done = await super().async_execute_cell(cell, cell_index, **kw)
            manager.at_rest = True
            return done
        except CellExecutionError:
            manager.at_rest = True
            raise
        finally:
            for line in self._printed.close(cell.get("outputs", [])):
                self.say(f"cell {cell_index + 1}: {line}")

    execute_cell = run_sync(async_execute_cell)

    def process_message(self, msg: Any, cell: NotebookNode, cell_index: int) -> Any:
        """Take secrets out of a message before anything else sees it."""
        if msg["msg_type"] in {"stream", "error", "display_data", "execute_result",
                               "update_display_data"}:  # fmt: skip
            msg["content"] = self._scrubber.message(msg["content"])
        return super().process_message(msg, cell, cell_index)

    def output(self, outs: Any, msg: Any, display_id: str, cell_index: int) -> NotebookNode | None:
        """Keep an output within the caps."""
        if self.clear_before_next_output:
            self._printed = Printed()  # what it counted goes
        if msg["msg_type"] == "error":
            content = msg["content"]
            content["evalue"] = content["evalue"][:MAX_ERROR]
            content["traceback"] = [line[:MAX_ERROR] for line in content["traceback"][-MAX_FRAMES:]]
        if msg["msg_type"] == "stream":
            if self.clear_before_next_output:
                outs[:] = []
                self.clear_before_next_output = False
            self._log_printed(msg["content"]["text"])
            self._printed.add(outs, msg["content"]["name"], msg["content"]["text"])
            return None
        before = len(outs)
        output = super().output(outs, msg, display_id, cell_index)
        if len(outs) > before and not self._printed.room(outs[-1]):
            # Its place stays, as displays with a name are updated by their place.
            outs[-1] = new_output("display_data", data={"text/plain": "[left out]"})
        return output

    def clear_output(self, outs: Any, msg: Any, cell_index: int) -> None:
        """Clear a cell's outputs, and what was counted of them."""
        super().clear_output(outs, msg, cell_index)
        if not outs:
            self._printed = Printed()

    def _log_printed(self, text: str) -> None:
        room = max(0, MAX_LOG - self._logged)
        self.log_file.write(text[:room])
        self.log_file.flush()
        self._logged += min(len(text), room)
        self._unlogged += max(0, len(text) - room)

    def say(self, text: str) -> None:
        """A line of ours in the log."""
        self.log_file.write(f"\n[workbench] {text}\n")
        self.log_file.flush()

    def close_log(self) -> None:
        """Say in the log what it lacks."""
        if self._unlogged:
            self.say(f"this log ends here: {self._unlogged:,} more characters were printed")


class Engine(NBClientEngine):
    """papermill's engine with the client of this module."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
        """Execute the notebook; `options` are those of the client."""
        del options["log_output"], options["stdout_file"], options["stderr_file"]
        options.pop("input_path", None)
        client = Client(
            nb_man,
            kernel_name=kernel_name,
            startup_timeout=options.pop("start_timeout"),
            timeout=options.pop("execution_timeout"),
            **options,
        )
        try:
            # What the kernel's process itself says, such as why it crashed, is for the log.
            return client.execute(stdout=client.log_file, stderr=client.log_file)
        finally:
            client.close_log()


class _WholeFiles(LocalHandler):
    """Writes a notebook in one step, so that a reader finds the one before or this one."""

    def read(self, path: str) -> str:
        return super().read(path.removeprefix(SCHEME))

    def write(self, buf: str, path: str) -> None:
        # Not flushed to disk at each cell: that would wait for the disk many times a run.
        with replacing(Path(path.removeprefix(SCHEME)), durable=False) as partial:
            partial.write_text(buf, encoding="utf-8")

    def pretty_path(self, path: str) -> str:
        return path.removeprefix(SCHEME)


papermill_engines.register(ENGINE, Engine)
papermill_io.register(SCHEME, _WholeFiles())
