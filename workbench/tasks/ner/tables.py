"""Tables of tagged sentences."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from workbench.core.unspaced import is_joined, joined
from workbench.display.html import Html, note, table
from workbench.record.iob import Span, spans
from workbench.record.result import Result

if TYPE_CHECKING:
    import pandas

ROUNDED = 0.0015
"""Most by which an average of numbers rounded to three places may be off, itself rounded."""


def token_report(result: Result) -> Html:
    """Precision, recall, F1 and support of each label, beside a published table where one is known.

    The last column is our F1 minus the reference's.
    """
    reference = result.tables["reference"]
    heads = ["label", "precision", "recall", "F1", "support"]
    if reference:
        heads += ["ref. precision", "ref. recall", "ref. F1", "F1 difference"]
    rows = []
    for label, row in result.tables["token_report"].items():
        cells = [f"{row[name]:.3f}" for name in ("precision", "recall", "f1-score")]
        cells = [label, *cells, f"{row['support']:,.0f}"]
        if reference and (published := reference["rows"].get(label)):
            cells += [f"{value:.3f}" for value in published[:3]]
            cells.append(f"{row['f1-score'] - published[2]:+.3f}")
        rows.append(cells)
    text = (
        "No intervals by label, as in the layout that is followed; token accuracy (the micro"
        " average) and macro F1 stand with theirs among the scores."
    )
    if reference:
        text += f" Reference: {reference['title']}. {reference['footnote']} {_doubt(reference)}"
    return Html(table(heads, rows, rule_before="micro avg") + note(text))


def averages(rows: dict[str, list[float]]) -> dict[str, float]:
    """F1 averages that follow from the rows of a token report: precision, recall, F1, support.

    The micro average, over all labels, is the fraction of tokens that are right: recalls weighted
    by support.
    """
    labels = [row for name, row in rows.items() if not name.endswith(" avg")]
    support = sum(row[3] for row in labels)
    return {
        "micro avg": sum(row[1] * row[3] for row in labels) / support,
        "macro avg": sum(row[2] for row in labels) / len(labels),
        "weighted avg": sum(row[2] * row[3] for row in labels) / support,
    }


def _doubt(reference: dict[str, Any]) -> str:
    """Which averages of a published table do not follow from its own rows, rounding allowed for."""
    rows = reference["rows"]
    wrong = [
        f"its {name} F1 is {rows[name][2]:.3f}, by its rows {value:.3f}"
        for name, value in averages(rows).items()
        if name in rows and abs(rows[name][2] - value) > ROUNDED
    ]
    return f"The table contradicts itself: {'; '.join(wrong)}." if wrong else ""


def worst_sentences(result: Result, *, count: int = 20) -> Html:
    """The sentences with the highest total loss, with gold and predicted entities marked.

    Where a method has no losses, those with the most entities that only one side has.
    """
    items = result.items
    known = bool(items["loss"].notna().all())
    total = items["loss"] * items["input"].map(len) if known else _wrong(items)
    parts = []
    if not known:
        total = total[total > 0]
    for index in total.sort_values(ascending=False, kind="stable").index[:count]:
        row = items.loc[index]
        gold, predicted = spans(row["gold"]), spans(row["predicted"])
        bad = f"loss {total[index]:.1f} nats" if known else f"{total[index]} wrong or missed"
        parts.append(
            f"<li>{bad}, document {escape(str(row['cluster']))}<br>"
            f'<span class="wb-role">gold</span>{_marked(row["input"], gold, predicted)}<br>'
            f'<span class="wb-role">predicted</span>{_marked(row["input"], predicted, gold)}</li>'
        )
    legend = note(
        "Blue: gold and prediction agree; orange: only one of them has this entity."
        if parts
        else "No sentence has an entity that is wrong or missed."
    )
    return Html(f'{legend}<ol class="wb-sentences">{"".join(parts)}</ol>')


def _wrong(items: "pandas.DataFrame") -> "pandas.Series[int]":
    """Entities of each item that only gold or only the prediction has."""
    sides = items[["gold", "predicted"]]
    return sides.apply(lambda row: len(spans(row["gold"]) ^ spans(row["predicted"])), axis=1)


def disputed(result: Result) -> Html:
    """Test entities that the model contradicts though it is sure, the most confident first."""
    found = result.tables["disputed"]
    parts = []
    for row in found["rows"]:
        words = result.items["input"].iloc[row["sentence"]]
        sides = [{tuple(row[side])} if row[side] else set() for side in ("gold", "predicted")]
        lines = [
            f'<span class="wb-role">{role}</span>{_marked(words, ours, theirs)}'
            for role, ours, theirs in zip(("gold", "predicted"), sides, sides[::-1], strict=True)
        ]
        parts.append(f"<li>probability {row['sure']:.4f}<br>{'<br>'.join(lines)}</li>")
    text = (
        f"Of {found['errors']:,} errors the model is sure of {found['count']:,}: it gives each of "
        f"its tags a probability of {found['least']:.0%} or more. Here are the "
        f"{len(found['rows'])} most confident; only the entity in dispute is marked."
    )
    return Html(f'{note(text)}<ol class="wb-sentences">{"".join(parts)}</ol>')


def _marked(words: Sequence[str], entities: set[Span], others: set[Span]) -> str:
    """The escaped words with their entities marked, those that `others` lacks as wrong."""
    starts = {start: (kind, end) for kind, start, end in entities}
    parts, index = [], 0
    while index < len(words):
        kind, end = starts.get(index, ("", index + 1))
        text = escape(joined(words[index:end]))
        if kind:
            wrong = "" if (kind, index, end) in others else " wb-wrong"
            text = f'<mark class="wb-entity{wrong}">{text}<sub>{escape(kind)}</sub></mark>'
        spaced = index and not is_joined(words[index - 1], words[index])
        parts.append(f" {text}" if spaced else text)
        index = end
    return "".join(parts)
