"""Tasks by name. Each module has `Config`, `SMOKE`, `load_data`, `load_model` and `run`.

Importing them loads no torch: plans and the command line read configurations only.
"""

from types import ModuleType

from workbench.errors import ParameterError
from workbench.tasks import (
    contest,
    finance,
    fine_tuning,
    multiple_choice,
    ner,
    pretraining,
    prompted_ner,
    prompting,
    template,
)

TASKS: dict[str, ModuleType] = {
    "contest": contest,
    "finance": finance,
    "fine_tuning": fine_tuning,
    "multiple_choice": multiple_choice,
    "ner": ner,
    "pretraining": pretraining,
    "prompted_ner": prompted_ner,
    "prompting": prompting,
    "template": template,
}


def find(name: str) -> ModuleType:
    """The task of that name; ParameterError listing the known ones if there is none."""
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
