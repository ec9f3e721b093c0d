"""Intervals that hold: near 0 and 1, of few items, of clusters without items, of rare labels."""

import importlib.util

import numpy as np
import pytest
from scipy.stats import binom, binomtest, norm

from workbench.core import paths
from workbench.record import f1, intervals
from workbench.record import statistics as stats
from workbench.record.metric import MONTE_CARLO, Metric

SPEC = importlib.util.spec_from_file_location("coverage", paths.ROOT / "benchmarks" / "coverage.py")
coverage = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(coverage)


def ratio(sums):
    with np.errstate(invalid="ignore"):
        return sums[..., 0] / sums[..., 1]


def fractions(right, whole=1):
    """Counts of clusters with so many right items of so many."""
    return np.stack([np.array(right, float), np.broadcast_to(float(whole), len(right))], axis=1)


def fraction(counts, **changes):
    return stats.measure(counts, ratio, **({"n": len(counts), "clusters": "texts"} | changes))


@pytest.mark.parametrize(("hits", "n"), [(0, 200), (200, 200), (1, 200), (12, 12), (195, 200)])
def test_a_share_with_few_items_on_one_side_has_wilsons_interval(hits, n):
    found = fraction(fractions([1] * hits + [0] * (n - hits)))
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    # The effective number comes from resamples, so it is n but for their error.
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.004)
    assert found.low < found.high
    assert found.how.startswith("Wilson interval")


def test_items_of_a_cluster_that_are_wrong_together_count_as_one():
    alone = fraction(fractions([0] * 3 + [1] * 97))
    together = fraction(fractions([0] * 3 + [20] * 97, whole=20))
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high))
    spread = fraction(fractions([19] * 60 + [20] * 40, whole=20), n=2000)
    assert spread.high - spread.low < (alone.high - alone.low) / 2, "60 errors, each by itself"


def test_a_share_with_enough_on_both_sides_has_the_bootstraps():
    found = fraction(fractions([1] * 30 + [0] * 70))
    assert found.how.startswith("percentile bootstrap over 100 texts")
    assert f"{MONTE_CARLO:.1%} of the width" in found.how


def test_clusters_without_items_do_not_count():
    """Two entities of a type, both found, among 200 documents: once [1.000, 1.000]."""
    counts = np.zeros((200, 3))
    counts[:2] = 1
    found = stats.measure(counts, f1.f1, n=2, clusters="documents")
    assert found.value == 1
    assert (found.low, found.high) == (None, None)
    assert found.how == "no interval: only 2 of 200 documents count"
    # Precision is of predicted ones: documents with gold ones alone say nothing of it.
    counts[:, 2] = 1
    precision = stats.measure(counts, f1.precision, n=2, clusters="documents")
    assert precision.low is None
    assert stats.measure(counts, f1.recall, n=200, clusters="documents").low < 0.01


def test_what_never_changes_has_no_interval():
    counts = fractions([3] * 20, whole=2)
    found = fraction(counts, unit="tokens per word")
    assert (found.value, found.low) == (1.5, None)
    assert found.how == "no interval: the same in every resample of 20 texts"


def paired(both, only_a, only_b, neither):
    sides = np.repeat([[1, 1], [1, 0], [0, 1], [0, 0]], [both, only_a, only_b, neither], axis=0)
    return np.stack([sides, np.ones_like(sides)], axis=2).astype(float)


@pytest.mark.parametrize("cells", [(150, 0, 0, 50), (150, 5, 1, 44), (100, 0, 9, 91)])
def test_a_difference_that_few_items_make_has_agrestis_and_mins_interval(cells):
    found = stats.difference(paired(*cells), ratio, n=200, clusters="texts")
    more = 202
    first, second = cells[1] + 0.5 * 2, cells[2] + 0.5 * 2
    centre = (first - second) / more
    error = np.sqrt(first + second - (first - second) ** 2 / more) / more
    expected = (centre - 1.96 * error, centre + 1.96 * error)
    assert (found.low, found.high) == pytest.approx(expected, abs=0.002)
    assert found.value == pytest.approx((cells[1] - cells[2]) / 200)
    assert "the two differ in" in found.how
    assert (found.p < 0.05) == (found.verdict != "cannot tell")
    bits = stats.difference(paired(*cells), ratio, n=200, clusters="texts", unit="nats")
    assert bits.low is None


def test_a_difference_that_many_items_make_has_the_bootstraps():
    found = stats.difference(paired(100, 40, 20, 40), ratio, n=200, clusters="texts")
    assert found.how.startswith("percentile bootstrap")
    error = np.sqrt(60 - 20**2 / 200) / 200
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.06)
    assert found.p == pytest.approx(2 * norm.sf(0.1 / error), abs=0.01)
    turned = stats.difference(paired(100, 20, 40, 40), ratio, n=200, clusters="texts")
    assert turned.verdict == "worse"


def test_a_verdict_near_the_edge_is_borderline():
    def metric(low, high):
        return Metric(value=(low + high) / 2, low=low, high=high, n=9, how="")

    assert metric(0.0002, 0.0402).borderline
    assert metric(-0.0002, 0.0402).borderline
    assert not metric(0.004, 0.04).borderline
    assert not metric(-0.02, 0.02).borderline
    assert not Metric(value=0.0, n=9, how="no interval").borderline
    # 2,000 draws: the end of another draw's interval lies as far off as is said.
    counts = fractions(np.random.default_rng(0).integers(0, 9, 300), whole=9)
    ends = []
    for seed in range(60):
        shuffled = np.random.default_rng(seed).permutation(counts)  # other clusters are drawn
        low, high, _ = stats.interval(ratio(stats.resample(shuffled)))
        ends.append((low, high - low))
    lows, widths = np.array(ends).T
    assert lows.std() / widths.mean() == pytest.approx(MONTE_CARLO, rel=0.4)


def test_holm_rejects_what_the_procedure_step_by_step_rejects():
    chance = np.random.default_rng(0)
    for count in (1, 2, 9, 18):
        p_values = (chance.random(count) ** 4).tolist()
        rejected, left = set(), sorted(range(count), key=p_values.__getitem__)
        while left and p_values[left[0]] <= 0.05 / len(left):
            rejected.add(left.pop(0))
        adjusted = stats.holm(p_values)
        assert {place for place, p in enumerate(adjusted) if p <= 0.05} == rejected
    # p.adjust(c(.01, .02, .03, .04, .05), "holm") in R
    assert stats.holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, *[0.09] * 3])
    assert stats.holm([]) == []


def test_of_true_nulls_holm_calls_one_significant_in_few_families():
    families = np.random.default_rng(1).random((2000, 18))
    wrong = np.mean([min(stats.holm(family.tolist())) <= 0.05 for family in families])
    assert wrong < 0.065
    assert np.mean((families <= 0.05).any(axis=1)) > 0.5, "uncorrected"


def apart(p, value=0.1):
    return Metric(value=value, low=0.01, high=0.2, n=50, how="bootstrap", p=p)


def test_several_verdicts_are_corrected_together():
    found = {"a": apart(0.001), "b": apart(0.03), "c": apart(0.04), "d": apart(0.9, -0.1)}
    said = stats.verdicts(found)
    assert [each.word for each in said.values()] == ["better", *["cannot tell"] * 3]
    assert stats.correction(found) == "Verdicts are corrected for 4 comparisons by Holm's method."
    alone = {"b": found["b"]}
    assert stats.verdicts(alone)["b"].word == "better"
    assert stats.correction(alone) == ""
    near = stats.verdicts({"a": apart(0.026), "b": apart(0.5)})["a"]
    assert str(near) == "cannot tell, borderline"


def test_a_large_difference_is_told_however_many_are_shown_beside_it():
    large = stats.difference(paired(20, 150, 10, 20), ratio, n=200, clusters="texts")
    small = stats.difference(paired(80, 22, 20, 78), ratio, n=200, clusters="texts")
    assert 0 < large.p < 1e-30, "17 standard errors"
    said = stats.verdicts({"large": large} | {f"small {place}": small for place in range(99)})
    assert str(said["large"]) == "better"
    assert {each.word for each in said.values()} == {"better", "cannot tell"}
    nought = stats.verdicts({"a": apart(0.0), "b": apart(0.9)})["a"]
    assert str(nought) == "better"


def test_old_records_without_p_values_are_judged_each_by_itself_and_that_is_said():
    found = {"a": apart(None), "b": apart(0.9)}
    assert [each.word for each in stats.verdicts(found).values()] == ["better", "better"]
    assert stats.correction(found) == "Verdicts are not corrected for 2 comparisons."


def test_what_has_no_interval_is_no_comparison():
    found = {"a": apart(0.04), "b": Metric(value=0.5, n=3, how="no interval: only 3 texts")}
    assert stats.verdicts(found)["a"].word == "better"
    assert str(stats.verdicts(found)["b"]) == "cannot tell"


def test_wilsons_interval_holds_95_times_in_100_on_average_near_1():
    """Exactly, over all outcomes."""
    hits = np.arange(101)
    low, high = np.array([intervals.wilson(each / 100, 100) for each in hits]).T
    held = [
        binom.pmf(hits, 100, truth)[(low <= truth) & (truth <= high)].sum()
        for truth in np.linspace(0.9, 0.995, 40)
    ]
    assert 0.93 < np.mean(held) < 0.97
    assert min(held) > 0.85


# Of 160 samples; the percentile bootstrap, which this replaced, held in 88 % with 20 labels.
@pytest.mark.parametrize(
    "case",
    [
        coverage.macro(3, 150, 1.0, (0.6, 0.9), pairs=False),
        coverage.macro(20, 300, 0.7, (0.5, 0.9), pairs=False),
        coverage.discordant(0.01, 0.01, 200),
    ],
    ids=lambda case: case[0],
)
def test_intervals_hold_the_truth_about_95_times_in_100(case):
    found = coverage.coverage(case, 160)
    assert found["none"] == 0
    assert 0.9 <= found["held"] <= 0.995, found
    assert max(found["below"], found["above"]) <= 0.09, found


@pytest.mark.long
def test_intervals_hold_with_77_labels():
    found = coverage.coverage(coverage.macro(77, 1000, 0.7, (0.5, 0.9), pairs=False), 160)
    assert found["none"] == 0
    assert 0.9 <= found["held"] <= 0.995, found


def test_few_items_for_each_of_many_labels_give_no_interval_of_macro_f1():
    found = coverage.coverage(coverage.macro(77, 300, 0.7, (0.5, 0.9), pairs=False), 3)
    assert found["none"] == 3
    assert found["bias"] < -0.03, "the reason"


def test_wilsons_interval_is_scipys():
    for hits, n in ((0, 7), (3, 50), (50, 50)):
        expected = binomtest(hits, n).proportion_ci(method="wilson")
        assert intervals.wilson(hits / n, n) == pytest.approx(
            (expected.low, expected.high), abs=1e-5
        )


def test_the_normal_interval_takes_the_bias_back_and_its_p_value_is_the_normal_ones():
    samples = np.array([0.1, 0.2, 0.3, 0.4])  # mean .25, standard deviation .1118
    low, high, p = stats.debiased(0.3, samples)
    centre, error = 0.35, samples.std()
    assert (low, high) == pytest.approx((centre - 1.96 * error, centre + 1.96 * error), abs=1e-4)
    assert p == pytest.approx(2 * norm.sf(centre / error))


def test_few_discordant_items_have_the_interval_of_agresti_and_min():
    """200 items, 5 that only the first gets right and 1 that only the second does."""
    n, b, c = 200, 5, 1
    value, variance = (b - c) / n, ((b + c) - (b - c) ** 2 / n) / n**2
    low, high, p = intervals.few_apart(value, variance, n)
    more = n + 2
    centre = (b - c) / more
    # Their formula with b + 1 and c + 1 discordant of n + 2.
    error = np.sqrt((b + c + 2) - (b - c) ** 2 / more) / more
    assert (low, high) == pytest.approx((centre - 1.96 * error, centre + 1.96 * error), abs=1e-4)
    assert p == pytest.approx(2 * norm.sf(centre / error), abs=1e-3)
