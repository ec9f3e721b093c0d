"""Tables of prompts and of written answers."""

from html import escape
from typing import Any

from workbench.display.html import Html, note, table
from workbench.record.result import Metric, Result

ORACLE = "oracle"

SCORES = {
    "unparsed": "unparsed",
    "accuracy": "accuracy, unparsed wrong",
    "accuracy_parsed": "accuracy of the parsed",
}
AS_SCORED, BOUND = "as scored", "bound"
LACKING = {
    "PMI": "Examples that each text has of its own leave no empty input to calibrate by.",
}
"""Why some prompts lack a variant that others have."""


def prompts(result: Result) -> Html:
    """A row a prompt: its accuracy with interval, as scored and calibrated, and the bound."""
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for prompt in result.tables["prompts"]:
        draw = "" if prompt["condition"] == "zero-shot" else str(prompt["shot_seed"] + 1)
        key = (prompt["condition"], prompt["template"], draw)
        accuracy = prompt["accuracy"]
        # The bound says how good these items let it be: it estimates nothing, so no interval.
        shown = f"{accuracy['value']:.3f}" if prompt["variant"] == ORACLE else _shown(accuracy)
        found.setdefault(key, {})[prompt["variant"]] = shown
    variants = list(dict.fromkeys(variant for row in found.values() for variant in row))
    variants.sort(key=lambda variant: variant == ORACLE)
    names = {"": AS_SCORED, ORACLE: BOUND}
    heads = ["shots", "template", "draw", *(names.get(variant, variant) for variant in variants)]
    rows = [[*key, *(row.get(variant, "") for variant in variants)] for key, row in found.items()]
    text = (
        "Test accuracy with 95 % intervals. None of these prompts was chosen: each method's number "
        "above is of all its prompts together, their log-probabilities averaged. The last column "
        "is no method but a bound: accuracy with the offset of each label that is best on these "
        "very items, as far as a search finds it. PMI, contextual and batch calibration are such "
        "offsets, chosen without the right labels."
    )
    for variant, why in LACKING.items():
        if variant in variants and any(variant not in row for row in found.values()):
            text += f" {why}"
    return Html(table(heads, rows) + note(text))


def exact_prompt(result: Result) -> Html:
    """The whole prompt of one item, letter for letter, and what the model answers to it."""
    asked = result.tables["prompt"]
    if scores := asked.get("scores"):
        answer = max(scores, key=lambda word: scores[word])
        shown = ", ".join(f"{word.strip()} {value:.0%}" for word, value in scores.items())
        text = f"marked is the most probable answer; probabilities of all: {shown}."
    else:
        answer, text = asked["answer"], "marked what was written after it and is read."
    marked = f'<mark class="wb-entity">{escape(answer) or "(nothing)"}</mark>'
    body = f'<pre style="white-space: pre-wrap">{escape(asked["prompt"])}{marked}</pre>'
    return Html(body + note(f"The prompt of item {asked['item']}; {text}"))


def answers(result: Result) -> Html:
    """What became of the written answers, by template and by vote, and those that name no label."""
    found = {
        template: {key: _shown(metric) for key, metric in scores.items()}
        for template, scores in result.tables["answers"].items()
    }
    votes = {key: result.baselines["generation"].get(f"test/{key}") for key in SCORES}
    found["vote"] = {key: str(metric) for key, metric in votes.items() if metric}
    rows = [[key, *(scores.get(key_, "") for key_ in SCORES)] for key, scores in found.items()]
    body = table(["template", *SCORES.values()], rows, rule_before="vote")
    text = (
        "The vote is what more than half of the templates' answers say, else unparsed. The first "
        "accuracy counts an unparsed answer as wrong, the second leaves it out. "
    ) + _way_of_asking(result)
    unparsed = [
        [answer or "(nothing)", f"{count:,}"] for answer, count in result.tables["unparsed"]
    ]
    if not unparsed:
        return Html(body + note(f"{text} Every answer names a label."))
    heads = ["commonest answers that name no label", "times"]
    return Html(body + note(text) + table(heads, unparsed, wide=heads[0]))


def _way_of_asking(result: Result) -> str:
    """By what text the model was asked to write."""
    if result.tables.get("written_by_chat"):
        return (
            "The model was asked in a chat, by its tokenizer's chat template; a wording that does "
            "not name the labels got an instruction that does. The scored prompts are plain text."
        )
    return "The model was asked by the same plain text as in the scored prompts."


def traps(result: Result) -> Html:
    """The same answers scored by rules in use elsewhere, and by ours."""
    found = result.tables["traps"]
    rules = list(found["rows"][0]["scores"])
    heads = ["answers", *rules, "ours", "of it unparsed"]
    rows = [
        [
            row["outputs"],
            *(_number(row["scores"][rule]) for rule in rules),
            " to ".join(dict.fromkeys([_number(row["low"]), _number(row["high"])])),
            f"{row['unparsed']:.0%}",
        ]
        for row in found["rows"]
    ]
    text = (
        f"Accuracy over {found['items']:,} items; the default label is {found['default']}. Ours is "
        "a band: unparsed answers wrong, to unparsed answers left out. "
        + " ".join(_gain(rule, found["rows"][:-1]) for rule in rules)
    )
    return Html(table(heads, rows) + note(text))


def _gain(rule: str, made_up: list[dict[str, Any]]) -> str:
    """Which made-up answers a rule gives most beyond what is right of them, in words."""
    gains = {row["outputs"]: (row["scores"][rule] or 0.0) - row["low"] for row in made_up}
    most = max(gains, key=lambda name: gains[name])
    if gains[most] <= 0:
        return f"By \u201c{rule}\u201d failing gains nothing."
    row = next(row for row in made_up if row["outputs"] == most)
    return (
        f"By \u201c{rule}\u201d a model gains by failing: \u201c{most}\u201d scores "
        f"{_number(row['scores'][rule])}, where {_number(row['low'])} of the answers are right."
    )


def priors(result: Result) -> Html:
    """Mean probability of each label by prompt: over unlabelled texts, and over empty inputs."""
    found = result.tables["priors"]
    labels = list(found[0]["texts"])
    heads = ["shots", "template", "draw", *labels, *(f"{label}, empty" for label in labels)]
    rows = []
    for one in found:
        draw = "" if one["condition"] == "zero-shot" else str(one["shot_seed"] + 1)
        means = [
            f"{one[part][label]:.2f}" if part in one else ""
            for part in ("texts", "empty")
            for label in labels
        ]
        rows.append([one["condition"], one["template"], draw, *means])
    drift = {
        label: max(one["texts"][label] for one in found) - min(one["texts"][label] for one in found)
        for label in labels
    }
    label = max(drift, key=lambda name: drift[name])
    text = (
        "Mean probability that a prompt gives to each label as scored: over unlabelled texts, the "
        "same for every prompt, and over inputs that say nothing. From "
        f"prompt to prompt that of {label} drifts most, by {drift[label]:.2f}."
    )
    return Html(table(heads, rows) + note(text))


def _number(value: float | None) -> str:
    return "none scored" if value is None else f"{value:.2f}"


def _shown(metric: dict[str, Any]) -> str:
    return str(Metric(**metric))
