"""The named-entity task from data to record, and what is drawn from it."""

import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch
from nervaluate import Evaluator
from sklearn.metrics import accuracy_score, classification_report

from workbench import figures, flow, notebooks, tables
from workbench.core import paths
from workbench.core.errors import ParameterError
from workbench.data import ner as data
from workbench.methods import tag_errors
from workbench.methods import tag_scores as ner_scores
from workbench.methods import taggers as ner_tagger
from workbench.methods.extras import AGREEMENT, TAGGER
from workbench.methods.tagging import agreeing, tag_scores
from workbench.models.augmentation import masked
from workbench.models.encoder import TokenClassifier
from workbench.models.windows import pack
from workbench.record.iob import spans
from workbench.record.result import Metric, Result
from workbench.tasks.ner import figures as ner_figures
from workbench.tasks.ner import run as ner
from workbench.tasks.ner import tables as ner_tables
from workbench.tasks.ner import transfer


def renamed(folder, names):
    """The training sentences of tiny_ner under other names of their types, in three splits."""
    for split in ("train", "validation", "test"):
        text = (paths.FIXTURES / "tiny_ner" / "train.txt").read_text()
        for ours, theirs in names.items():
            text = text.replace(f"-{ours}", f"-{theirs}")
        (folder / f"{split}.txt").write_text(text)
    return str(folder)


OTHER_NAMES = {"PER": "person", "LOC": "geo-loc", "ORG": "company", "MISC": "MISC"}


@pytest.fixture(scope="module")
def learned(tmp_path_factory, tiny_bert):
    """An encoder trained on a few sentences and tested on the same, fresh from the loop.

    It is tested on them under other names of their types too.
    """
    config = ner.Config.check(
        {
            "model": str(tiny_bert),
            "dataset": renamed(tmp_path_factory.mktemp("same"), {}),
            "transfer": renamed(tmp_path_factory.mktemp("renamed"), OTHER_NAMES),
            "epochs": 20,
            "learning_rate": 0.01,
            "batch_tokens": 128,
            "window_tokens": 40,
            "precision": "float32",
        }
    )
    loaded = ner.load_data(config)
    return flow.run(config, ner.load_model(config), loaded), loaded


def test_the_real_encoder_learns_a_few_sentences_by_heart(tmp_path):
    sentences = (paths.FIXTURES / "tiny_ner" / "train.txt").read_text().split("\n\n")[:14]
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.txt").write_text("\n\n".join(sentences) + "\n")
    config = ner.Config.check(
        {
            "dataset": str(tmp_path),
            "transfer": "",
            "epochs": 8,
            "learning_rate": 6e-4,
            "batch_tokens": 64,
            "window_tokens": 40,
            "extras": "casing, head_rate",
        }
    )
    assert config.model == "minilm"
    found = flow.run(config, ner.load_model(config), ner.load_data(config))
    assert found.metrics["test/entity_f1"].value > 0.9
    majority = found.baselines["majority"]["test/entity_f1"]
    assert found.metrics["test/entity_f1"].value > majority.value


def test_what_was_learned_by_heart_is_found_again(learned):
    result, _ = learned
    assert result.metrics["test/entity_f1"].value > 0.9
    assert (
        result.metrics["test/entity_f1"].value
        > result.baselines["majority"]["test/entity_f1"].value
    )


def test_items_hold_every_word_with_its_own_tag(learned):
    result, loaded = learned
    rows = loaded.splits["test"]
    assert [list(words) for words in result.items["input"]] == list(rows["tokens"])
    assert [list(tags) for tags in result.items["gold"]] == list(rows["ner_tags"])
    assert all(
        len(row.input) == len(row.gold) == len(row.predicted) for row in result.items.itertuples()
    )
    assert (result.items["loss"] >= 0).all()


def test_scores_follow_from_the_items(learned):
    result, loaded = learned
    again = ner_scores.metrics(loaded, "test", [list(tags) for tags in result.items["predicted"]])
    for name, metric in again.items():
        assert result.metrics[name] == metric
    assert result.metrics["test/token_accuracy"].n == 257
    assert "sentences (fewer than 10 documents)" in result.metrics["test/entity_f1"].how
    report = result.tables["token_report"]
    assert result.metrics["test/token_macro_f1"].value == pytest.approx(
        report["macro avg"]["f1-score"]
    )


def test_headline_numbers_follow_from_the_items_by_other_libraries(learned):
    """nervaluate reads the entities, scikit-learn the tokens; nothing of ours counts."""
    result, _ = learned
    gold = [list(tags) for tags in result.items["gold"]]
    found = [list(tags) for tags in result.items["predicted"]]
    kinds = sorted({tag[2:] for tags in gold for tag in tags} - {""})
    strict = Evaluator(gold, found, tags=kinds, loader="list").evaluate()["overall"]["strict"]
    assert result.metrics["test/entity_f1"].value == pytest.approx(strict.f1)
    accuracy = accuracy_score(sum(gold, []), sum(found, []))  # noqa: RUF017
    assert result.metrics["test/token_accuracy"].value == pytest.approx(accuracy)


def test_strict_and_lenient_reading_of_single_tags_differ():
    loaded = data.load("tiny_ner")
    gold = list(loaded.splits["test"]["ner_tags"])
    sloppy = [[tag.replace("B-", "I-") for tag in tags] for tags in gold]
    found = ner_scores.metrics(loaded, "test", gold, sloppy)
    assert found["test/entity_f1"].value == 1
    assert found["test/entity_f1_argmax_strict"].value == 0
    assert found["test/entity_f1_argmax_lenient"].value == 1


def test_precision_counts_what_was_predicted():
    loaded = data.load("tiny_ner")
    tags = list(loaded.splits["test"]["ner_tags"])
    fewer = [tags[0], *[["O"] * len(row) for row in tags[1:]]]
    found = ner_scores.metrics(loaded, "test", fewer)
    assert found["test/entity_precision"].n == sum(tag.startswith("B-") for tag in tags[0])
    assert found["test/entity_recall"].n == 18
    assert found["test/entity_precision"].value == 1


def test_few_items_have_no_interval(tmp_path):
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.txt").write_text("Ada B-PER\nruns O\n\nTarvik B-LOC\n")
    loaded = data.load(str(tmp_path))
    metric = ner_scores.majority(loaded)["test/token_accuracy"]
    assert metric.low is None
    assert metric.how == "no interval: only 2 sentences (fewer than 10 documents)"
    assert str(metric) == f"{metric.value:.3f}"


def test_figures_and_tables_say_what_the_numbers_say(learned):
    result, _ = learned
    none = Metric(value=0, low=0, high=0, n=4, how="bootstrap")
    sure = Metric(value=0.9, low=0.85, high=0.95, n=9, how="bootstrap")
    kept = {"test/entity_f1": sure, "test/entity_f1/LOC": sure, "test/entity_f1/PER": none}
    changed = Result(**{**result.model_dump(), "metrics": kept, "headline": ()}).with_details(
        directory=None, items=result.items, history=result.history
    )
    assert (
        "PER hardest (0.000); their intervals do not overlap" in figures.f1_by_type(changed).caption
    )
    drawn = figures.history(result, score="validation entity F1")
    for figure in (drawn, figures.confusion(result)):
        assert figure.png.startswith(b"\x89PNG")
        assert figure.caption.endswith(".")


def test_confusion_counts_overlaps_missed_and_spurious(learned):
    result, _ = learned
    rows = result.items.head(1).copy()
    rows["input"] = [np.array(list("abcdef"))]
    rows["gold"] = [np.array(["B-PER", "I-PER", "O", "B-LOC", "O", "O"])]
    rows["predicted"] = [np.array(["O", "B-ORG", "O", "O", "O", "B-LOC"])]
    pairs, kinds = ner_figures._pairs(
        result.model_copy().with_details(directory=None, items=rows, history=[])
    )
    assert pairs == {("PER", "ORG"): 1, ("LOC", "none"): 1, ("none", "LOC"): 1}
    assert kinds == ["LOC", "ORG", "PER"]


def tagged(folder, test):
    """tiny_ner with a test split of (words, gold) sentences, each a document of its own."""
    shutil.copytree(paths.FIXTURES / "tiny_ner", folder, dirs_exist_ok=True)
    lines = []
    for words, tags in test:
        pairs = zip(words.split(), tags.split(), strict=True)
        lines += ["-DOCSTART- O", "", *(f"{word} {tag}" for word, tag in pairs), ""]
    (folder / "test.txt").write_text("\n".join(lines))
    return data.load(str(folder))


def test_kinds_of_error_and_what_mending_them_gains(tmp_path):
    test = [
        ("Zorna met Kell Voss", "B-PER O B-PER I-PER"),  # found; boundary
        ("in Zorna , Kell", "O B-LOC O B-PER"),  # type; missed
        ("Kell Voss ran", "B-PER I-PER O"),  # type and boundary
        ("nobody ran", "O O"),  # spurious
    ]
    loaded = tagged(tmp_path, test)
    predicted = [
        ["B-PER", "O", "B-PER", "O"], ["O", "B-ORG", "O", "O"], ["B-LOC", "O", "O"], ["B-PER", "O"]
    ]  # fmt: skip
    confidence = [[1.0] * len(tags) for tags in predicted]
    confidence[3] = [0.5, 1.0]
    found = tag_errors.study(loaded, predicted, confidence)
    counts = {row["kind"]: row["count"] for row in found["errors"]}
    assert counts == dict.fromkeys(set(tag_errors.MENDED) - {tag_errors.ELSEWHERE}, 1)
    gold = [list(tags) for tags in loaded.splits["test"]["ner_tags"]]
    theirs = Evaluator(gold, predicted, tags=["PER", "LOC", "ORG"], loader="list").evaluate()[
        "overall"
    ]
    assert (theirs["strict"].missed, theirs["strict"].spurious) == (1, 1)
    assert (
        theirs["strict"].incorrect
        == counts["type"] + counts["boundary"] + counts["type and boundary"]
    )
    before = ner_scores.metrics(loaded, "test", predicted)["test/entity_f1"].value
    assert before == pytest.approx(2 * 1 / (5 + 5))
    after = {row["kind"]: before + row["gain"]["value"] for row in found["errors"]}
    assert after["type"] == after["boundary"] == pytest.approx(2 * 2 / 10)
    assert after["missed"] == pytest.approx(2 * 2 / 11)
    assert after["spurious"] == pytest.approx(2 * 1 / 9)
    assert found["disputed"]["errors"] == 5
    assert [row["sentence"] for row in found["disputed"]["rows"]] == [0, 1, 1, 2]


def test_parts_hold_every_entity_once(tmp_path, learned):
    _, loaded = learned
    marked = [
        " ".join(words[start:end])
        for words, tags in zip(loaded.splits["train"]["tokens"], loaded.splits["train"]["ner_tags"],
                               strict=True)
        for kind, start, end in spans(tags)
        if kind == "PER"
    ]  # fmt: skip
    word = next(name for name in marked if " " not in name)
    test = [
        (f"{word} ran", "B-PER O"),
        (f"{word.upper()} RAN", "B-PER O"),
        ("Xyzzy Plugh met Quux", "B-PER I-PER O B-LOC"),
    ]
    loaded = tagged(tmp_path, test)
    gold = list(loaded.splits["test"]["ner_tags"])
    found = tag_errors.study(loaded, gold, [[1.0] * len(tags) for tags in gold])["parts"]
    sizes = {(row["by"], row["part"]): row["f1"]["n"] for row in found}
    assert sizes["form in training", "not seen"] == 2
    assert sizes["sentence", "all capitals"] == 1
    assert sizes["length in words", "2"] == 1
    assert sizes["entities in the sentence", "1"] == 2
    for by in {row["by"] for row in found}:
        assert sum(n for (way, _), n in sizes.items() if way == by) == 4
    assert all(row["f1"]["value"] == 1 for row in found)


def test_study_is_shown(learned):
    result, _ = learned
    assert figures.errors(result).caption.endswith(".")
    assert figures.f1_by_part(result).png.startswith(b"\x89PNG")
    assert "errors the model is sure of" in tables.disputed(result).body


def test_transfer_is_scored_in_the_types_both_have(learned):
    """The same text under other names of its types: what was learned is found there as well."""
    found, _ = learned
    inside, outside, drop = (
        found.metrics[f"{split}/entity_f1_{what}"]
        for split, what in (
            ("test", "common_types"),
            ("transfer", "common_types"),
            ("transfer", "drop"),
        )
    )
    assert inside.value == outside.value > 0.9
    assert drop.value == 0
    assert drop.low <= 0 <= drop.high
    assert inside.n == outside.n < found.metrics["test/entity_f1"].n
    assert found.data_issues["transfer_known"].count == found.data_issues["transfer_known"].of == 29
    assert found.sources["transfer"]["name"] == found.parameters["transfer"]
    assert found.sources["transfer"]["name"] != found.sources["dataset"]["name"]


def test_drop_draws_its_two_sides_apart():
    chance = np.random.default_rng(0)
    gold = chance.integers(1, 9, 40)
    counts = np.stack([chance.binomial(gold, 0.7), gold, gold], axis=1).astype(float)
    side = transfer._Counted(counts, "documents")
    found = transfer._drop(side, side)
    assert found.value == 0
    assert found.low < 0 < found.high, "drawn together the difference would always be 0"


def test_drop_counts_texts_with_entities_and_never_has_an_interval_without_width():
    right = np.ones((40, 3))
    found = transfer._drop(*[transfer._Counted(right, "documents")] * 2)
    assert found.value == 0
    assert found.low < 0 < found.high
    few = right * (np.arange(40) < 5)[:, None]
    found = transfer._drop(transfer._Counted(right, "documents"), transfer._Counted(few, "tweets"))
    assert found.low is None
    assert found.how == "no interval: only 5 of 40 tweets count"


def test_same_sentences_with_other_tags_are_a_second_gold(tmp_path, learned):
    _, loaded = learned
    for split in ("train", "validation", "test"):
        text = (loaded.source.path / f"{split}.txt").read_text()
        (tmp_path / f"{split}.txt").write_text(
            text.replace("B-PER", "B-ORG").replace("I-PER", "I-ORG")
        )
    config = ner.Config.check({"dataset": str(loaded.source.path), "transfer": str(tmp_path)})
    other = transfer.load(config, loaded)
    gold = list(loaded.splits["test"]["ner_tags"])
    kinds = [tag[2:] for tags in gold for tag in tags if tag[:2] == "B-"]
    called = [["O" if tag[2:] == "LOC" else tag for tag in tags] for tags in gold]
    found = transfer.scores(None, loaded, called, other, config).metrics
    every, persons, places = len(kinds), kinds.count("PER"), kinds.count("LOC")
    right, given = every - places, every - places
    first, second = 2 * right / (given + every), 2 * (right - persons) / (given + every)
    assert found["second_gold/entity_f1"].value == pytest.approx(second)
    assert found["second_gold/entity_f1_gain"].value == pytest.approx(second - first)
    assert found["second_gold/entity_f1_of_first_gold"].value == pytest.approx(1 - persons / every)
    assert found["second_gold/entity_f1"].n == every


def test_what_other_rules_mark_is_left_out_of_transfer(tmp_path, learned):
    """Persons are singers there, which have no counterpart: finding them is no error."""
    _, loaded = learned
    other = renamed(tmp_path, {"PER": "singer"})
    config = ner.Config.check({"dataset": str(loaded.source.path), "transfer": other})
    there = transfer.load(config, loaded)
    gold = [list(tags) for tags in loaded.splits["test"]["ner_tags"]]
    shared = transfer._shared(loaded, there)
    assert shared == ["location", "organisation"]
    persons = sum(tag == "B-PER" for tags in gold for tag in tags)
    called = [[tag.replace("PER", "LOC") for tag in tags] for tags in gold]
    found, omitted = transfer._counted(there, ("test",), [called], shared)
    assert (omitted.count, persons) == (persons, persons)
    correct, predicted, wanted = found.counts.sum(axis=0)
    assert correct == predicted == wanted > 0


def test_data_of_other_types_is_said_to_be_no_transfer_and_ends_no_run(tmp_path, tiny_bert, capsys):
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.txt").write_text("Ada B-GENE\nruns O\n")
    config = ner.Config.check(
        {"model": str(tiny_bert), "dataset": str(tmp_path), "transfer": "tiny_ner", "epochs": 1}
    )
    found = flow.run(config, ner.load_model(config), ner.load_data(config))
    assert "no entity type in common with tiny_ner" in capsys.readouterr().out
    assert not any(name.startswith("transfer") for name in (*found.metrics, *found.sources))


def test_of_one_file_all_sentences_are_transferred_to(tmp_path, tiny_bert, learned):
    _, loaded = learned
    file = tmp_path / "tweets.txt"
    text = (paths.FIXTURES / "tiny_ner" / "train.txt").read_text()
    file.write_text(re.sub(r"-DOCSTART-.*\n\n", "", text))  # each sentence a document
    config = ner.Config.check(
        {"model": str(tiny_bert), "dataset": str(loaded.source.path), "transfer": str(file)}
    )
    other = transfer.load(config, loaded)
    tagger = TokenClassifier(ner.load_model(config), loaded.labels)
    gold = list(loaded.splits["test"]["ner_tags"])
    found = transfer.scores(tagger, loaded, gold, other, config)
    assert found.data_issues["transfer_known"].of == 29
    assert found.metrics["test/entity_f1_common_types"].value == 1


def test_nothing_to_read_gives_nothing(tiny_bert):
    config = ner.Config.check({"model": str(tiny_bert), "dataset": "tiny_ner"})
    tagger = TokenClassifier(ner.load_model(config), ["O", "B-LOC"])
    extras = ["window_averaging", "document_smoothing"]
    assert tag_scores(tagger, [], [], window_tokens=9, dtype=torch.float32, extras=extras) == []


def test_readings_of_a_word_in_a_document_are_drawn_together():
    odds = [[[0.9, 0.1], [0.5, 0.5]], [[0.1, 0.9]], [[0.1, 0.9]]]
    scores = [np.log(np.array(rows, np.float32)) for rows in odds]
    sentences = [["Kell", "ran"], ["KELL"], ["Kell"]]
    found = agreeing(scores, sentences, [0, 0, 1])
    assert [score.shape for score in found] == [score.shape for score in scores]
    assert all(np.allclose(np.exp(score).sum(-1), 1) for score in found)
    # Odds of .9 against .1 and the other way round have even ones in the middle.
    moved = (1 - AGREEMENT) * np.log(9)
    assert found[0][0, 0] - found[0][0, 1] == pytest.approx(moved, abs=1e-5)
    assert found[1][0, 0] - found[1][0, 1] == pytest.approx(-moved, abs=1e-5)
    assert np.allclose(found[0][1], scores[0][1])
    assert np.allclose(found[2], scores[2]), "another document's reading is its own"


def test_views_are_the_mean_over_three_sizes_of_windows(tiny_bert):
    config = ner.Config.check({"model": str(tiny_bert), "dataset": "tiny_ner"})
    tagger, rows = TokenClassifier(ner.load_model(config), ["O", "B-LOC"]), ner.load_data(config)
    torch.nn.init.normal_(tagger.head.weight)
    split = rows.splits["train"]
    text = list(split["tokens"]), list(split["document"])
    read = partial(tag_scores, tagger, *text, dtype=torch.float32)
    found = read(window_tokens=45, extras=["window_averaging"])
    single = [read(window_tokens=size) for size in (30, 45, 60)]
    mean = [np.mean(scores, axis=0) for scores in zip(*single, strict=True)]
    gaps = [score[:, 1] - score[:, 0] for score in found]
    wanted = [score[:, 1] - score[:, 0] for score in mean]
    assert np.allclose(np.concatenate(gaps), np.concatenate(wanted), atol=1e-4)
    small, large = (np.concatenate(single[view]) for view in (0, 2))
    assert not np.allclose(small, large, atol=1e-2)


def test_unknown_extra_is_refused_with_the_known_ones():
    with pytest.raises(
        ParameterError, match="unknown extra 'crowns'; known: casing, document_smoothing"
    ):
        ner.Config.check({"extras": "casing, crowns"})


def test_notebook_names_every_extra():
    text = notebooks.find("ner").path.read_text()
    assert all(f"| `{name}` | " in text for name in TAGGER)


def test_words_are_hidden_at_the_share_asked_for(tiny_bert):
    config = ner.Config.check({"model": str(tiny_bert), "dataset": "tiny_ner"})
    encoder, loaded = ner.load_model(config), ner.load_data(config)
    rows = loaded.splits["train"]
    windows = pack(encoder.segments(list(rows["tokens"]), list(rows["document"])), 40) * 50
    words = [word for window in windows for segment in window for word in segment.tokens]
    changed = masked(windows, 0.25, 4, random.Random(0))
    hidden = [word for window in changed for segment in window for word in segment.tokens]
    assert [len(word) for word in hidden] == [len(word) for word in words]
    share = np.mean([set(word) == {4} for word in hidden])
    assert share == pytest.approx(0.25, abs=0.02)
    assert all(new == old or set(new) == {4} for new, old in zip(hidden, words, strict=True))


def test_reference_table_stands_beside_ours_with_the_difference(learned):
    import yaml

    result, _ = learned
    reference = yaml.safe_load(ner_scores.REFERENCES.read_text())["conll2003"]
    row = {"precision": 0.95, "recall": 0.9, "f1-score": 0.92, "support": 1668}
    shown = result.model_copy(
        update={"tables": {"token_report": {"B-LOC": row}, "reference": reference}}
    )
    body = tables.token_report(shown).body
    assert "<td>0.916</td><td>+0.004</td>" in body
    assert "No source is known" in body
    assert "its weighted avg F1 is 0.973, by its rows 0.981" in body
    assert "macro avg F1 is" not in body, "the macro average does follow from the rows"
    weights = [values[3] for values in reference["rows"].values()][:9]
    scores = [values[2] for values in reference["rows"].values()][:9]
    assert np.average(scores, weights=weights) == pytest.approx(0.981, abs=0.0005)
    rows = reference["rows"] | {"micro avg": [0, 0, 0.981, 0], "weighted avg": [0, 0, 0.981, 0]}
    sound = shown.model_copy(
        update={"tables": shown.tables | {"reference": reference | {"rows": rows}}}
    )
    assert "contradicts" not in tables.token_report(sound).body


def test_averages_are_those_of_scikit_learn():
    gold = ["a"] * 6 + ["b"] * 3 + ["c"]
    found = ["a"] * 5 + ["b"] * 4 + ["a"]
    report = classification_report(gold, found, output_dict=True, zero_division=0)
    rows = {
        name: [row["precision"], row["recall"], row["f1-score"], row["support"]]
        for name, row in report.items()
        if name in "abc"
    }
    ours = ner_tables.averages(rows)
    assert ours["macro avg"] == pytest.approx(report["macro avg"]["f1-score"])
    assert ours["weighted avg"] == pytest.approx(report["weighted avg"]["f1-score"])
    assert ours["micro avg"] == pytest.approx(report["accuracy"])


def test_supports_of_the_published_table_are_words_of_the_official_test_split(conll2003):
    import yaml

    reference = yaml.safe_load(ner_scores.REFERENCES.read_text())["conll2003"]
    counts = Counter(tag for tags in conll2003.splits["test"]["ner_tags"] for tag in tags)
    assert {name: row[3] for name, row in reference["rows"].items() if name in counts} == counts


def captioned(result, **items):
    """The result with other gold and predicted tags, a list a sentence."""
    rows = result.items.head(len(items["gold"])).copy()
    for side, tags in items.items():
        rows[side] = [np.array(each) for each in tags]
    rows["input"] = [np.array(["x"] * len(each)) for each in items["gold"]]
    return result.model_copy().with_details(directory=None, items=rows, history=[])


@pytest.mark.parametrize(
    ("gold", "predicted", "says"),
    [
        ([["B-PER"]], [["B-PER"]], "No entity has a wrong type, none is missed and none is spur"),
        ([["B-PER", "B-LOC"]] * 2, [["O", "B-ORG"], ["O", "B-LOC"]],
         "The most frequent error is PER that is missed: 2 of 3 errors (67%)."),
        ([["B-PER", "O"]], [["B-LOC", "B-LOC"]],
         "No error is the most frequent: 2 occur once each, of 2 errors."),
        ([["O", "O"]], [["B-PER", "B-PER"]],
         "The most frequent error is PER where there is no entity: 2 of 2 errors (100%)."),
    ],
)  # fmt: skip
def test_caption_of_the_confusion_is_true_of_any_errors(learned, gold, predicted, says):
    result, _ = learned
    assert says in figures.confusion(captioned(result, gold=gold, predicted=predicted)).caption


def scored(value, low=None, high=None):
    return Metric(value=value, low=low, high=high, n=9, how="made up")


@pytest.mark.parametrize(
    ("types", "says"),
    [
        ({"PER": scored(1.0)}, "PER alone has a score."),
        ({}, "No type alone has a score."),
        ({"LOC": scored(1.0), "PER": scored(1.0)}, "All 2 types have the same F1, 1.000."),
        ({"LOC": scored(1.0), "PER": scored(1.0), "ORG": scored(0.5)},
         "LOC and PER are easiest (1.000) and ORG hardest (0.500); without intervals"),
        ({"LOC": scored(0.9, 0.8, 1.0), "ORG": scored(0.5, 0.4, 0.6)}, "do not overlap"),
        ({"LOC": scored(0.9, 0.5, 1.0), "ORG": scored(0.5, 0.4, 0.6)}, "may be chance"),
    ],
)  # fmt: skip
def test_caption_of_types_is_true_of_any_scores(learned, types, says):
    result, _ = learned
    metrics = {"test/entity_f1": scored(0.8)}
    metrics |= {f"test/entity_f1/{name}": metric for name, metric in types.items()}
    shown = result.model_copy(update={"metrics": metrics})
    assert says in figures.f1_by_type(shown).caption


def test_caption_of_error_kinds_counts_those_without_a_gain(learned):
    result, _ = learned
    gain = scored(0.1).model_dump()
    rows = [
        {"kind": "missed", "count": 3, "gain": gain},
        {"kind": "type", "count": 1, "gain": None},
    ]
    shown = result.model_copy(update={"tables": result.tables | {"errors": rows}})
    assert "Of 4 errors 3 (75%) are of the kind missed" in figures.errors(shown).caption
    none = [row | {"gain": None} for row in rows]
    shown = result.model_copy(update={"tables": result.tables | {"errors": none}})
    assert figures.errors(shown).caption == "There are 4 errors; F1 has no value to gain on."


def test_sentences_read_alone_know_nothing_of_the_others(learned):
    """The difference shown beside the headline is that of the two numbers."""
    result, _ = learned
    alone = result.metrics["test/entity_f1_sentence_alone"]
    gain = result.metrics["test/entity_f1_gain_of_document"]
    assert gain.value == pytest.approx(result.metrics["test/entity_f1"].value - alone.value)
    assert alone.n == result.metrics["test/entity_f1"].n
    assert "test/entity_f1_sentence_alone" in result.headline
    assert "transductive; read alone, F1 is" in figures.f1_by_type(result).caption


def test_a_sentence_alone_is_tagged_the_same_whatever_stands_beside_it(tiny_bert):
    config = ner.Config.check({"model": str(tiny_bert), "dataset": "tiny_ner"})
    whole = ner.load_data(config)
    tagger = TokenClassifier(ner.load_model(config), whole.labels)
    torch.nn.init.normal_(tagger.head.weight)
    few, places = ner_scores.sample(whole, "test", 4)
    every = ner_tagger.tags_alone(tagger, whole, "test", config)
    assert ner_tagger.tags_alone(tagger, few, "test", config) == [every[at] for at in places]
    together = ner_tagger.predict(tagger, whole, "test", config).tags
    assert together != every, "a random head sees the neighbours"
    found = ner_scores.alone(whole, "test", together, every)
    f1 = [
        ner_scores.metrics(whole, "test", tags)["test/entity_f1"].value
        for tags in (together, every)
    ]
    assert found["test/entity_f1_gain_of_document"].value == pytest.approx(f1[0] - f1[1])


def test_windows_never_exceed_the_model(tiny_bert):
    config = ner.Config.check(
        {
            "model": str(tiny_bert),
            "dataset": "tiny_ner",
            "transfer": "",
            "epochs": 1,
            "window_tokens": 5000,
        }
    )
    assert flow.run(config, ner.load_model(config), ner.load_data(config)).metrics


@pytest.mark.fault(
    20, "text of 100,000 words; an empty word, one of spaces, one of 10,000 characters",
    "every word gets a label",
)  # fmt: skip
def test_every_word_of_odd_texts_gets_scores(tiny_bert):
    config = ner.Config.check({"model": str(tiny_bert), "dataset": "tiny_ner"})
    tagger = TokenClassifier(ner.load_model(config), ["O", "B-LOC", "I-LOC"])
    sentences = [["Tarvik"] * 100_000, ["", " ", "\u200b"], ["x" * 10_000], ["one"]]
    scores = tag_scores(tagger, sentences, [0, 0, 0, 1], window_tokens=40, dtype=torch.float32)
    assert [score.shape for score in scores] == [(len(words), 3) for words in sentences]
    assert all(np.isfinite(score).all() for score in scores)


def cut_off() -> list[str]:
    """A command that runs what follows without any network, or nothing where that can't be had."""
    command = ["unshare", "--net", "--map-root-user"]
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return command


@pytest.mark.skipif(not cut_off(), reason="needs unshare and user namespaces (Linux)")
def test_everything_works_with_the_network_cut(reports, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.txt").write_text("Ada B-PER\nBerg I-PER\nruns O\n\nTarvik B-LOC\n")
    settings = ["--set", f"dataset={tmp_path}", "--set", "epochs=1", "--set", "transfer="]
    done = subprocess.run(
        [*cut_off(), sys.executable, "-m", "workbench", "run", "ner", *settings],
        cwd=paths.ROOT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (reports / "index.html").exists()


def test_parts_without_an_entity_to_find_have_no_score():
    loaded = data.load("tiny_ner")
    turned = {"PER": "LOC", "LOC": "ORG", "ORG": "MISC", "MISC": "PER"}
    predicted = [
        [tag[:2] + turned[tag[2:]] if tag != "O" else tag for tag in tags]
        for tags in loaded.splits["test"]["ner_tags"]
    ]
    parts = tag_errors.study(loaded, predicted)["parts"]
    assert min(row["f1"]["n"] for row in parts) > 0
    assert "seen as another type" not in {row["part"] for row in parts}
