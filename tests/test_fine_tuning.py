"""The fine-tuning task from data to record: every number follows from what is kept of it."""

import random

import numpy as np
import pandas
import pytest
import torch
from bs4 import BeautifulSoup
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from workbench import figures, flow, tables, tasks
from workbench.core import machine, paths
from workbench.core.errors import DataError
from workbench.data import text
from workbench.methods import label_scores
from workbench.methods.adaptation import METHODS, Setting, learn
from workbench.methods.classifiers import Reading, labelled
from workbench.methods.learners import FULL, TFIDF
from workbench.models.text_classifier import TextClassifier
from workbench.record import comparison
from workbench.record.result import Metric
from workbench.tasks.contest import run as contest
from workbench.tasks.fine_tuning import run as fine_tuning
from workbench.training import Log, Recipe


@pytest.fixture(scope="module")
def minilm():
    return fine_tuning.load_model(fine_tuning.Config())


@pytest.fixture(scope="module")
def encoder(tiny_bert):
    return fine_tuning.load_model(fine_tuning.Config(model=str(tiny_bert)))


@pytest.fixture(scope="module")
def result(tiny_bert, encoder):
    """A run of an encoder whose subword tokens are letters."""
    changes = {
        "model": str(tiny_bert), "train_texts": 160, "epochs": 6, "learning_rate": 0.01,
        "max_tokens": 100, "precision": "float32",
    }  # fmt: skip
    config = fine_tuning.Config.check({**tasks.TASKS["fine_tuning"].SMOKE, **changes})
    return flow.run(config, encoder, fine_tuning.load_data(config))


def answers(result, method):
    rows = result.items[result.items["method"] == method]
    return [gold[0] for gold in rows["gold"]], [found[0] for found in rows["predicted"]]


@pytest.mark.parametrize("method", METHODS)
def test_every_score_follows_from_the_items(result, method):
    gold, predicted = answers(result, method)
    found = result.metrics if method == FULL else result.baselines[method]
    assert found["test/accuracy"].value == pytest.approx(accuracy_score(gold, predicted))
    assert found["test/macro_f1"].value == pytest.approx(
        f1_score(gold, predicted, average="macro", zero_division=0)
    )
    assert found["test/mcc"].value == pytest.approx(matthews_corrcoef(gold, predicted))
    assert found["test/accuracy"].n == len(gold)


@pytest.mark.parametrize("method", [method for method in METHODS if method != FULL])
def test_a_pair_has_one_difference_on_the_page_and_in_compare(result, method):
    found = comparison.compare(result, result, methods=(method, FULL)).measures
    for name in ("accuracy", "macro_f1"):
        page, compared = result.comparisons[method][f"test/{name}"], found[name].difference
        for part in ("value", "low", "high", "p"):
            ours, theirs = getattr(page, part), getattr(compared, part)
            assert ours == theirs or ours == pytest.approx(theirs, abs=1e-12), (name, part)
        assert page.verdict == found[name].verdict


@pytest.mark.parametrize("method", [method for method in METHODS if method != FULL])
def test_differences_are_paired_on_the_same_items(result, method):
    gold, own = answers(result, FULL)
    same, other = answers(result, method)
    assert same == gold
    difference = result.comparisons[method]["test/accuracy"]
    assert difference.value == pytest.approx(
        np.mean([a == g for a, g in zip(own, gold, strict=True)])
        - np.mean([b == g for b, g in zip(other, gold, strict=True)])
    )
    assert difference.low <= difference.value <= difference.high


def test_the_learning_curve_ends_at_the_methods_own_numbers(result):
    last = max(point["texts"] for point in result.tables["curve"])
    assert last == 160
    for point in result.tables["curve"]:
        metric = Metric(**{key: point[key] for key in Metric.model_fields if key in point})
        if point["texts"] == last:
            own = point["method"] == FULL
            found = result.metrics if own else result.baselines[point["method"]]
            assert metric == found["test/accuracy"]


def test_each_point_of_the_curve_learns_from_its_own_number_of_texts(encoder, monkeypatch):
    learned = []

    def spy(method, train, texts, setting):
        learned.append((method, len(train.texts), len(setting.validation.texts)))
        return learn(method, train, texts, setting)

    data = text.load("tiny_reviews")
    config = fine_tuning.Config.check({**tasks.TASKS["fine_tuning"].SMOKE, "train_texts": 64})
    setting = fine_tuning._setting(config, encoder, data)
    train, rows = labelled(data, "train").first(64), data.splits["test"][:]
    whole = {method: learn(TFIDF, train, rows["text"], setting) for method in METHODS}
    monkeypatch.setattr("workbench.tasks.fine_tuning.run.learn", spy)
    points, fewer = fine_tuning._curve(train, rows, setting, whole, data.unit)
    assert [n for method, n, _ in learned if method == TFIDF] == [8, 16, 32]
    whole = len(setting.validation.texts)
    held = {size: whole * size // 64 for size in (8, 16, 32, 64)}
    assert held[8] >= 2
    assert [count for method, _, count in learned if method == TFIDF] == [*held.values()][:3]
    assert {(point["texts"], point["validation"]) for point in points} == {*held.items()}
    assert len(fewer) == len(learned) == 9


def test_only_what_is_trained_has_a_history_and_costs(result, encoder):
    assert {record["method"] for record in result.history} == {FULL, "LoRA", "BitFit"}
    costs = result.tables["methods"]
    head, whole = 3 * (encoder.width + 1), sum(each.numel() for each in encoder.parameters())
    names = {name for name, _ in encoder.named_parameters() if "pooler" not in name}
    biases = sum(
        weight.numel() for name, weight in encoder.named_parameters()
        if name in names and name.endswith("bias")
    )  # fmt: skip
    linear = [
        layer.in_features + layer.out_features for name, layer in encoder.named_modules()
        if isinstance(layer, torch.nn.Linear) and "pooler" not in name
    ]  # fmt: skip
    assert costs["head only"]["trainable"] == head
    assert costs["BitFit"]["trainable"] == biases + head
    assert costs["LoRA"]["trainable"] == result.parameters["lora_rank"] * sum(linear) + head
    assert costs[FULL]["trainable"] == whole + head
    assert all(cost["seconds"] >= 0 for cost in costs.values())


def test_of_the_real_encoder_few_weights_are_trained_but_in_full_fine_tuning(minilm):
    labels = ("negative", "neutral", "positive")
    head = 3 * (384 + 1)
    bitfit = TextClassifier(minilm, labels, biases_only=True).trainable
    lora = TextClassifier(minilm, labels, lora_rank=fine_tuning.Config().lora_rank).trainable
    full = TextClassifier(minilm, labels).trainable
    assert head < bitfit < 30_000
    assert bitfit < lora < full / 20
    assert full == 22_713_216 + head


def test_words_of_some_sure_answers_are_shown(result):
    rows = result.tables["attributions"]
    own = result.items[result.items["method"] == FULL]
    right = {bool(row["predicted"] == row["gold"]) for row in rows}
    assert right == set((own["predicted"] == own["gold"]).tolist())
    texts = {" ".join(" ".join(words).split()) for words in own["input"]}
    assert all(any(t.startswith(" ".join(row["words"])) for t in texts) for row in rows)
    assert "wb-for-4" in tables.attributions(result).body


def test_figures_and_tables_say_what_the_numbers_say(result):
    drawn = [
        figures.methods(result, "test/accuracy"),
        figures.learning_curve(result),
        figures.history(result, score="validation macro F1"),
        figures.reliability(result),
        figures.label_confusion(result),
    ]
    for figure in drawn:
        assert figure.png.startswith(b"\x89PNG")
        assert figure.caption.endswith((".", "difference."))
    shown = tables.methods(result).body
    assert str(result.metrics["test/accuracy"]) in BeautifulSoup(shown, "html.parser").get_text()
    for method in METHODS:
        assert method in shown
    assert f"{result.tables['risk']['written_nats']:.6f}" in tables.risk_check(result).body


def test_reading_of_the_methods_turns_with_the_sign_of_the_difference(result):
    def caption(sign):
        """Of a result whose differences all are clear, and of this sign."""
        low, high = sorted((sign * 0.05, sign * 0.15))
        clear = Metric(value=sign * 0.1, low=low, high=high, n=900, how="bootstrap")
        made = {method: {"test/accuracy": clear} for method in result.comparisons}
        other = result.model_copy(update={"comparisons": made})
        other = other.with_details(directory=None, items=result.items, history=[])
        return figures.methods(other, "test/accuracy").caption

    better, worse = caption(1), caption(-1)
    assert "is better than" in better
    assert "is worse than" in worse
    assert "is better than" not in worse


def gain_over_tfidf(encoder, data, train, test, *, validation, reading, recipe):
    """Accuracy of full fine-tuning less that of TF-IDF, after so many texts, on so many."""
    dtype = machine.precision("auto", encoder.device)
    setting = Setting(
        encoder=encoder,
        labels=data.labels,
        validation=labelled(data, "validation").first(validation),
        reading=Reading(reading, dtype),
        recipe=Recipe(**recipe, dtype=dtype),
        lora_rank=8,
        seed=0,
        log=Log(None),
    )
    texts, rows = labelled(data, "train").first(train), data.splits["test"][:test]
    found = {m: learn(m, texts, rows["text"], setting).chosen(data.labels) for m in (TFIDF, FULL)}
    return label_scores.differences(
        rows["label"], found[FULL], found[TFIDF], data.labels, rows["cluster"], of="texts"
    )["test/accuracy"]


def test_a_fine_tuned_encoder_beats_tfidf_on_tweets_of_two_labels(minilm, tmp_path):
    """Of 96 that are negative or positive, so that it takes seconds; the interval is above 0."""
    rows = pandas.read_csv(paths.raw() / "brand_tweets" / "tweets.csv", encoding="latin-1")
    rows = rows[rows["sentiment"] != "neutral"].groupby("sentiment").head(4000)
    rows.sample(5000, random_state=0).to_csv(tmp_path / "tweets.csv", index=False)
    data = text.load(str(tmp_path / "tweets.csv"), label_column="sentiment")
    difference = gain_over_tfidf(
        minilm, data, 96, 400, validation=40, reading=28,
        recipe={"epochs": 3, "learning_rate": 4e-4},
    )  # fmt: skip
    assert difference.n == 400
    assert difference.verdict == "better", difference


@pytest.mark.long
def test_a_fine_tuned_encoder_beats_tfidf_on_real_tweets(minilm):
    """On 1,000 texts and two passes; the paired interval is above 0."""
    difference = gain_over_tfidf(
        minilm, text.load("brand_tweets"), 1000, 1000, validation=200, reading=48,
        recipe={"epochs": 2, "learning_rate": 2e-4},
    )  # fmt: skip
    assert difference.n == 1000
    assert difference.verdict == "better", difference


def table_of_ones_own(path, rows):
    lines = [f"{grade},{comment}" for comment, grade in rows]
    path.write_text("\n".join(["grade,comment", *lines]) + "\n")
    return {
        "dataset": str(path),
        "text_column": "comment",
        "label_column": "grade",
        "train_texts": 32,
        "epochs": 1,
        "max_tokens": 100,
    }


def test_a_table_of_ones_own_runs_by_parameters_alone_and_long_texts_are_counted(tmp_path, encoder):
    chance = random.Random(0)
    words = "chair lamp door wheel cable screen paper stone river cloud".split()
    rows = [
        (f"{kind} {' '.join(chance.choices(words, k=6))} {number}", kind)
        for number in range(120)
        for kind in ("good", "bad")
    ]
    # Near copies of each other would be kept in one split.
    rows += [(f"good {' '.join(chance.choices(words, k=2400))}", "good") for _ in range(40)]
    mine = table_of_ones_own(tmp_path / "mine.csv", rows) | {"model": str(encoder.source.path)}
    config = fine_tuning.Config.check(mine)
    result = flow.run(config, encoder, fine_tuning.load_data(config))
    long, cut = (result.data_issues[name] for name in ("long_texts", "cut_texts"))
    assert 0 < long.count == cut.count <= 40
    assert "more than 100 tokens, read in windows" in long.describe()
    assert "cut after 16 windows of 100 tokens" in cut.describe()
    assert set(result.items["gold"].map(lambda gold: gold[0])) == {"bad", "good"}


def test_repeats_leave_a_given_test_split_where_that_is_asked_for_and_are_counted(
    tmp_path, encoder
):
    kinds = ("good", "bad")
    rows = [(f"{kind} {word}", kind) for kind in kinds for word in map(chr, range(97, 117))]
    mine = table_of_ones_own(tmp_path / "train.csv", [*rows[:16], *rows[20:36]])
    tested = [*rows[16:20], *rows[36:], rows[16], ("Good  R", "good"), (rows[0][0], "bad")]
    table_of_ones_own(tmp_path / "test.csv", tested)
    mine |= {"dataset": str(tmp_path), "model": str(encoder.source.path), "max_tokens": 24}
    whole = fine_tuning.load_data(fine_tuning.Config.check(mine))
    assert len(whole.splits["test"]) == len(tested) == 11
    assert whole.data_issues["test_repeated"].count == 4
    config = fine_tuning.Config.check(mine | {"drop_repeats": True})
    result = flow.run(config, encoder, fine_tuning.load_data(config))
    assert result.test["drop_repeats"], "a test of its own"
    assert result.metrics["test/accuracy"].n == 8, "repeats, and what training labels otherwise"
    issues = result.data_issues
    assert (issues["repeated"].count, issues["contradicting"].count) == (2, 2)
    assert issues["repeated"].describe().startswith("repeated texts, dropped")
    named = ("dataset", "text_column", "label_column", "drop_repeats")
    data = contest.load_data(contest.Config.check({name: getattr(config, name) for name in named}))
    assert len(data.splits["test"]) == 8


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("grade,comment\n", "no rows"),
        ("grade,words\ngood,a\n", "no column 'comment'; its columns: grade, words"),
        ("grade,comment\n" + "".join(f"good,text {n}\n" for n in range(99)), "1 label only: good"),
    ],
    ids=["empty file", "header only", "missing column", "one class"],
)
def test_a_table_that_cannot_be_used_is_one_clear_error(tmp_path, content, says):
    parameters = table_of_ones_own(tmp_path / "mine.csv", [])
    (tmp_path / "mine.csv").write_text(content)
    with pytest.raises(DataError, match=says):
        fine_tuning.load_data(fine_tuning.Config.check(parameters))


def test_a_missing_column_ends_a_batch_run_with_the_code_for_data(call_forked, reports):
    file = paths.FIXTURES / "tiny_reviews" / "reviews.csv"
    done = call_forked(
        "run", "fine_tuning", "--set", f"dataset={file}", "--set", "text_column=words"
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "no column 'words'; its columns: text, label" in done.stderr
    assert "set text_column to one of them" in done.stderr
