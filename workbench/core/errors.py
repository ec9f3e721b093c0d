"""Errors a user can act on: what was given, what was expected, what to do; and an exit code.

Exit codes: 0 all good, 1 a bug, 2 usage or parameters, 3 data, 4 model or asset integrity, 5 a cell
raised, 6 timeout, 7 kernel died, 8 locked or interrupted, 9 the machine (network, disk, ports).
"""

MAX_LINE = 1500
"""Characters of a line of a message that are shown."""


class WorkbenchError(Exception):
    """Base of every expected failure.

    `what` says what was given, `expected` what would have been right, `do` the next step.
    """

    exit_code = 1

    def __init__(self, what: str, *, expected: str = "", do: str = "") -> None:
        lines = [what]
        if expected:
            lines.append(f"expected: {expected}")
        if do:
            lines.append(f"do: {do}")
        super().__init__("\n".join(lines))

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows of it: the message alone, as the steps behind it are not at fault.

        `%debug` in the next cell leads to the steps.
        """
        bold, plain = "\x1b[1m", "\x1b[0m"  # a colour would not show on both themes
        first, *rest = printable(str(self)).split("\n")
        return [f"{bold}{type(self).__name__}{plain}: {first}", *rest]


class ParameterError(WorkbenchError):
    """A parameter, suite or command line that can't be used (exit 2)."""

    exit_code = 2


class DataError(WorkbenchError):
    """A data set that breaks its format's rules (exit 3)."""

    exit_code = 3


class VersionError(DataError):
    """A file that another version of this package wrote, with what this one does not know."""


class IntegrityError(WorkbenchError):
    """A model or asset file that is not what the catalogue says it is (exit 4)."""

    exit_code = 4


class NotebookError(WorkbenchError):
    """A notebook cell raised (exit 5)."""

    exit_code = 5


class TrainingError(WorkbenchError):
    """Training can't go on, for instance because the loss is not finite (exit 5)."""

    exit_code = 5


class RunTimeoutError(WorkbenchError):
    """A run took longer than it may (exit 6)."""

    exit_code = 6


class KernelDiedError(WorkbenchError):
    """The notebook's kernel process ended by itself or was killed (exit 7)."""

    exit_code = 7


class InterruptedRunError(WorkbenchError):
    """A run that is going on elsewhere or was interrupted; it can be started again (exit 8)."""

    exit_code = 8


class MachineError(WorkbenchError):
    """Network, disk or ports of this machine failed (exit 9)."""

    exit_code = 9


def printable(text: str) -> str:
    r"""Text that can't steer a terminal: other characters than line ends are printable.

    Control and format characters, such as escape or a change of direction, are written out.

    >>> printable("a\x1b[2J\u202e\nb")
    'a\\x1b[2J\\u202e\nb'
    """
    return "".join(
        each
        if each.isprintable() or each == "\n"
        else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


def shown(text: str) -> str:
    """A message as a terminal may show it: printable, and no line of it without end.

    What it quotes may be of a record or of data that could not be read.
    """
    lines = (
        line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}..." for line in text.split("\n")
    )
    return printable("\n".join(lines))


def exit_code_of(error_name: str) -> int:
    """Exit code for an error known by its class name only, as a kernel reports it.

    >>> exit_code_of("DataError"), exit_code_of("ZeroDivisionError")
    (3, 5)
    """
    found = globals().get(error_name)
    if isinstance(found, type) and issubclass(found, WorkbenchError):
        return found.exit_code
    return NotebookError.exit_code
