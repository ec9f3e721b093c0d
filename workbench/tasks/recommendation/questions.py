"""What is asked of a recommender: which items each user takes after one moment in time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import DataError
from workbench.data.interactions import Interactions
from workbench.record.result import DataIssue
from workbench.tasks.recommendation.rankers import RECENT_FRACTION, Past, Rank, without_taken

REVEALED = 5
"""Events that are known of a user at least: of a new one, the first after the split."""
TOP = 10
MAX_ITEMS = 20_000
"""Scores of users and of pairs of items are held whole: 3 GB for so many."""
CANDIDATES = 99
"""Wrong items beside the right one in the sampled protocol of He et al. 2017, "Neural Collaborative
Filtering", section 4.1."""
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Questions:
    """Q users with events after the split, their histories, and what they took then."""

    past: Past
    user: Places
    """Place of each question's user [Q]."""
    histories: Sequence[Sequence[int]]
    targets: Sequence[frozenset[int]]
    new_user: NDArray[np.bool_]
    """Whether nothing was known of the user before the split [Q]."""
    new_items: frozenset[int]
    """Items without an event before the split."""
    data_issues: dict[str, DataIssue]


def split(data: Interactions, test_fraction: float) -> Questions:
    """Split at one moment for all users: what is before it trains, what is after it is asked for.

    Events of one time stay on one side. Of a user of whom fewer than REVEALED events are known the
    next ones are shown as well, and not trained on: which of one second's is by the table's order.
    Raises DataError where one side is empty, or the catalogue has too few or too many items.
    """
    if not TOP < len(data.items) <= MAX_ITEMS:
        raise DataError(
            f"{len(data.items):,} items", expected=f"more than {TOP} and at most {MAX_ITEMS:,}"
        )
    moment = data.time[min(len(data.time) - 1, round(len(data.time) * (1 - test_fraction)))]
    before = data.time < moment
    if not before.any() or before.all():
        raise DataError(
            f"no moment has {1 - test_fraction:.0%} of the events before it",
            expected="events at different times",
        )
    known = _by_user(data, before)
    later = _by_user(data, ~before)
    last = data.item[before][-max(1, round(before.sum() * RECENT_FRACTION)) :]
    past = Past(known, last, len(data.items))
    user, histories, targets, few = [], [], [], 0
    for place, (own, next_ones) in enumerate(zip(known, later, strict=True)):
        shown = max(0, REVEALED - len(own))
        if next_ones and len(next_ones) <= shown:
            few += 1
        elif next_ones:
            user.append(place)
            histories.append([*own, *next_ones[:shown]])
            targets.append(frozenset(next_ones[shown:]))
    if not user:
        raise DataError("no user has events after the split to ask about", do="raise test_fraction")
    asked = np.array(user, dtype=np.int64)
    note = f"users with events after the split but under {REVEALED + 1} in all, not asked about"
    return Questions(
        past=past,
        user=asked,
        histories=histories,
        targets=targets,
        new_user=np.array([not known[place] for place in user]),
        new_items=frozenset(range(len(data.items))) - set(data.item[before].tolist()),
        data_issues={"few_events": DataIssue(count=few, of=few + len(user), note=note)},
    )


def _by_user(data: Interactions, kept: NDArray[np.bool_]) -> list[list[int]]:
    """Items of each user in order of time."""
    found: list[list[int]] = [[] for _ in data.users]
    for user, item in zip(data.user[kept].tolist(), data.item[kept].tolist(), strict=True):
        found[user].append(item)
    return found


def recommend(rank: Rank, histories: Sequence[Sequence[int]]) -> Places:
    """The TOP items [Q, TOP] of the whole catalogue, best first, without those of the history.

    Of equal scores the item that comes first in the catalogue is taken.
    """
    scores = without_taken(rank(histories), histories)
    return np.argsort(-scores, axis=1, kind="stable")[:, :TOP]


def hits(top: Places, targets: Sequence[frozenset[int]]) -> NDArray[np.float64]:
    """1 where an item of the list was taken [Q, TOP]."""
    return np.array(
        [[item in own for item in row] for row, own in zip(top.tolist(), targets, strict=True)],
        dtype=np.float64,
    )


def ndcg(found: NDArray[np.float64], targets: Sequence[frozenset[int]]) -> NDArray[np.float64]:
    """Normalised discounted cumulative gain of each list [Q], 0 to 1, every taken item worth 1.

    The discount is that of Burges et al. 2005, "Learning to Rank using Gradient Descent".

    >>> ndcg(np.array([[0.0, 1.0, 0.0]]), [frozenset({7})]).round(3).tolist()
    [0.631]
    """
    gains = 1 / np.log2(np.arange(2, found.shape[1] + 2))
    best = np.array([gains[: len(own)].sum() for own in targets])
    scores: NDArray[np.float64] = found @ gains / best
    return scores


def held_out(
    data: Interactions, fitted: Callable[[Past], dict[str, Rank]], seed: int
) -> dict[str, dict[str, float]]:
    """Hit rate at TOP of each user's last event, whatever came later in others' lives in training.

    For each method `sampled`, the protocol that is often published: the right item is ranked among
    CANDIDATES drawn from those that the user never took; and `whole`, among all that the user had
    not taken. Of equal scores the right item comes last.
    """
    every = _by_user(data, np.ones(len(data.user), dtype=bool))
    users = [own for own in every if len(own) > 1 and len(data.items) - len(own) >= CANDIDATES]
    if not users:
        return {}
    past = Past([own[:-1] for own in users], np.zeros(0, np.int64), len(data.items))
    chance = np.random.default_rng(seed)
    left = [np.setdiff1d(np.arange(len(data.items)), own) for own in users]
    wrong = np.stack([chance.choice(each, CANDIDATES, replace=False) for each in left])
    right = np.array([own[-1] for own in users])
    found = {}
    for name, rank in fitted(past).items():
        scores = without_taken(rank(past.histories), past.histories)
        best = scores[np.arange(len(users)), right][:, None]
        drawn = (np.take_along_axis(scores, wrong, axis=1) >= best).sum(axis=1)
        whole = (scores >= best).sum(axis=1) - 1
        found[name] = {"sampled": float((drawn < TOP).mean()), "whole": float((whole < TOP).mean())}
    return found
