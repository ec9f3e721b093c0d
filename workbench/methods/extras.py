"""What a tagger or a classifier may have beyond the plain recipe, each by its name.

Which of a tagger's help, and what they cost, is measured by `benchmarks/ner_extras.py`.
"""

import difflib
from collections.abc import Mapping

from workbench.core.config import MAX_SHOWN, names

BOTH = {
    "accumulation": "gradient accumulation over four parts of each batch, for less memory",
    "compiled": "compile the network, for a GPU that waits for its kernels' starts",
}
TAGGER = {
    "casing": "tell an uncased encoder each word's letter case",
    "document_smoothing": "average a word's predictions in a document, weight .3 (transductive)",
    "window_averaging": "average over windows of three sizes (transductive)",
    "token_masking": "mask a tenth of the training words (word dropout)",
    "head_rate": "learning rate of the head five times that of the encoder",
    "layer_decay": "learning rate falling from layer to layer downwards",
    "averaging": "keep the exponential moving average (EMA) of the weights",
    "embeddings": "train the word embeddings too",
    **BOTH,
}
CLASSIFIER = {
    "attention": "let each token of a text count by what the head looks for, not all alike",
    **BOTH,
}
AGREEMENT = 0.3
"""How far a word's scores move towards the mean over its occurrences in the document."""
VIEWS = (2, 3, 4)
"""Sizes of windows, in thirds of the one trained with."""
MASKED = 0.1
"""Fraction of words hidden."""
LAYER_DECAY, HEAD_SCALE, AVERAGING = 0.9, 5.0, 0.99
PARTS = 4
"""Of a batch, with accumulation."""


def of_tagger(text: str) -> str:
    """The names in a text, each once and in their order above; ValueError for an unknown one.

    >>> of_tagger("window_averaging,casing, window_averaging")
    'casing, window_averaging'
    """
    return _known(text, TAGGER)


def of_classifier(text: str) -> str:
    """The same for a classifier of texts.

    >>> of_classifier("")
    ''
    """
    return _known(text, CLASSIFIER)


def _known(text: str, extras: Mapping[str, str]) -> str:
    found = names(text)
    if unknown := [name for name in found if name not in extras]:
        near = difflib.get_close_matches(unknown[0][:MAX_SHOWN], extras, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown extra {unknown[0]!r}; known: {', '.join(extras)}{meant}")
    return ", ".join(name for name in extras if name in found)
