"""Scores of any task, the methods side by side."""

from workbench.display.html import Html, note, table
from workbench.record.metric import summed_up
from workbench.record.result import Metric, Result

UNITS = {
    "fraction": "fractions from 0 to 1",
    "correlation": "for MCC a correlation from -1 to 1, 0 for guessing",
}
"""A metric's unit in words."""
MOST_COLUMNS = 6
"""Methods that a page has room for side by side."""


def scores(result: Result) -> Html:
    """Every metric of every method with interval and n, the run's own method first.

    A column a method; where those are many, a row.
    """
    methods = {result.method or "this run": result.metrics, **result.baselines}
    rows = [["metric", *methods, "n"]]
    for name in dict.fromkeys(name for found in methods.values() for name in found):
        metrics = [found.get(name) for found in methods.values()]
        n = next(metric.n for metric in metrics if metric)
        rows.append([name, *(str(metric) if metric else "" for metric in metrics), f"{n:,}"])
    shown = [metric for found in methods.values() for metric in found.values()]
    if len(methods) > MOST_COLUMNS:
        rows = [list(column) for column in zip(*rows, strict=True)]
    return Html(table(rows[0], rows[1:], rule_before="n") + note(_reading(shown)))


def _reading(metrics: list[Metric]) -> str:
    """Units, how the intervals were made, and why some numbers have none."""
    units = [UNITS.get(unit, f"in {unit}") for unit in dict.fromkeys(m.unit for m in metrics)]
    made = summed_up(metric.how for metric in metrics if metric.low is not None)
    without = summed_up(metric.how for metric in metrics if metric.low is None)
    parts = [f"Numbers are {'; '.join(units)}"]
    parts += [f"In brackets 95 % intervals: {made}"] if made else []
    parts += [f"Without: {without}"] if without else []
    return f"{'. '.join(parts)}."
