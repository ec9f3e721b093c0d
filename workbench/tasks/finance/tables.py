"""The verdicts on a market, in words."""

from workbench.display.html import Html, note, table
from workbench.record.result import Metric, Result


def verdict(result: Result) -> Html:
    """Of which methods an edge is shown, what that rests on, and how often the rule errs."""
    found = result.tables["verdict"]
    scores = {result.method: result.metrics, **result.baselines}
    rows = [
        [
            name,
            one["answer"],
            str(scores[name]["test/mcc"]),
            "" if one["p"] is None else f"{one['p']:.3f}",
            str(Metric(**one["sharpe"])),
            one["reason"],
        ]
        for name, one in found["methods"].items()
    ]
    heads = ["method", "edge?", "MCC", "p (Holm)", "Sharpe ratio, no costs", "why"]
    return Html(
        note(_answer(result.method, found))
        + table(heads, rows, wide="why")
        + table(["these numbers", "rest on"], _rest(result, found), wide="rest on")
        + note(found["rates"])
    )


def _answer(own: str, found: dict) -> str:
    """Of which methods an edge is shown, in words; what is said of the encoder is of it alone."""
    clauses = {
        "yes": "An edge is shown by",
        "no": f"An edge of {found['limit']} or more is excluded for",
        "cannot tell": "An edge is neither shown nor excluded for",
        "withheld": "No answer is given for",
    }
    methods = found["methods"]
    named = {
        answer: ", ".join(
            "this encoder, trained like this" if name == own else name
            for name, one in methods.items()
            if one["answer"] == answer
        )
        for answer in clauses
    }
    said = [f"{clauses[answer]}: {names}." for answer, names in named.items() if names]
    none = "" if named["yes"] else "No method shows an edge. "
    return f"{none}{' '.join(said)} {len(methods)} methods were judged. Costs are not counted."


def _rest(result: Result, found: dict) -> list[list[str]]:
    """What the verdicts rest on, beside the methods' own numbers."""
    own = found["methods"][result.method]
    smallest = "no interval, so not known"
    if own["detectable"] is not None:
        smallest = f"an MCC of {own['detectable']:.3f} would be seen in 8 of 10 such samples"
    against = Metric(**found["majority"])
    alone = [f"{seed}: {Metric(**metric).value:.3f}" for seed, metric in found["seeds"].items()]
    return [
        ["days", f"{found['days']:,} trading days in {found['blocks']} blocks"],
        ["training seeds of the encoder", f"MCC of each alone: {', '.join(alone)}"],
        ["encoder on shuffled texts", f"MCC {result.baselines['shuffled texts']['test/mcc']}"],
        ["encoder's accuracy minus majority's", f"{against:+}, {against.verdict}"],
        ["what these days can show of the encoder", smallest],
        [
            f"limit: an MCC of {found['limit']}",
            f"a yearly Sharpe ratio of about {found['limit_sharpe']:.2f} on these days before "
            f"costs; holding the market had {Metric(**found['holding'])}",
        ],
    ]


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
