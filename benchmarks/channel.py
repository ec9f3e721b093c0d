"""The noisy channel: how likely a decoder finds each item's text after each label's word.

Min et al. 2022, "Noisy Channel Language Model Prompting for Few-Shot Text Classification", section
3: p(y|x) is proportional to p(x|y) p(y); here all labels are equally likely before. The questions
are turned round by the forms in channel_forms.yaml. `calibration.py` measures it.

A text is read once a label, but what comes before it only once: as the beginning of all items
where it is the same for all, else as the stem that an item's labels branch off.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import yaml

from workbench.core.errors import ParameterError
from workbench.decoding import score as scoring
from workbench.methods import templates as wordings
from workbench.methods.calibration import Scores, normalise
from workbench.methods.prompt_scores import Asked, Draw, Prompted
from workbench.methods.prompts import ANY_TEXTS, ENTITIES, SPARE_TOKENS, Prompts, fitting
from workbench.methods.templates import Fields, Shots, Template, Wording
from workbench.models.causal_lm import CausalLM

CHANNEL = "channel"
"""How these scores are called beside the package's variants."""
FILE = Path(__file__).with_name("channel_forms.yaml")
TURNED = re.compile(
    r"(?s)(?P<before>.*?)(?P<middle> ?(?<!\{)\{label\}(?!\}).*)(?P<end> \{(?:text|entity)\})"
)
"""A question turned round: what comes before the label, from there to the last field, and that."""
Turned = Sequence[Sequence[tuple[str, str, str]]]
"""Each item's parts of the channel form, label by label."""


def score(
    asked: Asked, dataset: str, draws: Sequence[Draw], prompted: Sequence[Prompted]
) -> list[Scores | None]:
    """Log-probabilities of the labels [N, L] by each prompt turned round; None without a form.

    `prompted` are the scores of the plain prompts with the same `draws`, the same shots for all
    items. Of a prompt's shots as many are kept as fit it both plain and turned round.
    ParameterError for a form that is none, and for an item that doesn't fit the model.
    """
    templates = turned(dataset, asked.prompts)
    drawn = {(one.condition, one.number): one for one in draws}
    return [
        calibrated(
            _score_one(
                asked,
                templates[one.template],
                drawn[one.condition, one.shot_seed].kept(one.shots - one.dropped_shots).shots,
                f"{one.condition}: draw {one.shot_seed + 1}, template {one.template}, channel",
            )
        )
        if one.template in templates
        else None
        for one in prompted
    ]


def calibrated(likelihoods: Scores) -> Scores:
    """Scores from log p(x|y) [N, L] of each text after each label, all labels as likely before.

    >>> np.exp(calibrated(np.log([[1e-9, 3e-9]]))).round(2).tolist()
    [[0.25, 0.75]]
    """
    return normalise(likelihoods)


def turned(dataset: str, prompts: Prompts) -> dict[str, Template]:
    """The channel form of each of the prompts' templates that has one, as its question.

    The forms are those of the data set, else those of any texts; those of entities where these are
    asked about. ParameterError where one is no question turned round.
    """
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    names = [ENTITIES] if prompts.typing else [dataset, ANY_TEXTS]
    forms = content[next(name for name in names if name in content)]
    fields = ["text", "entity"] if prompts.typing else ["text"]
    listed = wordings.listing(prompts.words)
    return {
        one.name: _turned(one, forms[one.name], fields, listed)
        for one in prompts.templates
        if one.name in forms
    }


def _turned(template: Template, form: str, fields: Sequence[str], listed: str) -> Template:
    if not TURNED.fullmatch(form):
        raise ParameterError(
            f"template {template.name!r}: channel is {form!r}",
            expected="{label} somewhere, and a space and {text} or {entity} at the end",
        )
    found = wordings.template(template.name, Wording(question=form), [*fields, "label"], listed)
    return Template(template.name, template.instruction, found.question)


def turn(template: Template, shots: Shots, fields: Fields, word: str) -> tuple[str, str, str]:
    """A channel form for one item, in three parts (see TURNED), after the shots in it.

    Its likelihood is that of the last part after the other two.
    """
    found = TURNED.fullmatch(template.question)
    assert found, "checked when the file was read"
    shown = [template.question.format(**each, label=label) for each, label in shots]
    first = "".join(f"{part}\n\n" for part in [template.instruction, *shown] if part)
    before, middle, end = (part.format(**fields, label=word) for part in found.groups())
    return first + before, middle, end


def _score_one(asked: Asked, template: Template, shots: Shots, progress: str) -> Scores:
    """Log-likelihoods [N, L] by one form, with as many of the shots as fit before all items."""
    words = list(asked.prompts.words.values())
    longest = max(words, key=len)
    room = asked.model.capacity - asked.prompts.new_tokens - SPARE_TOKENS
    whole = lambda shown, fields: "".join(turn(template, shown, fields, longest))  # noqa: E731
    fit = fitting(asked.model, whole, shots, asked.items, room)
    found, _ = likelihoods(
        asked.model,
        template,
        shots[:fit],
        asked.items,
        words,
        dtype=asked.dtype,
        progress=progress,
    )
    return found


def likelihoods(
    model: CausalLM,
    template: Template,
    shots: Shots,
    items: Sequence[Fields],
    words: Sequence[str],
    *,
    dtype: torch.dtype,
    progress: str,
) -> tuple[Scores, int]:
    """Log-likelihood of each item's last field after each label [N, L], by the channel form.

    Also how many items have it joined to the last token before it (see
    `decoding.score.encode`). Raises ParameterError for an item that doesn't fit the model.
    """
    parts = [[turn(template, shots, fields, word) for word in words] for fields in items]
    if all(before == parts[0][0][0] for (before, _, _), *_ in parts):
        return _by_label(model, parts, dtype, progress)
    return _by_item(model, parts, dtype, progress)


def _by_label(
    model: CausalLM, parts: Turned, dtype: torch.dtype, progress: str
) -> tuple[Scores, int]:
    """Label by label: what all items have before them, mostly everything, is read once a label."""
    found = [
        scoring.log_likelihoods(
            model,
            [before + middle for before, middle, _ in column],
            [[end] for _, _, end in column],
            dtype=dtype,
            progress=f"{progress}, label {number} of {len(parts[0])}",
        )
        for number, column in enumerate(zip(*parts, strict=True), 1)
    ]
    return np.hstack([scored.sums for scored in found]), max(scored.merged for scored in found)


def _by_item(
    model: CausalLM, parts: Turned, dtype: torch.dtype, progress: str
) -> tuple[Scores, int]:
    """Item by item: log p(label, field | rest) - log p(label | rest), the rest read once."""
    scored = scoring.log_likelihoods(
        model,
        [row[0][0] for row in parts],
        [
            [middle + end for _, middle, end in row] + [middle for _, middle, _ in row]
            for row in parts
        ],
        dtype=dtype,
        progress=progress,
    )
    both, label = np.hsplit(scored.sums, 2)
    return both - label, scored.merged
