"""The verdict on a market, in words."""

from workbench.result import Metric, Result
from workbench.tables.html import Html, note, table


def verdict(result: Result) -> Html:
    """Whether the method beats chance, what that rests on, and how often the rule errs."""
    found = result.tables["verdict"]
    against = Metric(**found["majority"])
    smallest = "no interval, so not known"
    if found["detectable"] is not None:
        smallest = f"an MCC of {found['detectable']:.3f} would be seen in 8 of 10 such samples"
    rows = [
        ["why", found["reason"]],
        ["on shuffled texts", f"MCC {result.baselines['shuffled texts']['test/mcc']}"],
        ["accuracy minus majority's", f"{against:+}, {against.verdict}"],
        ["what these days can show", smallest],
        ["they are", f"{found['days']:,} trading days in {found['blocks']} blocks"],
    ]
    return Html(table(["beats chance?", found["answer"]], rows, wide=found["answer"])
                + note(found["rates"]))  # fmt: skip


def folds(result: Result) -> Html:
    """What each fold learned from, what it was tested on, and every method's accuracy there."""
    methods = list(result.tables["folds"][0]["accuracy"])
    heads = ["tested on", "learned from", "n", "said to rise", *methods]
    rows = [
        [
            f"{fold['first']} to {fold['last']}",
            f"{fold['trained_from']} to {fold['trained_to']}",
            f"{fold['n']:,}",
            f"{fold['said_up']:.0%}",
            *(str(Metric(**fold["accuracy"][method])) for method in methods),
        ]
        for fold in result.tables["folds"]
    ]
    return Html(
        table(heads, rows)
        + note(
            f"Said to rise: by the {result.method}. Then each method's accuracy, in brackets its "
            "95 % interval."
        )
    )
