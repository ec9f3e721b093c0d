"""Charts of results: each gives a Figure whose caption is made from the result's numbers."""

from workbench.figures.canvas import Figure
from workbench.figures.classes import label_confusion, learning_curve, methods, reliability
from workbench.figures.ner import confusion, f1_by_type
from workbench.figures.training import history

__all__ = [
    "Figure",
    "confusion",
    "f1_by_type",
    "history",
    "label_confusion",
    "learning_curve",
    "methods",
    "reliability",
]
