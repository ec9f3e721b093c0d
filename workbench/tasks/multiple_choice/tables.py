"""Tables of multiple choice: an item as the model sees it, what it costs, the worst items."""

from html import escape
from typing import Any

from workbench.display.html import Html, note, table
from workbench.record.result import Metric, Result

RULES = ("sum", "per token", "per byte", "PMI")


def choice_example(result: Result) -> Html:
    """The first item: each prompt to the letter, and what each rule makes of its choices."""
    found: dict[str, Any] = result.tables["example"]
    prompts = "".join(
        f'<p class="wb-note">{escape(name)}</p><pre class="wb-prompt">{escape(prompt)}</pre>'
        for name, prompt in found["prompts"].items()
    )
    choices = found["choices"]
    best = {rule: max(choice[rule] for choice in choices) for rule in RULES}
    rows = [
        [
            choice["text"],
            "right" if choice["right"] else "",
            f"{choice['tokens']:,}",
            f"{choice['bytes']:,}",
            *(f"{choice[r]:.2f}{' *' if choice[r] == best[r] else ''}" for r in RULES),
        ]
        for choice in choices
    ]
    heads = ["choice", "", "tokens", "bytes", *RULES]
    text = (
        f"Scores in nats, of {found['template']}; * is the highest, which the rule picks. A choice "
        "follows its prompt after a space."
    )
    return Html(prompts + table(heads, rows, wide="choice") + note(text))


def choice_lengths(result: Result) -> Html:
    """A row a method: its accuracy by whether the right answer is the longest or the shortest."""
    found: dict[str, dict[str, Metric]] = {}
    for row in result.tables["lengths"]:
        found.setdefault(row["method"], {})[row["part"]] = Metric(**row["accuracy"])
    parts = list(dict.fromkeys(row["part"] for row in result.tables["lengths"]))
    counts = next(iter(found.values()))
    heads = ["method", *(f"{part}, n = {counts[part].n:,}" for part in parts)]
    rows = [[name, *(str(own[part]) for part in parts)] for name, own in found.items()]
    text = (
        "Accuracy with 95 % intervals, by what the right answer is among its item's choices in "
        "bytes. A rule without a lean to length is as often right in each column, as far as the "
        "questions are equally hard."
    )
    return Html(table(heads, rows) + note(text))


def choice_costs(result: Result) -> Html:
    """Seconds and tokens that 1,000 items take, by number of shots."""
    rows = [
        [
            row["what"],
            f"{row['templates']}",
            f"{1000 * row['seconds'] / row['items']:,.1f} s",
            f"{1000 * row['tokens'] / row['items']:,.0f}",
        ]
        for row in result.tables["reading"]
    ]
    heads = ["read", "templates", "time for 1,000 items", "tokens for 1,000 items"]
    text = (
        f"Scaled from n = {result.tables['reading'][0]['items']:,} items, on "
        f"{result.cost.device} in {result.cost.precision}, all templates together. A question is "
        "read once for all its choices, and examples once for all questions. No interval: each was "
        "timed once."
    )
    return Html(table(heads, rows) + note(text))


def worst_choices(result: Result, *, count: int = 12) -> Html:
    """The items whose right answer the own method puts furthest behind the one it picks."""
    own = result.items[result.items["method"] == result.method]
    rows = []
    for _, row in own.nlargest(count, "loss").iterrows():
        question, *choices = row["input"]
        gold, picked = row["gold"][0], row["predicted"][0]
        others = " | ".join(choice for choice in choices if choice not in (gold, picked))
        rows.append([f"{row['loss']:.2f}", question, gold, picked, others])
    heads = ["loss", "question", "right", "picked", "other choices"]
    text = (
        "Loss in nats: minus the log of the right choice's share, where the scores are taken as "
        "logits. Scores per token or byte are small, so these losses order items and mean no more."
    )
    return Html(table(heads, rows, wide="question") + note(text))
