"""Intervals by bootstrap over clusters: the items of a cluster stay together."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.record.draws import RESAMPLES, Counts, resample
from workbench.record.intervals import NORMAL_95, few_apart, few_on_one_side, wilson
from workbench.record.metric import MONTE_CARLO, Metric

LEVEL = 0.95
MIN_CLUSTERS = 10
"""Fewer say nothing about how clusters vary: there is no interval then."""
NORMAL_80 = 0.84
"""Quantile of a power of 80 %."""
Statistic = Callable[[Counts], Counts]
TURNED = {"better": "worse", "worse": "better", "cannot tell": "cannot tell"}
"""What a verdict is where less is better."""


def measure(
    counts: Counts,
    statistic: Statistic,
    *,
    n: int,
    clusters: str,
    unit: str = "fraction",
    samples: Counts | None = None,
    biased: bool = False,
    size: float | None = None,
) -> Metric | None:
    """A statistic as a metric with interval; None where it is not defined.

    `clusters` says in words what is drawn, such as "documents". Clusters in which the statistic is
    not defined, such as documents without an entity of a type, don't count; under 10 others there
    is no interval, and the metric says so. Of a fraction, between 0 and 1, the interval is
    Wilson's where the bootstrap would be of few items on one side (`wilson`); `size` is
    how many independent items tell as much as all, as many as clusters where it is not given. A
    statistic that is the same in all resamples has none otherwise. `biased` statistics lie lower in
    resamples than in the data, as they do in the data than in truth: `debiased` corrects them.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(statistic(counts.sum(axis=0)[None])[0])
        defined = int(np.count_nonzero(~np.isnan(statistic(counts))))
    if math.isnan(value):
        return None
    if (how := _too_few(defined, len(counts), clusters)) is not None:
        return Metric(value=value, n=n, unit=unit, how=how)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = statistic(resample(counts) if samples is None else samples)
    spread = _variance(found)
    few = few_on_one_side(value, spread, size or defined) if unit == "fraction" else None
    if few is not None:
        low, high = wilson(value, few)
        how = f"Wilson interval, as of {few:,.0f} independent {clusters}"
        return Metric(value=value, low=low, high=high, n=n, unit=unit, how=how)
    if spread == 0:
        how = f"no interval: the same in every resample of {defined:,} {clusters}"
        return Metric(value=value, n=n, unit=unit, how=how)
    low, high, _ = debiased(value, found) if biased else interval(found)
    if unit == "fraction":
        low, high = max(0.0, low), min(1.0, high)
    how = bootstrapped(defined, clusters, biased=biased)
    return Metric(value=value, low=low, high=high, n=n, unit=unit, how=how)


def difference(
    pairs: Counts,
    statistic: Statistic,
    *,
    n: int,
    clusters: str,
    unit: str = "fraction",
    samples: Counts | None = None,
    biased: bool = False,
    size: float | None = None,
) -> Metric | None:
    """A statistic of the first less that of the second, of counts [clusters, 2, ...], paired.

    Metrics and reasons as of `measure`, with a two-sided p-value. Where the two differ in under 10
    clusters, or alike in all, the bootstrap draws from too little: the interval of shares is then
    Agresti's and Min's (`few_apart`); other units have none.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(_minus(statistic, pairs.sum(axis=0)[None])[0])
        alone = np.stack([statistic(pairs[:, side]) for side in (0, 1)])
    if math.isnan(value):
        return None
    defined = int(np.count_nonzero(~np.isnan(alone).all(axis=0)))
    if (how := _too_few(defined, len(pairs), clusters)) is not None:
        return Metric(value=value, n=n, unit=unit, how=how)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = _minus(statistic, resample(pairs) if samples is None else samples)
    apart = int((pairs[:, 0] != pairs[:, 1]).reshape(len(pairs), -1).any(axis=1).sum())
    facts = {"value": value, "n": n, "unit": unit}
    spread = _variance(found)
    if apart >= MIN_CLUSTERS and spread > 0:
        low, high, p = debiased(value, found) if biased else interval(found)
        how = bootstrapped(defined, clusters, biased=biased)
        return Metric(**facts, low=low, high=high, how=how, p=p)
    if unit != "fraction":
        how = f"no interval: the two differ in {apart} of {defined:,} {clusters}"
        return Metric(**facts, how=how)
    low, high, p = few_apart(value, spread, size or defined)
    how = f"Agresti-Min interval: the two differ in {apart} of {defined:,} {clusters}"
    return Metric(**facts, low=low, high=high, how=how, p=p)


def interval(samples: Counts) -> tuple[float, float, float]:
    """The middle 95 % of resampled values, NaN left out, and the p-value of 0.

    The percentile interval of Efron and Tibshirani 1993, "An Introduction to the Bootstrap",
    section 13.3. Where no resample is on the other side of 0, so few resamples can't say how small
    the p-value is: it is then that of a normal distribution (`debiased`), if smaller.
    """
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(samples, [tail, 1 - tail])
    p = p_value(samples)
    if np.nanmin(samples) > 0 or np.nanmax(samples) < 0:
        p = min(p, debiased(float(np.nanmean(samples)), samples)[2])
    return float(low), float(high), p


def debiased(value: float, samples: Counts) -> tuple[float, float, float]:
    """Normal 95 % interval and p-value with the bias and spread of resampled values.

    The value less the bootstrap's bias, give or take 1.96 of its standard deviations (Davison and
    Hinkley 1997, "Bootstrap Methods", section 5.2.1).
    """
    centre, error = 2 * value - float(np.nanmean(samples)), float(np.nanstd(samples))
    half = NORMAL_95 * error
    return centre - half, centre + half, math.erfc(abs(centre) / error / math.sqrt(2))


def bootstrapped(drawn: int, clusters: str, *, biased: bool = False) -> str:
    """How a bootstrap's interval was made, with the Monte Carlo error of its ends."""
    kind, error = "percentile", MONTE_CARLO
    if biased:  # of its mean and standard deviation, .038 standard deviations
        kind, error = "normal interval, less the bias, from a", 0.01
    return (
        f"{kind} bootstrap over {drawn:,} {clusters}, {RESAMPLES:,} resamples; "
        f"Monte Carlo error of an end {error:.1%} of the width"
    )


def detectable(found: Metric) -> float | None:
    """Smallest true value that 8 of 10 samples like this one would tell from 0.

    From half the interval's width, as if the estimate were normal. None without an interval.

    >>> found = Metric(value=0.01, low=-0.0096, high=0.0296, n=900, how="bootstrap")
    >>> f"{detectable(found):.3f}"  # 2.8 standard errors of 0.01
    '0.028'
    """
    if found.low is None or found.high is None:
        return None
    return (NORMAL_95 + NORMAL_80) * (found.high - found.low) / (2 * NORMAL_95)


@dataclass(frozen=True)
class Verdict:
    """What a difference says: `better`, `worse` or `cannot tell`, and whether only just."""

    word: str
    borderline: bool

    def __str__(self) -> str:
        """The word, with what it is worth.

        >>> str(Verdict("better", borderline=True))
        'better, borderline'
        """
        return f"{self.word}, borderline" if self.borderline else self.word


def verdicts(differences: Mapping[str, Metric]) -> dict[str, Verdict]:
    """What differences that are shown together say, corrected by Holm for how many they are.

    One alone, and differences of old records, which have no p-values, are each judged by their
    interval. Borderline is a p-value within two of its Monte Carlo standard errors of its limit.
    """
    metrics = {name: each for name, each in differences.items() if each.low is not None}
    p_values = [max(each.p, 1e-300) for each in metrics.values() if each.p is not None]
    found = {n: Verdict(each.verdict, each.borderline) for n, each in differences.items()}
    if _corrected(differences):
        for (name, each), p, adjusted in zip(
            metrics.items(), p_values, holm(p_values), strict=True
        ):
            limit = (1 - LEVEL) * p / adjusted
            near = abs(p - limit) <= 2 * math.sqrt(2 * min(p, limit) / RESAMPLES)
            significant = adjusted <= 1 - LEVEL
            side = "better" if (each.low or 0) + (each.high or 0) > 0 else "worse"
            word = side if significant else "cannot tell"
            found[name] = Verdict(word, borderline=near)
    return found


def correction(differences: Mapping[str, Metric]) -> str:
    """A sentence on how `verdicts` of these differences deal with their number; "" for one.

    >>> correction({"a": Metric(value=0.1, n=9, how="no interval: only 9 texts")})
    ''
    """
    compared = sum(each.low is not None for each in differences.values())
    if compared < 2:
        return ""
    if _corrected(differences):
        return f"Verdicts are corrected for {compared} comparisons by Holm's method."
    return f"Verdicts are not corrected for {compared} comparisons."


def _corrected(differences: Mapping[str, Metric]) -> bool:
    """Whether there are several intervals, all with a p-value."""
    compared = [each for each in differences.values() if each.low is not None]
    return len(compared) > 1 and all(each.p is not None for each in compared)


def _variance(values: Counts) -> float:
    """Variance of resampled values, NaN left out; exactly 0 where they differ by rounding only."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return float(np.nanvar(values)) if high - low > 1e-12 * max(1.0, abs(high)) else 0.0


def _too_few(defined: int, all_of_them: int, clusters: str) -> str | None:
    """Why so few clusters give no interval; None where they are enough."""
    if defined >= MIN_CLUSTERS:
        return None
    of = f" of {all_of_them:,}" if defined < all_of_them else ""
    return f"no interval: only {defined}{of} {clusters}{' count' if of else ''}"


def _minus(statistic: Statistic, pairs: Counts) -> Counts:
    return statistic(pairs[:, 0]) - statistic(pairs[:, 1])


def p_value(differences: Counts) -> float:
    """Two-sided bootstrap p-value of a difference, from its resamples [samples], NaN left out.

    Twice the smaller fraction of resamples on one side of 0, counting one more resample, so that
    it is never 0 (Davison and Hinkley 1997, "Bootstrap Methods", section 4.2).

    >>> p_value(np.array([1.0, 2.0, 3.0])), p_value(np.zeros(3))
    (0.5, 1.0)
    """
    kept = differences[~np.isnan(differences)]
    fewer = min((kept <= 0).sum(), (kept >= 0).sum())
    return min(1.0, 2 * (1 + float(fewer)) / (1 + len(kept)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: significant where at most 0.05.

    The k-th smallest of m is multiplied by m - k + 1, and none is below a smaller one (Holm 1979,
    "A Simple Sequentially Rejective Multiple Test Procedure"). It bounds the chance of one false
    finding among all m.

    >>> holm([0.01, 0.04, 0.02])
    [0.03, 0.04, 0.04]
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
