"""What a task found and only it knows; `flow.run` makes the record of the run from it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.record.metric import Metric
from workbench.record.result import DataIssue, Result


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Numbers, items and cost of a run; the fields of the same name in `Result` say more."""

    metrics: Mapping[str, Metric]
    headline: Sequence[str]
    items: Any
    """A pandas.DataFrame as `Result.items` describes it, or None."""
    sources: Mapping[str, Any]
    """Role, such as `model` or `dataset 2`, -> the `core.sources.Source`."""
    method: str = ""
    baselines: Mapping[str, Mapping[str, Metric]] = field(default_factory=dict)
    comparisons: Mapping[str, Mapping[str, Metric]] = field(default_factory=dict)
    data_issues: Mapping[str, DataIssue] = field(default_factory=dict)
    """Besides those of the data as it was loaded."""
    tables: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    device: Any = None
    """The torch.device of matrix products; None for the processor."""
    dtype: Any = None
    """The torch.dtype of matrix products; None where there are none."""
    network: Any = None
    """The torch.nn.Module whose weights' dtype and device the record names; None: it names `dtype`
    and `device`."""
    train_seconds: float = 0.0
    trained_tokens: int = 0
    predict: Callable[..., Iterable[dict[str, Any]]] | None = None
    """What the run's own method, as it was scored, says of new texts: of a list of them, with
    `words` where they come as lists of words. None where there is nothing to predict with."""
    keep: Callable[[Result], Result] = lambda result: result
    """Called with the record last: it writes what else belongs to the run, such as its model."""
