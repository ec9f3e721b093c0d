"""Why a run that did not succeed ended, what to do, and the command that starts it again."""

import json
import shlex
from dataclasses import dataclass
from typing import Any

from workbench.record.result import duration
from workbench.report.cells import Place

TITLES = {
    "failed": "The run failed",
    "killed": "The kernel's process ended or was killed",
    "timeout": "A cell took longer than it may",
    "oom": "The memory did not suffice",
    "interrupted": "The run was interrupted",
}
RAISED = "A cell raised an error"
ADVICE = {
    "failed": "Mend what the message says, then run it again.",
    "killed": "Look at the end of run.log for its last words, then run it again.",
    "timeout": "Give it less to do, or more time, as below; in a suite by timeout_s.",
    "oom": "Lower what it holds at once, or run fewer jobs, then run it again.",
    "interrupted": "Nothing is wrong with it: run it again. It starts from the beginning.",
}


@dataclass(frozen=True)
class Ending:
    """What stands on top of the page of a run that did not succeed."""

    title: str
    message: str
    advice: str
    place: Place | None
    facts: dict[str, str]
    command: str


def explain(
    facts: dict[str, Any], status: str, place: Place | None, changed: dict[str, Any]
) -> Ending | None:
    """What is known of the end of a run, from its state; None for one that did not end badly.

    `changed` are the parameters that the command to run it again must give.
    """
    if status not in TITLES:
        return None
    title = RAISED if status == "failed" and place and place.error else TITLES[status]
    message, advice = _split(facts.get("message") or "", place, said=(title, status))
    attempts = facts.get("attempts")
    known = {"attempts": str(attempts) if isinstance(attempts, int) and attempts > 1 else ""}
    if facts.get("seconds") is not None:
        known["ran for"] = duration(facts["seconds"])
    if facts.get("peak_mb") and "peak memory" not in message:
        known["peak memory"] = f"{facts['peak_mb']:,.0f} MiB"
    if facts.get("exit_code") is not None:
        known["exit code"] = str(facts["exit_code"])
    return Ending(
        title=title,
        message=message or (place.error if place else ""),
        advice=advice or ADVICE[status],
        place=place,
        facts={name: value for name, value in known.items() if value},
        command=command(facts.get("notebook", ""), changed, timeout_s=_more_time(facts, status)),
    )


def _more_time(facts: dict[str, Any], status: str) -> int:
    """Seconds that a cell may take at the next try; 0 for the usual ones."""
    given = facts.get("timeout_s")
    return max(60, 4 * given) if status == "timeout" and isinstance(given, int) else 0


def _split(message: str, place: Place | None, said: tuple[str, ...]) -> tuple[str, str]:
    r"""Message and advice of a state's message, without its place and what is `said` before.

    >>> _split("interrupted\ndo: free some space", None, said=("Interrupted",))
    ('', 'Free some space.')
    """
    if place:
        message = message.removeprefix(f"code cell {place.number} ({place.first_line}): ")
    lines, advice = [], []
    for line in message.splitlines():
        if line.startswith("do: "):
            text = line.removeprefix("do: ")
            advice.append(f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?')) else '.'}")
        elif line.casefold() not in {text.casefold() for text in said}:
            lines.append(line)
    return "\n".join(lines), " ".join(advice)


def command(notebook: str, changed: dict[str, Any], *, timeout_s: int = 0) -> str:
    """The command that runs a notebook with these parameters; "" where the notebook is not known.

    >>> command("50_ner", {"epochs": 3, "transfer": "", "dataset": "my data.txt"})
    "workbench run 50_ner --set epochs=3 --set transfer= --set 'dataset=my data.txt'"
    """
    if not notebook:
        return ""
    words = ["workbench", "run", notebook]
    words += ["--timeout-s", str(timeout_s)] if timeout_s else []
    for name, value in changed.items():
        words += ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    return shlex.join(words)
