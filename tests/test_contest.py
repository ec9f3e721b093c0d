"""The contest: crossings and their intervals, what may be learned from, and every number kept."""

import dataclasses
import itertools
import re
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from sklearn.metrics import accuracy_score
from sklearn.neighbors import KNeighborsClassifier

from workbench import figures, flow, tables, tasks
from workbench.core import machine, sources
from workbench.core.errors import ParameterError
from workbench.data import text
from workbench.methods import (
    adaptation,
    classifiers,
    crossings,
    embeddings,
    estimates,
    learners,
    learning_curves,
    logistic,
)
from workbench.methods.adaptation import FEW, METHODS
from workbench.methods.classifiers import Labelled, Reading
from workbench.methods.crossings import ALREADY, NEVER, Answered, crossing
from workbench.methods.learners import FULL, NEAREST, SETFIT, TFIDF
from workbench.models.embedder import Embedder
from workbench.models.encoder import Encoder
from workbench.record import intervals
from workbench.record.comparison import compare
from workbench.record.result import Metric, duration
from workbench.record.statistics import verdicts
from workbench.tasks.contest import levels as contest_levels
from workbench.tasks.contest import methods as contest_methods
from workbench.tasks.contest import run as contest
from workbench.tasks.contest.config import LEARNERS
from workbench.training import Log, Recipe

SIZES = (8, 32, 128, 512)
REFERENCE = "1 shot + batch"
READING = Reading(max_tokens=24, dtype=torch.float32)


@pytest.fixture(scope="module")
def config(tiny_bert, varied_decoder_folder):
    """Of a small contest between tiny models of fixed weights."""
    own = {"model": str(varied_decoder_folder), "encoder": str(tiny_bert)}
    return contest.Config.check(tasks.TASKS["contest"].SMOKE | own)


@pytest.fixture(scope="module")
def models(config):
    return contest.load_model(config)


@pytest.fixture(scope="module")
def data(config):
    return contest.load_data(config)


@pytest.fixture(scope="module")
def result(config, models, data):
    return flow.run(config, models, data)


@pytest.fixture(scope="module")
def tiny(tiny_bert):
    return Encoder(sources.resolve(str(tiny_bert), "model"), casing=False).eval()


def test_a_crossing_lies_where_the_line_on_the_logarithm_passes():
    curves = np.array([[0.3, 0.4, 0.6, 0.7], [0.3, 0.3, 0.3, 0.5], [0.6, 0.2, 0.2, 0.2]])
    assert crossing(SIZES, curves, np.full(3, 0.5)) == pytest.approx([64, NEVER, ALREADY])


def test_a_curve_that_only_touches_the_level_has_not_passed_it():
    curves = np.array([[0.5, 0.5, 0.5, 0.5], [0.5, 0.6, 0.4, 0.4]])
    assert crossing(SIZES, curves, np.full(2, 0.5)) == pytest.approx([NEVER, 8])


@pytest.mark.parametrize(
    ("steps", "at", "low", "high"),
    [((9, 9, 9, 9), "already", "already", "already"), ((1, 1, 1, 1), *["not reached"] * 3)],
    ids=["ahead from the start", "never"],
)
def test_a_curve_far_from_the_level_is_an_outcome_and_no_number(steps, at, low, high):
    found = answered(np.array(steps) / 10, 0.5, items=200, draws=3, seed=0)
    point = found.crossing("curve", "level")
    assert (point["at"], point["low"], point["high"]) == (at, low, high)
    assert point["fractions"][at] == 1
    (row,) = crossings.crossings(found, ["level"])
    said = row["said"]
    assert ("already" in said) == (at == "already")
    assert ("within n = 512" in said) == (at == "not reached")
    assert ("≤ 8" if at == "already" else "> 512") in said


def test_half_an_item_ahead_at_the_smallest_size_is_not_called_ahead():
    found = answered(np.array([0.53, 0.55, 0.6, 0.9]), 0.5, items=60, draws=2, seed=1)
    point = found.crossing("curve", "level")
    first = found.metric("curve", size=0, minus="level")
    assert point["at"] == "already"
    assert first.low < 0 < first.value
    (row,) = crossings.crossings(found, ["level"])
    said = row["said"]
    assert "can't be distinguished from level with 8 labelled examples" in said
    assert f"(in {point['fractions']['already']:.0%} of the resamples)" in said
    assert "is ahead" not in said


def pools_of(config, data):
    """The draws of a contest."""
    train = classifiers.labelled(data, "train")
    return learning_curves.pools(contest_methods.plan(config), train)


def learned(config, models, data, pools):
    """All that learns in a contest."""
    learners = contest_methods.learners(config, models)
    texts = data.splits["test"][: config.items]["text"]
    plan = contest_methods.plan(config)
    return learning_curves.learn(plan, learners, data.labels, pools, texts, Log(None))


def answered(curve, level, *, items, draws, seed, wobble=0.0):
    """Right and wrong answers of a curve and a level that are right with these probabilities.

    A draw of examples moves the whole curve by a normal deviate times `wobble`.
    """
    chance = np.random.default_rng(seed)
    luck = wobble * chance.standard_normal((1, draws, 1))
    hardness = chance.random((1, 1, items))  # the same item is hard for all, so answers are paired
    noise = 0.5 * hardness + 0.5 * chance.random((len(SIZES), draws, items))
    mine = sums_to_uniform(0.5 * hardness[0] + 0.5 * chance.random((draws, items)))
    return Answered(
        sizes=SIZES,
        curves={"curve": sums_to_uniform(noise) < np.asarray(curve)[:, None, None] + luck},
        levels={"level": mine < level},
        clusters=list(range(items)),
        unit="texts",
    )


def sums_to_uniform(mean):
    """The mean of two uniform numbers as a uniform one, by its distribution function."""
    return np.where(mean < 0.5, 2 * mean**2, 1 - 2 * (1 - mean) ** 2)


@pytest.mark.parametrize(("draws", "wobble"), [(3, 0.03), (5, 0.03), (1, 0.0)])
def test_the_interval_of_a_crossing_covers_the_true_one(draws, wobble):
    """100 simulations at a nominal .95; with several draws nearly all hold it."""
    curve = np.array([0.35, 0.45, 0.55, 0.65])
    true = 32 * 4**0.5  # half the way from 32 to 128 on the logarithm
    hits = []
    for seed in range(100):
        found = answered(curve, 0.5, items=200, draws=draws, seed=seed, wobble=wobble)
        point = found.crossing("curve", "level")
        low, high = (
            {"already": 0, "not reached": np.inf}.get(point[end], point[end])
            for end in ("low", "high")
        )
        hits.append(low <= true <= high)
    assert np.mean(hits) >= 0.9


def test_draws_are_resampled_as_well_as_items():
    same = answered([0.4, 0.5, 0.6, 0.7], 0.5, items=200, draws=4, seed=1)
    moved = np.array(same.curves["curve"])
    moved[:, 0], moved[:, 1] = True, False  # two draws all right and all wrong
    apart = dataclasses.replace(same, curves={"curve": moved})
    wide, narrow = apart.metric("curve", size=1), same.metric("curve", size=1)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_differences_are_paired_by_item_and_by_draw():
    found = answered([0.4, 0.5, 0.6, 0.7], 0.5, items=200, draws=3, seed=2)
    twin = dataclasses.replace(found, levels={"level": found.curves["curve"][2]})
    difference = twin.metric("curve", size=2, minus="level")
    assert difference.value == 0
    assert (difference.low, difference.high) == pytest.approx((-0.0137, 0.0137), abs=1e-4)
    assert difference.how == "Agresti-Min interval: the two differ in 0 of 200 texts"


def test_accuracies_near_1_have_wilsons_interval():
    found = answered([1.0, 1.0, 1.0, 0.6], 0.5, items=200, draws=3, seed=3)
    certain, other = found.metric("curve", size=0), found.metric("curve", size=3)
    assert (certain.value, certain.high) == (1, 1)
    assert certain.low == pytest.approx(intervals.wilson(1.0, 200)[0])
    assert certain.how.startswith("Wilson interval")
    assert other.how.startswith("percentile bootstrap over 200 texts and 3 draws of examples")


def test_a_sentence_says_what_the_table_says_corrected_for_the_number_of_methods():
    level = np.zeros((1, 200), bool)
    weak, strong = level.copy(), level.copy()
    level[0, :100], strong[0, 50:] = True, True
    weak[0, 34:156] = True  # 56 items better and 34 worse: p = .02
    curves = {f"weak {place}": np.stack([weak] * 4) for place in range(6)}
    found = Answered(SIZES, {**curves, "strong": np.stack([strong] * 4)}, {"level": level},
                     list(range(200)), "texts")  # fmt: skip
    rows = crossings.crossings(found, ["level"])
    apart = {row["method"]: Metric(**row["difference"]) for row in rows}
    assert apart["weak 0"].verdict == "better"
    for row in rows:
        said = verdicts(apart)[row["method"]]
        better = row["method"] == "strong"
        assert str(said) == ("better" if better else "cannot tell")
        assert ("it is better" in row["said"]) == better
        assert ("can't be distinguished: accuracy" in row["said"]) != better
        assert ("is ahead" in row["said"]) == better


def test_too_few_items_have_no_interval():
    found = answered([0.2, 0.2, 0.9, 0.9], 0.5, items=9, draws=2, seed=0)
    point = found.crossing("curve", "level")
    assert point["low"] is point["high"] is None
    assert found.metric("curve", size=0).how == "no interval: only 9 texts"
    assert crossings.span(point, SIZES) == ""


def test_learners_are_those_that_adaptation_has():
    known = {name.removeprefix(contest.DECODER) for name in LEARNERS}
    assert known == {*METHODS, *FEW} - {learners.MAJORITY}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"sizes": "8"}, "fewer than two sizes"),
        ({"sizes": "8, many"}, "no list of whole numbers"),
        ({"sizes": "1, 8"}, "from 2 on"),
        ({"methods": "decoder"}, "unknown method 'decoder'"),
        ({"methods": " , "}, "no method"),
        ({"shots": 9}, "shots=9, but the smallest of sizes='8, 32, 128, 512' is 8"),
    ],
    ids=["one size", "words", "one example", "ambiguous", "none", "more shots than examples"],
)
def test_a_parameter_that_makes_no_sense_is_one_clear_error(values, says):
    with pytest.raises(ParameterError, match=says):
        contest.Config.check(values)


def test_more_examples_than_texts_is_one_clear_error(data):
    config = contest.Config.check({**tasks.TASKS["contest"].SMOKE, "sizes": "8, 5000"})
    with pytest.raises(ParameterError, match="only 2.. training texts"):
        pools_of(config, data)


def test_draws_are_nested_reproducible_and_differ(config, data):
    first, second = pools_of(config, data)
    small, large = config.counts
    assert len(first.texts) == large == len(set(first.texts))
    assert first.first(small).texts == first.texts[:small]
    assert pools_of(config, data) == [first, second]
    assert first.texts != second.texts
    wider = contest.Config.check({**tasks.TASKS["contest"].SMOKE, "sizes": "4, 8, 16"})
    train = classifiers.labelled(data, "train")
    labels = dict(zip(train.texts, train.labels, strict=True))
    for pool in pools_of(wider, data):
        assert [labels[words] for words in pool.texts] == list(pool.labels)


def test_few_examples_get_more_passes():
    assert learning_curves.epochs([30] * 8) == learning_curves.STEPS
    assert learning_curves.epochs([30] * 100_000) == learning_curves.EPOCHS


def setting(encoder, labels, validation=None, **changes):
    given = {
        "encoder": encoder, "labels": labels, "validation": validation or Labelled([], []),
        "reading": READING, "recipe": Recipe(epochs=2, learning_rate=1e-4), "lora_rank": 4,
        "seed": 0, "log": Log(None), **changes,
    }  # fmt: skip
    return adaptation.Setting(**given)


def garbled(part):
    """The same texts, each with the next text's label."""
    return Labelled(part.texts, [*part.labels[1:], part.labels[0]])


@pytest.mark.parametrize("method", [NEAREST, SETFIT])
def test_methods_for_few_texts_do_not_look_at_validation(tiny, data, method):
    train = classifiers.labelled(data, "train").first(10)
    held = classifiers.labelled(data, "validation").first(10)
    asked = classifiers.labelled(data, "test").first(6).texts
    found = [
        adaptation.learn(method, train, asked, setting(tiny, data.labels, part)).probabilities
        for part in (held, garbled(held), None)
    ]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_no_label_but_those_of_the_draw_changes_an_answer(data, models, monkeypatch):
    """Garble the labels of validation, and of all training texts beyond those drawn."""
    monkeypatch.setattr(learning_curves, "STEPS", 2)
    values = tasks.TASKS["contest"].SMOKE | {"sizes": "4, 8", "draws": 1, "items": 4}
    values["methods"] = "full fine-tuning, head only, TF-IDF"
    config = contest.Config.check(values)
    drawn = set(pools_of(config, data)[0].texts)
    others = dict(zip(data.labels, [*data.labels[1:], data.labels[0]], strict=True))

    def turn(row):
        return {"label": row["label"] if row["text"] in drawn else others[row["label"]]}

    splits = data.splits.copy()
    for name in ("train", "validation"):
        splits[name] = splits[name].map(turn, load_from_cache_file=False)
    other = dataclasses.replace(data, splits=type(data.splits)(splits))
    assert other.splits["validation"]["label"] != data.splits["validation"]["label"]
    found = []
    for each in (data, other):
        pools = pools_of(config, each)
        points = learned(config, models, each, pools)
        found.append(np.stack([point.answer.probabilities for point in points]))
    assert np.array_equal(*found)


def test_shots_come_from_the_smallest_size_of_their_draw(config, models, data):
    asked, _ = contest_levels.ask(config, models, data)
    pools = pools_of(config, data)
    for pool, drawn in zip(pools, contest_levels.examples(config, asked, pools), strict=True):
        smallest = [
            asked.prompts.fields(models.decoder, words)[0]
            for words in pool.texts[: config.counts[0]]
        ]
        assert len(drawn.shots) == config.shots
        for fields, word in drawn.shots:
            place = smallest.index(fields)
            assert word == asked.prompts.words[pool.labels[place]]


def test_neighbours_vote_as_in_scikit_learn():
    chance = np.random.default_rng(0)
    points = {f"text {place}": chance.standard_normal(6).astype(np.float32) for place in range(90)}
    read = lambda texts: np.stack([points[words] for words in texts])  # noqa: E731
    texts = list(points)
    labels = ["a", "b", "c"]
    train = Labelled(texts[:50], list(chance.choice(labels, 50)))
    predict, trainable = embeddings.nearest(read, train, labels)
    peer = KNeighborsClassifier(embeddings.neighbours(50), algorithm="brute")
    peer.fit(embeddings.unit(read(train.texts)), train.labels)
    asked = embeddings.unit(read(texts[50:]))
    found = predict(texts[50:])
    assert trainable == 0
    assert classifiers.chosen(found, labels) == peer.predict(asked).tolist()
    votes = 7 * peer.predict_proba(asked)
    assert found == pytest.approx((votes + 1 / 3) / 8)
    assert found.min() > 0


def test_pairs_are_balanced_and_no_text_meets_itself():
    labels = [*"aaaabbbc"]
    pairs = embeddings.draw_pairs(labels, 0)
    assert sum(same for *_, same in pairs) * 2 == len(pairs)
    assert all(left != right for left, right, _ in pairs)
    assert all((labels[left] == labels[right]) == same for left, right, same in pairs)
    begun = [left for left, *_ in pairs]
    assert {begun.count(place) for place in range(7)} == {2 * embeddings.ROUNDS}
    assert 7 not in begun, "the only c has no partner, but may be one"
    assert 7 in {right for _, right, _ in pairs}
    assert embeddings.draw_pairs([*"ab"], 0) == []
    many = embeddings.draw_pairs([*"ab"] * 400, 0)
    assert len(many) == embeddings.MOST_PAIRS
    assert len({left for left, *_ in many}) == embeddings.MOST_PAIRS / 2


def test_a_batch_of_pairs_reads_each_text_once_and_gives_cosines(tiny):
    model = Embedder(tiny).eval()
    encoded, _ = tiny.encode(["good", "bad day", "a long sentence"], 24)
    batch = model.collate(encoded, [(0, 1, True), (2, 0, False), (1, 2, False)])
    assert len(batch.texts.rows) == 3
    with torch.inference_mode():
        found = model(batch)
    read = embeddings.unit(
        classifiers.encode(tiny, ["good", "bad day", "a long sentence"], READING)
    )
    expected = [read[0] @ read[1], read[2] @ read[0], read[1] @ read[2]]
    assert found.numpy() == pytest.approx(np.array(expected), abs=1e-5)
    assert batch.part(0, 2).same.tolist() == [1, 0]
    assert batch.part(1, 2).left.tolist() == batch.left[1::2].tolist()
    assert batch.part(3, 4) is None


def test_setfit_learns_what_can_be_told_apart_and_leaves_the_encoder_alone(monkeypatch):
    """Texts in which only one word of many says the label: a mean embedding hardly shows it."""
    monkeypatch.setattr(embeddings, "MOST_PAIRS", 240)
    encoder = Encoder(sources.resolve("minilm", "model"), casing=False)
    words = "the chair by a window in the hall was seen on Monday and is {} so we said".split()
    kinds = {"up": ["good", "great", "fine", "lovely"], "down": ["bad", "awful", "poor", "nasty"]}

    def made(start, count):
        rows = []
        for number in range(start, start + count):
            for kind, said in kinds.items():
                body = words[number % 5 :] + words[: number % 5]
                rows.append((" ".join(body).format(said[number % 4]) + f" {number}", kind))
        return Labelled(*map(list, zip(*rows, strict=True)))

    train, test = made(0, 6), made(100, 12)
    before = {name: value.clone() for name, value in encoder.named_parameters()}
    machine.seed(0)
    answer = adaptation.learn(SETFIT, train, test.texts, setting(encoder, ["down", "up"]))
    assert accuracy_score(test.labels, answer.chosen(["down", "up"])) >= 0.8
    assert answer.tokens > 0
    assert answer.trainable == 22_713_216 + 384 + 1
    assert all(value.equal(before[name]) for name, value in encoder.named_parameters())


def test_setfit_of_one_label_says_that_label(tiny):
    train = Labelled(["a", "b"], ["up", "up"])
    answer = adaptation.learn(SETFIT, train, ["c"], setting(tiny, ["down", "up"]))
    assert answer.probabilities.tolist() == [[0, 1]]


def test_folds_choose_a_penalty_where_there_is_no_validation(data):
    train = classifiers.labelled(data, "train").first(40)
    loss = partial(logistic._folded_loss, np.eye(40, 5)[np.arange(40) % 5], train.labels)
    assert np.isfinite([loss(penalty) for penalty in logistic.PENALTIES]).all()
    predict, _ = classifiers.tfidf(train, Labelled([], []), data.labels)
    test = classifiers.labelled(data, "test")
    right = accuracy_score(test.labels, classifiers.chosen(predict(test.texts), data.labels))
    assert right > max(test.labels.count(label) for label in data.labels) / len(test.labels)


def test_every_number_follows_from_what_is_saved(result, config, data):
    items = result.items[result.items["method"] == SETFIT]
    largest, first = config.counts[-1], 0
    for method in config.methods.split(", "):
        own = result.items[result.items["method"] == method]
        right = (own["gold"] == own["predicted"]).tolist()
        bits = result.tables["right"][method]
        assert bits[-1][first] == "".join("01"[hit] for hit in right)
        found = result.metrics if method == result.method else result.baselines[method]
        assert found["test/accuracy"].value == pytest.approx(np.mean(right))
    parsed = {
        name: np.array([[[*map(int, draw)] for draw in size] for size in bits], bool)
        for name, bits in result.tables["right"].items()
        if not isinstance(bits[0], str)
    }
    levels = {
        name: np.array([[*map(int, draw)] for draw in bits], bool)
        for name, bits in result.tables["right"].items()
        if isinstance(bits[0], str)
    }
    again = Answered(config.counts, parsed, levels, items["cluster"].tolist(), data.unit)
    assert crossings.curve(again) == result.tables["curve"]
    assert crossings.levels(again) == result.tables["levels"]
    references = contest_methods.references(config)
    assert references == ["zero-shot + batch", REFERENCE]
    assert crossings.crossings(again, references) == result.tables["crossings"]
    assert {point["texts"] for point in result.tables["curve"]} == {4, largest}


def test_the_run_is_of_its_first_method_beside_prompts_and_the_majority(result):
    assert result.method == SETFIT
    others = {NEAREST, TFIDF, "majority", "zero-shot", "zero-shot + batch", "1 shot", REFERENCE}
    assert set(result.baselines) == set(result.comparisons) == others
    assert not result.items.duplicated(["item", "method"]).any()
    assert {record["method"] for record in result.history} == {"SetFit, 8 texts, draw 1"}
    found = compare(result, result, methods=(SETFIT, REFERENCE))
    assert found.items == 12
    assert found.measures["accuracy"].difference.value == pytest.approx(
        -result.comparisons[REFERENCE]["test/accuracy"].value
    )


def test_costs_are_of_the_largest_size(result, models):
    costs = result.tables["methods"]
    whole = sum(weight.numel() for weight in models.encoder.parameters())
    # Of two labels among the examples one row of weights is learned, of three three.
    assert (costs[SETFIT]["trainable"] - whole) / (models.encoder.width + 1) in {1, 3}
    assert costs[NEAREST]["trainable"] == costs["zero-shot"]["trainable"] == 0
    assert all(cost["answer_1000_seconds"] > 0 for cost in costs.values())
    assert costs[SETFIT]["seconds"] > costs[NEAREST]["seconds"]


def test_figure_and_tables_say_what_the_numbers_say(result):
    figure = figures.overtaking(result)
    assert figure.png.startswith(b"\x89PNG")
    own = [row for row in result.tables["crossings"] if row["level"] == REFERENCE]
    said = BeautifulSoup(tables.crossings(result).body, "html.parser").get_text()
    for row in own:
        assert row["said"] in figure.caption
        assert row["said"] in said
    shown = BeautifulSoup(tables.learning_curves(result).body, "html.parser").get_text()
    for point in result.tables["curve"]:
        assert f"{point['value']:.3f} ± {point['sd']:.3f}" in shown
    zero = next(row for row in result.tables["levels"] if row["method"] == "zero-shot")
    assert zero["sd"] is None, "there are no examples to draw"


def test_learning_is_estimated_before_it_starts_and_says_how_to_shorten_it(
    tiny, capsys, monkeypatch
):
    texts = ["fine and calm"] * 20
    monkeypatch.setattr(estimates, "WORTH_SECONDS", 0)
    learners = [(FULL, tiny), (SETFIT, tiny), (TFIDF, tiny)]
    seconds = estimates.learning(learners, [4, 8], [3, 2], 2, texts, READING)
    said = capsys.readouterr().out
    assert said.startswith(f"learning: 12 trainings, about {duration(seconds)}, prompts not")
    assert re.search(r"; at least [\d,]+ MiB resident memory\. ", said)
    assert "Fewer methods, draws or items shorten it" in said
    assert "a smaller largest size" in said
    monkeypatch.setattr(estimates, "encode", lambda *_: None)
    clock = itertools.count(0, estimates.PROBE)  # a second a text
    monkeypatch.setattr(estimates, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    read = estimates.learning([(FULL, tiny)], [4, 8], [3, 2], 2, texts, READING)
    assert read == 2 * (3 * 3 * 4 + 20 + 3 * 2 * 8 + 20), "backward passes take twice as long"
    monkeypatch.setattr(estimates, "WORTH_SECONDS", read + 1)
    capsys.readouterr()
    assert estimates.learning([(FULL, tiny)], [4, 8], [3, 2], 2, texts, READING) is None
    assert not capsys.readouterr().out


def test_the_decoder_learns_as_an_encoder_where_it_is_named(config, monkeypatch):
    monkeypatch.setattr(learning_curves, "STEPS", 1)
    monkeypatch.setattr(learning_curves, "EPOCHS", 1)
    values = {"sizes": "2, 4", "draws": 1, "items": 2, "methods": "decoder LoRA"}
    config = contest.Config.check(config.model_dump() | values)
    models, data = contest.load_model(config), contest.load_data(config)
    assert "without its causal mask" in models.describe()
    pools = pools_of(config, data)
    points = learned(config, models, data, pools)
    assert [point.method for point in points] == ["decoder LoRA"] * 2
    assert points[0].answer.trainable > 3 * (models.reader.width + 1)
    assert text.load("tiny_reviews").labels == data.labels


def test_bitfit_of_an_encoder_without_biases_is_refused(config):
    values = {"encoder": config.model, "methods": "BitFit"}
    config = contest.Config.check(config.model_dump() | values)
    with pytest.raises(ParameterError, match="no biases for BitFit"):
        contest.load_model(config)
