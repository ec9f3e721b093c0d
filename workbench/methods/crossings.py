"""When learning curves pass a level: crossings with intervals over test items and draws.

Everything is computed from which items were answered right, in each draw of labelled examples.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.record import statistics
from workbench.record.draws import resample
from workbench.record.result import Metric
from workbench.record.statistics import LEVEL, MIN_CLUSTERS, Verdict, bootstrapped

ALREADY, NEVER = -math.inf, math.inf
"""Of a curve above the level at its smallest size, and of one that is nowhere above it."""
OUTCOMES = {ALREADY: "already", NEVER: "not reached"}
PASSES = "passes"
Values = NDArray[np.float64]
Right = NDArray[np.bool_]


def crossing(sizes: Sequence[int], curves: Values, levels: Values) -> Values:
    """The smallest size at which curves [..., S] are above levels [...]; ALREADY or NEVER [...].

    Between two sizes the accuracy is taken to be linear in the logarithm of the size.

    >>> crossing([10, 1000], np.array([[0.4, 0.6], [0.6, 0.7], [0.1, 0.5]]), np.full(3, 0.5))
    array([100., -inf,  inf])
    """
    above = curves > levels[..., None]
    last = np.maximum(above.argmax(-1), 1)[..., None]  # of the two sizes that it lies between
    low, high = (np.take_along_axis(curves, last - back, -1)[..., 0] for back in (1, 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        fraction = (levels - low) / (high - low)
    grid = np.log(np.asarray(sizes, float))
    start, end = grid[last[..., 0] - 1], grid[last[..., 0]]
    between = np.exp(start + np.clip(np.nan_to_num(fraction), 0, 1) * (end - start))
    return np.select([above[..., 0], above.any(-1)], [ALREADY, between], NEVER)


@dataclass(frozen=True)
class Answered:
    """Which of N test items were right, in each of D draws of labelled examples."""

    sizes: Sequence[int]
    """Numbers of labelled examples, S of them, ascending."""
    curves: Mapping[str, Right]
    """What learns -> right or wrong [S, D, N]."""
    levels: Mapping[str, Right]
    """What is prompted -> right or wrong [D, N]."""
    clusters: Sequence[object]
    """What each item belongs to: drawn together."""
    unit: str
    """What a cluster is, in words."""

    @property
    def items(self) -> int:
        """Number N of test items."""
        return len(self.clusters)

    @property
    def draws(self) -> int:
        """Number D of draws."""
        return int(next(iter(self.levels.values())).shape[0])

    @cached_property
    def by_draw(self) -> dict[str, Values]:
        """Accuracy of everything in each draw: [S, D] of a curve, [D] of a level."""
        return {name: right.mean(axis=-1) for name, right in self._all.items()}

    @cached_property
    def samples(self) -> dict[str, Values] | None:
        """Mean accuracy of everything in each resample: [B, S] or [B]; None for too few clusters.

        Clusters are drawn with replacement, and of D draws D - 1: so many give a mean as spread as
        the mean of all is (Rao and Wu 1988, "Resampling Inference with Complex Survey Data").
        Chance in one item of one draw counts with both, which makes an interval wider (Owen 2007,
        "The Pigeonhole Bootstrap"). A handful of draws says little of others: where draws differ
        more than items do, the interval of two reaches from one to the other, which holds the truth
        half the time, not 95 % of it. All that is compared is resampled alike, so differences are
        paired.
        """
        if len(set(self.clusters)) < MIN_CLUSTERS:
            return None
        columns = [right.reshape(-1, self.draws, self.items) for right in self._all.values()]
        stacked = np.concatenate(columns)
        sums = resample(self._counts(stacked))
        found = (sums[:, :-1] / sums[:, -1:]).reshape(len(sums), *stacked.shape[:2])
        if self.draws > 1:
            shape = (len(sums), 1, self.draws - 1)
            chosen = np.random.default_rng(1).integers(self.draws, size=shape)
            found = np.take_along_axis(found, chosen, axis=2)
        ends = np.cumsum([len(column) for column in columns])[:-1]
        parts = np.split(found.mean(axis=2), ends, axis=1)
        return {
            name: part if right.ndim == 3 else part[:, 0]
            for part, (name, right) in zip(parts, self._all.items(), strict=True)
        }

    @property
    def how(self) -> str:
        """How the resamples were made that crossings are from, or why there are none."""
        clusters = len(set(self.clusters))
        if clusters < MIN_CLUSTERS:
            return f"no interval: only {clusters} {self.unit}"
        draws = f" and {self.draws} draws of examples" if self.draws > 1 else ", one draw"
        return bootstrapped(clusters, f"{self.unit}{draws}")

    @property
    def _all(self) -> dict[str, Right]:
        return {**self.curves, **self.levels}

    def _counts(self, right: Right) -> Values:
        """Right items of each cluster in each column of right [..., N], and all its items, last."""
        rows = {cluster: row for row, cluster in enumerate(dict.fromkeys(self.clusters))}
        places = [rows[cluster] for cluster in self.clusters]
        columns = [*right.reshape(-1, self.items), np.ones(self.items)]
        return np.stack([np.bincount(places, column) for column in columns], axis=1)

    def metric(self, name: str, *, size: int | None = None, minus: str = "") -> Metric:
        """Mean accuracy over the draws, of a curve at one size; or what it is more than a level's.

        `size` is a place among the sizes; None for a level. Intervals as `measure` and `difference`
        make them, from `samples`.
        """

        def sides(of: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
            first = of[name] if size is None else of[name][size]
            return [first, of[minus]] if minus else [first]

        counts, samples = np.stack([*map(self._counts, sides(self._all))], axis=1), None
        if self.samples is not None:
            means = np.stack(sides({key: drawn.T for key, drawn in self.samples.items()}), axis=1)
            samples = np.stack([means, np.ones_like(means)], axis=-1)
        made = statistics.difference if minus else statistics.measure
        metric = made(counts, _accuracy, n=self.items, clusters=self.unit, samples=samples)
        assert metric is not None, "every cluster has items"
        plain = metric.how == bootstrapped(len(counts), self.unit)
        return metric.model_copy(update={"how": self.how}) if plain else metric

    def crossing(self, method: str, level: str) -> dict[str, Any]:
        """Where a curve passes a level: `at`, `low`, `high`, each a number or an outcome in words.

        `shares` are those of the outcomes among the resamples; without an interval there are none.
        """
        mean = {key: value.mean(axis=-1) for key, value in self.by_draw.items()}
        at = float(crossing(self.sizes, mean[method], mean[level]))
        found = {"method": method, "level": level, "at": named(at), "how": self.how}
        if self.samples is None:
            return found | {"low": None, "high": None, "fractions": {}}
        points = crossing(self.sizes, self.samples[method], self.samples[level])
        # No interpolation: between an infinite and a finite point there is nothing.
        levels = (1 - LEVEL) / 2, (1 + LEVEL) / 2
        low, high = np.quantile(points, levels, method="inverted_cdf")
        fractions = {word: float((points == value).mean()) for value, word in OUTCOMES.items()}
        fractions[PASSES] = float(np.isfinite(points).mean())
        ends = {"low": named(float(low)), "high": named(float(high))}
        return found | ends | {"fractions": fractions}


def _accuracy(sums: Values) -> Values:
    """Mean over the draws [X] of right items [X, D] or [X, 1, D] by all items, the last column."""
    found = sums[..., :-1].mean(axis=-1) / sums[..., -1]
    return np.asarray(found.reshape(len(found)))


def curve(answered: Answered) -> list[dict[str, Any]]:
    """Accuracy of what learns by method and size: mean, interval, standard deviation over draws."""
    return [
        {
            "method": method,
            "texts": size,
            **_spread(answered.by_draw[method][place]),
            **answered.metric(method, size=place).model_dump(mode="json"),
        }
        for method in answered.curves
        for place, size in enumerate(answered.sizes)
    ]


def levels(answered: Answered) -> list[dict[str, Any]]:
    """The same of what is prompted."""
    return [
        {
            "method": name,
            **_spread(answered.by_draw[name]),
            **({} if _varies(right) else {"sd": None}),
            **answered.metric(name).model_dump(mode="json"),
        }
        for name, right in answered.levels.items()
    ]


def _varies(right: Right) -> bool:
    """Whether draws differ in any answer: zero-shot prompts hold no examples to draw."""
    return bool((right != right[:1]).any())


def _spread(by_draw: Values) -> dict[str, Any]:
    several = len(by_draw) > 1
    return {"by_draw": by_draw.tolist(), "sd": float(by_draw.std(ddof=1)) if several else None}


def crossings(answered: Answered, references: Sequence[str]) -> list[dict[str, Any]]:
    """Where each method passes each reference, the last reference first, and that in words.

    `difference` is that in accuracy at the largest size, method minus reference. What is said of
    the methods beside one reference is corrected for how many they are, as in the table of them.
    """
    found = []
    for level in reversed(references):
        first, last = (
            {method: answered.metric(method, size=size, minus=level) for method in answered.curves}
            for size in (0, len(answered.sizes) - 1)
        )
        at_first, at_last = statistics.verdicts(first), statistics.verdicts(last)
        for method, apart in last.items():
            point = answered.crossing(method, level)
            said = tell(point, apart, at_first[method], at_last[method], answered.sizes)
            words = {"span": span(point, answered.sizes), "said": said}
            found.append(point | words | {"difference": apart.model_dump(mode="json")})
    return found


def bits(answered: Answered) -> dict[str, list[list[str]] | list[str]]:
    """Right (1) or wrong (0) in the order of the items: a text a draw, a list of them a size."""

    def text(right: Right) -> Any:
        return [text(part) for part in right] if right.ndim > 1 else "".join("01"[x] for x in right)

    return {name: text(right.astype(int)) for name, right in answered._all.items()}


def named(point: float) -> float | str:
    """A crossing as JSON has it.

    >>> named(70.0), named(ALREADY), named(NEVER)
    (70.0, 'already', 'not reached')
    """
    return OUTCOMES.get(point, point)


def span(found: Mapping[str, Any], sizes: Sequence[int]) -> str:
    """The interval of a crossing in figures; nothing where there is none.

    >>> span({"low": "already", "high": 190.2}, (8, 512)), span({"low": None, "high": None}, (8,))
    ('[≤ 8, 190]', '')
    """
    if found["low"] is None:
        return ""
    words = {"already": f"≤ {sizes[0]:,}", "not reached": f"> {sizes[-1]:,}"}
    low, high = (
        words[bound] if isinstance(bound, str) else f"{bound:,.0f}"
        for bound in (found["low"], found["high"])
    )
    return f"[{low}, {high}]"


def tell(
    found: Mapping[str, Any], apart: Metric, first: Verdict, last: Verdict, sizes: Sequence[int]
) -> str:
    """A crossing in a sentence or two, with what the largest size gives.

    `apart` is the difference in accuracy at the largest size, method minus level; `first` and
    `last` are what is to be said of it at the smallest and the largest. A method is called ahead at
    the smallest size only where it is better there.

    >>> apart = Metric(value=0.2, low=0.1, high=0.3, n=200, how="bootstrap")
    >>> found = {"method": "SetFit", "level": "4 shots", "at": 70.2, "low": 31.9, "high": 190.0}
    >>> better = Verdict("better", borderline=False)
    >>> tell(found, apart, better, better, (8, 512)).split(". ")[0]
    'Learning by SetFit overtakes 4 shots at about n = 70 labelled examples [32, 190]'
    """
    method, level, at = found["method"], found["level"], found["at"]
    if at == "already" and first.word == "better":
        said = f"is ahead of {level} with {sizes[0]:,} labelled examples already, the fewest tried"
    elif at == "already":
        said = (
            f"can't be distinguished from {level} with {sizes[0]:,} labelled examples, the fewest "
            f"tried, though its mean is above it there{_ahead(found)}"
        )
    elif at == "not reached":
        said = f"does not overtake {level} within n = {sizes[-1]:,} labelled examples"
    else:
        said = f"overtakes {level} at about n = {at:,.0f} labelled examples"
    told = " ".join(filter(None, [f"Learning by {method}", said, span(found, sizes)]))
    rest = "the two can't be distinguished" if last.word == "cannot tell" else f"it is {last.word}"
    return f"{told}. With {sizes[-1]:,} {rest}: accuracy {apart:+}."


def _ahead(found: Mapping[str, Any]) -> str:
    """In what proportion of the resamples a curve is above the level at its smallest size."""
    fractions = found.get("fractions")
    return f" (in {fractions[OUTCOMES[ALREADY]]:.0%} of the resamples)" if fractions else ""
