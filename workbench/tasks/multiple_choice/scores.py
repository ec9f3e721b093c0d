"""From log-likelihoods of choices to picks and accuracies; the rules by which one is picked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas
from numpy.typing import NDArray

from workbench.decoding import score
from workbench.methods import calibration, label_scores
from workbench.methods.calibration import Scores
from workbench.methods.label_scores import Compared
from workbench.methods.prompt_scores import method
from workbench.record import means
from workbench.record.result import Metric
from workbench.tasks.multiple_choice.items import Item

SUM, TOKEN, BYTE, PMI = "sum", "per token", "per byte", "PMI"
RULES = (SUM, TOKEN, BYTE, PMI)
CHANCE = "chance"
QUESTIONS = "questions"
PARTS = ("longest", "shortest", "neither")
"""What the right answer may be among its item's choices, by bytes; of equals it is `neither`."""
Picks = NDArray[np.int64]


@dataclass(frozen=True)
class Read:
    """What a decoder finds of N items' K choices through one template."""

    condition: str
    """How many shots were asked for, in words."""
    template: str
    found: score.Scores
    premise: score.Scores
    """The same choices after the premise alone: the template's last line, without a question."""
    dropped_shots: int
    """Shots left out because the prompt would not fit."""

    def scores(self, rule: str) -> Scores:
        """Scores [N, K] in nats, by one of RULES; the highest is picked.

        The log-likelihood as it is, over its tokens, over its bytes, or minus the one after the
        premise: domain-conditional pointwise mutual information (Holtzman et al. 2021, "Surface
        Form Competition", section 3, there PMI_DC).
        """
        return {
            SUM: self.found.sums,
            TOKEN: self.found.per_token,
            BYTE: self.found.per_byte,
            PMI: self.found.sums - self.premise.sums,
        }[rule]


def ensembles(read: Sequence[Read]) -> dict[str, Scores]:
    """Each method's scores [N, K], the mean over its templates, normalised over the choices."""
    conditions = dict.fromkeys(one.condition for one in read)
    return {
        method(name, rule): calibration.ensemble(
            np.stack([one.scores(rule) for one in read if one.condition == name])
        )
        for name in conditions
        for rule in RULES
    }


def losses(scores: Scores, items: Sequence[Item]) -> list[float]:
    """Minus the log of the right choice's share [N], scores [N, K] taken as logits, in nats."""
    right = [item.right for item in items]
    return (-calibration.normalise(scores)[np.arange(len(items)), right]).tolist()


def by_length(items: Sequence[Item], *, longest: bool) -> Scores:
    """Scores [N, K] that pick the longest or shortest choice, by bytes."""
    sizes = [[len(choice.encode()) for choice in item.choices] for item in items]
    return np.array(sizes, dtype=float) * (1 if longest else -1)


def part(item: Item) -> str:
    """Which of PARTS an item belongs to.

    >>> part(Item("", "?", ("no", "perhaps", "yes"), 0)), part(Item("", "?", ("no", "go"), 0))
    ('shortest', 'neither')
    """
    sizes = [len(choice.encode()) for choice in item.choices]
    own = sizes.pop(item.right)
    return "longest" if own > max(sizes) else "shortest" if own < min(sizes) else "neither"


def accuracy(right: Sequence[float], questions: Sequence[str]) -> Metric:
    """Fraction of right picks, of `right` [N] of 0 and 1, with its interval over questions [N]."""
    found = means.mean(right, questions, of=QUESTIONS)
    assert found is not None, "an accuracy is defined wherever there is an item"
    return found


def chance(items: Sequence[Item]) -> Metric:
    """Accuracy of a pick by lot: one in K, exactly."""
    return Metric(
        value=1 / len(items[0].choices),
        n=len(items),
        how=f"no interval: exactly one of {len(items[0].choices)} choices",
    )


def picks(scores: Scores) -> Picks:
    """Place of the highest score of each item [N]; the first of equals."""
    return scores.argmax(axis=1)


def compare(own: str, scored: Mapping[str, Scores], items: Sequence[Item]) -> Compared:
    """Accuracy of each method's scores [N, K] on the same items; `own` against the others.

    Chance is among these, without items of its own: its accuracy is known.
    """
    places = np.array([item.right for item in items])
    known = chance(items)
    parts = [
        label_scores.items(
            [item.name for item in items],
            name,
            [item.question for item in items],
            [item.choices[item.right] for item in items],
            [item.choices[pick] for item, pick in zip(items, picks(found), strict=True)],
            clusters=[item.cluster for item in items],
            losses=losses(found, items),
        )
        for name, found in scored.items()
    ]
    frame = pandas.concat(parts, ignore_index=True)
    frame["input"] = [[item.question, *item.choices] for item in items] * len(scored)
    values = {name: {"test/accuracy": picks(found) == places} for name, found in scored.items()}
    values[CHANCE] = {"test/accuracy": np.full(len(items), known.value)}
    asked = [item.cluster for item in items]
    compared = label_scores.compare_values(own, values, frame, asked, of=QUESTIONS)
    compared.baselines[CHANCE] = {"test/accuracy": known}
    return compared


def by_part(scored: Mapping[str, Scores], items: Sequence[Item]) -> list[dict[str, Any]]:
    """Accuracy of each method where the right answer is the longest, the shortest, or neither."""
    places = np.array([item.right for item in items])
    kinds = np.array([part(item) for item in items])
    asked = np.array([item.cluster for item in items])
    return [
        {
            "method": name,
            "part": kind,
            "accuracy": accuracy(
                (picks(found) == places)[kinds == kind], asked[kinds == kind].tolist()
            ).model_dump(mode="json"),
        }
        for name, found in scored.items()
        for kind in PARTS
        if (kinds == kind).any()
    ]


def by_prompt(read: Sequence[Read], items: Sequence[Item]) -> list[dict[str, Any]]:
    """Accuracy of each template by each rule."""
    places = np.array([item.right for item in items])
    asked = [item.cluster for item in items]
    return [
        {
            "condition": one.condition,
            "variant": rule,
            "template": one.template,
            "shot_seed": 0,
            "accuracy": accuracy(picks(one.scores(rule)) == places, asked).model_dump(mode="json"),
        }
        for one in read
        for rule in RULES
    ]
