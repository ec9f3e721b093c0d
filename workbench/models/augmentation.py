"""Training windows changed at random: sentences in another letter case, words hidden."""

import dataclasses
import random
from collections.abc import Sequence

from workbench.models.encoder import SHAPES
from workbench.models.windows import Segment, Window

NONE = SHAPES.index("none")


def recased(
    windows: Sequence[Window], upper: float, lower: float, chance: random.Random
) -> list[Window]:
    """With a share of the sentences written in capitals, and another in small letters."""

    def change(segment: Segment) -> Segment:
        drawn = chance.random()
        if drawn >= upper + lower:
            return segment
        case = SHAPES.index("upper" if drawn < upper else "lower")
        shapes = [shape if shape == NONE else case for shape in segment.shapes]
        return dataclasses.replace(segment, shapes=shapes)

    return [[change(segment) for segment in window] for window in windows]


def masked(
    windows: Sequence[Window], share: float, mask: int, chance: random.Random
) -> list[Window]:
    """With a share of the words hidden behind as many mask tokens as they have pieces."""

    def change(segment: Segment) -> Segment:
        hidden = [chance.random() < share for _ in segment.pieces]
        pieces = [
            [mask] * len(word) if hide else word
            for word, hide in zip(segment.pieces, hidden, strict=True)
        ]
        return dataclasses.replace(segment, pieces=pieces)

    return [[change(segment) for segment in window] for window in windows]
