"""Training windows changed at random: words hidden."""

import dataclasses
import random
from collections.abc import Sequence

from workbench.models.windows import Segment, Window


def masked(
    windows: Sequence[Window], fraction: float, mask: int, chance: random.Random
) -> list[Window]:
    """With a fraction of the words hidden behind as many mask tokens as they have tokens.

    Their letter case stays to be seen, where the encoder is told of it.
    """

    def change(segment: Segment) -> Segment:
        tokens = [
            [mask] * len(word) if chance.random() < fraction else word for word in segment.tokens
        ]
        return dataclasses.replace(segment, tokens=tokens)

    return [[change(segment) for segment in window] for window in windows]
