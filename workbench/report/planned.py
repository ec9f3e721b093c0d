"""What was planned: each suite's last plan, kept beside the runs so that every index knows it."""

import contextlib
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from workbench.core.files import write_text

FOLDER = "plans"


class Planned(BaseModel):
    """One run of a plan, as it stood when the plan was made."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    run_id: str
    """Empty where its model or data could not be had."""
    label: str
    notebook: str
    task: str
    status: str
    why: str
    seconds: float | None
    """How long it is expected to take."""
    estimated: bool = False
    """Whether that is another machine's time, scaled by a short test of this one."""


class Plan(BaseModel):
    """The runs of a suite."""

    model_config = ConfigDict(frozen=True)

    suite: str
    made: str
    """Local time with offset, ISO 8601."""
    runs: list[Planned]


def write(reports: Path, suite: str, runs: Iterable[Planned]) -> None:
    """Keep the plan of a suite, in place of its last one."""
    made = datetime.now().astimezone().isoformat(timespec="seconds")
    plan = Plan(suite=Path(suite).stem, made=made, runs=list(runs))
    folder = reports / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^a-z0-9]+", "-", plan.suite.lower()).strip("-") or "suite"
    write_text(folder / f"{name}.json", plan.model_dump_json(indent=1) + "\n")


def read(reports: Path) -> list[Plan]:
    """The plans of all suites, the newest first; what can't be read is left out."""
    plans = []
    for path in (reports / FOLDER).glob("*.json"):
        with contextlib.suppress(OSError, ValueError):
            plans.append(Plan.model_validate_json(path.read_bytes()))
    return sorted(plans, key=lambda plan: plan.made, reverse=True)
