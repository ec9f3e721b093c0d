"""How the runs of a plan end, whatever carries them out: said at once, and kept for the table."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.batch import plan_status
from workbench.batch.execute import Outcome
from workbench.batch.plan import Run
from workbench.batch.plan_status import RunStatus
from workbench.batch.progress import ProgressDisplay
from workbench.core import paths
from workbench.core.errors import InterruptedRunError, printable
from workbench.record import state
from workbench.record.answer import answer
from workbench.record.result import Result, duration, is_whole
from workbench.report import index

DONE_BEFORE = "done before"
LOOK_S = 0.5


@dataclass(frozen=True)
class Line:
    """One row of the closing table."""

    label: str
    status: str
    exit_code: int
    seconds: float
    note: str


class SuiteResults:
    """The lines of a plan; those of runs that are done or can't be are there from the start."""

    def __init__(self, plan: Sequence[RunStatus]) -> None:
        self.plan = plan
        self.display = ProgressDisplay(len(plan))
        self.lines: dict[int, Line] = {}
        self.begun = 0
        self.index_due = 0.0
        self.to_do: list[tuple[int, Run]] = []
        """The other runs, by their number in the plan."""
        self.elsewhere: list[tuple[int, Run]] = []
        """Runs that other processes were at when they were to begin."""
        for number, found in enumerate(plan):
            if found.run is None:
                self._add(number, "failed", found.exit_code, 0.0, found.why)
                self.display.ended["failed"] += 1
            elif found.status == plan_status.DONE:
                self._add(number, DONE_BEFORE, 0, 0.0, f"{found.why}; {_headline(found.run)}")
                self.display.ended[DONE_BEFORE] += 1
            else:
                self.to_do.append((number, found.run))

    def begin(self, number: int) -> None:
        """Say that a run begins."""
        found = self.plan[number]
        assert found.run is not None
        self.begun += 1
        self.display.begin(number, found.job.label, found.run.directory, found.seconds)

    def end(self, number: int, outcome: Outcome, attempts: int = 1, note: str = "") -> None:
        """Take and say how a run ended, and how often it was begun where that was not once.

        One that another process is at is kept for `take_from_others`.
        """
        run = self.plan[number].run
        assert run is not None
        if outcome.status == "running":
            self.begun -= 1
            self.elsewhere.append((number, run))
            self.display.wait(number, self.plan[number].job.label, outcome.message)
            return
        succeeded = outcome.status == "succeeded"
        note = (_headline(run) if succeeded else outcome.message.replace("\n", "; ")) + note
        if attempts > 1:
            note += f"; {attempts} attempts"
        self._add(number, outcome.status, outcome.exit_code, outcome.seconds, note)
        text = f"{outcome.status} after {duration(outcome.seconds)}; {note}"
        self.display.end(number, self.plan[number].job.label, outcome.status, text)
        self.write_index()

    def take_from_others(self) -> bool:
        """Wait for the runs that other processes are at, and take how those ended.

        True where some were left unfinished, and are to be done here. After an interrupt, or by
        one, nothing is waited for.
        """
        ended = {line.status for line in self.lines.values()}
        if "interrupted" in ended or len(self.lines) + len(self.elsewhere) < len(self.plan):
            return False
        waiting, self.elsewhere, self.to_do = self.elsewhere, [], []
        with contextlib.suppress(KeyboardInterrupt):
            for number, run in waiting:
                while state.is_held(run.directory):
                    time.sleep(LOOK_S)
                facts = state.read(run.directory)
                status, code = facts.get("status", ""), facts.get("exit_code")
                if status == "succeeded" and is_whole(run.directory):
                    took = facts.get("seconds") or 0.0
                    self.end(number, Outcome(status, 0, "", took), note="; by another process")
                elif code and status != "interrupted":
                    took, why = facts.get("seconds") or 0.0, facts.get("message") or ""
                    self.end(number, Outcome(status, code, f"by another process: {why}", took))
                else:
                    self.to_do.append((number, run))
            return bool(self.to_do)
        return False

    def write_index(self) -> None:
        """Write the index anew, unless that would take more than a tenth of the time."""
        began = time.monotonic()
        if began >= self.index_due:
            index.write(paths.reports())
            ended = time.monotonic()
            self.index_due = ended + 9 * (ended - began)

    def say(self, number: int, text: str) -> None:
        """Tell of one run."""
        self.display.say(number, self.plan[number].job.label, text)

    def close(self) -> int:
        """Print the table and write the index; return the worst exit code."""
        lines = [line for _, line in sorted(self.lines.items())]
        width = max((len(line.label) for line in lines), default=0)
        print()
        for line in lines:
            took = duration(line.seconds)
            shown = f"{line.label:<{width}}  {line.status:<11} {took:>12}  {line.note}"
            print(printable(shown))
        done = sum(line.status == DONE_BEFORE for line in lines)
        print(f"{self.begun} of {len(self.plan)} runs executed, {done} were done before")
        print(index.write(paths.reports()))
        codes = [line.exit_code for line in lines]
        if len(lines) < len(self.plan):
            codes.append(InterruptedRunError.exit_code)
        return max(codes)

    def _add(self, number: int, status: str, code: int, seconds: float, note: str) -> None:
        self.lines[number] = Line(self.plan[number].job.label, status, code, seconds, note)


def _headline(run: Run) -> str:
    """What the run found, in one sentence."""
    record = Result.read_record(run.directory)
    return record.answer or answer(record)
