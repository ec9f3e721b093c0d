"""The prompting task: prompts, answers, calibration, and every number from what is kept of it."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from workbench import figures, paths, scoring, tables
from workbench.data import entities, ner
from workbench.errors import DataError, ParameterError
from workbench.figures.prompting import _shares as label_shares
from workbench.tasks import prompt_methods, prompt_scores, prompting, prompts
from workbench.tasks.answers import parse, vote
from workbench.tasks.calibration import CONTENT_FREE, calibrate, ensemble, normalise
from workbench.tasks.prompts import Template, draw, fitting

SENTIMENTS = {"negative": "negative", "neutral": "neutral", "positive": "positive"}
OWN = "1 shot + batch"
METHODS = (
    "zero-shot", "zero-shot + PMI", "zero-shot + contextual", "zero-shot + batch",
    "zero-shot + batch on test",
    "1 shot", "1 shot + PMI", "1 shot + contextual", OWN, "1 shot + batch on test",
    "majority", "TF-IDF + logistic regression", "fine-tuned encoder", "generation",
    "constrained generation",
)  # fmt: skip


@pytest.fixture(scope="module")
def models():
    return prompting.load_model(prompting.Config())


@pytest.fixture(scope="module")
def result(models):
    config = prompting.Config.check(prompting.SMOKE)
    return prompting.run(config, models, prompting.load_data(config))


def answers(result, method):
    rows = result.items[result.items["method"] == method]
    return [gold[0] for gold in rows["gold"]], [found[0] for found in rows["predicted"]]


@pytest.mark.parametrize("method", METHODS)
def test_every_score_follows_from_the_items(result, method):
    gold, predicted = answers(result, method)
    found = result.metrics if method == OWN else result.baselines[method]
    assert result.method == OWN
    assert found["test/accuracy"].value == pytest.approx(accuracy_score(gold, predicted))
    assert found["test/macro_f1"].value == pytest.approx(
        f1_score(gold, predicted, labels=list(SENTIMENTS), average="macro", zero_division=0)
    )
    assert found["test/accuracy"].n == len(gold) == prompting.SMOKE["items"]
    if "unparsed" not in predicted:
        assert found["test/mcc"].value == pytest.approx(matthews_corrcoef(gold, predicted))


def test_differences_are_paired_on_the_same_items(result):
    gold, own = answers(result, OWN)
    for method in set(METHODS) - {OWN}:
        same, other = answers(result, method)
        assert same == gold
        difference = result.comparisons[method]["test/accuracy"]
        hits = [(a == g) - (b == g) for a, b, g in zip(own, other, gold, strict=True)]
        assert difference.value == pytest.approx(np.mean(hits))
        assert difference.low <= difference.value <= difference.high


def test_every_single_prompt_is_shown(result):
    shown = {
        (row["condition"], row["variant"], row["template"], row["shot_seed"])
        for row in result.tables["prompts"]
    }
    assert len(shown) == len(result.tables["prompts"]) == 2 * 6 * 3
    assert {template for *_, template, _ in shown} == {"fields", "instruction", "question"}


def test_no_offset_of_the_labels_beats_the_bound_that_is_shown(result):
    prompts = {}
    for row in result.tables["prompts"]:
        key = row["condition"], row["template"], row["shot_seed"]
        prompts.setdefault(key, {})[row["variant"]] = row["accuracy"]["value"]
    for accuracies in prompts.values():
        assert max(accuracies.values()) == accuracies["oracle"]
    body = tables.prompts(result).body
    assert body.count("<th>bound</th>") == 1
    best = [found["oracle"] for (shots, *_), found in prompts.items() if shots == "1 shot"]
    assert f"would bring them to {np.mean(best):.3f}" in figures.prompt_spread(result).caption


def test_unparsed_answers_are_counted_and_never_labels(result):
    gold, predicted = answers(result, "generation")
    found = result.baselines["generation"]
    parsed = [(g, p) for g, p in zip(gold, predicted, strict=True) if p != "unparsed"]
    assert found["test/unparsed"].value == pytest.approx(1 - len(parsed) / len(gold))
    assert found["test/accuracy_parsed"].value == pytest.approx(
        np.mean([g == p for g, p in parsed])
    )
    assert found["test/accuracy_parsed"].n == len(parsed)
    lost = result.losses["unparsed_answers"]
    shares = [scores["unparsed"]["value"] for scores in result.tables["answers"].values()]
    assert lost.of == 3 * len(gold)
    assert lost.count == pytest.approx(sum(shares) * len(gold))
    assert sum(count for _, count in result.tables["unparsed"]) <= lost.count


def test_each_score_is_of_its_own_text_and_batch_calibration_of_validation_texts(models):
    config = prompting.Config.check(prompting.SMOKE)
    data = prompting.load_data(config)
    asked, _ = prompt_methods.ask(config, models.decoder, data)
    asked = dataclasses.replace(
        asked, items=asked.items[:4], sample=asked.sample[:3], dtype=torch.float32
    )
    validation = data.splits["validation"]["text"][:3]
    assert [fields["text"] for fields in asked.sample] == [
        asked.prompts.fields(models.decoder, text)[0]["text"] for text in validation
    ]
    for scored, template in zip(
        prompt_scores.score(asked, [[]]), asked.prompts.templates, strict=True
    ):
        fields = {
            "items": asked.items,
            "sample": asked.sample,
            "content_free": [asked.prompts.same(value) for value in CONTENT_FREE],
        }
        for part, given in fields.items():
            alone = scoring.log_likelihoods(
                models.decoder,
                [template.fill([], each) for each in given],
                asked.prompts.answers,
                dtype=asked.dtype,
            )
            assert getattr(scored, part) == pytest.approx(alone.sums, abs=1e-3)
        by_hand = np.exp(normalise(scored.items)) / np.exp(normalise(scored.sample)).mean(0)
        calibrated = np.exp(scored.scores("batch"))
        assert calibrated == pytest.approx(by_hand / by_hand.sum(1, keepdims=True))


def test_labels_beyond_the_colours_are_shown_as_others(result):
    given = {"a": Counter({str(place): 2 for place in range(8)}), "b": Counter({"0": 16})}
    shares = label_shares(given, 16)
    assert list(shares) == ["0", "1", "2", "3", "4", "5", "all others"]
    assert shares["all others"].tolist() == [0.25, 0]
    assert sum(shares.values()).tolist() == [1, 1]
    items = result.items.copy()
    items["predicted"] = [[f"label {place % 9}"] for place in range(len(items))]
    figure = figures.label_shares(result.model_copy(update={"items": items}))
    assert figure.png.startswith(b"\x89PNG")


def test_figures_and_tables_say_what_the_numbers_say(result):
    drawn = (figures.prompt_spread, figures.label_shares, figures.shot_attention)
    for figure in (chart(result) for chart in drawn):
        assert figure.png.startswith(b"\x89PNG")
        assert figure.caption.endswith(".")
    assert f"they reach {result.metrics['test/accuracy']}." in figures.prompt_spread(result).caption
    gold, raw = (answers(result, "1 shot")[side] for side in (0, 1))
    label = max(SENTIMENTS, key=lambda name: raw.count(name) - gold.count(name))
    assert f"As scored, {label} is given for {raw.count(label) / 12:.0%} of the items" in (
        figures.label_shares(result).caption
    )
    assert "batch on test" in tables.prompts(result).body
    assert "none scored" in tables.traps(result).body
    body = tables.traps(result).body
    assert body.count("scores 1.00, where 0.00 of the answers are right") == 2
    assert "“half right, half garbage” scores 1.00, where 0.50 of the answers are right" in body
    assert "By “unread wrong” failing gains nothing." in body
    assert "drifts most" in tables.priors(result).body
    scores = tables.scores(result).body
    assert scores.count("<tr") == 1 + len(METHODS) + 1
    own = result.metrics["test/macro_f1"]
    first, second = scores.split("</tr>")[:2]
    assert first.index("test/accuracy") < first.index("test/macro_f1")
    assert OWN in second
    assert f">{own.value:.3f} <span>" in second
    harmful = {**result.tables, "unparsed": [("<script>alert(1)</script>", 3)]}
    body = tables.answers(result.model_copy(update={"tables": harmful})).body
    assert "<script>" not in body
    assert "&lt;script&gt;" in body


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        (" positive\n\nTweet: negative", "positive"),
        ("\n\n  **Negative**.", "negative"),
        ("The sentiment is: neutral", "neutral"),
        ("Answer: positive because of it", "positive"),
        ("a positive tweet", "positive"),
        ("The sentiment of this tweet is neutral.", "neutral"),
        ("The answer is:\n\nneutral\n\nTweet: negative", "neutral"),
        ("The answer is:\n", "unparsed"),
        ("Tweet:\npositive", "unparsed"),
        ("", "unparsed"),
        ("\n \n", "unparsed"),
        ("not negative", "unparsed"),
        ("positive or negative", "unparsed"),
        ("positively", "unparsed"),
        ("I think it is positive", "unparsed"),
        ("pos", "unparsed"),
    ],
)
def test_the_grammar_reads_labels_and_guesses_none(answer, label):
    assert parse(answer, SENTIMENTS) == label


def test_the_grammar_tells_labels_apart_that_share_words_or_have_signs():
    words = {"good": "good", "very good": "very good", "-1": "-1", "1": "1", "a b": "the best"}
    assert parse("very good!", words) == "very good"
    assert parse("good", words) == "good"
    assert parse("-1.", words) == "-1"
    assert parse("1", words) == "1"
    assert parse("the best", words) == "a b"
    assert parse("yes", {"Yes": "Yes", "yes": "yes"}) == "unparsed"
    assert vote(["a", "b", "a", "b"]) == "unparsed"


def test_calibration_makes_its_reference_say_nothing():
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(50, 3)) * 2 + [3, 0, -1]
    empty = scores[:1]
    assert np.exp(calibrate(empty, empty)) == pytest.approx(np.full((1, 3), 1 / 3))
    by_hand = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    by_hand /= by_hand.mean(0)
    assert (calibrate(scores, scores).argmax(1) == by_hand.argmax(1)).all()
    assert np.exp(normalise(scores)).sum(1) == pytest.approx(1)
    assert ensemble(np.stack([scores, scores])) == pytest.approx(normalise(scores))


def test_a_prompt_holds_instruction_shots_and_question_and_no_last_space():
    template = Template("x", "Say {a}.", "T: {text}\nL:")
    shots = [({"text": "{odd} braces"}, "yes")]
    prompt = template.fill(shots, {"text": "new"})
    assert prompt == "Say {a}.\n\nT: {odd} braces\nL: yes\n\nT: new\nL:"


def test_every_template_of_the_file_fills_and_ends_before_the_answer(models):
    for dataset, labels in (("brand_tweets", "a{b c"), ("tiny_ner", "xy"), ("tiny_reviews", "xy")):
        found = prompts.load(dataset, list(labels.split()), models.decoder, 50)
        assert len(found.templates) == 3
        for template in found.templates:
            filled = template.fill([], found.same("N/A"))
            assert "N/A" in filled
            assert filled == filled.rstrip()
            assert "{labels}" not in filled
    assert "an a{b" in prompts.load("tiny_reviews", ["an a{b", "c"], models.decoder, 50).templates[
        2
    ].fill([], {"text": "t"})


def test_shots_hold_each_label_about_as_often_and_differ_by_seed():
    labels = ["x"] * 90 + ["y"] * 9 + ["z"]
    texts = [str(number) for number in range(100)]
    for seed in range(20):
        drawn = [labels[place] for place in draw(texts, labels, 6, str(seed))]
        assert drawn.count("z") == 1
        assert abs(drawn.count("x") - drawn.count("y")) <= 1
    assert draw(texts, labels, 6, "0") == draw(texts, labels, 6, "0") != draw(texts, labels, 6, "1")
    with pytest.raises(ParameterError, match="shots=5"):
        draw(texts[:4], labels[:4], 5, "0")


def test_a_prompt_too_long_loses_shots_first_and_then_text(models, monkeypatch):
    template = Template("x", "", "Text: {text}\nLabel:")
    shot, item = ({"text": "word " * 20}, "yes"), {"text": "word " * 10}
    counts = [
        fitting(models.decoder, template.fill, [shot] * 3, [item], room) for room in (200, 60, 5)
    ]
    assert counts == [3, 1, 0]
    monkeypatch.setattr(models.decoder.network.config, "max_position_embeddings", 60)
    found = prompts.load("tiny_reviews", ["x", "y"], models.decoder, 96)
    fields, cut = found.fields(models.decoder, "word " * 200)
    assert cut
    assert 1 <= len(models.decoder.encode(fields["text"])) == found.max_tokens < 60
    monkeypatch.setattr(models.decoder.network.config, "max_position_embeddings", 12)
    with pytest.raises(ParameterError, match="reads 12 tokens"):
        prompts.load("tiny_reviews", ["x", "y"], models.decoder, 96)


def test_entities_are_items_of_their_own_split_with_the_entity_marked():
    data, tagged = entities.load("tiny_ner"), ner.load("tiny_ner")
    assert data.unit == "documents"
    assert set(data.labels) == {"person", "organisation", "location", "other"}
    for split in data.splits:
        own = {" ".join(words) for words in tagged.splits[split]["tokens"]}
        for row in data.splits[split]:
            entity, sentence = entities.parts(row["text"])
            assert sentence in own
            assert f"«{entity}»" in row["text"]
        assert data.splits[split]["item"] == sorted(data.splits[split]["item"])
    texts = [text for split in data.splits.values() for text in split["text"]]
    assert len(texts) == len(set(texts))
    total = sum(tag.startswith("B-") for rows in tagged.splits.values()
                for tags in rows["ner_tags"] for tag in tags)  # fmt: skip
    lost = data.losses["repeated"].count + data.losses["contradicting"].count
    assert len(texts) + lost == total


def test_contradicting_and_repeated_entities_are_dropped_and_counted(tmp_path):
    same = "Ada B-PER\nran O\n\n"
    for split, more in (("train", "Ada B-ORG\nsat O\n"), ("validation", "Ada B-PER\nsat O\n")):
        (tmp_path / f"{split}.txt").write_text(f"{same}{more}\nOslo B-LOC\n{split} O\n")
    (tmp_path / "test.txt").write_text(f"{same}« O\nOslo B-LOC\n» O\n")
    data = entities.load(str(tmp_path))
    assert entities.is_tagged(str(tmp_path))
    assert data.losses["contradicting"].count == 2
    assert data.losses["repeated"].count == 2
    assert sorted(data.splits["test"]["text"]) == ['" «Oslo» "', "«Ada» ran"]


def small(models, config, monkeypatch):
    """Run with few texts to calibrate by, which take most of the time."""
    monkeypatch.setattr(prompt_methods, "SAMPLE_TEXTS", 3)
    monkeypatch.setattr(prompt_methods, "EPOCHS", 1)
    config = prompting.Config.check({**prompting.SMOKE, "train_texts": 16, **config})
    return prompting.run(config, models, prompting.load_data(config))


def test_entities_are_typed_with_documents_drawn_for_the_intervals(models, monkeypatch):
    result = small(models, {"dataset": "tiny_ner", "items": 6, "shots": 4}, monkeypatch)
    assert result.method == "4 shots + batch"
    metric = result.metrics["test/accuracy"]
    assert metric.n == 6
    assert "documents" in metric.how
    assert all("«" in row[0] for row in result.items["input"])


def long_table(folder):
    """A table of two labels, its texts of about 10,000 characters, with columns of other names."""
    file = folder / "own.csv"
    rows = [f"{number} {'bad good'.split()[number % 2]} {'word ' * 2000}" for number in range(60)]
    lines = [f'"{text}",{"-+"[number % 2]}' for number, text in enumerate(rows)]
    file.write_text("\n".join(["body,mark", *lines]), encoding="utf-8")
    return str(file)


def test_very_long_texts_of_the_users_are_cut_and_counted(models, monkeypatch, tmp_path):
    changes = {"dataset": long_table(tmp_path), "text_column": "body", "label_column": "mark"}
    result = small(models, {**changes, "items": 3, "shots": 0}, monkeypatch)
    assert result.method == "zero-shot + batch"
    assert result.losses["cut_prompts"].count == 3
    assert result.losses["cut_encoder"].count == 16 + 3
    assert set(result.tables["methods"]) == {"zero-shot + batch", *result.baselines}
    assert figures.prompt_spread(result).caption
    assert figures.label_shares(result).caption


def test_what_cannot_be_asked_is_one_clear_error(models, tmp_path):
    file = long_table(tmp_path)
    with pytest.raises(DataError, match="no column 'text'; its columns: body, mark"):
        prompting.load_data(prompting.Config.check({"dataset": file}))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match="is empty"):
        prompting.load_data(prompting.Config.check({"dataset": str(tmp_path / "empty.csv")}))
    (tmp_path / "one.csv").write_text("text,label\nfine,good\nnice,good\n")
    with pytest.raises(DataError, match="1 label only: good"):
        prompting.load_data(prompting.Config.check({"dataset": str(tmp_path / "one.csv")}))
    config = prompting.Config.check(prompting.SMOKE)
    data = prompting.load_data(config)
    one = data.splits["train"].filter(lambda row: row["label"] == "neutral")
    same = dataclasses.replace(data, splits={**data.splits, "train": one})
    with pytest.raises(DataError, match="training texts all are 'neutral'"):
        prompting.run(config, models, same)


def test_prompts_of_the_file_name_data_sets_that_there_are():
    import yaml

    found = set(yaml.safe_load((paths.PACKAGE / "tasks" / "prompts.yaml").read_text()))
    assert found == {"brand_tweets", prompts.ENTITIES, prompts.ANY_TEXTS, prompts.CHOICES}
