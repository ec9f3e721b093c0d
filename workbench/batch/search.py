"""Searches: which parameters of a notebook to vary, and which validation score decides."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from workbench import notebooks
from workbench.batch.plan import DEFAULT_TIMEOUT_S, MAX_SECONDS, Job, make_job, resolve
from workbench.batch.suite import MAX_MB
from workbench.core import paths, yaml_file
from workbench.core.config import names
from workbench.core.errors import ParameterError
from workbench.core.yaml_file import Parameters, Value, YamlFile

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


class Search(BaseModel):
    """A search over the parameters of one notebook."""

    model_config = FORM
    notebook: str
    metric: str
    """What decides: one of the validation metrics of the notebook's task."""
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
    timeout_s: Annotated[int, Field(gt=0, le=MAX_SECONDS)] = DEFAULT_TIMEOUT_S
    """Longest time of one cell."""
    memory_mb: Annotated[int, Field(gt=0, le=MAX_MB)] | None = None
    """Most memory of a run, in MiB."""

    def job(self, values: dict[str, Any]) -> Job:
        """What runs for values of the space; ParameterError where the notebook refuses them."""
        given = self.parameters | values
        limits = {"timeout_s": self.timeout_s, "memory_mb": self.memory_mb}
        return make_job(notebooks.find(self.notebook), given, **limits)

    def first(self) -> dict[str, Any]:
        """The first value, or lower end, of each parameter of the space."""
        return {
            name: axis.low if isinstance(axis, Range) else axis[0]
            for name, axis in self.space.items()
        }

    def corners(self) -> dict[str, list[dict[str, Any]]]:
        """By parameter, settings in which each value of its list, or end of its range, comes up."""
        ends = {
            name: [axis.low, axis.high] if isinstance(axis, Range) else axis
            for name, axis in self.space.items()
        }
        first = self.first()
        return {name: [first | {name: value} for value in values] for name, values in ends.items()}

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
    for name_of, corners in search.corners().items():
        for corner in corners:
            try:
                config = search.job(corner).config
            except ParameterError as error:
                values = [*search.parameters.values(), *corner.values()]
                raise ParameterError(
                    f"{file.place('space', name_of)}: {error}", do=yaml_file.hint(values)
                ) from None
    if search.metric not in config.validation:
        raise ParameterError(
            f"{file.place('metric')}: metric {search.metric!r}",
            expected=f"one of {', '.join(config.validation)}"
            if config.validation
            else "a notebook with validation metrics, such as ner or fine_tuning",
            do="choose by validation: what is chosen by its test score is overrated",
        )
    return Path(path).stem, search


def digest(search: Search) -> str:
    """Of all that the numbers depend on; every model and data set is fetched for it."""
    seen: dict[tuple[str, ...], dict[str, Any]] = {}
    for corners in search.corners().values():
        for corner in corners:
            job = search.job(corner)
            parameters = job.config.model_dump()
            fields = [field for field in job.config.sources if field in parameters]
            key = tuple(name for field in fields for name in names(parameters[field]))
            if key not in seen:
                seen[key] = resolve(job).identity
    (first, *_) = seen.values()
    identity = first | {
        "parameters": search.model_dump(mode="json", exclude={"trials"}),
        "data": [found["data"] for found in seen.values()],
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
