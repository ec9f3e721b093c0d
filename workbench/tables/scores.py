"""Scores of any task, the methods side by side."""

from workbench.result import Result
from workbench.tables.html import Html, note, table


def scores(result: Result) -> Html:
    """Every metric with interval and n, the baselines beside it."""
    names = list(result.baselines)
    rows = []
    for name, metric in result.metrics.items():
        others = [result.baselines[baseline].get(name) for baseline in names]
        cells = [str(other) if other else "" for other in others]
        rows.append([name, str(metric), *cells, f"{metric.n:,}"])
    how = sorted({metric.how for metric in result.metrics.values()})
    text = f"Shares from 0 to 1; in brackets 95 % intervals: {'; '.join(how)}."
    own = result.method or "this run"
    return Html(table(["metric", own, *names, "n"], rows) + note(text))
