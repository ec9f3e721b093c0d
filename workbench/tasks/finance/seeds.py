"""Intervals of a trained method's scores that cover the days and the training seeds.

A method that is trained with several seeds says their mean. Of few seeds the interval covers too
little: with k, the variance between seeds is drawn as (k - 1) / k of what it is.
"""

import itertools
import math
from collections import Counter
from collections.abc import Mapping

import numpy as np

from workbench.methods import label_scores
from workbench.record.draws import Counts, resample
from workbench.record.result import Metric
from workbench.tasks.finance import walk_forward
from workbench.tasks.finance.methods import OWN, Answer
from workbench.tasks.finance.walk_forward import BLOCK_DAYS, LABELS, Days, Examples

OF = f"blocks of {BLOCK_DAYS} trading days"


def scores(
    examples: Examples, rows: Days, answers: Mapping[str, Answer]
) -> tuple[dict[str, Metric], dict[str, dict[str, Metric]]]:
    """The encoder's headline metrics and differences, with days and training seeds drawn."""
    seeds = len(answers[OWN].trainings)
    if seeds < 2:
        return {}, {}
    drawn = {method: resampled(examples, rows, found) for method, found in answers.items()}
    counts, samples = drawn.pop(OWN)
    of, n = f"{OF} and {seeds} training seeds", len(rows)
    metrics = label_scores.headline(counts, samples, n=n, of=of)
    differences = {}
    for method, (theirs, their_samples) in drawn.items():
        both = np.stack([counts, theirs], axis=1), np.stack([samples, their_samples], axis=1)
        found = label_scores.headline_differences(*both, n=n, of=of)
        differences[method] = {f"test/{name}": metric for name, metric in found.items()}
    return {f"test/{name}": metric for name, metric in metrics.items()}, differences


def resampled(examples: Examples, rows: Days, answer: Answer) -> tuple[Counts, Counts]:
    """Confusion counts by block [B, 2, 3], and sums [samples, 2, 3] over blocks that are drawn.

    With each draw of blocks as many training seeds are drawn with replacement as there are, and
    their mean decides: what is drawn twice weighs twice. Methods share their draws of blocks.
    """
    gold, blocks = examples.labels_of(rows), walk_forward.blocks(examples, rows).tolist()
    said = list(answer.trainings.values()) or [answer.said]
    seeds, drawn = len(said), [Counter(range(len(said)))]
    if seeds > 1:
        drawn += map(Counter, itertools.combinations_with_replacement(range(seeds), seeds))
    counts = np.stack(
        [
            label_scores.confusion(
                gold,
                walk_forward.average(said, [draw[seed] for seed in range(seeds)]).labels,
                LABELS,
                blocks,
            )
            for draw in drawn
        ],
        axis=1,
    )
    sums = resample(counts)
    if seeds == 1:
        return counts[:, 0], sums[:, 0]
    orders = [math.factorial(seeds) / math.prod(map(math.factorial, draw.values()))
              for draw in drawn[1:]]  # fmt: skip
    chance = np.random.default_rng(seeds)
    picked = chance.choice(len(orders), size=len(sums), p=np.array(orders) / seeds**seeds)
    return counts[:, 0], sums[np.arange(len(sums)), 1 + picked]
