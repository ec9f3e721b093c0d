"""Labelled examples for prompts: drawn, or nearest to each text; and what they allow to say."""

import time
from collections.abc import Callable, Sequence
from functools import partial

from workbench.core.errors import ParameterError
from workbench.methods import embeddings, prompts
from workbench.methods.classifiers import Labelled, Reading, encode
from workbench.methods.prompt_scores import Asked, Draw, Prompted, condition
from workbench.methods.templates import Shots
from workbench.models.encoder import Encoder
from workbench.record.result import DataIssue, Metric


def draws(
    asked: Asked,
    train: Labelled,
    kinds: Sequence[tuple[int, bool]],
    *,
    seed: int,
    seeds: int,
    near: Callable[[int], list[Shots]] | None = None,
) -> list[Draw]:
    """All that prompts are to hold: nothing, and the examples of each kind, drawn or nearest.

    A kind is how many examples, and whether they are each text's nearest ones, which `near` gives
    for a number of them; others are drawn `seeds` times. ParameterError where there are too few
    training texts.
    """
    found = [Draw()]
    for count, _ in filter(lambda kind: kind[0] and not kind[1], kinds):
        found += [
            Draw(shots(asked, train, count, f"{seed}/{number}"), number) for number in range(seeds)
        ]
    if counts := [count for count, nearest in kinds if nearest]:
        assert near, "something says what is near"
        began = time.monotonic()
        own = near(max(counts))
        seconds = time.monotonic() - began
        found += [Draw(own=own, seconds=seconds).kept(count) for count in counts]
    return found


def shots(asked: Asked, train: Labelled, count: int, seed: str) -> Shots:
    """Examples for a prompt, drawn from `train` label by label in turn."""
    return _shots(asked, train, prompts.draw(train.texts, train.labels, count, seed))


def _shots(asked: Asked, train: Labelled, places: Sequence[int]) -> Shots:
    found = [asked.prompts.fields(asked.model, train.texts[place])[0] for place in places]
    return [
        (fields, asked.prompts.words[train.labels[place]])
        for fields, place in zip(found, places, strict=True)
    ]


def labels_not_shown(asked: Asked, drawn: Sequence[Draw]) -> DataIssue:
    """How many labels have no example in a prompt, over all draws of examples.

    Examples are drawn label by label in turn, in random order (see `prompts.draw`): where there
    are more labels than examples, chance decides which are shown.
    """
    few = [one for one in drawn if one.shots]
    labels = len(asked.prompts.words)
    return DataIssue(
        count=sum(labels - len({word for _, word in one.shots}) for one in few),
        of=labels * len(few),
        note="labels without an example in a few-shot prompt, over all draws",
    )


def nearest(
    asked: Asked,
    train: Labelled,
    texts: Sequence[str],
    encoder: Encoder,
    reading: Reading,
    count: int,
) -> list[Shots]:
    """For each of the texts the `count` labelled ones nearest to it, by the encoder's embeddings.

    ParameterError where there are fewer training texts.
    """
    if count > (there := len(set(train.texts))):
        raise ParameterError(
            f"{count} nearest shots, but only {there} training texts to take them from",
            do="lower shots or raise train_texts",
        )
    read = partial(encode, encoder, reading=reading)
    found = embeddings.most_alike(read, train.texts, texts, count)
    return [_shots(asked, train, places) for places in found]


def issues(prompted: Sequence[Prompted]) -> dict[str, DataIssue]:
    """What prompts lost: examples that did not fit, and tokens that answers change."""
    few = [one for one in prompted if one.shots]
    return {
        "dropped_shots": DataIssue(
            count=sum(one.dropped_shots for one in few),
            of=sum(one.shots for one in few),
            note="examples left out because the prompt would not fit the model",
        ),
        "merged_prompts": DataIssue(
            count=sum(one.merged for one in prompted),
            of=sum(one.asked for one in prompted),
            note="prompts whose last token an answer changes; scored from that token on",
        ),
    }


def without_verdicts_on_shots(
    comparisons: dict[str, dict[str, Metric]], own: str, draws: int
) -> dict[str, dict[str, Metric]]:
    """Comparisons of numbers of examples without interval, where there was one draw of examples.

    The interval over items is of these very examples: it says nothing of what others would change,
    which is often more (Zhao et al. 2021, section 3). With several draws the answers of all are
    averaged, and the interval still takes them as fixed.
    """
    if draws > 1:
        return comparisons
    condition = _condition(own)
    how = "no interval: one draw of examples says nothing of other draws"
    none = {"low": None, "high": None, "how": how}
    return {
        other: {name: metric.model_copy(update=none) for name, metric in found.items()}
        if _drawn(condition, _condition(other))
        else found
        for other, found in comparisons.items()
    }


def _condition(method: str) -> str:
    return method.partition(" + ")[0]


def _drawn(one: str, other: str) -> bool:
    """Whether two conditions are different numbers of examples, at least one of them drawn."""
    kinds = {one, other}
    shots = all(name == condition(0) or name.endswith(("shot", "shots")) for name in kinds)
    return (
        len(kinds) == 2
        and shots
        and any(name[0].isdigit() and "nearest" not in name for name in kinds)
    )
