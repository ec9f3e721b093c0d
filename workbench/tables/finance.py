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
    """A column a fold: its dates, and every method's accuracy there."""
    found = result.tables["folds"]
    dates = {
        "learned from": "trained_from",
        "learned to": "trained_to",
        "tested from": "first",
        "tested to": "last",
    }
    rows = [[name, *(fold[key] for fold in found)] for name, key in dates.items()]
    rows.append(["n", *(f"{fold['n']:,}" for fold in found)])
    rows.append(["said to rise", *(f"{fold['said_up']:.0%}" for fold in found)])
    methods = list(found[0]["accuracy"])
    rows += [
        [method, *(str(Metric(**fold["accuracy"][method])) for fold in found)] for method in methods
    ]
    text = (
        f"Said to rise: by the {result.method}. Below the line each method's accuracy, in brackets "
        "its 95 % interval."
    )
    heads = ["fold", *(str(number) for number, _ in enumerate(found, 1))]
    return Html(table(heads, rows, rule_before=methods[0]) + note(text))
