"""Intervals of proportions near 0 or 1, and of differences that few items make."""

import math

NORMAL_95 = 1.96
"""Quantile of a two-sided 95 % interval."""
FEW = 10
"""Under so many right or wrong items a percentile interval is of too few to be trusted."""


def wilson(fraction: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % score interval of a fraction of n independent items (Wilson 1927).

    >>> "{:.3f} {:.3f}".format(*wilson(0.0, 200)), "{:.3f} {:.3f}".format(*wilson(1.0, 10))
    ('0.000 0.019', '0.722 1.000')
    """
    squared = NORMAL_95**2 / n
    centre = (fraction + squared / 2) / (1 + squared)
    half = NORMAL_95 * math.sqrt(fraction * (1 - fraction) / n + squared / (4 * n)) / (1 + squared)
    # Rounding may leave the ends of 0 and of 1 a hair inside.
    low = 0.0 if fraction == 0 else max(0.0, centre - half)
    return low, 1.0 if fraction == 1 else min(1.0, centre + half)


def few_apart(value: float, variance: float, clusters: float) -> tuple[float, float, float]:
    """95 % interval and p-value of a paired difference of shares where few clusters differ.

    One cluster is added that is wholly the first one's and one that is wholly the second one's
    (Agresti and Min 2005, "Simple Improved Confidence Intervals for Comparing Matched
    Proportions", section 2). `variance` is that of the difference; of independent items with b and
    c discordant ones, (b + c - (b - c)^2 / n) / n^2.

    >>> "{:+.3f} {:+.3f} p = {:.0f}".format(*few_apart(0.0, 0.0, 200))
    '-0.014 +0.014 p = 1'
    """
    more = clusters + 2
    centre = value * clusters / more
    added = 2 + 2 * value**2 * clusters / more
    error = math.sqrt(variance * clusters**2 + added) / more
    p = math.erfc(abs(centre) / error / math.sqrt(2))
    half = NORMAL_95 * error
    return max(-1.0, centre - half), min(1.0, centre + half), p


def few_on_one_side(fraction: float, variance: float, clusters: float) -> float | None:
    """The effective number of items where under 10 of them are right, or wrong; else None.

    So many independent items would give the share the same variance (Kish 1965, "Survey Sampling",
    section 8.2), but no more than there are clusters: of so few errors, none may show that those of
    a cluster come together. Where all clusters agree, the variance is 0 and each counts as one.
    """
    size = fraction * (1 - fraction) / variance if variance > 0 else clusters
    return min(size, clusters) if size * min(fraction, 1 - fraction) < FEW else None
