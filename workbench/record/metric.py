"""A number with its interval, and what a difference says."""

import math
import re
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, field_validator

UNPARSED = "unparsed"
"""What an answer that can't be read as a label counts as; so no label may be called that."""
MONTE_CARLO = 0.015
"""Standard error of an end of a percentile interval, as a part of the interval's width: of the
2.5 % quantile of 2,000 normal draws it is .060 standard deviations, and the width is 3.92."""


LESS_IS_BETTER = {"bits per byte", "nats", "perplexity"}
"""Units of metrics that are better the smaller they are."""
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def summed_up(hows: Iterable[str]) -> str:
    r"""How numbers were made, in one list: what differs in its counts alone is said once.

    >>> summed_up(["bootstrap over 231 documents", "bootstrap over 1,063 documents", "Wilson"])
    'Wilson; bootstrap over 231 to 1,063 documents'
    >>> summed_up(["a\0b 1"])
    'a\x00b 1'
    """
    groups: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for how in hows:
        groups.setdefault(tuple(NUMBER.split(how)), set()).add(tuple(NUMBER.findall(how)))
    said = []
    for words, counts in sorted(groups.items()):
        spans = (
            sorted(set(column), key=lambda text: float(text.replace(",", "")))
            for column in zip(*counts, strict=True)
        )
        texts = [f"{s[0]} to {s[-1]}" if len(s) > 1 else s[0] for s in spans]
        said.append("".join(map("".join, zip(words, [*texts, ""], strict=True))))
    return "; ".join(said)


class Metric(BaseModel):
    """A number with its 95 % interval, or the reason why it has none."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    value: float
    low: float | None = None
    high: float | None = None
    n: int
    """Items it is over."""
    unit: str = "fraction"
    how: str
    """How the interval was made, or why there is none."""
    p: float | None = None
    """Of a difference, the two-sided p-value, not corrected for other comparisons."""

    @field_validator("unit")
    @classmethod
    def _of_older_records(cls, unit: str) -> str:
        return "fraction" if unit == "share" else unit

    def __str__(self) -> str:
        """Value and interval.

        >>> str(Metric(value=0.5, low=0.4, high=0.61, n=10, how="bootstrap"))
        '0.500 [0.400, 0.610]'
        """
        return f"{self:}"

    def __format__(self, sign: str) -> str:
        """As `str`; with "+" all numbers are signed, as a difference is read.

        >>> f"{Metric(value=0.1, low=-0.05, high=0.2, n=10, how='bootstrap'):+}"
        '+0.100 [-0.050, +0.200]'
        """
        if self.low is None or self.high is None:
            return f"{self.value:{sign}.3f}"
        return f"{self.value:{sign}.3f} [{self.low:{sign}.3f}, {self.high:{sign}.3f}]"

    def less(self, other: "Metric", *, n: int, how: str) -> "Metric":
        """Difference from another, measured on other items; an interval if both have one.

        Newcombe's square-and-add of the two intervals (1998, "Interval estimation for the
        difference between independent proportions", method 10), which holds for other values too
        (Zou and Donner 2008, "Construction of confidence limits about effect measures").

        >>> one = Metric(value=0.9, low=0.8, high=0.95, n=50, how="Wilson")
        >>> f"{one.less(one, n=50, how='Newcombe'):+}"
        '+0.000 [-0.112, +0.112]'
        """
        value = self.value - other.value
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return Metric(value=value, n=n, how=how)
        below = math.hypot(self.value - self.low, other.high - other.value)
        above = math.hypot(self.high - self.value, other.value - other.low)
        return Metric(value=value, low=value - below, high=value + above, n=n, how=how)

    @property
    def verdict(self) -> str:
        """What a difference says in words: `better`, `worse` or `cannot tell`.

        >>> Metric(value=0.1, low=0.02, high=0.2, n=10, how="bootstrap").verdict
        'better'
        """
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return "cannot tell"
        return "better" if self.low > 0 else "worse"

    @property
    def borderline(self) -> bool:
        """Whether an end is within two Monte Carlo errors of 0: other draws may turn the verdict.

        >>> Metric(value=0.1, low=0.002, high=0.2, n=10, how="bootstrap").borderline
        True
        """
        if self.low is None or self.high is None:
            return False
        return min(abs(self.low), abs(self.high)) <= 2 * MONTE_CARLO * (self.high - self.low)
