"""What a decoder writes for items instead of being scored, read as labels, with scores."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from workbench.decoding import generate
from workbench.decoding.grammar import one_of
from workbench.methods import label_scores
from workbench.methods.prompt_scores import Asked, Rows
from workbench.methods.prompts import Prompts
from workbench.record.draws import Counts
from workbench.record.metric import UNPARSED
from workbench.record.result import Metric
from workbench.record.statistics import measure
from workbench.tasks.prompting import answers

GENERATION, CONSTRAINED = "generation", "constrained generation"


def write(asked: Asked, *, held: bool = False) -> dict[str, list[str]]:
    """What the model writes for each item, zero-shot, by template; `held` to the labels' words.

    In a chat where the model's tokenizer has a chat template (see `Prompts.written`).
    """
    templates = asked.prompts.written
    return {
        template.name: [
            answer.text
            for answer in generate.generate(
                asked.model,
                [template.fill([], fields) for fields in asked.items],
                max_new_tokens=asked.prompts.new_tokens,
                grammar=one_of(asked.prompts.answers(template)) if held else None,
                dtype=asked.dtype,
                progress=f"generation, template {number} of {len(templates)}",
            )
        ]
        for number, template in enumerate(templates, 1)
    }


def read(
    written: Mapping[str, Sequence[str]], prompts: Prompts
) -> tuple[dict[str, list[str]], list[tuple[str, int]]]:
    """Each template's answers as labels or `unparsed`, and the commonest that are none."""
    read = {
        name: [answers.parse(answer, prompts.words) for answer in found]
        for name, found in written.items()
    }
    refused = Counter(
        answers.read_part(answer)
        for name, found in written.items()
        for answer, label in zip(found, read[name], strict=True)
        if label == UNPARSED
    )
    return read, refused.most_common(12)


def scores(
    predicted: Sequence[str], rows: Rows, labels: Sequence[str], of: str
) -> dict[str, Metric]:
    """Accuracy with unparsed answers wrong, over the parsed ones only, and the unparsed share."""
    counts = label_scores.confusion(rows["label"], predicted, labels, rows["cluster"])
    parsed = int(counts[..., :-1].sum())
    found = {
        "accuracy": measure(counts, label_scores.accuracy, n=len(predicted), clusters=of),
        "accuracy_parsed": measure(counts, _parsed_accuracy, n=parsed, clusters=of),
        "unparsed": measure(counts, label_scores.unparsed, n=len(predicted), clusters=of),
    }
    return {name: metric for name, metric in found.items() if metric}


def _parsed_accuracy(counts: Counts) -> Counts:
    right = np.trace(counts, axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore"):
        return right / counts[..., :-1].sum(axis=(-2, -1))
