"""Does it beat chance? One rule for every run, with fixed limits, and the rates it errs at."""

from dataclasses import dataclass

from workbench.result import Metric
from workbench.statistics import detectable

WORTH = 0.04
"""Smallest Matthews correlation worth anything: 2 points of accuracy where half the days rise.

Half of the 0.08 that Xu and Cohen 2018, "Stock Movement Prediction from Tweets and Historical
Prices", report with real tweets.
"""
MIN_BLOCKS = 30
"""Blocks of days without which an interval of this kind is too narrow to decide by."""
YES, NO, CANNOT_TELL, WITHHELD = "yes", "no", "cannot tell", "withheld"
RATES = (
    "The rule errs at the rates of a 95 % interval, as far as that holds what it promises: without"
    f" any edge it says yes in about 2.5 % of runs, with a true MCC of {WORTH} it says no in about"
    " 2.5 %, and the placebo raises a false alarm in about 2.5 %. What it does on generated markets"
    " is measured in benchmarks/README.md."
)


@dataclass(frozen=True)
class Verdict:
    """The answer and what it rests on."""

    answer: str
    """yes, no, cannot tell, or withheld where the placebo beats chance too."""
    reason: str
    detectable: float | None
    """MCC that a sample like this one would show in 8 of 10 cases; None without an interval."""
    worth: float = WORTH
    rates: str = RATES


def judge(own: Metric, placebo: Metric, *, blocks: int) -> Verdict:
    """Judge a method's MCC beside that of the same method on shuffled inputs.

    >>> def found(low, high):
    ...     return Metric(value=(low + high) / 2, low=low, high=high, n=900, how="bootstrap")
    >>> nothing = found(-0.02, 0.02)
    >>> edges = [found(0.01, 0.05), nothing, found(-0.02, 0.06)]
    >>> [judge(edge, nothing, blocks=99).answer for edge in edges]
    ['yes', 'no', 'cannot tell']
    >>> judge(edges[0], placebo=edges[0], blocks=99).answer
    'withheld'
    >>> judge(found(0, 0), nothing, blocks=99).reason
    'Every day got the same answer, so nothing can be told.'
    """
    intervals = (own.low, own.high, placebo.low)
    if blocks < MIN_BLOCKS or None in intervals:
        reason = f"{blocks} blocks of days are too few to decide by; {MIN_BLOCKS} are needed."
        return Verdict(CANNOT_TELL, reason, None)
    low, high, leak = (float(bound) for bound in intervals if bound is not None)
    if low == high:
        return Verdict(CANNOT_TELL, "Every day got the same answer, so nothing can be told.", None)
    return Verdict(*_answer(own, placebo, low, high, leak), detectable(own))


def _answer(own: Metric, placebo: Metric, low: float, high: float, leak: float) -> tuple[str, str]:
    if leak > 0:
        return WITHHELD, (
            f"On shuffled texts the same model has an MCC of {placebo}, above 0: something leaks,"
            " so the number on the right texts can't be believed either."
        )
    if low > 0:
        size = "is" if high < WORTH else "may be" if low < WORTH else ""
        small = f", but {size} smaller than the {WORTH} that would be worth anything"
        return YES, f"The interval of the MCC, {own}, lies above 0{small if size else ''}."
    if high < 0:
        return NO, f"The interval of the MCC, {own}, lies below 0: worse than chance."
    if high < WORTH:
        return NO, (
            f"The MCC of {own} is not above 0, and its interval ends below {WORTH}: if this model"
            " has an edge on these days, it is too small to be worth anything."
        )
    return CANNOT_TELL, (
        f"The MCC of {own} has both 0 and {WORTH} in its interval: an edge worth having is neither"
        " shown nor excluded."
    )
