"""Scores of labels against scikit-learn's, their limits, differences, and how numbers are read."""

import matplotlib.figure
import numpy as np
import pytest
from bs4 import BeautifulSoup
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from workbench import figures, tables
from workbench.display import label_tables
from workbench.display.canvas import Figure
from workbench.methods import label_scores as scores
from workbench.record.intervals import wilson
from workbench.record.metric import UNPARSED
from workbench.record.result import Cost, Metric, Result

LABELS = ("angry", "calm", "glad", "rare")
PAYLOAD = "<script>steal()</script><img src=x onerror=steal()>"


def drawn(seed, *, n=200, unparsed=0.1, right=0.5):
    """Gold labels, predictions with unparsed ones, and clusters of unequal size."""
    chance = np.random.default_rng(seed)
    gold = chance.choice(LABELS[:3], n, p=[0.6, 0.3, 0.1])
    guess = chance.choice([*LABELS, UNPARSED], n, p=[*[(1 - unparsed) / 4] * 4, unparsed])
    predicted = np.where(chance.random(n) < right, gold, guess)
    clusters = chance.integers(0, 60, n)
    return list(map(str, gold)), list(map(str, predicted)), list(map(int, clusters))


def independent(gold, predicted):
    """The same numbers from scikit-learn."""
    each = f1_score(gold, predicted, labels=LABELS, average=None, zero_division=0)
    return {
        "test/accuracy": accuracy_score(gold, predicted),
        "test/macro_f1": f1_score(gold, predicted, labels=LABELS, average="macro", zero_division=0),
        "test/mcc": matthews_corrcoef(gold, predicted),
        **{f"test/f1/{label}": value for label, value in zip(LABELS, each, strict=True)},
    }


@pytest.mark.parametrize("unparsed", [0, 0.3])
@pytest.mark.parametrize("seed", range(10))
def test_every_metric_equals_scikit_learns(seed, unparsed):
    gold, predicted, clusters = drawn(seed, unparsed=unparsed, right=seed / 10)
    found = scores.metrics(gold, predicted, LABELS, clusters, of="texts")
    for name, value in independent(gold, predicted).items():
        assert found[name].value == pytest.approx(value, abs=1e-12), name
        if found[name].low is not None:
            assert found[name].low <= found[name].value <= found[name].high, name
        else:
            assert "texts count" in found[name].how, "a label said in under 10 clusters"
    assert found["test/accuracy"].n == len(gold)
    assert found["test/f1/glad"].n == gold.count("glad")
    share = predicted.count(UNPARSED) / len(gold)
    assert ("test/unparsed" in found) == (share > 0)
    if share:
        assert found["test/unparsed"].value == pytest.approx(share)


def test_a_label_that_is_nowhere_counts_for_nothing():
    gold, said = ["angry", "calm", "calm"] * 9, ["angry", "calm", "angry"] * 9
    found = scores.metrics(gold, said, LABELS, range(27), of="x")
    assert found["test/macro_f1"].value == pytest.approx(f1_score(gold, said, average="macro"))
    assert "test/f1/rare" not in found


@pytest.mark.parametrize("seed", range(8))
def test_macro_f1_is_scikit_learns_whatever_labels_occur(seed):
    chance = np.random.default_rng(seed)
    labels = [f"label {place}" for place in range(30)]
    gold, said = chance.choice(labels[: 5 + 3 * seed], (2, 40)).tolist()
    found = scores.metrics(gold, said, labels, range(40), of="texts")["test/macro_f1"]
    assert found.value == pytest.approx(f1_score(gold, said, average="macro"))


def test_an_interval_of_macro_f1_is_not_below_its_value_with_many_labels():
    """The percentile interval of .75 was [.64, .75]: labels are missing from resamples."""
    chance = np.random.default_rng(0)
    labels = [f"label {place}" for place in range(40)]
    gold = chance.choice(labels, 400)
    said = np.where(chance.random(400) < 0.75, gold, chance.choice(labels, 400))
    found = scores.metrics(list(gold), list(said), labels, range(400), of="texts")
    macro = found["test/macro_f1"]
    assert macro.value - macro.low > 0.02
    assert macro.high - macro.value > 0.02
    assert macro.how.startswith("normal interval, less the bias, from a bootstrap over 400 texts")
    rare = scores.metrics(list(gold[:120]), list(said[:120]), labels, range(120), of="texts")
    assert rare["test/macro_f1"].low is None
    assert "labels have under 5 items" in rare["test/macro_f1"].how


def test_perfect_labels_score_one_and_shuffled_ones_chance():
    gold, _, _ = drawn(1, n=3000)
    labels = LABELS[:3]
    perfect = scores.metrics(gold, gold, labels, range(3000), of="texts")
    assert {metric.value for metric in perfect.values()} == {1.0}
    assert perfect["test/mcc"].low is None, "all resamples are alike"
    for name, size in (("accuracy", 3000), *((f"f1/{each}", gold.count(each)) for each in labels)):
        found = perfect[f"test/{name}"]
        assert found.high == 1
        assert found.low == pytest.approx(wilson(1.0, size)[0])
    assert wilson(1.0, 3000)[0] > perfect["test/macro_f1"].low > wilson(1.0, 600)[0]
    other = list(np.random.default_rng(5).permutation(gold))
    found = scores.metrics(gold, other, labels, range(3000), of="texts")
    shares = np.array([gold.count(label) / 3000 for label in labels])
    assert found["test/accuracy"].value == pytest.approx((shares**2).sum(), abs=0.03)
    assert found["test/mcc"].low < 0 < found["test/mcc"].high
    assert found["test/macro_f1"].value == pytest.approx(1 / 3, abs=0.03)


def test_one_label_only_has_a_correlation_of_nought():
    gold = ["angry"] * 10 + ["calm"] * 10
    found = scores.metrics(gold, ["angry"] * 20, ("angry", "calm"), range(20), of="texts")
    assert found["test/mcc"].value == matthews_corrcoef(gold, ["angry"] * 20) == 0
    assert found["test/mcc"].unit == "correlation"


def test_all_unparsed_is_all_wrong():
    gold = ["angry"] * 10 + ["calm"] * 10
    found = scores.metrics(gold, ["unparsed"] * 20, ("angry", "calm"), range(20), of="texts")
    values = {name: metric.value for name, metric in found.items()}
    assert values.pop("test/unparsed") == 1
    assert set(values.values()) == {0}


def test_few_clusters_have_no_interval_and_say_so():
    found = scores.metrics(["angry", "calm"] * 9, ["angry"] * 18, LABELS, [0, 1, 2] * 6, of="days")
    assert found["test/accuracy"].low is None
    assert found["test/accuracy"].how == "no interval: only 3 days"


def test_items_of_a_cluster_are_drawn_together():
    gold, predicted, _ = drawn(2, n=400, unparsed=0)
    alone = scores.accuracy_metric(gold, predicted, LABELS, range(400), of="texts")
    copies = (
        [name for name in gold for _ in range(5)],
        [name for name in predicted for _ in range(5)],
    )
    of_five = scores.accuracy_metric(*copies, LABELS, np.repeat(range(400), 5).tolist(), of="texts")
    assert of_five.value == alone.value
    assert (of_five.low, of_five.high) == pytest.approx((alone.low, alone.high))
    assert alone == scores.metrics(gold, predicted, LABELS, range(400), of="texts")["test/accuracy"]


@pytest.mark.parametrize(("gold", "predicted"), [(["nobody"], ["calm"]), (["calm"], ["nobody"])])
def test_a_label_of_no_class_is_an_error(gold, predicted):
    with pytest.raises(KeyError, match="nobody"):
        scores.metrics(gold, predicted, LABELS, [0], of="texts")


def test_a_methods_difference_from_itself_is_exactly_nought():
    gold, predicted, clusters = drawn(3)
    found = scores.differences(gold, predicted, predicted, LABELS, clusters, of="texts")
    assert set(found) == {"test/accuracy", "test/macro_f1", "test/mcc"}
    for metric in found.values():
        assert metric.value == 0
        assert metric.verdict == "cannot tell"
    for name in ("test/accuracy", "test/macro_f1"):
        assert found[name].low == pytest.approx(-found[name].high)
        assert found[name].low < 0, "60 clusters that agree leave room for a difference"
    assert found["test/mcc"].low is None


def test_a_difference_is_that_of_the_metrics_and_turns_with_the_order():
    gold, ours, clusters = drawn(4, right=0.8)
    theirs = drawn(4, right=0.3)[1]
    assert drawn(4, right=0.3)[0] == gold
    found = scores.differences(gold, ours, theirs, LABELS, clusters, of="texts")
    back = scores.differences(gold, theirs, ours, LABELS, clusters, of="texts")
    for name, metric in found.items():
        expected = independent(gold, ours)[name] - independent(gold, theirs)[name]
        assert metric.value == pytest.approx(expected)
        assert (metric.low, metric.high) == pytest.approx((-back[name].high, -back[name].low))
    assert found["test/accuracy"].verdict == "better"
    assert back["test/accuracy"].verdict == "worse"


def test_a_paired_difference_is_narrower_than_two_intervals():
    gold, ours, _ = drawn(6, n=500)
    theirs = [*ours[:480], *gold[480:]]
    found = scores.differences(gold, ours, theirs, LABELS, range(500), of="texts")["test/accuracy"]
    alone = scores.accuracy_metric(gold, ours, LABELS, range(500), of="texts")
    assert found.high - found.low < (alone.high - alone.low) / 2


def compared(texts=None):
    gold, ours, clusters = drawn(7, right=0.8)
    rows = {
        "item": [f"{number:03}" for number in range(len(gold))],
        "cluster": clusters,
        "text": texts or [f"text {number}" for number in range(len(gold))],
        "label": gold,
    }
    predicted = {"simple": drawn(7, right=0.4)[1], "ours": ours, "same": list(ours)}
    losses = {"ours": [float(number) for number in range(len(gold))]}
    return scores.compare("ours", predicted, rows, LABELS, of="texts", losses=losses)


def recorded(found, **changes):
    cost = Cost(seconds=1, memory_mb={"resident": 1}, device="cpu", precision="float32")
    fields = {"task": "trial", "parameters": {}, "sources": {}, "headline": (), "environment": {}}
    result = Result(**(fields | found.record() | changes), cost=cost)
    return result.with_details(directory=None, items=found.items, history=[])


def test_every_metric_of_every_method_follows_from_the_items():
    found = compared()
    assert not found.items.duplicated(["item", "method"]).any()
    assert set(found.baselines) == set(found.comparisons) == {"simple", "same"}
    for method, metrics in {"ours": found.metrics, **found.baselines}.items():
        rows = found.items[found.items["method"] == method]
        gold, predicted = ([cell[0] for cell in rows[name]] for name in ("gold", "predicted"))
        for name, value in independent(gold, predicted).items():
            assert metrics[name].value == pytest.approx(value), (method, name)
    assert list(found.items.loc[found.items["method"] == "ours", "loss"]) == list(range(200))
    assert found.items.loc[found.items["method"] != "ours", "loss"].isna().all()
    assert found.comparisons["same"]["test/mcc"].value == 0


def test_a_difference_is_read_with_its_signs():
    metric = Metric(value=0.1, low=-0.05, high=0.2, n=10, how="bootstrap")
    assert f"{metric:+}" == "+0.100 [-0.050, +0.200]"
    assert f"{metric}" == str(metric) == "0.100 [-0.050, 0.200]"
    bare = Metric(value=-0.25, n=10, how="no interval")
    assert (f"{bare:+}", str(bare), bare.verdict) == ("-0.250", "-0.250", "cannot tell")


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.01, 0.2, "better"), (-0.2, -0.01, "worse"), (-0.1, 0.1, "cannot tell"),
     (0, 0.2, "cannot tell"), (-0.2, 0, "cannot tell"), (0, 0, "cannot tell")],
)  # fmt: skip
def test_a_verdict_needs_an_interval_that_leaves_out_nought(low, high, verdict):
    metric = Metric(value=(low + high) / 2, low=low, high=high, n=10, how="bootstrap")
    assert metric.verdict == verdict


def test_methods_stand_side_by_side_with_difference_verdict_and_cost():
    costs = {"ours": {"trainable": 1234, "seconds": 2.5, "memory_mb": None}}
    result = recorded(compared(), tables={"methods": costs})
    soup = BeautifulSoup(tables.methods(result).body, "html.parser")
    heads = [cell.get_text() for cell in soup.select("thead th")]
    shown = [label_tables.COSTS[name][0] for name in ("trainable", "seconds")]
    assert heads[-2:] == shown, "a cost that nothing has is not shown"
    lines = [[cell.get_text() for cell in row(["th", "td"])] for row in soup.select("tbody tr")]
    rows = {line[0]: line[1:] for line in lines}
    assert set(rows) == {"ours (own)", "simple", "same"}
    assert rows["ours (own)"] == [
        str(result.metrics["test/accuracy"]), str(result.metrics["test/macro_f1"]), "", "",
        "1,234", "2.5 s",
    ]  # fmt: skip
    assert rows["simple"][2:4] == [f"{result.comparisons['simple']['test/accuracy']:+}", "better"]
    same = result.comparisons["same"]["test/accuracy"]
    assert (same.value, same.low) == (0, pytest.approx(-same.high))
    assert rows["same"][2:4] == [f"{same:+}", "cannot tell"]
    told = soup.get_text() + tables.methods(result).body
    assert "Verdicts are corrected for 2 comparisons by Holm's method." in told


def test_what_comes_from_the_data_is_escaped_in_tables():
    found = compared([PAYLOAD] * 200)
    named = {PAYLOAD: found.baselines["simple"]}
    result = recorded(found, baselines=named, comparisons={}, tables={"methods": {}})
    for body in (tables.worst_texts(result).body, tables.methods(result).body):
        soup = BeautifulSoup(body, "html.parser")
        assert not soup.find_all(["script", "img"])
        assert PAYLOAD in soup.get_text(), "the text is still readable"


def test_worst_texts_are_the_own_methods_dearest():
    result = recorded(compared())
    soup = BeautifulSoup(tables.worst_texts(result, count=3).body, "html.parser")
    rows = [[cell.get_text() for cell in row(["th", "td"])] for row in soup.select("tbody tr")]
    assert [(row[0], row[3]) for row in rows] == [
        ("199.00", "text 199"), ("198.00", "text 198"), ("197.00", "text 197"),
    ]  # fmt: skip


def test_the_methods_figure_says_what_the_numbers_say():
    result = recorded(compared())
    gap = result.comparisons["simple"]["test/accuracy"].value
    figure = figures.methods(result, "test/accuracy")
    assert figure.png.startswith(b"\x89PNG")
    assert f"ours is better than simple ({gap:+.3f})" in figure.caption
    assert "shows no clear difference from same (+0.000)" in figure.caption
    worse = {name: metric.model_copy(update={"low": -0.5, "high": -0.1, "value": -0.3})
             for name, metric in result.comparisons["simple"].items()}  # fmt: skip
    turned = recorded(compared(), comparisons={"simple": worse})
    assert "ours is worse than simple (-0.300)" in figures.methods(turned, "test/accuracy").caption


def test_the_confusion_figure_names_the_most_frequent_error():
    found = compared()
    own = found.items["method"] == "ours"
    counted = found.items[own].apply(lambda row: (row["gold"][0], row["predicted"][0]), axis=1)
    wrong = counted[counted.map(lambda pair: pair[0] != pair[1])]
    (gold, predicted), count = wrong.value_counts().index[0], wrong.value_counts().iloc[0]
    caption = figures.label_confusion(recorded(found)).caption
    assert f"is {gold} predicted as {predicted}: {count} of {len(wrong)} errors" in caption
    right = found.items.assign(predicted=found.items["gold"])
    perfect = recorded(found).with_details(directory=None, items=right, history=[])
    assert figures.label_confusion(perfect).caption == "No item has a wrong label."


def test_a_label_of_the_datas_is_text_in_a_caption_never_markup(capsys):
    from IPython.core.interactiveshell import InteractiveShell

    figure = Figure(matplotlib.figure.Figure(), "a", "predicted as <unknown> *b* [a](http://x)")
    InteractiveShell.instance()
    shown = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("IPython.display.display", lambda *given, **_: shown.extend(given))
        figure._ipython_display_()
    assert shown[1]._repr_html_() == (
        '<p class="caption">predicted as &lt;unknown&gt; *b* [a](http://x)</p>'
    )


def test_labels_beyond_the_most_frequent_are_one_in_the_confusion():
    found = compared()
    many = [f"label {number:02d}" for number in range(30)]
    rows = found.items[found.items["method"] == found.method].head(30).copy()
    rows["gold"] = rows["predicted"] = [[label] for label in many]
    result = recorded(found).with_details(directory=None, items=rows, history=[])
    assert figures.label_confusion(result).width < 1500
    assert figures.label_confusion(result).caption == "No item has a wrong label."


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ([("a", "b")] * 2 + [("b", "a")],
         "The most frequent error is a predicted as b: 2 of 3 errors (67%)."),
        ([("a", "b"), ("b", "a")],
         "No error is the most frequent: 2 occur once each, of 2 errors."),
        ([("a", "unparsed")],
         "The most frequent error is no readable answer for a: 1 of 1 errors (100%)."),
        # Eleven labels with two items each, then rare ones, confused among themselves.
        ([(f"common {n:02d}", f"common {n:02d}") for n in range(12)] * 3
         + [("rare a", "rare b"), ("rare c", "rare d"), ("rare a", "rare b")],
         "The most frequent error is rare a predicted as rare b: 2 of 3 errors (67%). 3 errors are "
         "between (other labels), and so on the diagonal."),
    ],
)  # fmt: skip
def test_caption_of_the_label_confusion_is_true_of_any_errors(pairs, says):
    found = compared()
    own = found.items[found.items["method"] == found.method]
    rows = own.loc[own.index.repeat(2)].head(len(pairs)).copy()
    rows["gold"] = [[gold] for gold, _ in pairs]
    rows["predicted"] = [[predicted] for _, predicted in pairs]
    result = recorded(found).with_details(directory=None, items=rows, history=[])
    assert figures.label_confusion(result).caption == says


def curve(points):
    rows = [
        {"method": method, "texts": texts, "value": value, "low": value - 0.1, "high": value + 0.1,
         "n": 50, "validation": texts // 4}
        for method, values in points.items()
        for texts, value in zip((100, 400), values, strict=True)
    ]  # fmt: skip
    return figures.learning_curve(recorded(compared(), tables={"curve": rows})).caption


def test_the_learning_curves_sentence_follows_the_numbers():
    few = curve({"simple": (0.5, 0.6), "full": (0.7, 0.8)})
    assert "Full on 100 texts reaches at least the accuracy of simple on 400 (0.600)." in few
    never = curve({"simple": (0.5, 0.9), "full": (0.7, 0.8)})
    assert "full does not reach simple (0.900)" in never


def epoch(method, number, score):
    return {"method": method, "event": "epoch", "epoch": number, "train_loss": 1.0, "score": score}


def step(method, number):
    return {"method": method, "event": "step", "epoch": number, "epochs": 2, "step": 3, "steps": 3,
            "loss": 1.5 / number, "tokens_per_s": 9.0, "seconds_left": 0.0}  # fmt: skip


def trained(*scores_of_epochs, method="full"):
    records = []
    for number, score in enumerate(scores_of_epochs, 1):
        records += [step(method, number), epoch(method, number, score)]
    result = recorded(compared())
    return result.with_details(directory=None, items=result.items, history=records)


def test_the_training_curve_is_the_same_however_often_a_step_was_reported():
    losses = [2.0 / number for number in range(1, 101)]

    def drawn(every):
        records = [
            step("full", 1) | {"step": end, "steps": 100, "losses": losses[end - every : end]}
            for end in range(every, 101, every)
        ]
        result = recorded(compared())
        records.append(epoch("full", 1, 0.5))
        return result.with_details(directory=None, items=result.items, history=records)

    quiet, busy = (figures.history(drawn(every), score="macro F1").png for every in (50, 1))
    assert quiet == busy


def test_the_training_figure_says_which_epoch_is_kept_and_why():
    rising = figures.history(trained(0.5, 0.7), score="macro F1").caption
    assert rising == (
        "Full: epoch 2 of 2 is kept, with a macro F1 of 0.700. "
        "It is the last, where the learning rate reaches 0, so this doesn't tell whether a longer "
        "training would be better."
    )
    falling = figures.history(trained(0.7, 0.5), score="macro F1").caption
    assert falling == (
        "Full: epoch 1 of 2 is kept, with a macro F1 of 0.700. "
        "Later epochs were no better on this split."
    )
    unheld = figures.history(trained(None, None, method=""), score="macro F1")
    assert unheld.caption == "Epoch 2 of 2 is kept: nothing was held out to choose by."
    assert unheld.title == "Training loss"
