"""Tables of methods that give each item one label."""

from html import escape
from typing import Any

from workbench.core.unspaced import joined
from workbench.display.html import Html, note, table
from workbench.record.result import Metric, Result, words
from workbench.record.statistics import correction, verdicts

COSTS = {
    "trainable": ("trained weights", "{:,}"),
    "seconds": ("training time", "{:,.1f} s"),
    "answer_seconds": ("for 1,000 answers", "{:,.1f} s"),
    "memory_mb": ("peak memory", "{:,.0f} MiB"),
}
"""What `tables["methods"]` may say of a method -> its heading and form."""


def methods(result: Result, metrics: tuple[str, ...] = ("test/accuracy", "test/macro_f1")) -> Html:
    """A row a method: metrics with intervals, its difference from the run's own, what it cost.

    The difference and its verdict are in the first of `metrics`, own method minus the other.
    """
    rows = {result.method: result.metrics, **result.baselines}
    costs = result.tables.get("methods", {})
    shown = [key for key in COSTS if any(cost.get(key) is not None for cost in costs.values())]
    names = [words(metric) for metric in metrics]
    heads = ["method", *names, f"own minus other, {names[0]}", "verdict on own"]
    lines = []
    differences = {
        method: found[metrics[0]]
        for method, found in result.comparisons.items()
        if metrics[0] in found
    }
    said = verdicts(differences)
    for method, found in rows.items():
        cells = [str(found[metric]) if metric in found else "" for metric in metrics]
        difference = differences.get(method)
        cells += [f"{difference:+}", str(said[method])] if difference else ["", ""]
        cost = dict(costs.get(method, {}))
        if "answer_seconds" in cost:
            cost["answer_seconds"] *= 1000 / cost.get("answered", result.metrics[metrics[0]].n)
        cells += [
            COSTS[key][1].format(cost[key]) if cost.get(key) is not None else "" for key in shown
        ]
        lines.append([f"{method} (own)" if method == result.method else method, *cells])
    heads += [COSTS[key][0] for key in shown]
    text = (
        f"All methods answer for the same items, n = {result.metrics[metrics[0]].n:,}; in brackets "
        "95 % intervals, the differences paired. Own is the method that this run is about. "
        f"{correction(differences) or 'The verdict is that of the interval.'} Borderline: other "
        "draws of the bootstrap may turn the verdict."
    )
    if "memory_mb" in shown:
        text += " Peak memory is the whole process's, with all that was loaded before."
    return Html(table(heads, lines) + note(text))


def worst_texts(result: Result, *, count: int = 12) -> Html:
    """The items that the own method is most surprised by: text, gold and predicted label, loss."""
    own = result.items[result.items["method"] == result.method]
    rows = [
        [f"{row['loss']:.2f}", row["gold"][0], row["predicted"][0], joined(row["input"])]
        for _, row in own.nlargest(count, "loss").iterrows()
    ]
    body = table(["loss", "gold", "predicted", "text"], rows, wide="text")
    return Html(body + note("Loss in nats: minus the log of the probability of the gold label."))


def disputed_texts(result: Result) -> Html:
    """The test texts whose label the own method disputes most surely."""
    found = result.tables["disputed"]
    rows = [
        [
            row["gold"],
            row["held"],
            f"{row['probability']:.2f}",
            f"{row['of_gold']:.2f}",
            row["text"],
        ]
        for row in found["texts"]
    ]
    heads = ["label it has", "held against it", "probability", "of its own", "text"]
    text = f"{found['count']:,} of {found['n']:,} test texts have a label that is disputed"
    if pairs := found["pairs"]:
        gold, held, count = pairs[0]
        often = "such as" if [pair[2] for pair in pairs].count(count) > 1 else "most often"
        text += f", {often} {held} for {gold} ({count:,})"
    text += (
        ". Some are the method's own errors: read them before you call a label wrong. A label is "
        "disputed where another is at least as probable as it is, on average, of the texts that "
        "have that other one."
    )
    return Html(table(heads, rows, wide="text") + note(text))


def slices(result: Result) -> Html:
    """Error rates of the own method in slices of the test texts, beside all other texts."""
    heads = ["slice", "texts", "error rate", "minus that of all others", "verdict", "leans to"]
    rows = [_slice(row) for row in result.tables["slices"]]
    text = (
        "In brackets 95 % intervals over texts. Of many slices one in twenty differs by chance. "
        "Leans to: the label given more often than it is right, and by what part of the slice. No "
        "numbers where a slice, or what is left without it, has under 20 texts."
    )
    if not any(row["n"] for row in result.tables["slices"]):
        named = ", ".join(row["slice"] for row in result.tables["slices"])
        return Html(
            note(f"No test text has any of: {named}." if named else "No slices were named.")
        )
    return Html(_filled(heads, rows) + note(text))


def _slice(row: dict[str, Any]) -> list[str]:
    cells = [row["slice"], f"{row['n']:,}"]
    if "error" not in row:
        return cells
    difference = Metric(**row["difference"])
    said = {"better": "errs more", "worse": "errs less"}.get(difference.verdict, difference.verdict)
    leaning = f"{row['leaning']} ({row['excess']:+.0%})" if row["leaning"] else ""
    return [*cells, str(Metric(**row["error"])), f"{difference:+}", said, leaning]


def swaps(result: Result) -> Html:
    """What the own method says otherwise when one name takes another's place."""
    heads = ["swap", "texts", "fraction with another label", "label most moved", "its probability"]
    rows = [_swap(row) for row in result.tables["swaps"]]
    text = (
        "In brackets 95 % intervals over the texts that name the first and not the second. Who is "
        "named may matter to what is said: a fraction above 0 asks you to read such texts, and "
        "proves no wrong by itself. No numbers where fewer than 20 texts can be changed."
    )
    if not any(row["n"] for row in result.tables["swaps"]):
        named = ", ".join(f"{row['from']} → {row['to']}" for row in result.tables["swaps"])
        said = f"No test text has the first of any pair without the second: {named}."
        return Html(note(said if named else "Name two phrases to swap them."))
    return Html(_filled(heads, rows) + note(text))


def _swap(row: dict[str, Any]) -> list[str]:
    cells = [f"{row['from']} → {row['to']}", f"{row['n']:,}"]
    if "changed" not in row:
        return cells
    moved = Metric(**row["moved"])
    return [*cells, str(Metric(**row["changed"])), row["label"], f"{moved:+}"]


def _filled(heads: list[str], rows: list[list[str]]) -> str:
    """A table whose rows may be too short: their last cells are empty."""
    return table(heads, [[*row, *[""] * (len(heads) - len(row))] for row in rows])


def attributions(result: Result) -> Html:
    """Some texts with the words that speak for and against the label they were given."""
    parts = []
    for row in result.tables["attributions"]:
        most = max(map(abs, row["scores"]), default=0)
        words = [
            _shaded(word, score, score / most if most else 0)
            for word, score in zip(row["words"], row["scores"], strict=True)
        ]
        said = f"{row['predicted']}, probability {row['probability']:.2f}"
        gold = "right" if row["predicted"] == row["gold"] else f"gold: {row['gold']}"
        parts.append(f"<li>{escape(said)} ({escape(gold)})<br>{' '.join(words)}</li>")
    gap = max((row["gap"] for row in result.tables["attributions"]), default=0)
    text = (
        "Blue speaks for the label given, orange against it, the stronger the more. What the words "
        "of a text add up to differs from the change of the label's logit, between a blank text "
        f"and this one, by {gap:.2f} at most."
    )
    return Html(f'{note(text)}<ol class="wb-sentences">{"".join(parts)}</ol>')


def _shaded(word: str, score: float, fraction: float) -> str:
    """An escaped word on a shade from 1 to 4 for its fraction of the strongest word's, -1..1."""
    level = round(4 * abs(fraction))
    side = "for" if fraction > 0 else "against"
    mark = f'<mark class="wb-{side}-{level}" title="{score:+.2f}">'
    return f"{mark}{escape(word)}</mark>" if level else escape(word)


def risk_check(result: Result) -> Html:
    """The written risk and its gradient beside automatic differentiation, on one batch."""
    found = result.tables["risk"]
    rows = [
        ["written out, in float64", f"{found['written_nats']:.6f}"],
        ["automatic, in float32", f"{found['automatic_nats']:.6f}"],
        ["largest difference in the gradient", f"{found['gradient_gap']:.1e}"],
    ]
    text = f"Mean cross-entropy in nats over {found['texts']} training texts; exact, no interval."
    return Html(table(["risk", "value"], rows) + note(text))
