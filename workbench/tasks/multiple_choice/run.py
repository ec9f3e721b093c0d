"""Multiple choice: which of a question's answers a decoder finds most likely, and by which rule."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from workbench.core.config import Config as BaseConfig
from workbench.record.result import Cost, Loss, Result
from workbench.tasks.prompting.run import Models, load_models

if TYPE_CHECKING:
    from workbench.data.dialogs import QuestionData
    from workbench.tasks.multiple_choice.methods import Asked
    from workbench.tasks.multiple_choice.scores import Read

SMOKE: dict[str, object] = {
    "dataset": "tiny_questions",
    "items": 12,
    "shots": 1,
    "max_tokens": 24,
}
"""Overrides for tests: the real models on the project's own few questions."""


class Config(BaseConfig):
    """Parameters of a multiple-choice test."""

    task: ClassVar[str] = "multiple_choice"
    right: ClassVar[str] = "a question whose right answer was picked"
    test: ClassVar[tuple[str, ...]] = ("distractors", "choices", "categories", "items", "seed")
    sources: ClassVar[dict[str, Literal["model", "dataset"]]] = {
        "model": "model",
        "encoder": "model",
        "dataset": "dataset",
    }

    model: str = "smollm2"
    """Decoder to ask: catalogue name, folder or hf:<id>."""
    encoder: str = "minilm"
    """Encoder that says how alike texts are: catalogue name, folder or hf:<id>."""
    dataset: str = "dialogs"
    """Questions with answers: catalogue name, path or hf:<id>."""
    categories: str = "trivia"
    """Categories of `dialogs`, parted by commas; other data has none."""
    items: Annotated[int, Field(ge=1)] = 1000
    """Most test questions to answer."""
    choices: Annotated[int, Field(ge=2, le=20)] = 4
    """Choices of a question, where the data gives none."""
    distractors: Literal["random", "near"] = "random"
    """Wrong choices: of any other questions, or of the most similar ones."""
    shots: Annotated[int, Field(ge=0, le=64)] = 4
    """Answered questions in a prompt; 0 leaves few-shot prompts out."""
    max_tokens: Annotated[int, Field(ge=4)] = 128
    """Most tokens read of a question or a choice; what is cut is counted."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Matrix products; auto: bfloat16 where the hardware has it."""


def load_data(config: Config) -> "QuestionData":
    """Load questions with answers, and with choices where the data has them."""
    from workbench.data import dialogs

    return dialogs.load(config.dataset, categories=config.categories)


def load_model(config: Config) -> Models:
    """Load both models onto the run's device."""
    return load_models(config.model, config.encoder, config.precision)


def run(config: Config, model: Models, data: "QuestionData") -> Result:
    """Pick an answer to the same questions by every rule and every baseline, and compare."""
    from workbench.core import machine
    from workbench.methods import shots as prompt_shots
    from workbench.methods.prompt_scores import condition, method
    from workbench.tasks.multiple_choice import items as choice_items
    from workbench.tasks.multiple_choice import methods as choice_methods
    from workbench.tasks.multiple_choice import scores as choice_scores

    began = time.monotonic()
    machine.seed(config.seed)
    made = choice_items.make(data.splits["test"], config.choices, config.distractors, config.seed)
    items = made[: config.items]
    train = data.splits.get("train")
    asked = choice_methods.ask(config, model.decoder, items, train)
    read, costs = choice_methods.score(asked)
    others, other_costs = choice_methods.baselines(config, model.encoder, items)
    scored = choice_scores.ensembles(read) | others
    own = method(condition(0), choice_scores.BYTE)
    compared = choice_scores.compare(own, scored, items)
    settled = prompt_shots.without_verdicts_on_shots(compared.comparisons, own, draws=1)
    compared = replace(compared, comparisons=settled)
    return Result(
        task=config.task,
        parameters=config.model_dump(mode="json"),
        sources={
            "model": model.decoder.source.record(),
            "encoder": model.encoder.source.record(),
            "dataset": data.source.record(),
        },
        **compared.record(),
        headline=("test/accuracy",),
        losses=data.losses | _losses(config, asked, read),
        cost=Cost(**machine.spent(began, model.decoder.device, asked.dtype, model.decoder)),
        environment=machine.environment(),
        tables={
            "methods": costs | other_costs,
            "prompts": choice_scores.by_prompt(read, items),
            "lengths": choice_scores.by_part(scored, items),
            "example": choice_methods.example(asked, read),
            "reading": choice_methods.reading(asked, read, costs),
        },
    ).with_details(directory=config.directory, items=compared.items, history=[])


def _losses(config: Config, asked: "Asked", read: list["Read"]) -> dict[str, Loss]:
    """What prompts lost, counted."""
    few = [one for one in read if one.condition != read[0].condition]
    count = len(asked.items)
    return {
        "cut": Loss(
            count=asked.cut,
            of=count * (1 + len(asked.items[0].choices)),
            note=f"questions and choices of more than {config.max_tokens} tokens, cut in prompts",
        ),
        "dropped_shots": Loss(
            count=sum(one.dropped_shots for one in few),
            of=config.shots * len(few),
            note="examples left out because the prompt would not fit the model",
        ),
        "merged_prompts": Loss(
            count=sum(one.found.merged for one in read),
            of=count * len(read),
            note="prompts whose last token an answer changes; scored from that token on",
        ),
    }
