"""Tables of results as HTML. Everything that comes from data is escaped."""

from workbench.tables.choices import (
    choice_costs,
    choice_example,
    choice_lengths,
    worst_choices,
)
from workbench.tables.classes import (
    attributions,
    disputed_texts,
    methods,
    risk_check,
    slices,
    swaps,
    worst_texts,
)
from workbench.tables.contest import contest, crossings
from workbench.tables.finance import folds, verdict
from workbench.tables.html import Html
from workbench.tables.ner import disputed, token_report, worst_sentences
from workbench.tables.pretraining import domains, parts, probes, surprising
from workbench.tables.prompted_ner import asking, written_names
from workbench.tables.prompting import answers, exact_prompt, priors, prompts, traps
from workbench.tables.scores import scores

__all__ = [
    "Html",
    "answers",
    "asking",
    "attributions",
    "choice_costs",
    "choice_example",
    "choice_lengths",
    "contest",
    "crossings",
    "disputed",
    "disputed_texts",
    "domains",
    "exact_prompt",
    "folds",
    "methods",
    "parts",
    "priors",
    "probes",
    "prompts",
    "risk_check",
    "scores",
    "slices",
    "surprising",
    "swaps",
    "token_report",
    "traps",
    "verdict",
    "worst_choices",
    "worst_sentences",
    "worst_texts",
    "written_names",
]
