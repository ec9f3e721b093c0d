"""Walk forward in time: learn on the past, skip an embargo, predict the next span, go on.

A method is a function of training inputs and labels that gives a function of inputs, so that it
never holds a label of the days it is asked about. Days are counted on one calendar for all
markets, so that a cut is one date for all of them.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import DataError

DOWN, UP = LABELS = ("down", "up")
BLOCK_DAYS = 20
"""Trading days that stay together when intervals are made, about a month."""
MIN_FOLD_DAYS = 20
EQUAL = 1e-9
"""Probabilities that differ by less are one."""
Days = NDArray[np.int64]
Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Inputs:
    """What may be known of N examples when their day has closed."""

    texts: list[str]
    numbers: NDArray[np.float64]
    """[N, K]: the last K moves over volatility, the oldest first."""

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Days) -> "Inputs":
        """Some of them, in the order of `rows`."""
        return Inputs([self.texts[row] for row in rows], self.numbers[rows])


Predict = Callable[[Inputs], Probabilities]
"""Inputs -> probabilities [N, 2] of down and up."""
Learner = Callable[[Inputs, Sequence[str]], Predict]
"""(training inputs, their labels) -> what was learned."""


@dataclass(frozen=True)
class Said:
    """What a method says of the test days of all folds, in order."""

    probabilities: Probabilities
    limits: NDArray[np.float64]
    """[N], probability of up above which a day is called up: one for each fold."""

    @property
    def labels(self) -> list[str]:
        """The direction said for each day."""
        return [UP if up else DOWN for up in self.probabilities[:, 1] > self.limits]


@dataclass(frozen=True)
class Examples:
    """N days of some markets, in order of time, each with the direction of its next move."""

    inputs: Inputs
    labels: list[str]
    markets: list[str]
    calendar: NDArray[np.datetime64]
    """Every day on which one of the markets has a price."""
    known_at: Days
    """[N], place in the calendar of the latest price that the inputs use."""
    resolves_at: Days
    """[N], place in the calendar of the price that decides the label."""
    moves: NDArray[np.float64]
    """[N], log return that the label is the direction of."""

    def __len__(self) -> int:
        return len(self.labels)

    def names(self, rows: Days) -> list[str]:
        """`market/date` of some examples."""
        dates = self.calendar[self.known_at[rows]]
        return [f"{self.markets[row]}/{day}" for row, day in zip(rows, dates, strict=True)]

    def labels_of(self, rows: Days) -> list[str]:
        """Labels of some examples."""
        return [self.labels[row] for row in rows]


@dataclass(frozen=True)
class Fold:
    """Rows of the examples to learn from, and later ones to predict."""

    train: Days
    test: Days


def folds(examples: Examples, count: int, *, train_days: int, embargo_days: int) -> list[Fold]:
    """Cut the time after the first `train_days` into `count` equal spans, each a fold's test.

    A fold learns from the `train_days` before its span, less the embargo. Raises DataError where
    there are too few days.
    """
    first, last = int(examples.known_at.min()), int(examples.known_at.max())
    start = first + train_days + embargo_days
    days = last + 1 - start
    if days < count * MIN_FOLD_DAYS:
        missing = count * MIN_FOLD_DAYS - days
        raise DataError(
            f"{len(examples.calendar):,} days are too few for {count} folds after {train_days}"
            f" days of training and {embargo_days} of embargo",
            expected=f"at least {len(examples.calendar) + missing:,} days, so that each fold tests"
            f" {MIN_FOLD_DAYS}",
            do="lower train_days or folds, or give more days",
        )
    edges = start + np.arange(count + 1) * days // count
    found = []
    for begin, end in itertools.pairwise(edges):
        old = (examples.resolves_at <= begin - embargo_days) & (
            examples.known_at >= begin - embargo_days - train_days
        )
        new = (examples.known_at >= begin) & (examples.known_at < end)
        found.append(Fold(np.flatnonzero(old), np.flatnonzero(new)))
        if not (old.any() and new.any()):
            raise DataError(
                f"no day with a next move around {examples.calendar[begin]}",
                expected="prices that move in every fold's training and test days",
            )
    return found


def refuse_look_ahead(examples: Examples, fold: Fold, embargo_days: int) -> None:
    """Raise DataError unless all training labels were known an embargo before the test days."""
    learned = examples.resolves_at[fold.train].max()
    begin = examples.known_at[fold.test].min()
    if learned + embargo_days > begin:
        late = int((examples.resolves_at[fold.train] + embargo_days > begin).sum())
        raise DataError(
            f"the split looks ahead: {late:,} of {len(fold.train):,} training labels are decided "
            f"up to {examples.calendar[learned]}, testing begins on {examples.calendar[begin]}",
            expected=f"every training label decided {embargo_days} trading days before",
            do="split by time, not at random",
        )


def walk(
    examples: Examples,
    cuts: Sequence[Fold],
    learner: Learner,
    *,
    embargo_days: int,
    placebo: int | None = None,
) -> Said:
    """What a method says of the test rows of all folds, one after another.

    `placebo` is the seed of a shuffle of the inputs over the days, among the training days and
    among the test days: what a method still predicts then, it does not predict from its inputs.
    """
    for fold in cuts:
        refuse_look_ahead(examples, fold, embargo_days)
    chance = None if placebo is None else np.random.default_rng(placebo)
    probabilities, limits = [], []
    for fold in cuts:
        train, test = fold.train, fold.test
        if chance is not None:
            train, test = (_shuffled(examples, rows, chance) for rows in (train, test))
        seen = examples.inputs.take(train)
        predict = learner(seen, examples.labels_of(fold.train))
        found = predict(examples.inputs.take(test))
        probabilities.append(found)
        limits.append(np.full(len(found), limit(predict(seen))))
    return Said(np.concatenate(probabilities), np.concatenate(limits))


def limit(seen: Probabilities) -> float:
    """Probability of up above which a day is called up: the mean over a method's training days.

    In a market that rises on most days, the more probable direction is nearly always up, and hides
    all that a text tells. A method that tells no day from another says the more probable direction.

    >>> often_up = np.array([[0.40, 0.60], [0.46, 0.54]])
    >>> Said(often_up, np.full(2, limit(often_up))).labels
    ['up', 'down']
    >>> Said(often_up, np.full(2, limit(often_up[:1]))).labels
    ['up', 'up']
    """
    return float(seen[:, 1].mean()) if np.ptp(seen[:, 1]) > EQUAL else 0.5


def average(said: Sequence[Said], weights: Sequence[int]) -> Said:
    """What several trainings of a method say together: the weighted mean of their probabilities."""
    return Said(
        np.average([one.probabilities for one in said], axis=0, weights=weights),
        np.average([one.limits for one in said], axis=0, weights=weights),
    )


def _shuffled(examples: Examples, rows: Days, chance: np.random.Generator) -> Days:
    """The rows in an order in which each market's days have changed places."""
    markets = np.array([examples.markets[row] for row in rows])
    mixed = rows.copy()
    for market in dict.fromkeys(markets):
        places = np.flatnonzero(markets == market)
        mixed[places] = rows[chance.permutation(places)]
    return mixed


def rows_asked(cuts: Sequence[Fold]) -> Days:
    """Test rows of all folds in order, as `walk` answers them."""
    return np.concatenate([fold.test for fold in cuts])


def blocks(examples: Examples, rows: Days) -> Days:
    """[N], which run of 20 consecutive trading days each row is in, all markets together.

    Blocks that do not overlap are drawn whole (Carlstein 1986; Künsch 1989 lets them overlap), so
    that what a month's days share, and two markets on one day, is not taken for independent
    evidence. A block is longer than the moves a text tells of, and near the cube root of some
    thousand days, the order that Hall, Horowitz and Jing 1995 derive for variances.
    """
    return (examples.known_at[rows] - examples.known_at[rows].min()) // BLOCK_DAYS
