"""Tasks by name. Each module has `Config`, `SMOKE`, `load_data`, `load_model` and `run`.

Importing them loads no torch: plans and the command line read configurations only.
"""

from types import ModuleType

from workbench.core.errors import ParameterError
from workbench.tasks.contest import run as contest
from workbench.tasks.finance import run as finance
from workbench.tasks.fine_tuning import run as fine_tuning
from workbench.tasks.multiple_choice import run as multiple_choice
from workbench.tasks.ner import run as ner
from workbench.tasks.pretraining import run as pretraining
from workbench.tasks.prompted_ner import run as prompted_ner
from workbench.tasks.prompting import run as prompting
from workbench.tasks.template import run as template

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
