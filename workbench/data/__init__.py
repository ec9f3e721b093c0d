"""Data sets by name. One module a family, each with `load(name) -> data`."""

from types import ModuleType

from workbench.data import ner

DATASETS: dict[str, ModuleType] = {"conll2003": ner, "tiny_ner": ner}
