"""A number with its interval, and what a difference says."""

from pydantic import BaseModel, ConfigDict

MONTE_CARLO = 0.015
"""Standard error of an end of a percentile interval, as a part of the interval's width: of the
2.5 % quantile of 2,000 normal draws it is .060 standard deviations, and the width is 3.92."""


class Metric(BaseModel):
    """A number with its 95 % interval, or the reason why it has none."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    value: float
    low: float | None = None
    high: float | None = None
    n: int
    """Items it is over."""
    unit: str = "share"
    how: str
    """How the interval was made, or why there is none."""
    p: float | None = None
    """Of a difference, the two-sided p-value, not corrected for other comparisons."""

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
