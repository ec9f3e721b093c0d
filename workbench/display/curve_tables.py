"""Tables of learning curves: accuracy by number of labelled examples, and crossings of levels."""

from typing import Any

from workbench.display.html import Html, note, table
from workbench.record.metric import summed_up
from workbench.record.result import Metric, Result
from workbench.record.statistics import correction, verdicts

COSTS = {
    "trainable": ("trained weights", "{:,}"),
    "seconds": ("time to learn", "{:,.1f} s"),
    "answer_1000_seconds": ("to answer 1,000", "{:,.1f} s"),
}
"""What a method takes -> its heading and form."""


def learning_curves(result: Result) -> Html:
    """Accuracy by method and labelled examples, the difference from a level, and the cost."""
    curve, found = result.tables["curve"], result.tables["crossings"]
    level = found[0]["level"]
    differences = {
        row["method"]: Metric(**row["difference"]) for row in found if row["level"] == level
    }
    said = verdicts(differences)
    sizes = sorted({point["texts"] for point in curve})
    heads = ["method", *(f"{size:,} examples" for size in sizes)]
    heads += [f"at {sizes[-1]:,}, minus {level}", "verdict"]
    heads += [head for head, _ in COSTS.values()]
    rows = []
    for method in dict.fromkeys(point["method"] for point in curve):
        cells = [_mean(point) for point in curve if point["method"] == method]
        cells += [f"{differences[method]:+}", str(said[method]), *_costs(result, method)]
        rows.append([method, *cells])
    for row in result.tables["levels"]:
        cells = [_mean(row), *[""] * (len(sizes) - 1), "", "", *_costs(result, row["method"])]
        rows.append([row["method"], *cells])
    several = curve[0]["sd"] is not None
    spread = "the mean over the draws of examples ± their standard deviation" if several else ""
    text = (
        f"Accuracy{', ' + spread if spread else ', one draw of examples'}, on the same "
        f"{curve[0]['n']:,} test items. Below the rule, in the first column of numbers, is "
        f"what uses {sizes[0]:,} of these labels at most. The difference is paired, in brackets "
        f"its 95 % interval: {summed_up(each.how for each in differences.values())}. "
        f"{correction(differences)} Times are of the largest number of examples "
        "and of this machine; a prompt's is that of all its templates."
    )
    levels = result.tables["levels"]
    return Html(table(heads, rows, rule_before=levels[0]["method"]) + note(text))


def crossings(result: Result) -> Html:
    """Where each method overtakes each level, with interval and the fractions of the outcomes."""
    found = result.tables["crossings"]
    fractions = {"already": "ahead at once", "passes": "in between", "not reached": "not reached"}
    heads = ["method", "overtakes", "at examples", "95 % interval", *fractions.values()]
    rows = []
    for row in found:
        at = row["at"] if isinstance(row["at"], str) else f"{row['at']:,.0f}"
        given = [f"{row['fractions'][key]:.1%}" if row["fractions"] else "" for key in fractions]
        rows.append([row["method"], row["level"], at, row["span"], *given])
    own = found[0]["level"]
    said = " ".join(row["said"] for row in found if row["level"] == own)
    differences = {
        row["method"]: Metric(**row["difference"]) for row in found if row["level"] == own
    }
    text = (
        "The smallest number of examples at which the mean accuracy is above the level's, taken "
        "as linear in the logarithm of the number between those tried. The last columns are "
        f"fractions of resamples: {found[0]['how']}. Resamples in which a curve is nowhere "
        "ahead, or ahead from the start, are outcomes of their own, not numbers. "
        f"{correction(differences)}"
    )
    count = found[0]["difference"]["n"]
    return Html(note(f"On these {count:,} items: {said}") + table(heads, rows) + note(text))


def _mean(point: dict[str, Any]) -> str:
    spread = "" if point["sd"] is None else f" ± {point['sd']:.3f}"
    return f"{point['value']:.3f}{spread}"


def _costs(result: Result, method: str) -> list[str]:
    cost = result.tables["methods"][method]
    return [form.format(cost[key]) for key, (_, form) in COSTS.items()]
