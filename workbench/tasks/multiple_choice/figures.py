"""Charts of multiple choice: what a rule's lean to short or long answers costs."""

from matplotlib.figure import Figure as Canvas

from workbench.display.canvas import COLOURS, GREY, MARKERS, Figure, Look, dot, styled
from workbench.record.result import Metric, Result

PARTS = {"shortest": "right answer is the shortest", "longest": "the longest", "neither": "neither"}


@styled
def choice_lengths(result: Result) -> Figure:
    """Accuracy of each method, by whether the right answer is the longest or the shortest."""
    found = {
        (row["method"], row["part"]): Metric(**row["accuracy"]) for row in result.tables["lengths"]
    }
    rows = list(dict.fromkeys(method for method, _ in found))
    parts = [part for part in PARTS if any(part == other for _, other in found)]
    canvas = Canvas(figsize=(5.8, 0.42 * len(rows) + 1.7))
    axes = canvas.subplots()
    for place, part in enumerate(parts):
        for row, method in enumerate(rows):
            metric, height = found[method, part], row + 0.22 * (place - 1)
            label = "" if row else f"{PARTS[part]} (n = {metric.n:,})"
            dot(axes, height, metric, Look(COLOURS[place], MARKERS[place]), label=label)
    chance = result.baselines["chance"]["test/accuracy"]
    axes.axvline(chance.value, color=GREY, linestyle=":", label="chance")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set(xlabel="test accuracy, with 95 % interval", xlim=(-0.03, 1.03))
    axes.set_title(f"Accuracy by length of the right answer, n = {chance.n:,}")
    canvas.legend(loc="outside lower center", ncols=2)
    return Figure(canvas, "Accuracy by length of the right answer", _lean(found, result))


def _lean(found: dict[tuple[str, str], Metric], result: Result) -> str:
    """What each rule of the own method's condition loses where the right answer is the longest."""
    condition = result.method.partition(" + ")[0]
    clauses = []
    for method in dict.fromkeys(method for method, _ in found):
        short, long = found.get((method, "shortest")), found.get((method, "longest"))
        name, _, rule = method.partition(" + ")
        if name == condition and short and long:
            clauses.append(f"{rule} {short.value:.3f} and {long.value:.3f}")
    if not clauses:
        return "No right answer is the longest or the shortest alone, so no lean can be seen."
    return (
        f"Accuracy ({condition}) where the right answer is the shortest of its choices, and where "
        f"it is the longest: {'; '.join(clauses)}. These are different questions, so a gap is a "
        "rule's lean and their hardness together; compare the gaps of rules, which answer the same "
        "ones."
    )
