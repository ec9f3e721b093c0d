"""Data sets by name, each with the module of its family, which has `load(name)`."""

from types import ModuleType

from workbench.core import families
from workbench.data import bitext, corpus, dialogs, interactions, market, ner, text

MODULES: dict[str, ModuleType] = {
    families.TEXTS: text,
    families.TAGGED: ner,
    families.TEXT: corpus,
    families.QUESTIONS: dialogs,
    families.PRICES: market,
    families.EVENTS: interactions,
    families.PAIRS: bitext,
}
DATASETS = {name: MODULES[family] for name, family in families.FAMILIES.items()}
