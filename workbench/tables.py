"""Tables of results as HTML. Everything that comes from data is escaped."""

from collections.abc import Iterable, Sequence
from html import escape

from workbench import paths
from workbench.iob import Span, spans
from workbench.result import Result

STYLE = (paths.PACKAGE / "tables.css").read_text(encoding="utf-8")


class Html:
    """Markup that notebooks show, with the project's style for tables."""

    def __init__(self, body: str) -> None:
        self.body = body

    def _repr_html_(self) -> str:
        return f"<style>{STYLE}</style>\n{self.body}"


def scores(result: Result) -> Html:
    """Every metric with interval and n, the baselines beside it."""
    names = list(result.baselines)
    rows = []
    for name, metric in result.metrics.items():
        others = [result.baselines[baseline].get(name) for baseline in names]
        cells = [str(other) if other else "" for other in others]
        rows.append([name, str(metric), *cells, f"{metric.n:,}"])
    how = sorted({metric.how for metric in result.metrics.values()})
    note = f"Shares from 0 to 1; in brackets 95 % intervals: {'; '.join(how)}."
    return Html(_table(["metric", "this run", *names, "n"], rows) + _note(note))


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
    note = (
        "No intervals by label, as in the layout that is followed; token accuracy (the micro"
        " average) and macro F1 stand with theirs among the scores."
    )
    if reference:
        note += f" Reference: {reference['title']}. {reference['footnote']}"
    return Html(_table(heads, rows, rule_before="micro avg") + _note(note))


def worst_sentences(result: Result, *, count: int = 20) -> Html:
    """The sentences with the highest total loss, with gold and predicted entities marked."""
    items = result.items
    total = items["loss"] * items["input"].map(len)
    parts = []
    for index in total.sort_values(ascending=False, kind="stable").index[:count]:
        row = items.loc[index]
        gold, predicted = spans(row["gold"]), spans(row["predicted"])
        parts.append(
            f"<li>loss {total[index]:.1f} nats, document {escape(str(row['cluster']))}<br>"
            f'<span class="wb-role">gold</span>{_marked(row["input"], gold, predicted)}<br>'
            f'<span class="wb-role">predicted</span>{_marked(row["input"], predicted, gold)}</li>'
        )
    note = _note("Blue: gold and prediction agree; orange: only one of them has this entity.")
    return Html(f'{note}<ol class="wb-sentences">{"".join(parts)}</ol>')


def _marked(words: Sequence[str], entities: set[Span], others: set[Span]) -> str:
    """The escaped words with their entities marked, those that `others` lacks as wrong."""
    starts = {start: (kind, end) for kind, start, end in entities}
    parts, index = [], 0
    while index < len(words):
        kind, end = starts.get(index, ("", index + 1))
        text = escape(" ".join(words[index:end]))
        if kind:
            wrong = "" if (kind, index, end) in others else " wb-wrong"
            text = f'<mark class="wb-entity{wrong}">{text}<sub>{escape(kind)}</sub></mark>'
        parts.append(text)
        index = end
    return " ".join(parts)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, rule_before: str = "") -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    lines = []
    for row in rows:
        rule = ' class="wb-rule"' if rule_before and row[0] == rule_before else ""
        lines.append(f"<tr{rule}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>")
    return (
        f'<table class="wb-table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def _note(text: str) -> str:
    return f'<p class="wb-note">{escape(text)}</p>'
