"""Charts of results: each gives a Figure whose caption is made from the result's numbers."""

from workbench.display.canvas import Figure
from workbench.display.label_figures import label_confusion, learning_curve, methods, reliability
from workbench.display.training_figures import history
from workbench.tasks.contest.figures import overtaking
from workbench.tasks.finance.figures import edges, folds, last_words
from workbench.tasks.multiple_choice.figures import choice_lengths
from workbench.tasks.ner.figures import confusion, errors, f1_by_part, f1_by_type
from workbench.tasks.pretraining.decoder_figures import attention, lens, lens_sentence
from workbench.tasks.pretraining.figures import bits_per_byte, fertility, probes
from workbench.tasks.prompting.figures import (
    accuracy_by_shots,
    label_shares,
    prompt_spread,
    shot_attention,
)

__all__ = [
    "Figure",
    "accuracy_by_shots",
    "attention",
    "bits_per_byte",
    "choice_lengths",
    "confusion",
    "edges",
    "errors",
    "f1_by_part",
    "f1_by_type",
    "fertility",
    "folds",
    "history",
    "label_confusion",
    "label_shares",
    "last_words",
    "learning_curve",
    "lens",
    "lens_sentence",
    "methods",
    "overtaking",
    "probes",
    "prompt_spread",
    "reliability",
    "shot_attention",
]
