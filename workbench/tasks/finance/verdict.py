"""Is an edge over chance shown? One rule for every method, its fixed limit, and how it errs."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.record.result import Metric
from workbench.record.statistics import detectable

LIMIT = 0.04
"""Matthews correlation of the edge that a "no" excludes; a smaller one may be there.

Where half the days rise it is 2 points of accuracy. Before costs it gives a yearly Sharpe ratio of
about 0.5 with normally distributed moves (see `sharpe`), about what holding all US stocks gave
after 1945 (Cochrane 2005, "Asset Pricing", chapter 1): whoever trades each day on less takes more
risk for the same gain than who does nothing. It is half of the 0.08 that Xu and Cohen 2018, "Stock
Movement Prediction from Tweets and Historical Prices", report with tweets.
"""
TRADING_DAYS = 252
"""Of a year."""
LEVEL = 0.05
MIN_BLOCKS = 30
"""Blocks of days without which an interval of this kind is too narrow to decide by."""
YES, NO, CANNOT_TELL, WITHHELD = "yes", "no", "cannot tell", "withheld"
RATES = (
    "How the rule errs, as far as a 95 % interval holds what it promises: where no method has an"
    " edge, it says yes of one or more of them in at most about 2.5 % of runs, by Holm's correction"
    f" for all methods judged; of a method with a true MCC of {LIMIT} it says no in about 2.5 %,"
    " which is not corrected; and the placebo raises a false alarm in about 2.5 %. What it does on"
    " generated markets is measured in benchmarks/README.md."
)


@dataclass(frozen=True)
class Verdict:
    """The answer for one method and what it rests on."""

    answer: str
    """yes, no, cannot tell, or withheld where the placebo beats chance too."""
    reason: str
    detectable: float | None
    """MCC that a sample like this one would show in 8 of 10 cases; None without an interval."""
    p: float | None = None
    """Two-sided p-value of no edge, after Holm's correction; None where nothing can be told."""


def sharpe(mcc: float, moves: NDArray[np.float64]) -> float:
    """Yearly Sharpe ratio, before costs, of trading on directions with a Matthews correlation.

    Of a day's log return r with direction s, and a guess g, both 1 or -1: the covariance of g and s
    is `mcc` times their standard deviations, which are about 1 where both directions are frequent,
    and so is the mean of g s where one of them has mean 0. If moves are as large after right
    guesses as after wrong ones, a day gives `mcc` E|r| on average, with a standard deviation of
    about sqrt(E r^2), and 252 days a year sqrt(252) times their ratio. `moves` [N] are log returns.

    >>> normal = np.random.default_rng(0).normal(size=100_000)
    >>> f"{sharpe(0.04, 0.01 * normal):.2f}"  # 0.04 * sqrt(252) * sqrt(2 / pi)
    '0.51'
    """
    size = float(np.sqrt(np.mean(moves**2)))
    return mcc * math.sqrt(TRADING_DAYS) * float(np.abs(moves).mean()) / size if size else 0.0


def judge(
    own: Metric, placebo: Metric | None, *, blocks: int, p: float = 0.0, methods: int = 1
) -> Verdict:
    """Judge a method's MCC, where there is a placebo beside that of it on shuffled inputs.

    `p` is its p-value after correction for all `methods` judged. Of one alone the interval decides.

    >>> def found(low, high):
    ...     return Metric(value=(low + high) / 2, low=low, high=high, n=900, how="bootstrap")
    >>> nothing = found(-0.02, 0.02)
    >>> edges = [found(0.01, 0.05), nothing, found(-0.02, 0.06)]
    >>> [judge(edge, nothing, blocks=99).answer for edge in edges]
    ['yes', 'no', 'cannot tell']
    >>> judge(edges[0], None, blocks=99, p=0.07, methods=4).reason
    'Alone it is above 0, but not among 4 methods judged (p = 0.070): borderline.'
    >>> judge(edges[0], placebo=edges[0], blocks=99).answer
    'withheld'
    >>> constant = Metric(value=0, n=900, how="no interval: the same in every resample")
    >>> judge(constant, nothing, blocks=99).reason
    'Every day got the same answer, so nothing can be told.'
    >>> judge(edges[0], placebo=constant, blocks=99).answer
    'yes'
    """
    if blocks < MIN_BLOCKS:
        reason = f"{blocks} blocks of days are too few to decide by; {MIN_BLOCKS} are needed."
        return Verdict(CANNOT_TELL, reason, None)
    if own.low is None or own.high is None:
        return Verdict(CANNOT_TELL, "Every day got the same answer, so nothing can be told.", None)
    # A placebo without an interval says the same on all days: it leaks nothing.
    if placebo and placebo.low is not None and placebo.low > 0:
        reason = (
            f"On shuffled texts the same method has an MCC of {placebo}, above 0: something leaks,"
            " so the number on the right texts can't be believed either."
        )
        return Verdict(WITHHELD, reason, detectable(own), p)
    return Verdict(*_answer(own.low, own.high, p, methods), detectable(own), p)


def _answer(low: float, high: float, p: float, methods: int) -> tuple[str, str]:
    """The answer and its reason, from the interval's bounds and the corrected p-value."""
    if low > 0 and p > LEVEL:
        return CANNOT_TELL, (
            f"Alone it is above 0, but not among {methods} methods judged (p = {p:.3f}):"
            " borderline."
        )
    if low > 0:
        size = "it is" if high < LIMIT else "it may be" if low < LIMIT else ""
        small = f"; {size} smaller than {LIMIT}" if size else ""
        return YES, f"The interval lies above 0{small}."
    if high < 0:
        shown = ": the opposite of what it says has an edge" if p <= LEVEL else ", borderline"
        return NO, f"The interval lies below 0, worse than chance{shown}."
    if high < LIMIT:
        return NO, (
            f"No edge is shown, and one of {LIMIT} or more is excluded; a smaller one is not."
        )
    return CANNOT_TELL, f"The interval holds 0 and {LIMIT}: an edge is neither shown nor excluded."
