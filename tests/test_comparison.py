"""Two runs side by side: numbers recomputed otherwise, what is left out said, and harmless text."""

import base64
import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import pandas
import pytest
from scipy import stats as scipy_stats
from scipy.stats import bootstrap as scipy_bootstrap
from sklearn.metrics import accuracy_score, f1_score

from workbench import cli, flow, tasks
from workbench.core.errors import DataError, ParameterError
from workbench.record import comparison, draws
from workbench.record.comparison import correctness, pairs, ratios, text
from workbench.record.iob import spans, to_iob2
from workbench.record.metric import UNPARSED
from workbench.record.metrics import EntityScores
from workbench.record.result import ITEM_COLUMNS, Cost, Result

LABELS = ("angry", "calm", "glad")
STEERING = "\x1b[2J\x1b]0;owned\x07\r\n\x9b31m\x7f\u202egpj.exe\u2028\ud800"


def rows(predicted, gold, *, method="own", clusters=None, losses=None, start=0, split="test"):
    """Items in the shared format: labels as str, or sequences of them as lists."""
    wrapped = [
        [[value] if isinstance(value, str) else list(value) for value in column]
        for column in (gold, predicted)
    ]
    places = range(start, start + len(gold))
    inputs = [
        [f"text {place}"] if len(labels) == 1 else [f"w{word}" for word in range(len(labels))]
        for place, labels in zip(places, wrapped[0], strict=True)
    ]
    columns = (
        [f"{split}/{place}" for place in places], [split] * len(gold), [method] * len(gold),
        [str(each) for each in (clusters if clusters is not None else places)], inputs, *wrapped,
        losses if losses is not None else [None] * len(gold),
    )  # fmt: skip
    frame = pandas.DataFrame(dict(zip(ITEM_COLUMNS, columns, strict=True)))
    return frame.astype({"loss": float})


def run(*frames, **changes):
    fields = {
        "task": "fine_tuning", "parameters": {"seed": 0}, "sources": {}, "metrics": {},
        "headline": (), "environment": {},
        "cost": Cost(seconds=1, memory_mb={"resident": 10}, device="cpu", precision="float32"),
    }  # fmt: skip
    items = pandas.concat(frames, ignore_index=True)
    return Result(**(fields | changes)).with_details(directory=None, items=items, history=[])


def drawn(seed, *, n=600, right=(0.6, 0.7)):
    """Gold labels, two sets of predictions, losses of both, and 40 clusters of unequal size."""
    chance = np.random.default_rng(seed)
    gold = chance.choice(LABELS, n)
    other = chance.choice(LABELS, n)
    found = [list(map(str, np.where(chance.random(n) < share, gold, other))) for share in right]
    losses = chance.gamma(2, 0.5, (2, n))
    return list(map(str, gold)), *found, losses, (40 * chance.random(n) ** 2).astype(int)


def interval(values, weights, clusters, statistic):
    """A cluster bootstrap's percentile interval, by scipy."""
    found = np.unique(clusters)
    sums = [[column[clusters == cluster].sum() for cluster in found] for column in values]
    totals = np.array([weights[clusters == cluster].sum() for cluster in found])
    drawn = scipy_bootstrap(
        (*map(np.array, sums), totals), statistic, paired=True, method="percentile",
        n_resamples=4000, rng=np.random.default_rng(1), vectorized=False,
    )  # fmt: skip
    return drawn.confidence_interval


@pytest.mark.parametrize("seed", range(4))
def test_numbers_are_those_of_scikit_learn_and_scipy(seed):
    gold, a, b, losses, clusters = drawn(seed)
    ours, theirs = (
        run(rows(guess, gold, clusters=clusters, losses=loss))
        for guess, loss in zip((a, b), losses, strict=True)
    )
    found = comparison.compare(ours, theirs)
    accuracy, loss = found.measures["accuracy"], found.measures["loss"]
    assert accuracy.a.value == pytest.approx(accuracy_score(gold, a))
    assert accuracy.b.value == pytest.approx(accuracy_score(gold, b))
    assert accuracy.difference.value == pytest.approx(
        accuracy_score(gold, b) - accuracy_score(gold, a)
    )
    assert loss.difference.value == pytest.approx(losses[1].mean() - losses[0].mean())
    assert loss.a.unit == loss.difference.unit == "nats"
    hits = np.array([np.equal(guess, gold) for guess in (a, b)], dtype=float)
    for measure, values in ((accuracy, hits), (loss, losses)):
        for metric, statistic in (
            (measure.a, lambda x, _, n: x.sum() / n.sum()),
            (measure.difference, lambda x, y, n: y.sum() / n.sum() - x.sum() / n.sum()),
        ):
            low, high = interval(values, np.ones(len(gold)), clusters, statistic)
            width = high - low
            assert metric.low == pytest.approx(low, abs=0.1 * width)
            assert metric.high == pytest.approx(high, abs=0.1 * width)
            assert metric.n == len(gold)
        half = (measure.difference.high - measure.difference.low) / 2
        assert measure.detectable == pytest.approx(half * 2.8 / 1.96)
    assert found.counts == {
        "both": sum(g == x == y for g, x, y in zip(gold, a, b, strict=True)),
        "only_a": sum(g == x != y for g, x, y in zip(gold, a, b, strict=True)),
        "only_b": sum(g == y != x for g, x, y in zip(gold, a, b, strict=True)),
        "neither": sum(g not in (x, y) for g, x, y in zip(gold, a, b, strict=True)),
    }
    assert sum(found.counts.values()) == found.items == len(gold)
    assert found.clusters == len(set(clusters))


def test_pairing_narrows_the_interval_of_methods_that_fail_together():
    chance = np.random.default_rng(0)
    gold = ["calm"] * 1000
    a = list(np.where(chance.random(1000) < 0.5, "calm", "glad"))
    b = ["calm" if place % 50 == 0 else guess for place, guess in enumerate(a)]
    found = comparison.compare(run(rows(a, gold)), run(rows(b, gold))).measures["accuracy"]
    apart = np.hypot(found.a.high - found.a.low, found.b.high - found.b.low)
    assert found.difference.high - found.difference.low < apart / 3
    assert found.verdict == "better"


@pytest.mark.parametrize(("shares", "verdict"), [((0.6, 0.7), "better"), ((0.7, 0.6), "worse")])
def test_a_planted_difference_is_found_in_its_direction(shares, verdict):
    gold, a, b, _, _ = drawn(3, n=3000, right=shares)
    found = comparison.compare(run(rows(a, gold)), run(rows(b, gold))).measures["accuracy"]
    planted = (shares[1] - shares[0]) * 2 / 3  # a wrong draw is right by chance in a third
    assert found.difference.low < planted < found.difference.high
    assert found.verdict == verdict
    assert found.detectable < 0.066


def test_less_loss_is_better_and_items_without_one_are_counted():
    gold = ["calm"] * 200
    chance = np.random.default_rng(0)
    losses = chance.random(200) + 1
    lower = losses - 0.5 + chance.normal(0, 0.1, 200)
    lower[:3] = np.nan, np.inf, -np.inf
    found = comparison.compare(
        run(rows(gold, gold, losses=losses)), run(rows(gold, gold, losses=lower))
    )
    assert found.measures["loss"].difference.value == pytest.approx(-0.5, abs=0.05)
    assert found.measures["loss"].verdict == "better"
    assert found.measures["loss"].a.n == 197
    assert (found.data_issues["loss"].count, found.data_issues["loss"].of) == (3, 200)
    none = comparison.compare(run(rows(gold, gold)), run(rows(gold, gold, losses=losses)))
    assert set(none.measures) == {"accuracy"}, "of one gold label there is no macro F1"
    assert none.data_issues["loss"].count == 200


def test_a_run_beside_itself_differs_by_nothing_at_all():
    gold, a, _, losses, clusters = drawn(1)
    result = run(rows(a, gold, clusters=clusters, losses=losses[0]))
    found = comparison.compare(result, result)
    for measure in found.measures.values():
        assert measure.difference.value == 0
        assert measure.verdict == "cannot tell"
        assert not measure.borderline
        assert measure.a == measure.b
    assert set(found.measures) == {"accuracy", "macro_f1", "loss"}
    # That 40 clusters agree does not show that all would: with one more for either side, the
    # standard error is sqrt(2) / 42.
    alike = found.measures["accuracy"].difference
    assert (alike.low, alike.high) == pytest.approx((-1.96 * 2**0.5 / 42, 1.96 * 2**0.5 / 42))
    assert found.measures["loss"].difference.low is None
    assert found.measures["loss"].detectable is None
    assert (found.counts["only_a"], found.counts["only_b"]) == (0, 0)
    assert found.parameters == {}
    shown = text.as_text(found)
    assert "parameters: none differs" in shown
    assert "B - A  +0.000 [-0.066, +0.066]: cannot tell which is better" in shown
    assert "loss: no interval: the two differ in 0 of 40 clusters of items" in shown


def test_only_shared_items_are_compared_and_the_others_are_counted():
    gold, a, b, _, _ = drawn(2)
    ours = run(rows(a[:500], gold[:500]))
    theirs = run(rows(b[200:][::-1], gold[200:][::-1], start=0))
    theirs.items["item"] = [f"test/{place}" for place in range(599, 199, -1)]
    found = comparison.compare(ours, theirs)
    assert found.items == 300
    assert found.measures["accuracy"].a.value == pytest.approx(
        accuracy_score(gold[200:500], a[200:500])
    )
    assert found.measures["accuracy"].b.value == pytest.approx(
        accuracy_score(gold[200:500], b[200:500])
    )
    assert (found.data_issues["only_a"].count, found.data_issues["only_a"].of) == (200, 500)
    assert (found.data_issues["only_b"].count, found.data_issues["only_b"].of) == (100, 400)
    # The second run's texts stand under other numbers, so they are not those of the first.
    assert found.data_issues["inputs"].count > 290
    shown = text.as_text(found)
    assert "items that only A has, left out: 200 of 500 (40.00%)" in shown
    assert "items that only B has, left out: 100 of 400 (25.00%)" in shown


def test_runs_over_other_items_are_refused():
    gold = ["calm"] * 20
    with pytest.raises(DataError, match="share no item: A has 20, such as 'test/0', and B 20"):
        comparison.compare(run(rows(gold, gold)), run(rows(gold, gold, start=20)))
    with pytest.raises(DataError, match="share no item"):
        comparison.compare(run(rows(gold, gold)), run(rows(gold, gold, split="validation")))


def test_runs_over_other_labels_are_refused():
    gold = ["calm"] * 20
    other = ["calm"] * 5 + ["glad"] * 2 + ["calm"] * 13
    with pytest.raises(DataError, match="gold of 2 of 20 shared items differs.*'test/5'"):
        comparison.compare(run(rows(gold, gold)), run(rows(gold, other)))


def test_an_item_that_is_there_twice_is_refused():
    once = run(rows(["calm"] * 20, ["calm"] * 20))
    twice = run(rows(["calm"] * 20, ["calm"] * 20), rows(["glad"], ["calm"], start=7))
    with pytest.raises(DataError, match="'test/7' .* more than once"):
        comparison.compare(once, twice)


def test_few_clusters_give_no_interval_and_no_verdict_and_say_why():
    gold, a, b, _, _ = drawn(5, right=(0.1, 1.0))
    clusters = np.arange(600) % 9
    found = comparison.compare(
        run(rows(a, gold, clusters=clusters)), run(rows(b, gold, clusters=clusters))
    )
    measure = found.measures["accuracy"]
    assert measure.difference.value > 0.5
    assert (measure.difference.low, measure.difference.high) == (None, None)
    assert (measure.verdict, measure.detectable) == ("cannot tell", None)
    shown = text.as_text(found)
    assert "accuracy: no interval: only 9 clusters of items" in shown
    assert "[" not in shown
    assert "95 %" not in shown


def test_clusters_stay_together():
    """Ten copies of each item, in one cluster, say no more than the item alone."""
    gold, a, b, _, _ = drawn(6, n=100)
    copied = [[each for each in column for _ in range(10)] for column in (gold, a, b)]
    clusters = np.repeat(np.arange(100), 10)
    alone = comparison.compare(run(rows(a, gold)), run(rows(b, gold)))
    found = comparison.compare(
        run(rows(copied[1], copied[0], clusters=clusters)),
        run(rows(copied[2], copied[0], clusters=clusters)),
    )
    few, many = (one.measures["accuracy"].difference for one in (alone, found))
    assert (many.value, many.low, many.high) == pytest.approx((few.value, few.low, few.high))
    assert "over 100 items," in few.how
    assert "over 100 clusters of items," in many.how


@pytest.mark.parametrize("swapped", [False, True])
def test_of_two_groupings_the_coarser_is_drawn_and_that_is_said(swapped):
    gold, a, b, _, _ = drawn(7)
    coarse = run(rows(a, gold, clusters=np.arange(600) // 20))
    fine = run(rows(b, gold, clusters=np.arange(600) // 10))
    found = comparison.compare(*((fine, coarse) if swapped else (coarse, fine)))
    assert found.clusters == 30
    assert found.grouping.startswith("clusters are B's" if swapped else "clusters are A's")
    assert found.grouping in text.as_text(found)
    renamed = run(rows(b, gold, clusters=[f"other {place // 20}" for place in range(600)]))
    assert comparison.compare(coarse, renamed).grouping == "", "names alone are no difference"


def test_unparsed_answers_are_wrong_and_counted():
    gold = ["calm"] * 20
    found = comparison.compare(
        run(rows(gold, gold)), run(rows([UNPARSED] * 4 + ["glad"] + ["calm"] * 15, gold))
    )
    assert found.measures["accuracy"].b.value == 15 / 20
    assert (found.data_issues["unparsed_a"].count, found.data_issues["unparsed_b"].count) == (0, 4)
    assert "answers of B that name no label, counted as wrong: 4 of 20" in text.as_text(found)


def test_a_sequence_is_right_as_a_whole_and_its_tokens_one_by_one():
    chance = np.random.default_rng(4)
    gold = [list(chance.choice(["O", "B-PER"], chance.integers(1, 6))) for _ in range(50)]
    a = [list(np.where(chance.random(len(tags)) < 0.8, tags, "B-LOC")) for tags in gold]
    b = [tags[:-1] for tags in gold]
    said = {"right": "a sentence with every tag right", "main_measure": "entity_f1"}
    found = comparison.compare(run(rows(a, gold), **said), run(rows(b, gold), **said))
    assert found.right == "a sentence with every tag right"
    old = comparison.compare(run(rows(a, gold)), run(rows(b, gold), **said))
    assert old.right == "an item with every label right; or a sentence with every tag right"
    assert next(iter(old.measures)) == "accuracy", "an old record names no measure"
    assert found.measures["accuracy"].a.value == np.mean(
        [x == y for x, y in zip(a, gold, strict=True)]
    )
    assert found.measures["accuracy"].b.value == 0, "a prediction that is too short is wrong"
    flat = [[tag for tags in each for tag in tags] for each in (gold, a)]
    tokens = found.measures["token_accuracy"]
    assert tokens.a.value == pytest.approx(accuracy_score(*flat))
    assert tokens.b.value == pytest.approx((len(flat[0]) - 50) / len(flat[0]))
    assert tokens.a.n == len(flat[0])
    example = found.examples["only_a"][0]
    assert example.a == example.gold != example.b


def tagged(seed, *, n=120, right=(0.7, 0.8), documents=40):
    """Gold IOB2 tags of n sentences, two sets of predictions, and the sentences' documents."""
    chance = np.random.default_rng(seed)
    tags = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    gold = [
        to_iob2(list(map(str, chance.choice(tags, chance.integers(1, 9)))))[0] for _ in range(n)
    ]
    found = [
        [
            [tag if chance.random() < share else str(chance.choice(tags)) for tag in row]
            for row in gold
        ]
        for share in right
    ]
    return gold, *found, np.sort(chance.integers(0, documents, n))


@pytest.mark.parametrize("seed", range(6))
def test_entities_of_each_item_are_those_that_iob_reads(seed):
    gold, a, _, _ = tagged(seed, right=(0.5, 0.5))
    a[3], a[4], gold[5] = [*a[3], "B-LOC"], [], []
    counts = ratios.entities(ratios.Labels.of(gold), ratios.Labels.of(a))
    expected = [
        (len(spans(x) & spans(y)), len(spans(y)), len(spans(x)))
        for x, y in zip(gold, a, strict=True)
    ]
    assert counts.tolist() == list(map(list, expected))


def test_taggers_are_compared_by_entity_f1_drawn_by_document():
    gold, a, b, documents = tagged(7)
    said = {"main_measure": "entity_f1", "right": "a sentence with every tag right"}
    found = comparison.compare(
        run(rows(a, gold, clusters=documents), **said),
        run(rows(b, gold, clusters=documents), **said),
    )
    assert list(found.measures) == ["entity_f1", "accuracy", "token_accuracy"]
    measure = found.measures["entity_f1"]
    for metric, tags in ((measure.a, a), (measure.b, b)):
        expected = EntityScores().compute(predictions=tags, references=gold)["f1"]
        assert metric.value == pytest.approx(expected)
        assert metric.n == sum(len(spans(each)) for each in gold)
    assert measure.difference.value == pytest.approx(measure.b.value - measure.a.value)

    def f1(x, wx, y, wy, _):
        return y.sum() / wy.sum() - x.sum() / wx.sum()

    sums = [ratios.f1_parts(ratios.entities(ratios.Labels.of(gold), ratios.Labels.of(tags)))
            for tags in (a, b)]  # fmt: skip
    columns = np.hstack(sums).T
    low, high = interval(columns, np.ones(len(gold)), documents, f1)
    width = high - low
    assert measure.difference.low == pytest.approx(low, abs=0.1 * width)
    assert measure.difference.high == pytest.approx(high, abs=0.1 * width)
    assert "entity F1, n = " in text.as_text(found)


def windows(losses, texts, **changes):
    """Running text as an inspection keeps it: total nats of each text, and no labels."""
    keys = [f"{place:012x}" for place in range(len(texts))]
    frame = rows(keys, keys, losses=losses, split="wiki", clusters=keys)
    frame["input"] = [[each] for each in texts]
    return run(frame, main_measure="bits_per_byte", task="pretraining", **changes)


def test_decoders_are_compared_by_bits_per_byte_whatever_their_tokenizers():
    chance = np.random.default_rng(0)
    texts = ["é" * int(size) for size in chance.integers(20, 90, 60)]
    size = np.array([len(each.encode()) for each in texts])
    a, b = size * chance.normal(0.7, 0.1, 60), size * chance.normal(0.6, 0.1, 60)
    found = comparison.compare(windows(a, texts), windows(b, texts))
    assert list(found.measures) == ["bits_per_byte"]
    measure = found.measures["bits_per_byte"]
    assert measure.a.value == pytest.approx(a.sum() / np.log(2) / size.sum())
    assert measure.b.value == pytest.approx(b.sum() / np.log(2) / size.sum())
    assert measure.a.unit == "bits per byte"
    assert measure.verdict == "better", "fewer bits are better"
    assert (found.right, found.counts, found.examples) == ("", {}, {})
    shown = text.as_text(found)
    assert "bits per byte, n = 60" in shown
    assert "accuracy" not in shown
    assert "right" not in shown
    missing = b.copy()
    missing[4] = np.nan
    lacking = comparison.compare(windows(a, texts), windows(missing, texts))
    assert next(iter(lacking.measures)) == "accuracy", "without a loss of each there are no bits"


def test_labels_are_compared_by_macro_f1_too():
    gold, a, b, _, _ = drawn(9)
    b[:30] = [UNPARSED] * 30
    found = comparison.compare(run(rows(a, gold)), run(rows(b, gold))).measures["macro_f1"]
    for metric, guess in ((found.a, a), (found.b, b)):
        expected = f1_score(gold, guess, average="macro", labels=LABELS)
        assert metric.value == pytest.approx(expected)
        assert metric.low < metric.value < metric.high
    assert found.difference.value == pytest.approx(found.b.value - found.a.value)
    assert found.difference.how.startswith("normal interval, less the bias, from a")


def test_token_accuracy_is_the_one_that_the_run_itself_reports(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = tasks.TASKS["template"].Config()
    task = tasks.load("template")
    result = flow.run(config, task.load_model(config), task.load_data(config))
    found = comparison.compare(result, result)
    assert found.a.method == "lexicon"
    assert found.measures["token_accuracy"].a.value == pytest.approx(
        result.metrics["test/token_accuracy"].value
    )


def test_every_task_says_what_its_items_are_compared_by():
    for name, module in tasks.TASKS.items():
        config = module.Config
        assert config.main_measure in ratios.KINDS, name
        assert bool(config.right) == ratios.KINDS[config.main_measure].has_right, name
        assert set(config.test) <= set(config.model_fields), name


def test_a_run_records_what_its_task_says_of_the_test(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = flow.start("template", {"seed": 0, "dataset": "tiny_ner"})
    result = flow.run(config, flow.load_model(config), flow.load_data(config))
    assert result.main_measure == "entity_f1"
    assert result.right == "a sentence with every tag right"
    assert result.test == {}
    assert len(result.items) > 0, "what was attached is still there"


def test_a_runs_own_method_is_that_of_its_record_or_the_only_one_or_its_models():
    gold = ["calm"] * 3
    two = [rows(gold, gold, method="LoRA"), rows(gold, gold, method="tiny")]
    model = {"model": {"name": "tiny"}}
    assert pairs.method_of(run(*two, method="LoRA", sources=model)) == "LoRA"
    assert pairs.method_of(run(two[0], sources=model)) == "LoRA"
    assert pairs.method_of(run(*two, sources=model)) == "tiny"
    with pytest.raises(ParameterError, match="no method of its own\nexpected: one of 'LoRA', 'ti"):
        pairs.method_of(run(*two))
    with pytest.raises(ParameterError, match="no method 'lora'\nexpected: one of 'LoRA', 'ti"):
        pairs.method_of(run(*two), "lora")
    with pytest.raises(DataError, match="holds no items"):
        pairs.method_of(run(rows([], [])))


@pytest.fixture
def saved(reports, capsys):
    """Two saved runs that differ in a parameter, each with two methods; their ids."""
    gold, a, b, _, _ = drawn(8)
    for name, own in (("20-fine-aaa1", a), ("20-fine-aab2", b)):
        frames = rows(own, gold, method="full"), rows(gold, gold, method="LoRA")
        parameters = {"seed": 0, "epochs": len(name) if own is a else 1}
        said = {"right": "a text that got its gold label", "parameters": parameters}
        run(*frames, method="full", **said).save(reports / "runs" / name)
    capsys.readouterr()
    return "20-fine-aaa1", "20-fine-aab2"


def test_command_prints_both_with_what_differs(saved, reports, capsys):
    gold, a, b, _, _ = drawn(8)
    assert cli.main(["compare", "20-fine-aaa", str(reports / "runs" / saved[1])]) == 0
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert lines[:2] == ["A  20-fine-aaa1: full", "B  20-fine-aab2: full"]
    assert lines[4:6] == ["  epochs  A 12", "          B 1"]
    assert "seed" not in shown
    assert "600 shared items of test, in 600 clusters" in lines
    assert "right: a text that got its gold label" in lines
    assert f"  A      {accuracy_score(gold, a):.3f} [" in shown
    assert f"  B      {accuracy_score(gold, b):.3f} [" in shown
    assert "in brackets 95 % intervals; A and B are resampled together" in lines
    how = "  accuracy: percentile bootstrap over 600 items, 2,000 resamples"
    assert any(line.startswith(how) for line in lines)
    assert not [line for line in lines if line.endswith("...")], "nothing of ours is cut"
    only = [place for place in range(600) if a[place] == gold[place] != b[place]]
    assert f"right in A only, the first 3 of {len(only)}" in lines
    start = lines.index(f"right in A only, the first 3 of {len(only)}")
    assert lines[start + 1] == f"  test/{only[0]}  text {only[0]}"
    labels = [column[only[0]] for column in (gold, a, b)]
    assert lines[start + 2] == "    gold {}, A {}, B {}".format(*labels)
    assert max(map(len, lines)) <= text.WIDTH


def test_cost_of_both_is_told_with_their_ratio(saved, reports, capsys):
    for name, seconds in zip(saved, (60.0, 90.0), strict=True):
        folder = reports / "runs" / name
        record = Result.read(folder)
        cost = record.cost.model_copy(update={"seconds": seconds, "trained_tokens": 1200})
        record.model_copy(update={"cost": cost}).save(folder)
    capsys.readouterr()
    assert cli.main(["compare", *saved]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("cost of the whole"))
    heads, a, b = (" ".join(line.split()) for line in lines[start + 1 : start + 4])
    assert heads.startswith("wall time, s training time, s peak memory, resident, MiB")
    assert a == "A 60 0 10 1,200 cpu"
    assert b == "B 90 (1.50) 0 10 (1.00) 1,200 (1.00) cpu"


@pytest.mark.parametrize("number", [0, 10])
def test_as_many_examples_are_shown_as_asked_for(saved, capsys, number):
    gold, a, b, _, _ = drawn(8)
    only = [place for place in range(600) if a[place] == gold[place] != b[place]]
    assert cli.main(["compare", *saved, "--examples", str(number)]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = lines.index(f"right in A only, the first {number} of {len(only)}")
    shown = [line.split()[0] for line in lines[start + 1 : start + 1 + 2 * number : 2]]
    assert shown == [f"test/{place}" for place in only[:number]]


def test_several_are_compared_with_the_first_and_corrected_for_their_number(saved, reports, capsys):
    gold, a, b, _, _ = drawn(8)
    third = [g if place % 8 else "none" for place, g in enumerate(gold)]
    alone = rows(gold, gold, method="full", start=9000)
    for name, frame in (
        ("20-fine-aac3", rows(third, gold, method="full")),
        ("20-fine-aad4", alone),
    ):
        run(frame, method="full").save(reports / "runs" / name)
    capsys.readouterr()
    names = (*saved, "20-fine-aac3", "20-fine-aad4")
    assert cli.main(["compare", *names]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= text.WIDTH
    first, *others = (accuracy_score(gold, guess) for guess in (a, b, third))
    for name, value in zip("BC", others, strict=True):
        start = lines.index("accuracy, each next to A on the items that both have")
        line = next(line for line in lines[start:] if line.startswith(f"  {name} "))
        assert f"  {name}  {value:.3f} [" in line
        assert f"{value - first:+.3f} [" in line
        assert f"{first:.3f}" in line
    assert "the runs share no item" in "\n".join(lines)
    assert "Verdicts are corrected for 2 comparisons by Holm's method." in lines
    assert cli.main(["compare", *names, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    pair = comparison.compare(*(Result.read(reports / "runs" / name) for name in names[:2]))
    expected = pair.measures["accuracy"].difference
    assert found["others"][0]["measure"]["difference"]["low"] == expected.low
    assert found["others"][2]["why"] == "the runs share no item"
    assert cli.main(["compare", *[names[0]] * 101]) == 2
    assert "at most 100" in capsys.readouterr().err


def test_methods_of_one_run_are_compared_by_name(saved, capsys):
    gold, a, _, _, _ = drawn(8)
    command = ["compare", saved[0], saved[0], "--json", "--method"]
    assert cli.main([*command, "full", "LoRA"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["a"]["method"], found["b"]["method"]) == ("full", "LoRA")
    accuracy = found["measures"]["accuracy"]
    assert accuracy["difference"]["value"] == pytest.approx(1 - accuracy_score(gold, a))
    assert accuracy["verdict"] == "better"
    assert cli.main([*command, "LoRA"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone["a"] == alone["b"] == found["b"]
    assert cli.main([*command, "LoRA", "--method", "full", "LoRA"]) == 2
    assert "3 methods" in capsys.readouterr().err
    assert cli.main([*command, "lora"]) == 2
    assert "no method 'lora'\nexpected: one of 'full', 'LoRA'" in capsys.readouterr().err


def test_json_says_the_same_strictly(saved, capsys):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    assert cli.main(["compare", *saved, "--json"]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    found = json.loads(out, parse_constant=refuse)
    assert set(found) == {field.name for field in dataclasses.fields(comparison.Comparison)}
    assert found["parameters"] == {"epochs": {"a": 12, "b": 1}}
    gold, a, b, _, _ = drawn(8)
    difference = found["measures"]["accuracy"]["difference"]
    assert difference["value"] == pytest.approx(accuracy_score(gold, b) - accuracy_score(gold, a))
    assert difference["low"] < difference["value"] < difference["high"]
    assert found["data_issues"]["only_a"] == {
        "count": 0, "of": 600, "note": "items that only A has, left out",
    }  # fmt: skip
    assert len(found["examples"]["only_b"]) == comparison.EXAMPLES


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_no_text_of_the_data_steers_the_terminal(form, reports, capsys):
    safe = STEERING.replace("\ud800", "")  # which Parquet and UTF-8 files can't hold
    gold = [f"calm{safe}"] * 20
    for name, right in (("x1", 10), ("x2", 15)):
        wrong = [f"{safe}{name}"] * (20 - right)
        guess = (gold[:right] + wrong)[:: 1 if name == "x1" else -1]
        frame = rows(guess, gold, method=f"own{safe}")
        frame["input"] = [[f"before{safe}"]] * 20
        frame["item"] += safe
        parameters = {f"p{safe}": f"{safe}{name}"}
        run(frame, parameters=parameters).save(reports / "runs" / name)
    capsys.readouterr()
    assert cli.main(["compare", "x1", "x2", *form]) == 0
    out = capsys.readouterr().out
    assert not [each for each in out.replace("\n", "") if not each.isprintable()]
    assert "before" in out
    assert "owned" in out
    assert "gpj.exe" in out
    assert cli.main(["compare", "x1", "x2", "--method", safe]) == 2
    errors = capsys.readouterr().err
    assert not [each for each in errors.replace("\n", "") if not each.isprintable()]


def test_lone_halves_of_characters_are_written_out():
    shown = text.one_line(STEERING)
    assert shown.isprintable()
    assert "\\x1b[2J" in shown
    assert shown.endswith("\\u2028\\ud800")
    assert text.one_line("grün 語 😀") == "grün 語 😀"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("20-fine", ["2 runs begin with '20-fine'", "20-fine-aaa1, 20-fine-aab2", "more of the"]),
        ("20-fnie-aaa1", ["unknown run '20-fnie-aaa1'", "20-fine-aaa1"]),
        ("aab2", ["unknown run 'aab2'", "beginning of its id: 20-fine-aab2"]),
        ("", ["unknown run ''", "one of the 2 runs"]),
        ("zzz\x1b[2J", ["unknown run 'zzz\\x1b[2J'", "20-fine-aaa1, 20-fine-aab2"]),
    ],
)
def test_a_run_that_can_not_be_told_exits_2_with_near_ids(saved, capsys, name, says):
    assert cli.main(["compare", saved[0], name]) == 2
    errors = capsys.readouterr().err
    for words in says:
        assert words in errors


def test_the_whole_id_wins_over_longer_ones(saved, reports, capsys):
    shutil.copytree(reports / "runs" / saved[0], reports / "runs" / f"{saved[0]}0")
    assert cli.main(["compare", *saved]) == 0
    assert capsys.readouterr().out.startswith("A  20-fine-aaa1: full\n")


def test_runs_without_readable_record_or_items_exit_3(saved, reports, capsys):
    def fails(says):
        assert cli.main(["compare", *saved]) == 3
        assert says in capsys.readouterr().err

    directory = reports / "runs" / saved[1]
    items, record = directory / "items.parquet", directory / "result.json"
    whole, written = items.read_bytes(), record.read_text()
    items.write_bytes(whole[:-1] + b"x")
    fails("items.parquet is not as the run's record says")
    items.unlink()
    fails("items.parquet is not as the run's record says")
    record.write_text(json.dumps(json.loads(written) | {"artefacts": {}}))
    fails("items.parquet can't be read")
    items.write_bytes(whole)
    record.write_text(json.dumps(json.loads(written) | {"items_file": None}))
    fails("kept no items")
    record.write_text(written[:-20])
    fails("result.json can't be read")
    key = json.dumps({"a\x1b[2J": 1})
    record.write_text(written.replace('"metrics": {}', f'"metrics": {key}'))
    fails("a\\x1b[2J")
    record.unlink()
    fails("result.json can't be read")
    record.write_text(written)
    assert cli.main(["compare", *saved]) == 0


def test_draws_are_even_independent_and_always_the_same():
    assert draws.words(0, 3).tolist() == [0, 2462723854, 1020716019]
    wrapped = draws.words(2**32 - 1, 2**32 + 2)
    assert wrapped[1:].tolist() == draws.words(0, 2).tolist()
    for clusters in (1, 10, 231, 5000):
        drawn = np.concatenate(list(draws.places(clusters)))
        assert drawn.shape == (2000, clusters)
        counts = np.bincount(drawn.ravel(), minlength=clusters)
        assert len(counts) == clusters
        if clusters > 1:
            assert 0.001 < scipy_stats.chisquare(counts).pvalue < 0.999
            flat = drawn.ravel() - drawn.mean()
            lag = (flat[1:] * flat[:-1]).mean() / flat.var() * np.sqrt(flat.size)
            assert abs(lag) < 4
    with pytest.raises(ValueError, match="no clusters"):
        draws.resample(np.ones((0, 2)))


def test_sums_are_those_of_the_drawn_clusters(monkeypatch):
    counts = np.random.default_rng(0).integers(0, 9, (37, 3)).astype(float)
    expected = np.concatenate([counts[drawn].sum(axis=1) for drawn in draws.places(37)])
    assert (draws.resample(counts) == expected).all()
    monkeypatch.setattr(draws, "BLOCK", 100)
    assert (draws.resample(counts) == expected).all(), "whatever the blocks are"


@pytest.mark.parametrize("row_group_size", [None, 7])
def test_marks_are_what_compare_calls_right(tmp_path, row_group_size):
    chance = np.random.default_rng(5)
    gold = [list(chance.choice(["O", "B-PER"], chance.integers(0, 4))) for _ in range(60)]
    own = [list(np.where(chance.random(len(tags)) < 0.7, tags, "B-LOC")) for tags in gold]
    own[3], own[4], own[5] = own[3] + ["O"], [UNPARSED], []
    frames = rows(own, gold, method="own"), rows(gold, gold, method="other")
    directory = run(*frames, method="own").save(tmp_path / "a")
    file = directory / "items.parquet"
    pandas.read_parquet(file).to_parquet(file, index=False, row_group_size=row_group_size or 1000)
    result = Result.read(directory)
    found = correctness.read_correctness(directory, result)
    kept = pairs.rows_of(result, "own")
    right = (kept["predicted"] == kept["gold"]).to_numpy()
    packed = np.frombuffer(base64.b64decode(found.right), np.uint8)
    assert np.unpackbits(packed)[:60].astype(bool).tolist() == right.tolist()
    assert found.unparsed == 1
    items = correctness.read_items(directory, result, 2)
    assert items.clusters.tolist() == pairs.clusters_of(kept, kept)[0].tolist()
    assert [name for name, _, _ in items.examples] == ["test/0", "test/1"]


def test_marks_tell_items_apart_by_split_name_gold_and_cluster(tmp_path):
    gold = ["calm", "glad"] * 10

    def of(name, frame):
        directory = run(frame).save(tmp_path / name)
        return correctness.read_correctness(directory, Result.read_record(directory))

    first = of("a", rows(gold, gold))
    other = of("b", rows(["glad"] * 20, gold))
    assert other.items == first.items
    assert other.right != first.right
    for name, frame in {
        "c": rows(gold, gold[::-1]),
        "d": rows(gold, gold, start=1),
        "e": rows(gold, gold, split="validation"),
        "f": rows(gold, gold, clusters=[0] * 20),
    }.items():
        assert of(name, frame).items != first.items


def test_the_command_line_waits_with_heavy_imports():
    code = "import sys, workbench.cli as c; c._parser(); print({'pandas','torch'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
