"""Ways to learn labels of texts: what is trained, what is left alone, and how sure they are."""

from functools import partial

import numpy as np
import pytest
import torch

from workbench import figures
from workbench.core import machine, sources
from workbench.core.errors import ParameterError
from workbench.data import text
from workbench.methods import adaptation, classifiers, embeddings, export, learners, logistic
from workbench.methods.classifiers import Labelled, Reading
from workbench.models.encoder import Encoder
from workbench.models.text_classifier import LORA_ALPHA, TextClassifier, features
from workbench.models.windows import MAX_WINDOWS, even_spans, group_by_length
from workbench.record.result import Cost, Metric, Result
from workbench.tasks.fine_tuning import attribution, reliability, risk
from workbench.training import Log, Recipe

READING = Reading(max_tokens=24, dtype=torch.float32)
ODD = [
    "Never again.",
    "",
    "x" * 10_000,
    "A desk and a lamp arrived on Monday, as the shop had said they would, and both work well.",
    "😀 \u200b ¿?",
    "Great!",
]


@pytest.fixture(scope="module")
def minilm():
    return Encoder(sources.resolve("minilm", "model"), casing=False).eval()


@pytest.fixture(scope="module")
def tiny(tiny_bert):
    return Encoder(sources.resolve(str(tiny_bert), "model"), casing=False).eval()


@pytest.fixture(scope="module")
def reviews():
    return text.load("tiny_reviews")


def recipe(epochs, learning_rate):
    return Recipe(epochs=epochs, learning_rate=learning_rate)


def tuned(model, train, *, epochs, learning_rate, validation=None):
    log = Log(None)
    fit = classifiers.fine_tune(
        model, train, validation, recipe(epochs, learning_rate), READING, log,
        batch_tokens=256, seed=0,
    )  # fmt: skip
    return fit, log


def weights(model):
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def test_lora_trains_only_its_adapter_and_the_head(minilm, reviews):
    machine.seed(0)
    model = TextClassifier(minilm, reviews.labels, lora_rank=4)
    before = weights(model)
    tuned(model, classifiers.labelled(reviews, "train").first(12), epochs=2, learning_rate=1e-3)
    changed = {name for name, value in weights(model).items() if not value.equal(before[name])}
    small = {name for name in before if "lora_" in name or name.startswith("head.")}
    assert changed == small
    assert model.trainable == sum(before[name].numel() for name in small)
    assert model.trainable < 0.02 * sum(value.numel() for value in before.values())


def test_lora_stands_on_every_linear_layer_but_the_pooler(minilm):
    model = TextClassifier(minilm, ["a", "b"], lora_rank=2)
    layers = {
        name for name, module in minilm.network.named_modules()
        if isinstance(module, torch.nn.Linear)
    }  # fmt: skip
    adapted = {
        name.removesuffix(".base_layer") for name, _ in model.encoder.network.named_modules()
        if name.endswith(".base_layer")
    }  # fmt: skip
    assert layers - adapted == {"pooler.dense"}
    module = dict(model.encoder.network.named_modules())[min(adapted)]
    assert module.scaling["default"] == LORA_ALPHA


def test_a_fresh_lora_model_predicts_as_the_untouched_encoder(minilm, reviews):
    texts = classifiers.labelled(reviews, "test").texts
    machine.seed(1)
    plain = TextClassifier(minilm, reviews.labels)
    adapted = TextClassifier(minilm, reviews.labels, lora_rank=8)
    adapted.head.load_state_dict(plain.head.state_dict())
    expected, found = (classifiers.predict(model, texts, READING) for model in (plain, adapted))
    assert np.abs(expected - found).max() == 0
    features = classifiers.encode(minilm, texts, READING)
    logits = plain.head(torch.from_numpy(features))
    assert found == pytest.approx(logits.softmax(-1).detach().numpy(), abs=1e-5)


def test_a_classifier_leaves_the_loaded_encoder_alone(tiny, reviews):
    before = weights(tiny)
    for rank in (0, 4):
        model = TextClassifier(tiny, reviews.labels, lora_rank=rank)
        tuned(model, classifiers.labelled(reviews, "train").first(8), epochs=1, learning_rate=1e-2)
    assert set(weights(tiny)) == set(before)
    assert all(value.equal(before[name]) for name, value in weights(tiny).items())
    assert all(value.requires_grad for value in tiny.parameters())


def test_the_batch_a_text_is_in_does_not_change_its_prediction(minilm, reviews):
    machine.seed(2)
    model = TextClassifier(minilm, reviews.labels)
    torch.nn.init.normal_(model.head.weight, std=1.0)
    texts = ODD + list(reviews.splits["test"]["text"])[:8]
    together = classifiers.predict(model, texts, READING)
    alone = np.concatenate([classifiers.predict(model, [words], READING) for words in texts])
    back = classifiers.predict(model, texts[::-1], READING)[::-1]
    assert np.abs(together - alone).max() < 1e-5
    assert np.abs(together - back).max() < 1e-5
    assert len({tuple(row) for row in together.round(4)}) > len(texts) / 2, "texts do differ"
    assert together.sum(axis=1) == pytest.approx(1)


def test_what_was_learned_by_heart_is_found_again(minilm, reviews):
    machine.seed(0)
    train = classifiers.labelled(reviews, "train").first(20)
    model = TextClassifier(minilm, reviews.labels)
    before = classifiers.chosen(classifiers.predict(model, train.texts, READING), reviews.labels)
    fit, _ = tuned(model, train, epochs=5, learning_rate=3e-4)
    after = classifiers.chosen(classifiers.predict(model, train.texts, READING), reviews.labels)
    assert np.mean(np.array(before) == np.array(train.labels)) < 0.7
    assert after == list(train.labels)
    assert (fit.best_epoch, fit.best_score) == (5, None)


def test_equal_texts_are_read_once_and_learned_in_the_shares_of_their_labels(tiny):
    machine.seed(0)
    model = TextClassifier(tiny, ["down", "up"])
    train = Labelled(["It is so."] * 4 + ["It rains."] * 2, ["up", "down"] * 2 + ["up"] * 2)
    fit, _ = tuned(model, train, epochs=60, learning_rate=0.02)
    assert fit.tokens == 60 * sum(map(len, model.encoder.encode(["It is so.", "It rains."], 24)[0]))
    found = classifiers.predict(model, train.texts, READING)
    assert found[:4, 1] == pytest.approx(0.5, abs=0.05)
    assert found[4:, 1].min() > 0.95


def test_the_loss_of_repeated_texts_is_the_mean_over_all_of_them(tiny):
    train = Labelled(["It is so.", "It rains.", "It is so."], ["down", "up", "up"])
    machine.seed(0)
    model = TextClassifier(tiny, ["down", "up"])
    found = classifiers.predict(model, train.texts, READING)
    _, log = tuned(model, train, epochs=1, learning_rate=1e-4)
    expected = np.mean(logistic.losses(found, train.labels, model.labels))
    assert log.records[-1]["train_loss"] == pytest.approx(expected, abs=1e-5)


def test_the_epoch_that_validation_likes_best_is_kept(tiny, reviews):
    machine.seed(0)
    model = TextClassifier(tiny, reviews.labels)
    train = classifiers.labelled(reviews, "train").first(30)
    fit, log = tuned(
        model, train, epochs=4, learning_rate=0.02,
        validation=classifiers.labelled(reviews, "validation"),
    )  # fmt: skip
    scored = [record["score"] for record in log.records if record["event"] == "epoch"]
    assert fit.best_score == max(scored) == scored[fit.best_epoch - 1]
    held_out = classifiers.labelled(reviews, "validation")
    guessed = classifiers.chosen(
        classifiers.predict(model, held_out.texts, READING), reviews.labels
    )
    from sklearn.metrics import f1_score

    again = f1_score(
        held_out.labels, guessed, average="macro", labels=reviews.labels, zero_division=0
    )
    assert again == pytest.approx(fit.best_score)


def test_the_same_seed_trains_the_same_model(tiny, reviews):
    train, found = classifiers.labelled(reviews, "train").first(30), []
    for seed in (0, 0, 1):
        machine.seed(seed)
        model = TextClassifier(tiny, reviews.labels, lora_rank=2)
        tuned(model, train, epochs=1, learning_rate=1e-3)
        found.append(classifiers.predict(model, train.texts, READING))
    assert (found[0] == found[1]).all()
    assert (found[0] != found[2]).any()


def test_majority_gives_the_shares_of_training():
    train = Labelled(["a", "b", "c", "d"], ["x", "y", "x", "x"])
    found = classifiers.majority(train, ["w", "x", "y"], 3)
    assert found.tolist() == [[0, 0.75, 0.25]] * 3
    assert classifiers.chosen(found, ["w", "x", "y"]) == ["x"] * 3


def reader(encoder):
    """Features of texts under a frozen encoder."""
    return partial(classifiers.encode, encoder, reading=READING)


def both(train, validation, labels, encoder):
    """The two ways that end in a logistic regression."""
    yield classifiers.tfidf(train, validation, labels)
    yield classifiers.linear_probe(reader(encoder), train, validation, labels)


def test_a_label_that_training_lacks_has_probability_nought(tiny):
    train = Labelled(["bad bad", "good good", "bad", "good"] * 3, ["a", "c", "a", "c"] * 3)
    held_out = Labelled(["bad", "good", "odd"], ["a", "c", "b"])
    for predict, _ in both(train, held_out, ["a", "b", "c"], tiny):
        found = predict(["bad", "good", "", "never seen"])
        assert (found[:, 1] == 0).all()
        assert found.sum(axis=1) == pytest.approx(1)
        assert classifiers.chosen(found[:2], ["a", "b", "c"]) == ["a", "c"]


def test_training_texts_of_one_label_only_give_that_label(tiny):
    train = Labelled(["one", "two"], ["b", "b"])
    held_out = Labelled(["x", "y"], ["a", "b"])
    for predict, learned in both(train, held_out, ["a", "b"], tiny):
        assert predict(["one", "else"]).tolist() == [[0, 1], [0, 1]]
        assert learned == 0


def test_weights_of_a_logistic_regression_are_counted(tiny):
    train = Labelled(["bad day", "good day", "fair day"] * 4, ["a", "b", "c"] * 4)
    _, learned = classifiers.linear_probe(reader(tiny), train, train, ["a", "b", "c"])
    assert learned == 3 * (tiny.width + 1)


def test_texts_longer_than_the_limit_are_read_in_windows_and_counted(tiny):
    texts = ["ada", "a b" * 5_000, "berg " * 10, ""]
    rows, windows = tiny.encode(texts, 24)
    assert windows.counts.tolist() == [1, MAX_WINDOWS, 2, 1]
    assert windows.cut == 1
    assert [len(row) for row in rows] == windows.tokens.tolist()
    assert windows.lengths[[0, 2, 3]].tolist() == [3 + 2, 40 + 4, 2]
    assert 23 * MAX_WINDOWS < windows.lengths[1] - 2 * MAX_WINDOWS <= 24 * MAX_WINDOWS
    assert np.bincount(windows.texts, windows.fractions) == pytest.approx(np.ones(4))
    assert windows.fractions[[0, -1]].tolist() == [1, 1]
    ends = (tiny.tokenizer.cls_token_id, tiny.tokenizer.sep_token_id)
    assert {(row[0], row[-1]) for row in rows} == {ends}
    inside = [token for row in rows[-3:-1] for token in row[1:-1]]
    assert inside == tiny.tokenizer(texts[2], add_special_tokens=False)["input_ids"]
    longest, _ = tiny.encode(texts, 10**6)
    assert max(map(len, longest)) <= tiny.capacity + 2, "never more than the model can"
    issues = classifiers.long_texts(tiny, texts, 24)
    assert [(name, issue.count) for name, issue in issues.items()] == [
        ("long_texts", 2), ("cut_texts", 1),
    ]  # fmt: skip
    assert "texts of more than 24 tokens" in issues["long_texts"].describe()
    assert list(classifiers.long_texts(tiny, texts[2:], 24)) == ["long_texts"]


@pytest.mark.parametrize("size", [4, 7, 24, 128])
def test_windows_are_even_and_part_no_word(size):
    chance = np.random.default_rng(size)
    for total in [size + 1, size + 2, 2 * size, 2 * size + 1, 9 * size + 1, 10 * size]:
        lengths = chance.integers(1, max(2, size // 4), total)
        words = np.repeat(np.arange(total), lengths)[:total].tolist()
        spans = even_spans(words, size)
        assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])]
        assert spans[-1][1] == total, "all is read"
        read = [end - start for start, end in spans]
        assert max(read) <= size
        assert min(read) > size / 4, "no stub"
        assert all(words[start] != words[start - 1] for start, _ in spans[1:])
    assert even_spans([], size) == [(0, 0)]
    assert even_spans(range(size), size) == [(0, size)]
    # One word, as of a language without spaces: nothing to cut between.
    assert {end - start for start, end in even_spans([0] * (2 * size - 2), size)} == {size - 1}
    cut = even_spans(range(100 * size), size)
    assert len(cut) == MAX_WINDOWS
    assert cut[-1][1] == MAX_WINDOWS * size


def test_what_is_beyond_the_last_window_is_not_read(tiny):
    model = TextClassifier(tiny, ["a", "b"])
    torch.nn.init.normal_(model.head.weight)
    start = "ada berg runs " * 9
    found = classifiers.predict(model, [start, start + "and more"], READING)
    assert not np.allclose(found[0], found[1], rtol=0, atol=1e-5), "beyond the first it is"
    start = "ada berg runs " * 40
    assert 24 * MAX_WINDOWS < 11 * 40
    found = classifiers.predict(model, [start, start + "and more"], READING)
    # Rows of one product may be summed in another order, by processor and place in the batch.
    assert np.allclose(found[0], found[1], rtol=0, atol=1e-6)


def by_hand(encoder, words, size):
    """Mean states of each window of a text, and their tokens, special ones too."""
    read = encoder.tokenizer(words, add_special_tokens=False)
    ends = (encoder.tokenizer.cls_token_id, encoder.tokenizer.sep_token_id)
    states, tokens = [], []
    for start, end in even_spans(read.word_ids(), size):
        ids = torch.tensor([[ends[0], *read["input_ids"][start:end], ends[1]]])
        with torch.inference_mode():
            states.append(encoder.network(input_ids=ids).last_hidden_state.mean(1)[0])
        tokens.append(ids.shape[1])
    return torch.stack(states), torch.tensor(tokens)


def test_a_long_text_is_the_mean_of_its_windows_by_tokens(tiny):
    machine.seed(0)
    model = TextClassifier(tiny, ["a", "b"])
    torch.nn.init.normal_(model.head.weight)
    words = "Ada runs the berg, 1996 said the mayor of Tarvik; nobody else came to see it"
    states, tokens = by_hand(tiny, words, 24)
    assert len(set(tokens.tolist())) > 1, "so that weights matter"
    mean = (states * (tokens / tokens.sum())[:, None]).sum(0)
    texts = ["short", words, "other"]
    assert reader(tiny)(texts)[1] == pytest.approx(mean.numpy(), abs=1e-5)
    found = classifiers.predict(model, texts, READING)
    logits = (model.head(states) * (tokens / tokens.sum())[:, None]).sum(0)
    assert found[1] == pytest.approx(logits.softmax(-1).detach().numpy(), abs=1e-5)
    # With another head too.
    model = TextClassifier(tiny, ["a", "b"], attention=True)
    found = classifiers.predict(model, texts, READING)
    logits = model.head(mean)
    assert found[1] == pytest.approx(logits.softmax(-1).detach().numpy(), abs=1e-5)


def test_texts_within_the_limit_have_the_very_numbers_of_reading_them_whole(tiny, reviews):
    """As before there were windows: rows of all tokens, longest first, in the same batches."""
    machine.seed(0)
    model = TextClassifier(tiny, reviews.labels)
    texts, reading = ODD[:2] + list(reviews.splits["train"]["text"]), Reading(110, torch.float32)
    texts = [each for each in dict.fromkeys(texts) if len(tiny.tokenizer.tokenize(each)) <= 110]
    start, end = tiny.tokenizer.cls_token_id, tiny.tokenizer.sep_token_id
    plain = tiny.tokenizer(texts, add_special_tokens=False)["input_ids"]
    encoded = [[start, *tokens, end] for tokens in plain]
    probabilities = np.zeros((len(texts), len(reviews.labels)))
    seen = np.zeros((len(texts), tiny.width), np.float32)
    for rows in group_by_length([*map(len, encoded)], classifiers.EVALUATION_TOKENS):
        batch = model.collate(encoded, rows)
        with torch.inference_mode():
            probabilities[rows] = model(batch).float().double().softmax(-1).numpy()
            seen[rows] = features(tiny, batch).numpy()
    assert len(texts) > 30
    assert (classifiers.predict(model, texts, reading) == probabilities).all()
    assert (classifiers.encode(tiny, texts, reading) == seen).all()


def test_windows_of_a_text_count_as_one_in_training(tiny):
    """The loss of an epoch without learning, and each text's part in the gradient."""
    long = "ada berg runs " * 20
    train = Labelled(["It is so.", long, long, "ada"], ["down", "up", "down", "up"])
    machine.seed(0)
    model = TextClassifier(tiny, ["down", "up"])
    torch.nn.init.normal_(model.head.weight)
    expected = []
    for words, label in zip(train.texts, train.labels, strict=True):
        states, _ = by_hand(tiny, words, 24)
        losses = -model.head(states).log_softmax(-1)[:, model.labels.index(label)]
        expected.append(losses.mean().item())
    assert len(by_hand(tiny, long, 24)[0]) == 10
    fit, log = tuned(model, train, epochs=1, learning_rate=1e-9)
    assert log.records[-1]["train_loss"] == pytest.approx(np.mean(expected), abs=1e-5)
    _, windows = tiny.encode(["It is so.", long, "ada"], 24)
    assert fit.tokens == windows.lengths.sum() > 200 + 2 * 10


def test_words_beyond_the_limit_decide_by_windows_and_not_by_cutting(tiny):
    chance = np.random.default_rng(0)

    def made(count):
        """Texts of some 60 tokens whose last word alone says the label."""
        fill = [" ".join(chance.choice("ada berg runs tarvik".split(), 12)) for _ in range(count)]
        labels = chance.choice(["down", "up"], count).tolist()
        ends = {"down": "xxxx xxxx xxxx", "up": "zzzz zzzz zzzz"}
        return Labelled([f"{a} {ends[b]}" for a, b in zip(fill, labels, strict=True)], labels)

    train, test = made(60), made(40)
    assert min(len(tiny.tokenizer.tokenize(words)) for words in train.texts) > 24 + 20
    short = Labelled([words[:24] for words in test.texts], test.labels)
    machine.seed(0)
    model = TextClassifier(tiny, ["down", "up"])
    tuned(model, train, epochs=8, learning_rate=0.01)
    for texts, low, high in [(test, 0.95, 1), (short, 0.2, 0.8)]:
        given = classifiers.chosen(classifiers.predict(model, texts.texts, READING), model.labels)
        assert low <= np.mean(np.array(given) == texts.labels) <= high
    predict, _ = classifiers.linear_probe(reader(tiny), train, test, model.labels)
    given = classifiers.chosen(predict(test.texts), model.labels)
    assert np.mean(np.array(given) == test.labels) >= 0.95


def test_every_window_begins_as_the_encoder_wants_texts_to_begin(tiny, monkeypatch):
    monkeypatch.setattr(tiny, "prompts", {"query": "ada: "})
    begin = [
        tiny.tokenizer.cls_token_id,
        *tiny.tokenizer("ada:", add_special_tokens=False)["input_ids"],
    ]
    words = "berg runs " * 9
    rows, windows = tiny.encode(["x", words], 24, "query")
    assert windows.counts.tolist() == [1, 4]
    assert all(row[: len(begin)] == begin and len(row) <= 26 for row in rows)
    inside = [token for row in rows[1:] for token in row[len(begin) : -1]]
    assert inside == tiny.tokenizer(words, add_special_tokens=False)["input_ids"]
    assert tiny.encode([words], 24, "passage")[0] == tiny.encode([words], 24)[0]


def test_pairs_read_one_window_of_a_text_at_a_time_in_turn(tiny):
    texts = ["ada berg runs " * 3, "ada", "so it is"]
    _, windows = tiny.encode(texts, 24)
    assert windows.counts.tolist() == [2, 1, 1]
    assert [windows.turn(number).tolist() for number in range(3)] == [
        [0, 2, 3], [1, 2, 3], [0, 2, 3],
    ]  # fmt: skip
    pairs = [(0, 1, True)] * 3
    log = Log(None)
    _, tokens = embeddings.learn_pairs(
        tiny, texts, pairs, embeddings.cosine_error, recipe(9, 1e-3), READING, log, batch_pairs=1
    )
    first, second, other = windows.tokens[:3].tolist()
    assert first != second
    assert tokens == 2 * first + second + 3 * other


@pytest.mark.parametrize("words", ODD, ids=lambda words: repr(words[:12]))
def test_every_text_is_answered_by_every_way_to_learn(tiny, reviews, words):
    setting = adaptation.Setting(
        encoder=tiny,
        labels=reviews.labels,
        validation=classifiers.labelled(reviews, "validation").first(6),
        reading=READING,
        recipe=recipe(1, 1e-3),
        lora_rank=2,
        seed=0,
        log=Log(None),
    )
    train = classifiers.labelled(reviews, "train").first(12)
    for method in adaptation.METHODS:
        answer = adaptation.learn(method, train, [words], setting)
        assert answer.probabilities.shape == (1, 3), method
        assert answer.probabilities.sum() == pytest.approx(1), method
        assert answer.chosen(reviews.labels)[0] in reviews.labels


def test_what_learning_took_is_told(tiny, reviews):
    setting = adaptation.Setting(
        tiny, reviews.labels, classifiers.labelled(reviews, "validation"), READING,
        recipe(2, 1e-3), lora_rank=2, seed=0, log=Log(None),
    )  # fmt: skip
    train = classifiers.labelled(reviews, "train").first(12)
    answers = {
        method: adaptation.learn(method, train, ["x"], setting) for method in adaptation.METHODS
    }
    # Features that the head learned from are kept, and given in the order asked for.
    known = list(setting.features)
    assert known == list(dict.fromkeys([*train.texts, *setting.validation.texts, "x"]))
    again = setting.read(["x", *train.texts, "y"])
    assert again == pytest.approx(reader(tiny)(["x", *train.texts, "y"]), abs=1e-5)
    assert list(setting.features) == [*known, "y"]
    whole = sum(weight.numel() for weight in tiny.parameters())
    assert answers[learners.FULL].trainable == whole + 3 * (tiny.width + 1)
    assert answers[learners.MAJORITY].trainable == 2
    rows, _ = tiny.encode(train.texts, READING.max_tokens)
    tokens = {method: answer.tokens for method, answer in answers.items()}
    trained = 2 * sum(map(len, rows))
    assert tokens[learners.FULL] == tokens[learners.LORA] == trained
    assert tokens[learners.HEAD] == tokens[learners.TFIDF] == 0
    assert all(answer.seconds > 0 for answer in answers.values())


def test_cross_entropy_is_that_of_the_gold_label():
    found = logistic.losses(np.array([[0.5, 0.5], [0, 1]]), ["b", "a"], ["a", "b"])
    assert found == pytest.approx([np.log(2), -np.log(1e-12)])


def test_the_first_texts_are_taken_or_all():
    data = Labelled(["a", "b", "c"], ["x", "y", "z"])
    assert data.first(2) == Labelled(["a", "b"], ["x", "y"])
    assert data.first(0) == data.first(9) == data


def synthetic(*, overconfident, n=20_000):
    """Probabilities of two labels, and gold drawn from them, less sure where so wanted."""
    chance = np.random.default_rng(0)
    sure = chance.uniform(0.5, 1, n)
    right = chance.random(n) < sure - overconfident
    probabilities = np.stack([sure, 1 - sure], axis=1)
    return probabilities, ["a" if hit else "b" for hit in right]


def test_a_calibrated_classifier_has_almost_no_calibration_error():
    found = reliability.measure(*synthetic(overconfident=0.0), ["a", "b"])
    assert found["expected_calibration_error"] < 0.015
    assert found["confidence"] == pytest.approx(0.75, abs=0.01)
    inside = [part["low"] <= part["confidence"] <= part["high"] for part in found["bins"]]
    assert sum(inside) >= 8


@pytest.mark.parametrize("gap", [0.1, 0.3])
def test_an_overconfident_classifier_has_the_error_that_was_planted(gap):
    found = reliability.measure(*synthetic(overconfident=gap), ["a", "b"])
    assert found["expected_calibration_error"] == pytest.approx(gap, abs=0.015)
    assert found["confidence"] - found["accuracy"] == pytest.approx(gap, abs=0.015)


def test_bins_are_equally_filled_and_in_order_of_confidence():
    found = reliability.measure(*synthetic(overconfident=0.1, n=1003), ["a", "b"])
    assert sorted(part["n"] for part in found["bins"]) == [100] * 7 + [101] * 3
    sure = [part["confidence"] for part in found["bins"]]
    assert sure == sorted(sure)
    assert sum(part["n"] * part["accuracy"] for part in found["bins"]) == pytest.approx(
        1003 * found["accuracy"]
    )


@pytest.mark.parametrize(
    ("texts", "bins"), [(1, 1), (19, 1), (20, 1), (59, 2), (200, 10), (999, 10)]
)
def test_few_texts_are_parted_into_fewer_bins(texts, bins):
    found = reliability.measure(*synthetic(overconfident=0, n=texts), ["a", "b"])
    assert len(found["bins"]) == bins
    assert sum(part["n"] for part in found["bins"]) == found["n"] == texts


def shown(**tables):
    metric = Metric(value=0.5, n=10, how="none")
    return Result(
        task="trial", parameters={}, sources={}, metrics={"test/accuracy": metric}, headline=(),
        environment={}, tables=tables,
        cost=Cost(seconds=1, memory_mb={"resident": 1}, device="cpu", precision="float32"),
    )  # fmt: skip


def test_the_reliability_figure_says_what_the_numbers_say():
    sure = reliability.measure(*synthetic(overconfident=0.2), ["a", "b"])
    caption = figures.reliability(shown(reliability=sure)).caption
    assert "more confident than it is right: confidence 0.75" in caption
    assert f"texts, is {sure['expected_calibration_error']:.3f}; it has no interval" in caption
    doubting = reliability.measure(*synthetic(overconfident=-0.2), ["a", "b"])
    assert (
        "less confident than it is right"
        in figures.reliability(shown(reliability=doubting)).caption
    )


def test_temperature_mends_logits_that_are_too_large():
    """Labels drawn from known probabilities, which are then sharpened threefold."""
    chance = np.random.default_rng(0)
    honest = chance.dirichlet([1, 1], 6000)
    gold = ["ab"[row] for row in (chance.random(6000) > honest[:, 0]).astype(int)]
    sharp = honest**3 / (honest**3).sum(axis=1, keepdims=True)
    validation, test = (Labelled([""] * 3000, part) for part in (gold[:3000], gold[3000:]))
    found = reliability.temper(sharp[3000:], test, sharp[:3000], validation, ["a", "b"])
    before = reliability.measure(sharp[3000:], test.labels, ["a", "b"])
    assert found["temperature"] == pytest.approx(3, rel=0.1)
    assert found["expected_calibration_error"] < before["expected_calibration_error"] / 3
    assert found["accuracy"] == before["accuracy"]
    assert found["loss"]["high"] < 0
    drawn = figures.reliability(shown(reliability=before, tempered=found))
    assert f"temperature of {found['temperature']:.2f}" in drawn.caption


@pytest.mark.parametrize("held_out", [0, 40])
def test_temperature_is_one_without_validation_texts_or_errors(held_out):
    half, sure = np.full((30, 2), 0.5), np.tile([0.9, 0.1], (held_out, 1))
    texts, validation = (
        Labelled([""] * 30, ["a", "b"] * 15),
        Labelled([""] * held_out, ["a"] * held_out),
    )
    found = reliability.temper(half, texts, sure, validation, ["a", "b"])
    assert found["temperature"] == 1
    drawn = figures.reliability(shown(reliability=found, tempered=found))
    assert "too few errors to choose a temperature by" in drawn.caption


def test_words_add_up_to_the_change_of_the_logit(minilm):
    machine.seed(0)
    model = TextClassifier(minilm, ["a", "b"])
    torch.nn.init.normal_(model.head.weight)
    reading = Reading(64, torch.float32)
    text = "the ferry to Tarvik was awfully late , and nobody said sorry"
    words, scores, gap = attribution.attribute(model, text, 1, reading)
    assert words == text.split()
    assert gap < 0.05 * max(map(abs, scores))
    short = Reading(8, torch.float32)
    assert minilm.encode([text], 8)[1].counts.tolist() == [2]
    both, parts, apart = attribution.attribute(model, text, 1, short)
    assert both == words, "those of both windows"
    assert apart < 0.05 * max(map(abs, parts))
    blank = " ".join(["[PAD]"] * len(minilm.tokenizer.tokenize(text)))
    logits = np.log(classifiers.predict(model, [text, blank], short))
    moved = (logits[0] - logits[1]) @ [-1, 1]
    opposite = attribution.attribute(model, text, 0, short)[1]
    assert sum(parts) - sum(opposite) == pytest.approx(moved, abs=0.1 * max(map(abs, parts)))
    _, other, _ = attribution.attribute(model, text, 0, reading)
    assert not np.allclose(scores, other, atol=0.01)


def test_a_word_that_the_head_alone_reads_gets_all(tiny):
    """Of a model linear in its embeddings each token's share is known exactly."""
    model = TextClassifier(tiny, ["a", "b"])
    table = model.encoder.network.get_input_embeddings()
    model.encoder.pooled = lambda ids, *_: table(ids).mean(dim=1)
    encoded, _ = tiny.encode(["ada runs"], 64)
    words, scores, gap = attribution.attribute(model, "ada runs", 0, READING)
    weight, pad = model.head.weight[0], table.weight[tiny.tokenizer.pad_token_id]
    each = ((table.weight[encoded[0]] - pad) @ weight / len(encoded[0])).tolist()[1:-1]
    first = len(tiny.tokenizer("ada", add_special_tokens=False)["input_ids"])
    assert words == ["ada", "runs"]
    assert scores == pytest.approx([sum(each[:first]), sum(each[first:])], abs=1e-5)
    assert gap < 1e-5


@pytest.fixture(scope="module")
def batch(reviews):
    return classifiers.labelled(reviews, "train").first(16)


def test_the_written_risk_is_that_of_automatic_differentiation(minilm, reviews, batch):
    machine.seed(0)
    found = risk.check(minilm, reviews.labels, batch)
    assert found["texts"] == 16
    assert found["written_nats"] == pytest.approx(found["automatic_nats"], abs=1e-5)
    assert found["written_nats"] > 0.5, "a head that is sure is often wrong, so there is a gradient"
    assert 0 < found["gradient_gap"] < 1e-4


def without_mean(hidden, weight, bias, one_hot):
    value, gradients = RIGHT(hidden, weight, bias, one_hot)
    return value, [gradient * len(one_hot) for gradient in gradients]


def with_other_sign(hidden, weight, bias, one_hot):
    value, (by_weight, by_bias) = RIGHT(hidden, weight, bias, one_hot)
    return value, [by_weight, -by_bias]


def with_other_risk(hidden, weight, bias, one_hot):
    value, gradients = RIGHT(hidden, weight, bias, one_hot)
    return value + 0.001, gradients


RIGHT = risk._written


@pytest.mark.parametrize("wrong", [without_mean, with_other_sign, with_other_risk])
def test_a_wrong_formula_is_found(tiny, reviews, batch, monkeypatch, wrong):
    machine.seed(0)
    risk.check(tiny, reviews.labels, batch)
    monkeypatch.setattr(risk, "_written", wrong)
    with pytest.raises(RuntimeError, match="differ from autograd's"):
        risk.check(tiny, reviews.labels, batch)


def test_memory_of_a_part_is_measured_and_the_whole_runs_kept():
    place = torch.device("cpu")
    if not machine.reset_peak_memory(place):
        pytest.skip("until the system can set its peak back: only Linux has clear_refs")
    idle = machine.part_memory_mb(place)
    block = np.ones(30_000_000)
    held = machine.part_memory_mb(place)
    del block
    assert held - idle > 200
    machine.reset_peak_memory(place)
    assert machine.part_memory_mb(place) < held - 100
    assert machine.peak_memory_mb(place)["resident"] > held - 1  # counters of the kernel are coarse


def test_bitfit_trains_biases_and_the_head_only(tiny, reviews):
    model = TextClassifier(tiny, reviews.labels, biases_only=True)
    before = weights(model)
    train = classifiers.labelled(reviews, "train").first(32)
    tuned(model, train, epochs=1, learning_rate=1e-2)
    changed = {
        name for name, value in weights(model).items() if not torch.equal(value, before[name])
    }
    biases = {name for name in before if name.endswith("bias") and "pooler" not in name}
    assert changed == biases | {"head.weight"}
    assert model.trainable == sum(before[name].numel() for name in changed)


def test_attention_begins_as_the_mean_and_learns_otherwise(tiny, reviews):
    machine.seed(0)
    plain = TextClassifier(tiny, reviews.labels)
    model = TextClassifier(tiny, reviews.labels, attention=True)
    model.head.load_state_dict(plain.head.state_dict())
    encoded, _ = tiny.encode(reviews.splits["train"]["text"][:6], 24)
    batch = model.collate(encoded, range(len(encoded)))
    assert torch.allclose(model(batch), plain(batch), atol=1e-6)
    torch.nn.init.normal_(model.attention.weight)
    states = tiny._read(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
    for row, length in enumerate(map(len, encoded)):
        kept = states[row, :length]
        wanted = model.attention(kept).softmax(0).T @ kept
        assert torch.allclose(model(batch)[row], model.head(wanted)[0], atol=1e-5)


def test_a_head_that_transformers_lacks_is_refused_by_the_export(tiny, reviews, tmp_path):
    model = TextClassifier(tiny, reviews.labels, attention=True).eval()
    with pytest.raises(ParameterError, match="linear head"):
        export.save(model, tmp_path / "model", {})
