"""Multiple choice: which of a question's answers a decoder finds most likely, and by which rule."""

from dataclasses import replace

from workbench.data import dialogs
from workbench.data.dialogs import QuestionData
from workbench.methods import shots as prompt_shots
from workbench.methods.asking import Models, load_models
from workbench.methods.prompt_scores import condition, method
from workbench.record.findings import Findings
from workbench.record.result import DataIssue
from workbench.tasks.multiple_choice import items as choice_items
from workbench.tasks.multiple_choice import methods as choice_methods
from workbench.tasks.multiple_choice import scores as choice_scores
from workbench.tasks.multiple_choice.config import Config
from workbench.tasks.multiple_choice.methods import Asked
from workbench.tasks.multiple_choice.scores import Read


def load_data(config: Config) -> QuestionData:
    """Load questions with answers, and with choices where the data has them."""
    return dialogs.load(config.dataset, categories=config.categories)


def load_model(config: Config) -> Models:
    """Load both models onto the run's device."""
    return load_models(config.model, config.encoder, config.precision)


def run(config: Config, model: Models, data: QuestionData) -> Findings:
    """Pick an answer to the same questions by every rule and every baseline, and compare."""
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
    return Findings(
        sources={
            "model": model.decoder.source,
            "encoder": model.encoder.source,
            "dataset": data.source,
        },
        **compared.record(),
        headline=("test/accuracy",),
        data_issues=_data_issues(config, asked, read),
        device=model.decoder.device,
        dtype=asked.dtype,
        network=model.decoder,
        tables={
            "methods": costs | other_costs,
            "prompts": choice_scores.by_prompt(read, items),
            "lengths": choice_scores.by_part(scored, items),
            "example": choice_methods.example(asked, read),
            "reading": choice_methods.reading(asked, read, costs),
        },
        items=compared.items,
    )


def _data_issues(config: Config, asked: Asked, read: list[Read]) -> dict[str, DataIssue]:
    """What prompts lost, counted."""
    few = [one for one in read if one.condition != read[0].condition]
    count = len(asked.items)
    return {
        "cut": DataIssue(
            count=asked.cut,
            of=count * (1 + len(asked.items[0].choices)),
            note=f"questions and choices of more than {config.max_tokens} tokens, cut in prompts",
        ),
        "dropped_shots": DataIssue(
            count=sum(one.dropped_shots for one in few),
            of=config.shots * len(few),
            note="examples left out because the prompt would not fit the model",
        ),
        "merged_prompts": DataIssue(
            count=sum(one.found.merged for one in read),
            of=count * len(read),
            note="prompts whose last token an answer changes; scored from that token on",
        ),
    }
