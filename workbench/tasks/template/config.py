"""Parameters of the task `template`."""

from typing import ClassVar

from workbench.core.config import Config as BaseConfig
from workbench.core.config import MainMeasure
from workbench.core.families import TAGGED

SMOKE: dict[str, object] = {}
"""Overrides for tests; this task needs none."""


class Config(BaseConfig):
    """Parameters of the template."""

    task: ClassVar[str] = "template"
    reads: ClassVar[dict[str, tuple[str, ...]]] = {"dataset": (TAGGED,)}
    right: ClassVar[str] = "a sentence with every tag right"
    main_measure: ClassVar[MainMeasure] = "entity_f1"

    dataset: str = "tiny_ner"
    """Named-entity data: catalogue name, path or hf:<id>."""
