"""The calls a notebook makes; each hands over to the task that the configuration belongs to."""

import os
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench import tasks
from workbench.core import arguments, paths
from workbench.core import namespace as names
from workbench.core.config import Config
from workbench.core.errors import ParameterError
from workbench.record.answer import answer
from workbench.record.findings import Findings
from workbench.record.result import Cost, Result


def start(task: str, namespace: Any) -> Config:
    """Check the notebook's parameters, seed every generator, and say what will be used.

    `namespace` is the notebook's `globals()`, right after its parameters cell. Raises
    ParameterError for a missing or misspelt name, a wrong type or a value out of range; what a
    typo left in a live kernel is named and let pass.
    """
    if not isinstance(namespace, Mapping):
        raise ParameterError(
            f"wb.start got {arguments.shown(namespace)} as the notebook's names",
            expected='wb.start("<task>", globals())',
        )
    module = tasks.find(task)
    fields = module.Config.model_fields
    for note in names.check(namespace, fields):
        print(note)
    if missing := [name for name in fields if name not in namespace]:
        raise ParameterError(
            f"the parameters cell has no {', '.join(missing)}",
            expected=f"every parameter of the task {task!r}: {', '.join(fields)}",
            do="add it, or run: make fmt",
        )
    config = tasks.check_data(module.Config.check({name: namespace[name] for name in fields}))
    config._directory = _run_directory(task)
    _prepare(config)
    return config


def load_data(config: Config) -> Any:
    """Load the data and print its counts and its data issues, with fractions."""
    data = tasks.load(_checked(config).task).load_data(config)
    print(data.describe())
    return data


def load_model(config: Config) -> Any:
    """Load the model onto the run's device and print what it is."""
    from workbench.core import machine

    machine.seed(_checked(config).seed)
    model = tasks.load(config.task).load_model(config)
    print(model.describe())
    return model


def run(config: Config, model: Any, data: Any) -> Result:
    """Do the task; print progress, and return the record of what was found."""
    import torch

    from workbench.core import machine

    if hasattr(model, "data_issues") or not hasattr(data, "data_issues"):
        raise ParameterError(
            f"wb.run got {arguments.shown(model)} as model and {arguments.shown(data)} as data",
            expected="wb.run(cfg, model, data), in this order",
        )
    began = time.monotonic()
    machine.seed(_checked(config).seed)
    found: Findings = tasks.load(config.task).run(config, model, data)
    place = found.device or torch.device("cpu")
    result = Result(
        task=config.task,
        parameters=config.model_dump(mode="json"),
        sources={role: source.record() for role, source in found.sources.items()},
        metrics=dict(found.metrics),
        headline=tuple(found.headline),
        # What the task says of its test, for leaderboards and comparisons, which know no task.
        main_measure=config.main_measure,
        right=config.right,
        test={name: getattr(config, name) for name in config.test},
        method=found.method,
        baselines={name: dict(own) for name, own in found.baselines.items()},
        comparisons={name: dict(own) for name, own in found.comparisons.items()},
        data_issues={**data.data_issues, **found.data_issues},
        cost=Cost(
            **machine.spent(began, place, found.dtype, found.network),
            train_seconds=found.train_seconds,
            trained_tokens=found.trained_tokens,
        ),
        environment=machine.environment(),
        tables=dict(found.tables),
    )
    result = result.model_copy(update={"answer": answer(result)})
    history = [dict(line) for line in found.history]
    result = found.keep(result).with_details(
        directory=config.directory, items=found.items, history=history, predict=found.predict
    )
    print(f"done in {result.cost.seconds:,.0f} s")
    print(result.answer)
    return result


def _checked(config: Config) -> Config:
    """The configuration; ParameterError for anything else."""
    if not isinstance(config, Config):
        raise ParameterError(
            f"{arguments.shown(config)} where the configuration is meant",
            expected="what wb.start gave: cfg",
        )
    return config


def _run_directory(task: str) -> Path:
    """The batch's run directory, or a new one for a run by hand."""
    given = os.environ.get("WORKBENCH_RUN_DIRECTORY")
    if given:
        return Path(given)
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    return paths.reports() / "runs" / f"{task}-by-hand-{now}-{os.getpid()}"


def _prepare(config: Config) -> None:
    from workbench.core import machine

    machine.seed(config.seed)
    facts = machine.environment()
    place = facts["gpu"] or f"{facts['processor']}, {facts['threads']} threads"
    versions = ", ".join(f"{name} {facts['packages'][name]}" for name in machine.PACKAGES[:3])
    print(f"{config.task}, seed {config.seed}, on {place}")
    print(f"Python {facts['python']}, {versions}")
