"""What a tagger may have beyond the plain recipe, in training and in use, each by its name.

Which of them help, and what they cost, is measured by `benchmarks/ner_extras.py`.
"""

from workbench.config import names

EXTRAS = {
    "casing": "tell an uncased encoder each word's letter case",
    "consistency": "let the readings of a word within a document agree more",
    "views": "read every sentence in windows of three sizes, and take the mean",
    "masking": "hide some training words, so that those around them have to tell",
    "fast_head": "let what was not pretrained learn five times as fast",
    "layer_decay": "let lower layers learn more slowly",
    "averaging": "keep the running mean of the weights",
    "smoothing": "take a twentieth of each label's probability for the others",
    "embeddings": "train the word embeddings too",
}
AGREEMENT = 0.3
"""How far a word's scores move towards the mean of its document's readings of it."""
VIEWS = (2, 3, 4)
"""Sizes of windows, in thirds of the one trained with."""
MASKED = 0.1
"""Share of words hidden."""
LAYER_DECAY, HEAD_SCALE, AVERAGING, SMOOTHING = 0.9, 5.0, 0.99, 0.05


def known(text: str) -> str:
    """The names in a text, each once and in their order above; ValueError for an unknown one.

    >>> known("views,casing, views")
    'casing, views'
    """
    found = names(text)
    if unknown := [name for name in found if name not in EXTRAS]:
        raise ValueError(f"unknown extra {unknown[0]!r}; known: {', '.join(EXTRAS)}")
    return ", ".join(name for name in EXTRAS if name in found)
