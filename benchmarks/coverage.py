"""How often 95 % intervals hold the truth: samples of made-up populations whose truth is known.

Each case draws many data sets from one population, and asks the package for a metric's interval of
each. A row counts intervals that hold the truth, those below and above it, and data sets for which
the package gives none. The last line is JSON.
"""

import argparse
import json
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from workbench.methods import label_scores
from workbench.record import f1 as m
from workbench.record.draws import Counts
from workbench.record.result import Metric
from workbench.record.statistics import difference, measure

Sample = Callable[[np.random.Generator], Metric | None]
Case = tuple[str, float, Sample]
"""What is measured, its true value, and how one data set's metric is made."""
MACRO = (
    # labels, items, how unequal labels are (Zipf's exponent), range of the labels' accuracy
    (3, 60, 1.0, (0.6, 0.9)),
    (3, 300, 0.5, (0.6, 0.9)),
    (20, 160, 0.0, (0.3, 0.6)),
    (20, 300, 0.7, (0.5, 0.9)),
    (20, 1000, 0.7, (0.5, 0.9)),
    (77, 300, 0.7, (0.5, 0.9)),
    (77, 400, 0.0, (0.6, 0.95)),
    (77, 1000, 0.0, (0.6, 0.95)),
    (77, 1000, 0.7, (0.5, 0.9)),
    (77, 3000, 0.0, (0.6, 0.95)),
)


def population(labels: int, zipf: float, right: tuple[float, float], seed: int) -> Counts:
    """Probabilities [gold, predicted]: labels by Zipf's law, errors drawn to some labels."""
    chance = np.random.default_rng(seed)
    frequency = np.arange(1.0, labels + 1) ** -zipf
    accuracy = chance.uniform(*right, labels)
    errors = chance.dirichlet(np.full(labels, 0.5)) * chance.dirichlet(np.full(labels, 0.3), labels)
    np.fill_diagonal(errors, 0)
    found = errors / errors.sum(axis=1, keepdims=True) * (1 - accuracy[:, None])
    np.fill_diagonal(found, accuracy)
    return found * (frequency / frequency.sum())[:, None]


def triples(cells: Counts) -> Counts:
    """Correct, predicted and gold of each label [..., L, 3] of confusions [..., L, L]."""
    right = np.diagonal(cells, axis1=-2, axis2=-1)
    return np.stack([right, cells.sum(axis=-2), cells.sum(axis=-1)], axis=-1)


def counted(gold: NDArray[np.int64], predicted: NDArray[np.int64], labels: int) -> Counts:
    """Counts [items, L, 3]."""
    found, rows = np.zeros((len(gold), labels, 3)), np.arange(len(gold))
    found[rows, gold, 0] = gold == predicted
    found[rows, predicted, 1] = 1
    found[rows, gold, 2] = 1
    return found


def macro(labels: int, n: int, zipf: float, right: tuple[float, float], *, pairs: bool) -> Case:
    """Macro F1, or of `pairs` the difference of two methods that err alike in half the items."""
    one, two = (population(labels, zipf, right, seed) for seed in (0, 1))
    name = f"macro F1{' difference' if pairs else ''}, {labels} labels, n = {n:,}, Zipf {zipf}"

    def predict(of: Counts, gold: NDArray[np.int64], chance: np.random.Generator) -> Counts:
        steps = (of / of.sum(axis=1, keepdims=True)).cumsum(axis=1)
        return np.minimum((steps[gold] < chance.random(len(gold))[:, None]).sum(axis=1), labels - 1)

    def sample(chance: np.random.Generator) -> Metric | None:
        gold = chance.choice(labels, n, p=one.sum(axis=1))
        ours = predict(one, gold, chance)
        if not pairs:
            return m.measure_macro_f1(counted(gold, ours, labels), n=n, clusters="items")
        theirs = np.where(chance.random(n) < 0.5, ours, predict(two, gold, chance))
        both = [counted(gold, each, labels) for each in (ours, theirs)]
        return m.macro_f1_difference(np.stack(both, axis=1), n=n, clusters="items")

    truth = m.macro_f1(triples(one))
    if pairs:
        truth = truth - m.macro_f1(triples((one + two) / 2))
    return name, float(truth), sample


def share(truth: float, n: int, of_a_cluster: int = 1) -> Case:
    """Accuracy where items of a cluster are right or wrong together nine times in ten."""

    def sample(chance: np.random.Generator) -> Metric | None:
        common = np.repeat(chance.random(n // of_a_cluster) < truth, of_a_cluster)
        own = chance.random(n) < truth
        right = np.where(chance.random(n) < 0.9, common, own) if of_a_cluster > 1 else own
        counts = np.stack([right.reshape(-1, of_a_cluster).sum(axis=1)], axis=1).astype(float)
        whole = np.full_like(counts, of_a_cluster)
        return measure(np.hstack([counts, whole]), _ratio, n=n, clusters="clusters")

    return f"accuracy {truth}, {n // of_a_cluster:,} clusters of {of_a_cluster}", truth, sample


def discordant(one: float, other: float, n: int) -> Case:
    """Difference of accuracies: shares `one` and `other` are right by one method alone."""

    def sample(chance: np.random.Generator) -> Metric | None:
        fate = chance.random(n)
        sides = np.stack([fate < one, (fate >= one) & (fate < one + other)], axis=1)
        pairs = np.stack([sides, np.ones((n, 2))], axis=2)
        return difference(pairs.astype(float), _ratio, n=n, clusters="items")

    return f"difference, {one} and {other} discordant, n = {n:,}", one - other, sample


def correlation(n: int, rare: float, right: float) -> Case:
    """MCC of two labels, one of them rare."""
    cells = np.array([[1 - rare, 0], [0, rare]]) @ np.array(
        [[right, 1 - right], [1 - right, right]]
    )

    def sample(chance: np.random.Generator) -> Metric | None:
        places = chance.choice(4, n, p=cells.ravel())
        labels = [["a", "b"][place] for place in places // 2]
        said = [["a", "b"][place] for place in places % 2]
        found = label_scores.metrics(labels, said, ("a", "b"), range(n), of="items")
        return found["test/mcc"]

    padded = np.hstack([cells, np.zeros((2, 1))])
    return f"MCC, n = {n:,}, {rare:.0%} rare", float(label_scores.mcc(padded)), sample


def entities(documents: int, each: float, right: float) -> Case:
    """Entity F1 of a type that a document has `each` times on average; half as many spurious."""

    def sample(chance: np.random.Generator) -> Metric | None:
        gold = chance.poisson(each, documents)
        found = chance.binomial(gold, right)
        counts = np.stack([found, found + chance.poisson(each / 4, documents), gold], axis=1)
        return measure(counts.astype(float), m.f1, n=int(gold.sum()), clusters="documents")

    truth = float(m.f1(np.array([right, right + 0.25, 1.0])))
    return f"entity F1, {documents} documents, {each} each", truth, sample


def _ratio(sums: Counts) -> Counts:
    return sums[..., 0] / sums[..., 1]


def cases() -> Iterator[Case]:
    """All that is simulated."""
    for each in MACRO:
        yield macro(*each, pairs=False)
    for each in MACRO[1], MACRO[3], MACRO[8], MACRO[9]:
        yield macro(*each, pairs=True)
    for truth, n, size in ((0.5, 30, 1), (0.98, 100, 1), (0.995, 200, 1), (0.97, 300, 10)):
        yield share(truth, n, size)
    for one, other, n in ((0.01, 0.01, 200), (0.03, 0.0, 200), (0.1, 0.06, 300)):
        yield discordant(one, other, n)
    yield correlation(300, 0.1, 0.85)
    yield correlation(100, 0.1, 0.95)
    yield entities(30, 0.7, 0.9)
    yield entities(231, 0.3, 0.6)


def coverage(case: Case, samples: int, seed: int = 0) -> dict[str, float | str | int]:
    """How many of the samples' intervals hold the truth, lie below it, or above; how many lack."""
    name, truth, sample = case
    chance = np.random.default_rng(seed)
    found = [metric for _ in range(samples) if (metric := sample(chance))]
    ends = [(metric.low, metric.high) for metric in found if metric.low is not None]
    made = len(ends)
    low, high = np.array(ends, dtype=float).reshape(-1, 2).T
    inside = ((low <= truth) & (truth <= high)).sum()
    return {
        "case": name, "truth": truth, "bias": float(np.mean([x.value for x in found])) - truth,
        "samples": len(found), "none": len(found) - made,
        "held": float(inside / made) if made else "",
        "below": float((high < truth).sum() / made) if made else "",
        "above": float((low > truth).sum() / made) if made else "",
        "width": float((high - low).mean()) if made else "",
    }  # fmt: skip


def main() -> None:
    """Print a row for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    chosen = parser.parse_args()
    rows = []
    print("| case | truth | bias | no interval | held | below | above | width |")
    print("|---|---|---|---|---|---|---|---|")
    for case in cases():
        if chosen.only in case[0]:
            row = coverage(case, chosen.samples)
            rows.append(row)
            numbers = [row[key] for key in ("held", "below", "above", "width")]
            shown = [f"{each:.3f}" if each != "" else "" for each in numbers]
            cells = [f"{row['truth']:.3f}", f"{row['bias']:+.4f}", f"{row['none']}", *shown]
            print(f"| {row['case']} | {' | '.join(cells)} |", flush=True)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
