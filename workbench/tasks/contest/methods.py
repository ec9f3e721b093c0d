"""What learns in the contest, beside what prompts reach: names, references and the first draw."""

from collections.abc import Sequence
from typing import Any

from workbench.core.config import names
from workbench.methods import learning_curves, prompt_scores
from workbench.methods.learning_curves import Learner, Plan, Point
from workbench.methods.prompt_scores import BATCH
from workbench.models.encoder import Encoder
from workbench.tasks.contest.config import DECODER, Config
from workbench.tasks.contest.levels import Levels, Models


def plan(config: Config) -> Plan:
    """What learns, from how many texts. Of validation, batch calibration reads texts, no labels."""
    methods = names(config.methods)
    return Plan(methods, config.counts, config.draws, config.seed, config.max_tokens)


def learners(config: Config, models: Models) -> list[Learner]:
    """The methods, each with the encoder that it adapts."""
    return [
        Learner(method, adapted(method, models), method.removeprefix(DECODER))
        for method in names(config.methods)
    ]


def adapted(method: str, models: Models) -> Encoder:
    """The encoder that a method adapts: the decoder as one, or the other."""
    own = models.reader if method.startswith(DECODER) else models.encoder
    assert own is not None, "the decoder is loaded as an encoder where it learns"
    return own


def references(config: Config) -> list[str]:
    """The prompts that what learns is to overtake, fixed in advance; the most shots come last."""
    conditions = dict.fromkeys(prompt_scores.condition(shots) for shots in (0, config.shots))
    return [prompt_scores.method(name, BATCH) for name in conditions]


def costs(levels: Levels, points: Sequence[Point]) -> dict[str, dict[str, Any]]:
    """What each method takes: prompts, and what learns at the largest size."""
    return {name: dict(cost) for name, cost in levels.costs.items()} | learning_curves.costs(points)
