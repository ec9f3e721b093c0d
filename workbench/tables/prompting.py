"""Tables of prompts and of written answers."""

from typing import Any

from workbench.result import Metric, Result
from workbench.tables.html import Html, note, table

ORACLE = "oracle"

SCORES = {
    "unparsed": "unparsed",
    "accuracy": "accuracy, unparsed wrong",
    "accuracy_parsed": "accuracy of the parsed",
}
AS_SCORED, BOUND = "as scored", "bound"


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
    if len({len(row) for row in found.values()}) > 1:
        text += " A template without a channel form has no channel scores."
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
