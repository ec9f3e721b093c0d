"""Tables of results as HTML. Everything that comes from data is escaped."""

from workbench.display.html import Html
from workbench.display.label_tables import (
    attributions,
    disputed_texts,
    methods,
    risk_check,
    slices,
    swaps,
    worst_texts,
)
from workbench.display.score_tables import scores
from workbench.tasks.contest.tables import contest, crossings
from workbench.tasks.finance.tables import folds, verdict
from workbench.tasks.multiple_choice.tables import (
    choice_costs,
    choice_example,
    choice_lengths,
    worst_choices,
)
from workbench.tasks.ner.tables import disputed, token_report, worst_sentences
from workbench.tasks.pretraining.tables import domains, parts, probes, surprising
from workbench.tasks.prompted_ner.tables import asking, written_names
from workbench.tasks.prompting.tables import answers, exact_prompt, priors, prompts, traps

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
