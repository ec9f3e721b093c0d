"""Training windows changed at random: words hidden."""

import dataclasses
import random
from collections.abc import Sequence

from workbench.models.windows import Segment, Window


def masked(
    windows: Sequence[Window], share: float, mask: int, chance: random.Random
) -> list[Window]:
    """With a share of the words hidden behind as many mask tokens as they have pieces.

    Their letter case stays to be seen, where the encoder is told of it.
    """

    def change(segment: Segment) -> Segment:
        pieces = [
            [mask] * len(word) if chance.random() < share else word for word in segment.pieces
        ]
        return dataclasses.replace(segment, pieces=pieces)

    return [[change(segment) for segment in window] for window in windows]
