"""Suites: batch plans in YAML. An entry is a notebook, spread over cases, a grid and seeds."""

import itertools
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from workbench import notebooks
from workbench.batch.plan import MAX_SECONDS, Job, make_job
from workbench.core import paths, yaml_file
from workbench.core.errors import ParameterError
from workbench.core.yaml_file import Parameters, Value, YamlFile

MAX_RUNS, MAX_GPUS = 10_000, 1024
MAX_MB = 1_000_000_000
"""Longest limits that can be given: months, and a petabyte."""


def _whole_or_part(gpus: float) -> float:
    if not 0 <= gpus <= MAX_GPUS or (gpus > 1 and gpus != int(gpus)):
        raise ValueError("a whole number of GPUs, or a part of one, such as 0.5")
    return gpus


EVERY = "*"
"""Instead of a name: every notebook, in the order of their numbers."""


class Entry(BaseModel):
    """One entry of a suite: as many runs as cases times the grid's combinations times seeds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    notebook: str
    """Its name, or EVERY."""
    smoke: bool = False
    """Whether each notebook gets the small parameters that its task has for trying it out."""
    parameters: Parameters = {}
    """The same in all runs of the entry."""
    cases: Annotated[list[Parameters], Field(min_length=1)] = [{}]
    """Parameters that belong together, such as a model and its learning rate."""
    grid: dict[str, Annotated[list[Value], Field(min_length=1)]] = {}
    """Values of parameters, of which every combination is run."""
    seeds: Annotated[list[int], Field(min_length=1)] | None = None
    timeout_s: Annotated[int, Field(gt=0, le=MAX_SECONDS)] | None = None
    """Longest time of one cell; else an hour, or four times the notebook's slowest run so far."""
    memory_mb: Annotated[int, Field(gt=0, le=MAX_MB)] | None = None
    """Most memory of a run, in MiB; one that takes more is ended."""
    gpus: Annotated[float, AfterValidator(_whole_or_part)] | None = None
    """GPUs of a run, whole ones or a part of one; else one where there are some."""

    def combinations(self) -> Iterator[dict[str, Any]]:
        """Parameters of each run; seeds change fastest.

        >>> entry = Entry(notebook="ner", grid={"epochs": [1, 2]}, seeds=[0, 1])
        >>> [tuple(run.values()) for run in entry.combinations()]
        [(1, 0), (1, 1), (2, 0), (2, 1)]
        """
        axes = [[self.parameters], self.cases]
        axes += [[{name: value} for value in values] for name, values in self.grid.items()]
        axes += [[{"seed": seed} for seed in self.seeds]] if self.seeds else []
        for parts in itertools.product(*axes):
            names = [name for part in parts for name in part]
            if twice := {name for name in names if names.count(name) > 1}:
                raise ParameterError(
                    f"{', '.join(sorted(twice))} given twice",
                    expected="each parameter in one of parameters, cases, grid and seeds",
                )
            yield {name: value for part in parts for name, value in part.items()}


class Suite(BaseModel):
    """A batch plan: entries in order."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    runs: Annotated[list[Entry], Field(min_length=1)]


def read(name: str) -> list[Job]:
    """The jobs of a suite, a name in `suites/` or a path, each once.

    Raises ParameterError, with file and line, for anything wrong.
    """
    path = yaml_file.find(name, paths.SUITES, "suite")
    expected = f"runs, a list of entries with {', '.join(Entry.model_fields)}"
    file = YamlFile(path, Suite, expected)
    jobs: dict[str, Job] = {}
    for number, entry in enumerate(file.content.runs):
        try:
            for job in _jobs(entry):
                jobs.setdefault(repr((job.notebook.name, job.config)), job)
                if len(jobs) > MAX_RUNS:
                    raise ParameterError(f"more than {MAX_RUNS:,} runs", do="make several suites")
        except ParameterError as error:
            place = file.place("runs", number)
            raise ParameterError(f"{place}: run {number + 1}: {error}", do=_hint(entry)) from None
    return list(jobs.values())


def _jobs(entry: Entry) -> Iterator[Job]:
    limits = {"timeout_s": entry.timeout_s, "memory_mb": entry.memory_mb, "gpus": entry.gpus}
    if entry.notebook == EVERY:
        found = [notebooks.read(path) for path in notebooks.every()]
    else:
        found = [notebooks.find(entry.notebook)]
    for notebook in found:
        small = notebook.smoke if entry.smoke else {}
        for parameters in entry.combinations():
            yield make_job(notebook, small | parameters, **limits)


def _hint(entry: Entry) -> str:
    """Why a number may have become a text."""
    values = [value for case in (entry.parameters, *entry.cases) for value in case.values()]
    return yaml_file.hint([*values, *(value for axis in entry.grid.values() for value in axis)])
