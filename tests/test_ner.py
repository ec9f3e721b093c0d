"""The named-entity task from data to record, and what is drawn from it."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from nervaluate import Evaluator
from sklearn.metrics import accuracy_score

from workbench import figures, paths, tables
from workbench.data import ner as data
from workbench.models.encoder import TokenClassifier
from workbench.result import Metric, Result
from workbench.tasks import ner, ner_scores
from workbench.tasks.tagging import tag_scores


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """The real encoder trained on a few sentences and tested on the same, fresh from the loop."""
    folder = tmp_path_factory.mktemp("same")
    for split in ("train", "validation", "test"):
        shutil.copy(paths.FIXTURES / "tiny_ner" / "train.txt", folder / f"{split}.txt")
    config = ner.Config.check(
        {"dataset": str(folder), "epochs": 12, "batch_pieces": 128, "window_pieces": 40}
    )
    loaded = ner.load_data(config)
    return ner.run(config, ner.load_model(config), loaded), loaded


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
    assert "29 sentences (fewer than 10 documents)" in result.metrics["test/entity_f1"].how
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
    pairs, kinds = figures.ner._aligned(
        result.model_copy().with_details(directory=None, items=rows, history=[])
    )
    assert pairs == {("PER", "ORG"): 1, ("LOC", "none"): 1, ("none", "LOC"): 1}
    assert kinds == ["LOC", "ORG", "PER"]


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
    assert ".981, not .973" in body
    weights = [values[3] for values in reference["rows"].values()][:9]
    scores = [values[2] for values in reference["rows"].values()][:9]
    assert np.average(scores, weights=weights) == pytest.approx(0.981, abs=0.0005)


def test_windows_never_exceed_the_model(tiny_bert):
    config = ner.Config.check(
        {"model": str(tiny_bert), "dataset": "tiny_ner", "epochs": 1, "window_pieces": 5000}
    )
    assert ner.run(config, ner.load_model(config), ner.load_data(config)).metrics


@pytest.mark.fault(
    20, "text of 100,000 words; an empty word, one of spaces, one of 10,000 characters",
    "every word gets a label",
)  # fmt: skip
def test_every_word_of_odd_texts_gets_scores(tiny_bert):
    config = ner.Config.check({"model": str(tiny_bert), "dataset": "tiny_ner"})
    tagger = TokenClassifier(ner.load_model(config), ["O", "B-LOC", "I-LOC"])
    sentences = [["Tarvik"] * 100_000, ["", " ", "\u200b"], ["x" * 10_000], ["one"]]
    scores = tag_scores(tagger, sentences, [0, 0, 0, 1], window_pieces=40, dtype=torch.float32)
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
def test_everything_works_with_the_network_cut(reports, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    settings = ["--set", "dataset=tiny_ner", "--set", "epochs=1"]
    done = subprocess.run(
        [*cut_off(), sys.executable, "-m", "workbench", "run", "ner", *settings],
        cwd=paths.ROOT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (reports / "index.html").exists()
