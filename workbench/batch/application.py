"""The application that is a kernel, started with `python -m`: it loses none of its messages."""

import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__" and (sys.path[0] == "" or Path(sys.path[0]) == Path.cwd()):
    del sys.path[0]  # as ipykernel's own launcher does; the kernel adds it again

import zmq
from ipykernel.kernelapp import IPKernelApp


class Application(IPKernelApp):
    """A kernel that holds all it has to say until it is heard.

    ipykernel's drops what is more than a thousand messages ahead of its reader, the one that a
    cell has ended among them.
    """

    def init_iopub(self, context: Any) -> None:
        """Make the socket of outputs."""
        context.setsockopt(zmq.SNDHWM, 0)
        super().init_iopub(context)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    Application.launch_instance()
