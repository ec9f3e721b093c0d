"""Transfer between languages: what is learned from which labels, translations found, the data."""

import dataclasses
import json
import re
from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score

from workbench import figures, flow, tables, tasks
from workbench.core import sources
from workbench.core.errors import DataError
from workbench.data import bitext, intents, text
from workbench.methods import classifiers
from workbench.methods.learners import HEAD, MAJORITY, NEAREST, TFIDF
from workbench.tasks.language_transfer import run as transfer

ABROAD, WITH = f"{NEAREST}, from intents_en", f"{NEAREST}, with intents_en"
WORDS = f"{TFIDF}, from intents_en"


@pytest.fixture(scope="module")
def config():
    intents = {"source_dataset": "intents_en", "dataset": "intents_zh"}
    return transfer.Config.check(tasks.TASKS["language_transfer"].SMOKE | intents)


@pytest.fixture(scope="module")
def data(config):
    return transfer.load_data(config)


@pytest.fixture(scope="module")
def model(config):
    return transfer.load_model(config)


@pytest.fixture(scope="module")
def result(config, model, data):
    return flow.run(config, model, data)


def test_headline_numbers_follow_from_the_items(result, config):
    items = result.items
    assert result.method == ABROAD
    methods = {ABROAD, WORDS, NEAREST, WITH, MAJORITY}
    assert set(items["method"]) == methods == {result.method, *result.baselines}
    for method, own in items.groupby("method"):
        metrics = result.metrics if method == result.method else result.baselines[method]
        assert len(own) == config.items
        found = accuracy_score(own["gold"].str[0], own["predicted"].str[0])
        assert metrics["test/accuracy"].value == pytest.approx(found)
    levels = {row["method"]: row for row in result.tables["levels"]}
    assert levels.keys() == {ABROAD, WORDS}
    assert levels[ABROAD]["value"] == result.metrics["test/accuracy"].value
    curve = {(row["method"], row["texts"]) for row in result.tables["curve"]}
    assert curve == {(method, size) for method in (NEAREST, WITH) for size in (16, 64)}


def test_what_is_transferred_has_seen_no_label_of_the_second_language(config, model, data, result):
    """Garble all labels of its training texts: only what learns from them may answer otherwise."""
    labels = data.target.labels
    turned = dict(zip(labels, [*labels[1:], labels[0]], strict=True))
    splits = data.target.splits.copy()
    for name in ("train", "validation"):
        splits[name] = splits[name].map(
            lambda row: {"label": turned[row["label"]]}, load_from_cache_file=False
        )
    target = dataclasses.replace(data.target, splits=type(data.target.splits)(splits))
    other = flow.run(config, model, dataclasses.replace(data, target=target))

    def answers(of, method):
        rows = of.items[of.items["method"] == method].sort_values("item")
        return rows["predicted"].tolist()

    for method in (ABROAD, WORDS):
        assert answers(result, method) == answers(other, method)
    assert answers(result, NEAREST) != answers(other, NEAREST)


def test_both_languages_keep_the_labels_they_share(data):
    both = set(text.load("intents_en").labels) & set(text.load("intents_zh").labels)
    assert set(data.source.labels) == set(data.target.labels) == both
    for kept, name in ((data.source, "intents_en"), (data.target, "intents_zh")):
        whole = text.load(name)
        assert {label for split in kept.splits.values() for label in split["label"]} <= both
        left = sum(label not in both for split in whole.splits.values() for label in split["label"])
        kind = "source_labels" if name == "intents_en" else "target_labels"
        assert data.data_issues[kind].count == left
        assert f"left out: {left}" in data.describe()


def test_data_without_shared_labels_is_refused(config, tmp_path):
    rows = "".join(f"text {n},{'ab'[n % 2]}\n" for n in range(40))
    (tmp_path / "own.csv").write_text("text,label\n" + rows)
    other = config.model_copy(update={"dataset": str(tmp_path / "own.csv")})
    with pytest.raises(DataError, match="share 0 labels"):
        transfer.load_data(other)


def test_translations_are_found_by_the_largest_cosine(result, model, config):
    pairs = bitext.load("parallel_en_zh")
    reading = classifiers.Reading(config.max_tokens, torch.float32)
    left, right = (classifiers.encode(model, list(side), reading) for side in pairs.sentences)
    left, right = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (left, right))
    nearest = (left @ right.T).argmax(axis=1), (left @ right.T).argmax(axis=0)
    for language, found in zip(pairs.languages, nearest, strict=True):
        metric = result.metrics[f"bitext/retrieval_from_{language}"]
        assert metric.value == pytest.approx((found == np.arange(100)).mean())
        assert metric.low is not None
        best = np.array(result.tables["bitext"]["best_other"][language])
        translation = np.array(result.tables["bitext"]["translation"])
        assert ((translation > best).mean()) == metric.value


def test_files_of_ones_own_run_by_parameters_alone(model, tmp_path):
    chance = np.random.default_rng(0)
    files = {}
    for language, words in (("english", "good bad"), ("deutsch", "gut schlecht")):
        kinds = dict(zip(("up", "down"), words.split(), strict=True))
        rows = [(label, f"{language} {kinds[label]} {n}") for n in range(150) for label in kinds]
        text_and_label = [f"{said},{label}" for label, said in chance.permutation(rows).tolist()]
        files[language] = tmp_path / f"{language}.csv"
        files[language].write_text("\n".join(["said,kind", *text_and_label]) + "\n")
    config = transfer.Config.check(
        tasks.TASKS["language_transfer"].SMOKE
        | {"source_dataset": str(files["english"]), "dataset": str(files["deutsch"])}
        | {"text_column": "said", "label_column": "kind", "bitext": "", "source_texts": 50}
    )
    result = flow.run(config, model, transfer.load_data(config))
    assert result.method == f"{NEAREST}, from english"
    assert set(result.tables["methods"]) >= {NEAREST, f"{NEAREST}, with english"}
    assert result.sources["source_dataset"]["name"] == str(files["english"])


def test_figures_and_tables_say_what_the_numbers_say(result):
    caption = figures.retrieval(result).caption
    for language in ("en", "zh"):
        assert f"from {language} {result.metrics[f'bitext/retrieval_from_{language}']}" in caption
    crossing = result.tables["crossings"][0]
    assert crossing["level"] == ABROAD
    assert crossing["said"] in figures.overtaking(result).caption
    assert ABROAD in tables.learning_curves(result).body
    bare = result.model_copy(update={"tables": result.tables | {"bitext": {}}})
    assert "no table of translations" in figures.retrieval(bare).caption


def test_the_real_encoder_transfers_intents_from_english_to_chinese():
    values = {"items": 120, "sizes": "8, 16", "draws": 1, "methods": "head only", "bitext": ""}
    config = transfer.Config.check(values)
    data = transfer.load_data(config)
    result = flow.run(config, transfer.load_model(config), data)
    assert result.method == f"{HEAD}, from intents_en"
    assert result.metrics["test/accuracy"].value >= 0.5
    assert result.comparisons[WORDS]["test/accuracy"].low > 0.2
    assert "bitext" not in result.sources


@pytest.mark.parametrize(
    ("name", "templates", "rare", "sizes"),
    [
        ("intents_en", 862, 31, (422, 87, 322)),
        ("intents_zh", 700, 0, (357, 83, 260)),
        ("intents_de", 1711, 0, (864, 178, 669)),
    ],
)
def test_intents_are_one_sentence_of_each_template(name, templates, rare, sizes):
    source = sources.resolve(name, "dataset")
    language = intents.LANGUAGES[name]
    counts: Counter[str] = Counter()
    frames = intents.sentences(source.path, language, counts)
    assert counts["templates"] == templates
    assert counts["rare_intents"] == rare
    assert tuple(map(len, frames.values())) == sizes
    assert sum(sizes) == templates - rare - counts["redrawn"]
    train, _, test = (set(frame["label"]) for frame in frames.values())
    assert train == test
    written = [one for frame in frames.values() for one in frame["text"]]
    assert len(set(written)) == len(written)
    assert not [one for one in written if re.search(r"[{}<>\[\]|()]", one)]
    again = intents.sentences(source.path, language, Counter())
    assert all(frame.equals(again[split]) for split, frame in frames.items())
    own = text.load(name)
    assert tuple(len(own.splits[split]) for split in frames) == sizes


def test_a_template_that_occurs_again_stays_in_one_split(tmp_path):
    repeated = ["switch {name} on [right] now [please]"] * 10
    others = [f"let there be light {n}" for n in range(6)]
    data = [{"sentences": repeated[:5] + others}, {"sentences": repeated[5:]}]
    home = {"language": "en", "intents": {"HassTurnOn": {"data": data}}}
    (tmp_path / intents.FILE).write_text(json.dumps(home))
    frames = intents.sentences(tmp_path, "en", Counter())
    drawn = [split for split, frame in frames.items() if frame["text"].str.contains("now").any()]
    assert len(drawn) == 1
    assert sum(len(frame) for frame in frames.values()) > len(others) + 1


def test_a_bitext_has_each_sentence_once_and_two_languages(tmp_path):
    rows = "".join(f"sentence {n},Satz {n}\n" for n in range(12))
    file = tmp_path / "pairs.csv"
    file.write_text("en,de\n" + rows + "sentence 3,ein anderer Satz\nlonely,\n")
    pairs = bitext.load(str(file))
    assert pairs.languages == ("en", "de")
    assert pairs.sentences[1] == [f"Satz {n}" for n in range(12)]
    assert pairs.data_issues["bitext_repeated"].count == 1
    assert pairs.data_issues["bitext_empty"].count == 1
    file.write_text("en,de,fr\n" + "a,b,c\n" * 12)
    with pytest.raises(DataError, match="3 columns"):
        bitext.load(str(file))
    file.write_text("en,de\nhello,hallo\n")
    with pytest.raises(DataError, match="1 pairs"):
        bitext.load(str(file))
