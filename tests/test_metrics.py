import socket

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap
from sklearn.metrics import f1_score

from workbench.record import metrics as m
from workbench.record.draws import resample
from workbench.record.statistics import interval

GOLD = [["B-PER", "I-PER", "O"], ["B-LOC", "O", "B-PER"], ["O", "O", "O"]]
LABELS = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a metric asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_perfect_prediction_scores_one_and_silence_zero(no_network):
    scorer = m.EntityScores()
    perfect = scorer.compute(predictions=GOLD, references=GOLD)
    assert perfect == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    silent = scorer.compute(predictions=[["O"] * 3] * 3, references=GOLD)
    assert silent == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_strict_and_lenient_differ_where_an_entity_begins_with_i(no_network):
    predicted = [["I-PER", "I-PER", "O"], ["B-LOC", "O", "B-PER"], ["O", "O", "O"]]
    scorer = m.EntityScores()
    strict = scorer.compute(predictions=predicted, references=GOLD)
    lenient = scorer.compute(predictions=predicted, references=GOLD, lenient=True)
    assert strict["f1"] == pytest.approx(2 * 2 / (2 + 3))
    assert lenient["f1"] == 1.0


def test_wrong_boundary_counts_as_missed_and_spurious():
    predicted = [["B-PER", "O", "O"], ["B-LOC", "O", "B-PER"], ["O", "O", "O"]]
    counts = m.entity_counts(GOLD, predicted, [0, 1, 1], ["LOC", "PER"])
    assert counts[0].tolist() == [[0, 0, 0], [0, 1, 1]]
    assert counts[1].tolist() == [[1, 1, 1], [1, 1, 1]]


def test_token_report_covers_every_label_and_agrees_with_counts(no_network):
    predicted = [["B-PER", "O", "O"], ["B-LOC", "O", "B-PER"], ["O", "B-LOC", "O"]]
    report = m.TokenReport().compute(predictions=predicted, references=GOLD, labels=LABELS)
    assert list(report) == [*LABELS, "micro avg", "macro avg", "weighted avg"]
    assert report["micro avg"]["precision"] == pytest.approx(7 / 9)
    assert report["micro avg"]["support"] == 9
    counts = m.token_counts(GOLD, predicted, [0, 0, 0], LABELS).sum(axis=0)
    flat = [[tag for tags in side for tag in tags] for side in (GOLD, predicted)]
    ours = np.nan_to_num(m.f1(counts))
    assert ours == pytest.approx(f1_score(*flat, labels=LABELS, average=None, zero_division=0))
    # I-LOC is nowhere: it has a row of 0, and no part in the average.
    assert report["macro avg"]["f1-score"] == pytest.approx(f1_score(*flat, average="macro"))
    assert m.macro_f1(counts) == pytest.approx(report["macro avg"]["f1-score"])


def test_interval_agrees_with_scipy():
    generator = np.random.default_rng(1)
    hits = generator.integers(0, 9, 80).astype(float)
    counts = np.stack([hits, hits + generator.integers(0, 4, 80)], axis=1)
    sums = resample(counts, resamples=9000)
    low, high, _ = interval(sums[:, 0] / sums[:, 1])
    other = scipy_bootstrap(
        (counts[:, 0], counts[:, 1]), lambda a, b: a.sum() / b.sum(), paired=True,
        vectorized=False, method="percentile", n_resamples=9000, rng=2,
    ).confidence_interval  # fmt: skip
    assert low == pytest.approx(other.low, abs=0.004)
    assert high == pytest.approx(other.high, abs=0.004)


def test_interval_covers_the_truth_about_95_times_in_100():
    covered = 0
    for seed in range(300):
        hits = np.random.default_rng(seed).binomial(10, 0.8, 60).astype(float)
        counts = np.stack([hits, np.full(60, 10.0)], axis=1)
        sums = resample(counts, resamples=400)
        low, high, _ = interval(sums[:, 0] / sums[:, 1])
        covered += low <= 0.8 <= high
    assert 0.90 <= covered / 300 <= 0.98


def test_interval_needs_clusters():
    with pytest.raises(ValueError, match="no clusters"):
        resample(np.zeros((0, 2)))
