"""What a result counts beside its scores: data issues, and what the run cost."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen part of a result: strict JSON, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataIssue(Record):
    """Something that was changed, dropped or is doubtful: `count` of `of` items."""

    count: int
    of: int
    note: str

    def describe(self) -> str:
        """One line with the fraction.

        >>> DataIssue(count=1, of=8, note="rows dropped").describe()
        'rows dropped: 1 of 8 (12.50%)'
        """
        fraction = f" ({self.count / self.of:.2%})" if self.of else ""
        return f"{self.note}: {self.count:,} of {self.of:,}{fraction}"


class Cost(Record):
    """What the run took."""

    seconds: float
    train_seconds: float = 0.0
    memory_mb: dict[str, float]
    """Peak, by kind: `resident`, and `gpu` where there is one."""
    trained_tokens: int = 0
    device: str
    precision: str
    processes: int = 1
    """How many trained together, each on a part of every batch."""
