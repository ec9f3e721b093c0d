"""Settings ranked by test: a setting is a run's parameters but for the seed.

A test is a task, its data, and the parameters that change its items or its question. The order is
by test scores, so the best of many settings looks better than it is.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from markupsafe import Markup

from workbench.record import answer
from workbench.record.metric import LESS_IS_BETTER
from workbench.record.result import Metric
from workbench.report.rows import CODE, FAILED, GOOD, Row, apart_from_seed, begun_at, differing

DATA = ("dataset", "corpus")
"""How the kinds of sources begin that are data."""
WIDTH, HEIGHT, MARGIN = 150, 18, 7
"""Of a strip, in pixels."""


@dataclass(frozen=True)
class Score:
    """A metric over the seeds of a setting."""

    mean: float
    sd: float | None
    """Of the seeds' values, with n - 1; None for a single one."""
    one: Metric | None
    """The single seed's metric, whose interval says how items vary."""
    strip: Markup


@dataclass(frozen=True)
class Other:
    """A method beside a setting's own, over its seeds, by the first metric."""

    name: str
    score: Score
    difference: Score
    """The setting's own minus this one's, by seed; of one seed with its interval, where known."""
    verdict: str
    """On the setting's own, of one seed that the record compares; else empty."""


@dataclass(frozen=True)
class Setting:
    """Runs that differ in the seed alone, the newest of each seed."""

    method: str
    others: list[Other]
    """The best first."""
    facts: dict[str, Any]
    runs: list[Row]
    older: int
    """Earlier runs of the same seeds, left out."""
    lost: int
    """Runs of the setting that did not end well."""
    versions: int
    """Of notebook, package and environment, over which its runs are spread."""
    scores: dict[str, Score]
    seconds: float | None


@dataclass(frozen=True)
class Column:
    """A headline metric of a leaderboard, and the axis on which all its strips are drawn."""

    name: str
    metric: str
    unit: str
    low: float
    high: float
    less_is_better: bool

    def of(self, rows: Iterable[Row]) -> list[Metric]:
        """The metrics of this name and unit; numbers of other units are never beside them."""
        found = (row.metrics.get(self.metric) for row in rows)
        return [metric for metric in found if metric and metric.unit == self.unit]


@dataclass(frozen=True)
class Leaderboard:
    """All settings on one test, the best by the first metric on top."""

    task: str
    data: str
    test: dict[str, Any] | None
    """The test's parameters that differ from those of other leaderboards of the task and data; None
    where records don't say what the test is."""
    facts: list[str]
    """Names of the facts in which settings differ."""
    columns: list[Column]
    settings: list[Setting]


def leaderboards(rows: Iterable[Row]) -> list[Leaderboard]:
    """A leaderboard for each test, by task, data set and parameters."""
    found: dict[tuple[str, tuple[tuple[str, str], ...], str], list[Row]] = {}
    rows = list(rows)
    lost = Counter(apart_from_seed(row) for row in rows if row.status in FAILED)
    for row in rows:
        if row.status in GOOD and row.metrics:
            test = json.dumps(row.test, sort_keys=True, default=str)
            found.setdefault((row.task, _data(row), test), []).append(row)
    names = Counter((task, _named(data)) for task, data in {key[:2] for key in found})
    leaderboards = []
    for (task, data, _), runs in found.items():
        # One name for different content: the content's hash tells them apart.
        name = _named(data, content=names[task, _named(data)] > 1)
        others = [each[0].test for key, each in found.items() if key[:2] == (task, data)]
        leaderboards.append(_leaderboard(task, name, _told_apart(runs[0].test, others), runs, lost))
    return sorted(
        leaderboards,
        key=lambda leaderboard: (leaderboard.task, leaderboard.data, repr(leaderboard.test)),
    )


def _told_apart(
    test: dict[str, Any] | None, others: Sequence[dict[str, Any] | None]
) -> dict[str, Any] | None:
    """The parameters of a test in which those on the same data differ."""
    if test is None:
        return None
    names = differing([each for each in others if each is not None])
    return {name: test[name] for name in names if name in test}


def _data(row: Row) -> tuple[tuple[str, str], ...]:
    """Names and fingerprints of the data a run read."""
    return tuple(found for kind, found in row.sources.items() if kind.startswith(DATA))


def _named(data: Sequence[tuple[str, str]], *, content: bool = False) -> str:
    names = (f"{name} ({sha256[:8]})" if content else name for name, sha256 in data)
    return ", ".join(dict.fromkeys(names)) or "no data set"


def _leaderboard(
    task: str,
    data: str,
    test: dict[str, Any] | None,
    runs: Sequence[Row],
    lost: Mapping[str, int],
) -> Leaderboard:
    facts = [_facts(row) for row in runs]
    grouped: dict[str, list[Row]] = {}
    for row, own in zip(runs, facts, strict=True):
        grouped.setdefault(json.dumps(own, sort_keys=True, default=str), []).append(row)
    kinds = list(dict.fromkeys((n, one.unit) for row in runs for n, one in row.metrics.items()))
    units = Counter(name for name, _ in kinds)
    columns = [
        _column(name, unit, runs, f"{name} ({unit})" if units[name] > 1 else name)
        for name, unit in kinds
    ]
    settings = [
        _setting(group, columns, lost[apart_from_seed(group[0])]) for group in grouped.values()
    ]
    first = columns[0]
    sign = 1 if first.less_is_better else -1

    def place(setting: Setting) -> tuple[bool, float]:
        score = setting.scores.get(first.name)
        return score is None, sign * score.mean if score else 0.0

    settings.sort(key=place)
    return Leaderboard(task, data, test, _told(facts), columns, settings)


def _facts(row: Row) -> dict[str, Any]:
    """What makes the setting of a run: its notebook, parameters, and the content of its models."""
    found = {name: value for name, value in row.parameters.items() if name != "seed"}
    for kind, (_, content) in row.sources.items():
        if not kind.startswith(DATA):
            found[f"{kind}'s content"] = content[:8]
    return {"notebook": row.notebook, **found}


def _told(facts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the facts that tell settings apart; a model's content only where its name can't."""
    names = differing(facts)
    return [
        name
        for name in names
        if not (name.endswith("'s content") and _follows(name, name.split("'")[0], facts))
    ]


def _follows(name: str, other: str, facts: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a fact is the same wherever another one is."""
    pairs = {(repr(each.get(other)), repr(each.get(name))) for each in facts}
    return len(pairs) == len({first for first, _ in pairs})


def _setting(runs: Sequence[Row], columns: Sequence[Column], lost: int) -> Setting:
    """The newest run of each seed, in the seeds' order."""
    newest: dict[str, Row] = {}
    for row in sorted(runs, key=begun_at):
        newest[repr(row.parameters.get("seed"))] = row
    kept = sorted(newest.values(), key=lambda row: _number(row.parameters.get("seed")))
    times = [row.seconds for row in kept if row.seconds is not None]
    scores = {
        column.name: _score(found, column) for column in columns if (found := column.of(kept))
    }
    seconds = fmean(times) if times else None
    versions = {tuple(row.made_by.get(name) for name in CODE) for row in kept}
    return Setting(
        method=", ".join(dict.fromkeys(filter(None, (row.method for row in kept)))),
        others=_others(kept),
        facts=_facts(kept[0]), runs=kept, older=len(runs) - len(kept), lost=lost,
        versions=len(versions), scores=scores, seconds=seconds,
    )  # fmt: skip


def _others(kept: Sequence[Row]) -> list[Other]:
    """The methods that all seeds have beside the own one, the best first."""
    values = [next(iter(row.metrics.values())) for row in kept]
    unit = values[0].unit
    by_name = [{other.name: other for other in row.others} for row in kept]
    found = []
    for name in by_name[0]:
        same = [each[name] for each in by_name if name in each and each[name].metric.unit == unit]
        if len(same) < len(kept):
            continue
        apart = [
            other.difference or Metric(value=own.value - other.metric.value, n=own.n, how="")
            for own, other in zip(values, same, strict=True)
        ]
        verdict = _said(same[0]) if len(kept) == 1 else ""
        score = _score([other.metric for other in same])
        found.append(Other(name, score, _score(apart), verdict))
    sign = 1 if unit in LESS_IS_BETTER else -1
    return sorted(found, key=lambda other: sign * other.score.mean)


def _said(other: answer.Other) -> str:
    return f"{other.verdict}, borderline" if other.borderline else other.verdict


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.inf


def _score(found: Sequence[Metric], column: Column | None = None) -> Score:
    values = [metric.value for metric in found]
    one = found[0] if len(found) == 1 else None
    sd = float(np.std(values, ddof=1)) if one is None else None
    return Score(fmean(values), sd, one, strip(found, column) if column else Markup(""))


def _column(metric: str, unit: str, runs: Sequence[Row], name: str) -> Column:
    """The axis from the smallest to the largest number in the column, at round ends."""
    less = unit in LESS_IS_BETTER
    found = Column(name, metric, unit, 0, 0, less_is_better=less).of(runs)
    ends = [end for metric in found for end in (metric.value, metric.low, metric.high)]
    known = [end for end in ends if end is not None]
    low, high = min(known), max(known)
    step = 10.0 ** math.floor(math.log10(high - low)) / 2 if high > low else 0.05
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    if low == high:
        low, high = low - step, high + step
    return Column(name, metric, unit, low, high, less_is_better=less)


def strip(found: Sequence[Metric], column: Column) -> Markup:
    """A dot a seed on the column's axis; of one seed also its interval, of several their mean."""

    def place(value: float) -> str:
        share = (value - column.low) / (column.high - column.low)
        return f"{MARGIN + share * (WIDTH - 2 * MARGIN):.1f}"

    middle = HEIGHT // 2
    said = ", ".join(f"{metric.value:.3f}" for metric in found)
    parts = [f'<path class="axis" d="M{MARGIN} {middle}H{WIDTH - MARGIN}"/>']
    one = found[0]
    if len(found) > 1:
        where = place(fmean(metric.value for metric in found))
        parts.append(f'<path class="mean" d="M{where} 2V{HEIGHT - 2}"/>')
    elif one.low is not None and one.high is not None:
        parts.append(f'<path class="range" d="M{place(one.low)} {middle}H{place(one.high)}"/>')
        said = str(one)
    # A line of no length with round ends is a dot.
    dots = "".join(f"M{place(metric.value)} {middle}h.01" for metric in found)
    parts.append(f'<path class="dots" d="{dots}"/>')
    # All of it is numbers of ours: nothing in it needs escaping.
    return Markup(  # noqa: S704
        f'<svg class="strip" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}">'
        f"{''.join(parts)}</svg>"
    )
