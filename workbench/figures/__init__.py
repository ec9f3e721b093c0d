"""Charts of results: each gives a Figure whose caption is made from the result's numbers."""

from workbench.figures.canvas import Figure
from workbench.figures.choices import choice_lengths
from workbench.figures.classes import label_confusion, learning_curve, methods, reliability
from workbench.figures.contest import overtaking
from workbench.figures.decoder import attention, lens, lens_sentence
from workbench.figures.finance import edges, folds, last_words
from workbench.figures.ner import confusion, errors, f1_by_part, f1_by_type
from workbench.figures.pretraining import bits_per_byte, fertility, probes
from workbench.figures.prompting import (
    accuracy_by_shots,
    label_shares,
    prompt_spread,
    shot_attention,
)
from workbench.figures.training import history

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
