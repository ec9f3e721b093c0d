"""Tasks by name: each folder here is one, with a `config.py` and a `run.py`.

`config.py` has `Config` and `SMOKE`, and loads no torch: plans and the command line read no more.
`run.py` has `load_data`, `load_model` and `run`.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

from workbench.core import paths
from workbench.core.config import Config, names
from workbench.core.errors import ParameterError
from workbench.core.families import FAMILIES, named

TASKS: dict[str, ModuleType] = {
    file.parent.name: import_module(f"{__name__}.{file.parent.name}.config")
    for file in sorted(Path(__file__).parent.glob("*/config.py"))
}
"""Name -> the task's module `config`."""


def find(name: str) -> ModuleType:
    """The module `config` of a task; ParameterError listing the known ones if there is none."""
    if name not in TASKS:
        raise ParameterError(f"unknown task {name!r}", expected=f"one of {', '.join(TASKS)}")
    module = TASKS[name]
    if module.Config.task != name:
        # Else the five calls would quietly go to the other task.
        raise ParameterError(
            f"the Config of {module.__name__} has the task {module.Config.task!r}",
            expected=f"task: ClassVar[str] = {name!r}",
        )
    return module


def check_data(config: Config) -> Config:
    """The same parameters; ParameterError where one names data that its task can't read."""
    for field, wanted in config.reads.items():
        for name in names(getattr(config, field)):
            family = FAMILIES.get(name)
            if family and family not in wanted:
                known = (f"{each} ({', '.join(named(each))})" for each in wanted)
                raise ParameterError(
                    f"{field}={getattr(config, field)!r}: {name} holds {family}",
                    expected=f"{' or '.join(known)}, a path or hf:<owner>/<name>",
                    do=f"{name} is read by {', '.join(_readers(family))}",
                )
    return config


def _readers(family: str) -> Iterator[str]:
    """The notebooks that read a family of data, and by which parameter where that isn't usual."""
    readers = {
        notebook.stem: [field for field, of in module.Config.reads.items() if family in of]
        for task, module in TASKS.items()
        for notebook in paths.notebooks_of(task)
    }
    for name, fields in sorted(readers.items()):
        if fields:
            yield name if "dataset" in fields else f"{name} ({', '.join(fields)})"


def load(name: str) -> ModuleType:
    """The module `run` of a task; ParameterError listing the known ones if there is none."""
    find(name)
    return import_module(f"{__name__}.{name}.run")
