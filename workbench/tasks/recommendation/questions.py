"""What is asked of a recommender: which items each user takes after one moment in time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import DataError
from workbench.data.interactions import Interactions
from workbench.record.result import DataIssue
from workbench.tasks.recommendation.rankers import Makers, Past, Rank, without_taken

REVEALED = 5
"""Events that are known of a user at least: of a new one, the first after the split."""
RECENT_FRACTION = 0.1
"""Events, the last ones before the split, that recent popularity counts."""
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
    count = len(data.items)
    if not TOP < count <= MAX_ITEMS:
        raise DataError(f"{count:,} items", expected=f"more than {TOP} and at most {MAX_ITEMS:,}")
    moment = data.time[min(len(data.time) - 1, round(len(data.time) * (1 - test_fraction)))]
    before = data.time < moment
    if not before.any() or before.all():
        raise DataError(
            f"no moment has {1 - test_fraction:.0%} of the events before it",
            expected="events at different times",
        )
    last = data.item[before][-max(1, round(before.sum() * RECENT_FRACTION)) :].tolist()
    known, later = data.by_user(before), data.by_user(~before)
    shown = [max(0, REVEALED - len(own)) for own in known]
    there = [user for user, own in enumerate(later) if own]
    asked = [user for user in there if len(later[user]) > shown[user]]
    if not asked:
        raise DataError("no user has events after the split to ask about", do="raise test_fraction")
    note = f"users with events after the split but under {REVEALED + 1} in all, not asked about"
    few = DataIssue(count=len(there) - len(asked), of=len(there), note=note)
    return Questions(
        past=Past(known, last, count),
        user=np.array(asked, dtype=np.int64),
        histories=[[*known[user], *later[user][: shown[user]]] for user in asked],
        targets=[frozenset(later[user][shown[user] :]) for user in asked],
        new_user=np.array([not known[user] for user in asked]),
        new_items=frozenset(range(count)) - set(data.item[before].tolist()),
        data_issues={"few_events": few},
    )


def recommend(rank: Rank, histories: Sequence[Sequence[int]]) -> Places:
    """The TOP items [Q, TOP] of the whole catalogue, best first, without those of the history.

    Of equal scores the item that comes first in the catalogue is taken.
    """
    return np.argsort(-without_taken(rank(histories), histories), kind="stable")[:, :TOP]


def held_out(data: Interactions, makers: Makers, seed: int) -> dict[str, dict[str, float]]:
    """Hit rate at TOP of each user's last event, whatever came later in others' lives in training.

    For each method `sampled`, the protocol that is often published: the right item is ranked among
    CANDIDATES drawn from those that the user never took; and `whole`, among all that the user had
    not taken. Of equal scores the right item comes last.
    """
    users = [own for own in data.by_user() if 1 < len(own) <= len(data.items) - CANDIDATES]
    if not users:
        return {}
    past = Past([own[:-1] for own in users], [], len(data.items))
    chance = np.random.default_rng(seed)
    left = [np.setdiff1d(np.arange(len(data.items)), own) for own in users]
    wrong = np.stack([chance.choice(each, CANDIDATES, replace=False) for each in left])
    right = np.array([[own[-1]] for own in users])
    found = {}
    for name, make in makers.items():
        scores = without_taken(make(past)(past.histories), past.histories)
        best = np.take_along_axis(scores, right, axis=1)
        drawn = (np.take_along_axis(scores, wrong, axis=1) >= best).sum(axis=1)
        whole = (scores >= best).sum(axis=1) - 1
        found[name] = {"sampled": float((drawn < TOP).mean()), "whole": float((whole < TOP).mean())}
    return found
