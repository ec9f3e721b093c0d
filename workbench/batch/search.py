"""Searches: which parameters of a notebook to vary, and which validation score decides."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from workbench import notebooks, paths
from workbench.batch import yaml_file
from workbench.batch.plan import DEFAULT_TIMEOUT_S, Job, make_job
from workbench.batch.yaml_file import Parameters, Value, YamlFile
from workbench.errors import ParameterError

FORM = ConfigDict(frozen=True, extra="forbid", strict=True)


class Range(BaseModel):
    """Numbers from `low` to `high`, both of them possible; whole ones of a whole parameter."""

    model_config = FORM
    low: int | float
    high: int | float
    log: bool = False
    """Whether equal ratios are equally likely, not equal differences."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError("low below high, and above 0 where log is true")
        return self


def _kind(axis: object) -> str:
    return "range" if isinstance(axis, dict | Range) else "values"


Axis = Annotated[
    Annotated[Range, Tag("range")] | Annotated[list[Value], Field(min_length=1), Tag("values")],
    Discriminator(_kind),
]


def _not_of_test(metric: str) -> str:
    if not metric.startswith("validation/"):
        raise ValueError("a metric of validation/: what is chosen by its test score is overrated")
    return metric


class Search(BaseModel):
    """A search over the parameters of one notebook."""

    model_config = FORM
    notebook: str
    metric: Annotated[str, AfterValidator(_not_of_test)]
    """What decides, by its name in a run's metrics."""
    direction: Literal["maximize", "minimize"] = "maximize"
    trials: Annotated[int, Field(gt=0, le=10_000)] = 20
    """Settings to try."""
    parameters: Parameters = {}
    """The same in all runs."""
    space: Annotated[dict[str, Axis], Field(min_length=1)]
    """Parameters to vary: a range, or a list of values."""
    pruning: bool = True
    """Whether a run is stopped whose score is below the median of others as far in training."""
    seed: int = 0
    """Of the proposals; the runs' own is a parameter."""
    timeout_s: Annotated[int, Field(gt=0)] = DEFAULT_TIMEOUT_S
    """Longest time of one cell."""
    memory_mb: Annotated[int, Field(gt=0)] | None = None
    """Most memory of a run, in MiB."""

    def job(self, values: dict[str, Any]) -> Job:
        """What runs for values of the space; ParameterError where the notebook refuses them."""
        given = self.parameters | values
        limits = {"timeout_s": self.timeout_s, "memory_mb": self.memory_mb}
        return make_job(notebooks.find(self.notebook), given, **limits)

    def corners(self) -> list[dict[str, Any]]:
        """Settings in which each value of a list, and each end of a range, comes up."""
        ends = {
            name: [axis.low, axis.high] if isinstance(axis, Range) else axis
            for name, axis in self.space.items()
        }
        first = {name: values[0] for name, values in ends.items()}
        return [first | {name: value} for name, values in ends.items() for value in values]

    def usual(self) -> dict[str, Any] | None:
        """The notebook's own values of what is varied; None where the space lacks one."""
        own = notebooks.find(self.notebook).parameters
        found = {name: own[name] for name in self.space}
        for name, axis in self.space.items():
            inside = (
                axis.low <= found[name] <= axis.high
                if isinstance(axis, Range)
                else found[name] in axis
            )
            if not inside:
                return None
        return found


def read(name: str) -> tuple[str, Search]:
    """Short name and content of a search: a name in `suites/searches/`, or a path.

    Raises ParameterError, with file and line, for anything wrong.
    """
    path = yaml_file.find(name, paths.SEARCHES, "search")
    file = YamlFile(path, Search, f"{', '.join(Search.model_fields)}")
    search = file.content
    if both := sorted(set(search.space) & set(search.parameters)):
        raise ParameterError(
            f"{file.place('space', both[0])}: {both[0]} is in parameters too", expected="in one"
        )
    for corner in search.corners():
        try:
            search.job(corner)
        except ParameterError as error:
            values = [*search.parameters.values(), *corner.values()]
            raise ParameterError(f"{path}: {error}", do=yaml_file.hint(values)) from None
    return Path(path).stem, search
