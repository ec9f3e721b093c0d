"""Suites: batch plans in YAML. An entry is a notebook, spread over cases, a grid and seeds."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from workbench import notebooks, paths
from workbench.batch.plan import DEFAULT_TIMEOUT_S, Job, make_job
from workbench.errors import ParameterError

MAX_BYTES = 1 << 20
MAX_ALIASES = 30
"""Enough to share parameters; too few for a file that grows without end when it is read."""
MAX_RUNS = 10_000


def _plain(value: Any) -> Any:
    if not isinstance(value, str | int | float):
        raise ValueError("a parameter is a text, a number, true or false")
    return value


def _whole_or_part(gpus: float) -> float:
    if gpus < 0 or (gpus > 1 and gpus != int(gpus)):
        raise ValueError("a whole number of GPUs, or a part of one, such as 0.5")
    return gpus


Value = Annotated[Any, AfterValidator(_plain)]
Parameters = dict[str, Value]


class Entry(BaseModel):
    """One entry of a suite: as many runs as cases times the grid's combinations times seeds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    notebook: str
    parameters: Parameters = {}
    """The same in all runs of the entry."""
    cases: Annotated[list[Parameters], Field(min_length=1)] = [{}]
    """Parameters that belong together, such as a model and its learning rate."""
    grid: dict[str, Annotated[list[Value], Field(min_length=1)]] = {}
    """Values of parameters, of which every combination is run."""
    seeds: Annotated[list[int], Field(min_length=1)] | None = None
    timeout_s: Annotated[int, Field(gt=0)] = DEFAULT_TIMEOUT_S
    """Longest time of one cell."""
    memory_mb: Annotated[int, Field(gt=0)] | None = None
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
    path = _find(name)
    value, node = _load(path)
    try:
        suite = Suite.model_validate(value)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise ParameterError(
            f"{_place(path, node, problem['loc'])}: {where}: {problem['msg']}",
            expected=f"runs, a list of entries with {', '.join(Entry.model_fields)}",
        ) from None
    jobs: dict[str, Job] = {}
    for number, entry in enumerate(suite.runs):
        try:
            for job in _jobs(entry):
                jobs.setdefault(repr((job.notebook.name, job.config)), job)
                if len(jobs) > MAX_RUNS:
                    raise ParameterError(f"more than {MAX_RUNS:,} runs", do="make several suites")
        except ParameterError as error:
            place = _place(path, node, ("runs", number))
            raise ParameterError(f"{place}: run {number + 1}: {error}", do=_hint(entry)) from None
    return list(jobs.values())


def _jobs(entry: Entry) -> Iterator[Job]:
    notebook = notebooks.find(entry.notebook)
    limits = {"timeout_s": entry.timeout_s, "memory_mb": entry.memory_mb, "gpus": entry.gpus}
    for parameters in entry.combinations():
        yield make_job(notebook, parameters, **limits)


def _hint(entry: Entry) -> str:
    """Why a number may have become a text."""
    values = [value for case in (entry.parameters, *entry.cases) for value in case.values()]
    values += [value for axis in entry.grid.values() for value in axis]
    found = next((str(v) for v in values if re.fullmatch(r"[-+]?\d+e[-+]?\d+", str(v))), "")
    return f"YAML reads {found} as a text: write {found.replace('e', '.0e')}" if found else ""


def _find(name: str) -> Path:
    path = paths.SUITES / f"{name}.yaml"
    path = path if path.is_file() else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in paths.SUITES.glob("*.yaml")))
        raise ParameterError(f"unknown suite {name!r}", expected=f"one of {known}, or a YAML file")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ParameterError(f"{path} has {size:,} bytes", expected=f"at most {MAX_BYTES:,}")
    return path


def _load(path: Path) -> tuple[Any, yaml.Node | None]:
    """Content of a YAML file, and the nodes it was made from, which know their lines."""
    try:
        text = path.read_text(encoding="utf-8")
        aliases = sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, _LOADER))
        if aliases > MAX_ALIASES:
            raise ParameterError(f"{path} has {aliases} aliases", expected=f"up to {MAX_ALIASES}")
        loader = _LOADER(text)
        node = loader.get_single_node()
        if node is None:
            return None, None
        _refuse_repeated_keys(path, node, set())
        return loader.construct_document(node), node
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ParameterError(f"{path}{line} is not YAML: {problem}") from None


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _refuse_repeated_keys(path: Path, node: yaml.Node, seen: set[int]) -> None:
    """YAML takes the last of equal keys in silence; here that is an error."""
    if id(node) in seen or isinstance(node, yaml.ScalarNode):
        return
    seen.add(id(node))
    keys = set()
    for child in node.value:
        key, value = child if isinstance(node, yaml.MappingNode) else (None, child)
        if key is not None and key.value in keys:
            line = key.start_mark.line + 1
            raise ParameterError(f"{path}:{line}: {key.value!r} is there twice", expected="once")
        if key is not None and isinstance(key, yaml.ScalarNode):
            keys.add(key.value)
        _refuse_repeated_keys(path, value, seen)


def _place(path: Path, node: yaml.Node | None, steps: tuple[int | str, ...]) -> str:
    """File and line of what lies at `steps` of keys and numbers, as far as the file goes."""
    for step in steps:
        if isinstance(node, yaml.MappingNode):
            found = [value for key, value in node.value if key.value == step]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            found = node.value[step : step + 1]
        else:
            break
        if not found:
            break
        node = found[0]
    return f"{path}:{node.start_mark.line + 1}" if node else str(path)
