"""How long runs that are not done may take, from those that are and from what was planned."""

import dataclasses
from collections.abc import Mapping, Sequence
from statistics import median

from workbench.report.planned import Plan, Planned
from workbench.report.rows import GOOD, Row, apart_from_seed


def estimated(rows: Sequence[Row], plans: Sequence[Plan]) -> list[Row]:
    """The rows; those that are not done with how many seconds they may take in all.

    That is the median of runs that differ in the seed alone, else what the plan says. A plan's time
    that is of another machine is scaled by what such runs of it have taken here since. Without a
    plan it is the median of the notebook's runs.
    """
    planned = {run.run_id: run for plan in reversed(plans) for run in plan.runs if run.run_id}
    scale = _scale(rows, planned)
    took: dict[str, list[float]] = {}
    for row in rows:
        if row.status in GOOD and row.seconds:
            for key in (apart_from_seed(row), row.notebook):
                took.setdefault(key, []).append(row.seconds)

    def expected(row: Row) -> float | None:
        plan = planned.get(row.run_id)
        told = [plan.seconds * (scale if plan.estimated else 1)] if plan and plan.seconds else None
        alike = took.get(apart_from_seed(row)) if row.begun else None
        times = alike or told or took.get(row.notebook)
        return median(times) if times else None

    return [
        row if row.status in GOOD else dataclasses.replace(row, expected=expected(row))
        for row in rows
    ]


def _scale(rows: Sequence[Row], planned: Mapping[str, Planned]) -> float:
    """How many times as long as estimated those runs took that have ended since."""
    pairs = [
        (row.seconds, plan.seconds)
        for row in rows
        if row.status in GOOD
        and row.seconds
        and (plan := planned.get(row.run_id))
        and plan.estimated
        and plan.seconds
    ]
    return sum(took for took, _ in pairs) / sum(told for _, told in pairs) if pairs else 1.0
