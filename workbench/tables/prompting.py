"""Tables of prompts and of written answers."""

from typing import Any

from workbench.result import Metric, Result
from workbench.tables.html import Html, note, table

SCORES = {
    "unparsed": "unparsed",
    "accuracy": "accuracy, unparsed wrong",
    "accuracy_parsed": "accuracy of the parsed",
}
AS_SCORED = "as scored"


def prompts(result: Result) -> Html:
    """A row a prompt: its accuracy with interval, as scored and calibrated."""
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for prompt in result.tables["prompts"]:
        draw = "" if prompt["condition"] == "zero-shot" else str(prompt["shot_seed"] + 1)
        key = (prompt["condition"], prompt["template"], draw)
        found.setdefault(key, {})[prompt["variant"]] = _shown(prompt["accuracy"])
    variants = list(next(iter(found.values())))
    heads = ["shots", "template", "draw", *(variant or AS_SCORED for variant in variants)]
    rows = [[*key, *accuracies.values()] for key, accuracies in found.items()]
    text = (
        "Test accuracy with 95 % intervals. None of these prompts was chosen: each method's number "
        "above is of all its prompts together, their log-probabilities averaged."
    )
    return Html(table(heads, rows) + note(text))


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
        "accuracy counts an unparsed answer as wrong, the second leaves it out."
    )
    unparsed = [
        [answer or "(nothing)", f"{count:,}"] for answer, count in result.tables["unparsed"]
    ]
    if not unparsed:
        return Html(body + note(f"{text} Every answer names a label."))
    heads = ["commonest answers that name no label", "times"]
    return Html(body + note(text) + table(heads, unparsed, wide=heads[0]))


def _shown(metric: dict[str, Any]) -> str:
    return str(Metric(**metric))
