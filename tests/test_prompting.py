"""The prompting task: prompts, answers, calibration, and every number from what is kept of it."""

import copy
import dataclasses
import json
import re
from collections import Counter

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from workbench import cli, figures, flow, tables, tasks
from workbench.core import paths
from workbench.core.errors import DataError, ParameterError
from workbench.data import entities, ner
from workbench.decoding import score
from workbench.methods import asking, estimates, prompt_record, prompt_scores, prompts
from workbench.methods import shots as prompt_shots
from workbench.methods.calibration import CONTENT_FREE, calibrate, ensemble, normalise
from workbench.methods.classifiers import labelled
from workbench.methods.prompt_scores import Asked, Draw
from workbench.methods.prompts import draw, fitting
from workbench.methods.templates import Chat, Template
from workbench.record.result import Metric
from workbench.tasks.prompting import methods as prompt_methods
from workbench.tasks.prompting import parsing, shot_attention
from workbench.tasks.prompting import run as prompting
from workbench.tasks.prompting.answers import parse, vote
from workbench.tasks.prompting.figures import _fractions as label_fractions

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
def models(tiny_bert, varied_decoder_folder):
    """Tiny models of fixed weights: what follows from what they answer follows from any."""
    values = {"model": str(varied_decoder_folder), "encoder": str(tiny_bert)}
    return prompting.load_model(prompting.Config.check(values))


@pytest.fixture(scope="module")
def result(models):
    config = prompting.Config.check(tasks.TASKS["prompting"].SMOKE)
    return flow.run(config, models, prompting.load_data(config))


def answers(result, method):
    rows = result.items[result.items["method"] == method]
    return [gold[0] for gold in rows["gold"]], [found[0] for found in rows["predicted"]]


@pytest.mark.parametrize("method", METHODS)
def test_every_score_follows_from_the_items(result, method):
    gold, predicted = answers(result, method)
    found = result.metrics if method == OWN else result.baselines[method]
    assert result.method == OWN
    assert found["test/accuracy"].value == pytest.approx(accuracy_score(gold, predicted))
    there = [label for label in SENTIMENTS if label in {*gold, *predicted}]
    assert found["test/macro_f1"].value == pytest.approx(
        f1_score(gold, predicted, labels=there, average="macro", zero_division=0)
    )
    assert found["test/accuracy"].n == len(gold) == tasks.TASKS["prompting"].SMOKE["items"]
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
        if method.startswith("zero-shot"):
            assert difference.low is None, "one draw of examples tells nothing of their number"
        else:
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
    assert body.count('<th scope="col">bound</th>') == 1
    best = [found["oracle"] for (shots, *_), found in prompts.items() if shots == "1 shot"]
    assert f"would bring them to {np.mean(best):.3f}" in figures.prompt_spread(result).caption


def test_unparsed_answers_are_counted_and_never_labels(result):
    gold, predicted = answers(result, "generation")
    found = result.baselines["generation"]
    parsed = [(g, p) for g, p in zip(gold, predicted, strict=True) if p != "unparsed"]
    assert 0 < len(parsed) < len(gold), "the tiny decoder writes some of each"
    assert found["test/unparsed"].value == pytest.approx(1 - len(parsed) / len(gold))
    right = np.mean([g == p for g, p in parsed])
    assert found["test/accuracy_parsed"].value == pytest.approx(right)
    assert found["test/accuracy_parsed"].n == len(parsed)
    lost = result.data_issues["unparsed_answers"]
    fractions = [scores["unparsed"]["value"] for scores in result.tables["answers"].values()]
    assert lost.of == 3 * len(gold)
    assert lost.count == pytest.approx(sum(fractions) * len(gold))
    assert sum(count for _, count in result.tables["unparsed"]) <= lost.count


def test_where_no_answer_names_a_label_there_is_no_accuracy_of_the_parsed():
    rows = {"label": ["positive", "neutral"], "cluster": ["0", "1"]}
    found = parsing.scores(["unparsed"] * 2, rows, list(SENTIMENTS), "texts")
    assert {name: metric.value for name, metric in found.items()} == {"accuracy": 0, "unparsed": 1}


REAL = """
templates:
  question: {question: "{text}\\nQuestion: Is the sentiment of this text {labels}?\\nAnswer:"}
"""


def test_the_real_models_know_something_of_sentiments(monkeypatch, tmp_path):
    """By one wording, with few texts to calibrate by, which take most of the time."""
    (tmp_path / "own.yaml").write_text(REAL)
    values = {"items": 12, "prompts": str(tmp_path / "own.yaml"), "precision": "float32"}
    found = small(prompting.load_model(prompting.Config()), values, monkeypatch)
    assert set(found.baselines) | {found.method} == set(METHODS)
    (scores,) = found.tables["answers"].values()
    assert scores["unparsed"]["value"] <= 0.25, "asked in a chat it answers with the labels' words"
    assert scores["accuracy"]["value"] > 1 / 3
    assert found.baselines["fine-tuned encoder"]["test/accuracy"].value > 1 / 3


def test_each_score_is_of_its_own_text_and_batch_calibration_of_validation_texts(models):
    config = prompting.Config.check(tasks.TASKS["prompting"].SMOKE)
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
        prompt_scores.score(asked, [Draw()]), asked.prompts.templates, strict=True
    ):
        fields = {
            "items": asked.items,
            "sample": asked.sample,
            "content_free": [asked.prompts.same(value) for value in CONTENT_FREE],
        }
        for part, given in fields.items():
            alone = score.log_likelihoods(
                models.decoder,
                [template.fill([], each) for each in given],
                asked.prompts.answers(template),
                dtype=asked.dtype,
            )
            assert getattr(scored, part) == pytest.approx(alone.sums, abs=1e-3)
        by_hand = np.exp(normalise(scored.items)) / np.exp(normalise(scored.sample)).mean(0)
        calibrated = np.exp(scored.scores("batch"))
        assert calibrated == pytest.approx(by_hand / by_hand.sum(1, keepdims=True))


def asked_by(models, tokenizer=None, labels=("good", "bad")):
    """The prompts for a decoder whose tokenizer is replaced."""
    decoder = models.decoder
    if tokenizer is not None:
        decoder = copy.copy(decoder)
        decoder.tokenizer = tokenizer
    return prompts.load("tiny_reviews", list(labels), decoder, 50)


def test_answers_are_written_in_a_chat_where_the_model_has_one_and_labels_are_named(models):
    found = asked_by(models)
    assert found.by_chat
    for plain, chat in zip(found.templates, found.written, strict=True):
        text = chat.fill([], found.same("Nice {x} place"))
        assert "<|im_start|>assistant" in text
        assert "Nice {x} place" in text
        assert text.count("good or bad") == max(
            1, plain.fill([], found.same("")).count("good or bad")
        )
        assert "<|im_start|>" not in plain.fill([], found.same("")), "scored as plain text"


def test_without_a_chat_template_answers_are_written_after_plain_text(models):
    tokenizer = copy.deepcopy(models.decoder.tokenizer)
    tokenizer.chat_template = None
    found = asked_by(models, tokenizer)
    assert not found.by_chat
    assert found.written == found.templates


def test_a_chat_without_a_systems_turn_gets_the_instruction_from_the_user(models):
    tokenizer = copy.deepcopy(models.decoder.tokenizer)
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}"
        "{% endif %}<{{ m.role }}>{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    found = asked_by(models, tokenizer)
    assert found.by_chat
    for chat in found.written:
        text = chat.fill([], found.same("Nice"))
        assert text.startswith("<user>")
        assert text.endswith("<assistant>")
        assert "good or bad" in text


def test_labels_without_an_example_are_counted(models):
    found = asked_by(models, labels=[f"kind {n}" for n in range(77)])
    asked = Asked(models.decoder, found, [], [], torch.float32)
    shots = [({"text": "x"}, "kind 1"), ({"text": "y"}, "kind 2"), ({"text": "z"}, "kind 2")]
    lost = prompt_shots.labels_not_shown(asked, [Draw(), Draw(shots), Draw(shots[:1], 1)])
    assert (lost.count, lost.of) == (75 + 76, 2 * 77)


def test_one_draw_of_examples_gives_no_verdict_on_their_number():
    sure = Metric(value=0.1, low=0.05, high=0.15, n=100, how="bootstrap")
    others = ["zero-shot + batch", "1 shot", "4 shots", "4 nearest shots", "majority", "generation"]
    found = {name: {"test/accuracy": sure} for name in others}
    one = prompt_shots.without_verdicts_on_shots(found, "4 shots + batch", draws=1)
    verdicts = {name: metrics["test/accuracy"].verdict for name, metrics in one.items()}
    assert verdicts == {
        "zero-shot + batch": "cannot tell", "1 shot": "cannot tell", "4 shots": "better",
        "4 nearest shots": "cannot tell", "majority": "better", "generation": "better",
    }  # fmt: skip
    assert "one draw of examples" in one["1 shot"]["test/accuracy"].how
    assert prompt_shots.without_verdicts_on_shots(found, "4 shots + batch", draws=2) == found


def test_scoring_is_estimated_before_it_starts_and_the_tokens_are_right(
    models, capsys, monkeypatch
):
    config = prompting.Config.check(tasks.TASKS["prompting"].SMOKE)
    data = prompting.load_data(config)
    asked, _ = prompt_methods.ask(config, models.decoder, data)
    train = labelled(data, "train").first(config.train_texts)
    drawn = prompt_methods.draw(config, asked, data, train, models.encoder)
    assert estimates.scoring(asked, drawn) is None, "too little to be worth it"
    monkeypatch.setattr(estimates, "WORTH_TOKENS", 1)
    capsys.readouterr()
    assert estimates.scoring(asked, drawn) > 0
    said = capsys.readouterr().out
    tokens = int(re.search(r"([\d,]+) tokens, about", said)[1].replace(",", ""))
    texts = [*asked.items, *asked.sample]
    whole = sum(
        len(models.decoder.encode(template.fill(one.shots, each)))
        for one in drawn for template in asked.prompts.templates for each in texts
    )  # fmt: skip
    assert "MiB" in said
    assert 0.3 * whole < tokens < 1.5 * whole, "what examples share is read once"


def test_labels_beyond_the_colours_are_shown_as_others(result):
    given = {"a": Counter({str(place): 2 for place in range(8)}), "b": Counter({"0": 16})}
    fractions = label_fractions(given, 16)
    assert list(fractions) == ["0", "1", "2", "3", "4", "5", "all others"]
    assert fractions["all others"].tolist() == [0.25, 0]
    assert sum(fractions.values()).tolist() == [1, 1]
    items = result.items.copy()
    items["predicted"] = [[f"label {place % 9}"] for place in range(len(items))]
    figure = figures.label_fractions(result.model_copy(update={"items": items}))
    assert figure.png.startswith(b"\x89PNG")


def test_figures_and_tables_say_what_the_numbers_say(result):
    drawn = (figures.prompt_spread, figures.label_fractions, figures.shot_attention)
    for figure in (chart(result) for chart in drawn):
        assert figure.png.startswith(b"\x89PNG")
        assert figure.caption.endswith(".")
    assert f"they reach {result.metrics['test/accuracy']}." in figures.prompt_spread(result).caption
    gold, raw = (answers(result, "1 shot")[side] for side in (0, 1))
    label = max(SENTIMENTS, key=lambda name: raw.count(name) - gold.count(name))
    assert f"As scored, {label} is given for {raw.count(label) / 12:.0%} of the items" in (
        figures.label_fractions(result).caption
    )
    assert "batch on test" in tables.prompts(result).body
    chat, plain = "asked in a chat, by its tokenizer's chat template", "by the same plain text as"
    assert result.tables["written_by_chat"] is True
    for by_chat, said, unsaid in ((True, chat, plain), (False, plain, chat)):
        other = {"tables": {**result.tables, "written_by_chat": by_chat}}
        body = tables.answers(result.model_copy(update=other)).body
        words = BeautifulSoup(body, "html.parser").get_text()
        assert said in words
        assert unsaid not in words
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
    assert f">{own.value:.3f}<" in second, "of so few items of each label without an interval"
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
        ("The sentiment of this tweet is neutral. The user feels positive.", "neutral"),
        ("Positive! It is not negative.", "positive"),
        ("positive, not negative. Or is it?", "unparsed"),
        ("The answer is:\nneutral. Not positive.", "neutral"),
        ("This text is neutral, as it presents a fact", "neutral"),
        ("This text is positive, neutral, and more", "unparsed"),
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
    monkeypatch.setattr(models.decoder.network.config, "max_position_embeddings", 120)
    found = prompts.load("tiny_reviews", ["x", "y"], models.decoder, 96)
    fields, cut = found.fields(models.decoder, "word " * 200)
    assert cut
    assert 1 <= len(models.decoder.encode(fields["text"])) == found.max_tokens < 96
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
    lost = data.data_issues["repeated"].count + data.data_issues["contradicting"].count
    assert len(texts) + lost == total


def test_contradicting_and_repeated_entities_are_dropped_and_counted(tmp_path):
    same = "Ada B-PER\nran O\n\n"
    for split, more in (("train", "Ada B-ORG\nsat O\n"), ("validation", "Ada B-PER\nsat O\n")):
        (tmp_path / f"{split}.txt").write_text(f"{same}{more}\nOslo B-LOC\n{split} O\n")
    (tmp_path / "test.txt").write_text(f"{same}« O\nOslo B-LOC\n» O\n")
    data = entities.load(str(tmp_path))
    assert entities.is_tagged(str(tmp_path))
    assert data.data_issues["contradicting"].count == 2
    assert data.data_issues["repeated"].count == 2
    assert sorted(data.splits["test"]["text"]) == ['" «Oslo» "', "«Ada» ran"]


def test_a_split_without_entities_is_one_clear_error(tmp_path):
    for split in ("train", "validation", "test"):
        words = "Oslo B-LOC\nran O\n\nAda B-PER\n" if split == "train" else "Ada B-PER\nsat O\n"
        (tmp_path / f"{split}.txt").write_text(words)
    with pytest.raises(DataError, match=r"validation split \(4 entities; dropped: 1 rep"):
        entities.load(str(tmp_path))


def small(models, config, monkeypatch):
    """Run with few texts to calibrate by, which take most of the time."""
    monkeypatch.setattr(asking, "SAMPLE_TEXTS", 3)
    monkeypatch.setattr(prompt_methods, "EPOCHS", 1)
    config = prompting.Config.check({**tasks.TASKS["prompting"].SMOKE, "train_texts": 16, **config})
    return flow.run(config, models, prompting.load_data(config))


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
    assert result.data_issues["cut_prompts"].count == 3
    assert result.data_issues["long_texts"].count == 16 + 3
    assert result.data_issues["cut_texts"].count == 16 + 3
    assert set(result.tables["methods"]) == {"zero-shot + batch", *result.baselines}
    assert figures.prompt_spread(result).caption
    assert figures.label_fractions(result).caption


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
    config = prompting.Config.check(tasks.TASKS["prompting"].SMOKE)
    data = prompting.load_data(config)
    one = data.splits["train"].filter(lambda row: row["label"] == "neutral")
    same = dataclasses.replace(data, splits={**data.splits, "train": one})
    with pytest.raises(DataError, match="training texts all are 'neutral'"):
        flow.run(config, models, same)


def test_shots_are_kinds_each_once_the_first_the_own():
    config = prompting.Config.check({"shots": "16, 0, 04,4 nearest, 4"})
    assert config.shots == "16, 0, 4, 4 nearest"
    assert config.kinds == [(16, False), (0, False), (4, False), (4, True)]
    assert config.condition == "16 shots"
    assert config.brief == ["4 shots", "4 nearest shots"]
    assert (
        prompting.Config.check({"shots": 3}).shots == prompting.Config.parse({"shots": "3"}).shots
    )
    assert prompting.Config.check({"shots": "0"}).condition == "zero-shot"
    assert prompting.Config.check({"shots": "0, 4"}).condition == "zero-shot"
    assert prompting.Config.check({"shots": "0, 4"}).brief == ["4 shots"]
    for wrong in ("", "65", "four", "4 near", "-1", "1.5", "0 nearest", True):
        with pytest.raises(ParameterError, match="shots="):
            prompting.Config.check({"shots": wrong})


OWN_PROMPTS = """
words: {negative: bad, positive: good}
templates:
  plain: {question: "{text} I find that"}
  chat: {instruction: "Say {labels}.", question: "{text}", chat: true}
"""


@pytest.fixture(scope="module")
def axes(models, tmp_path_factory):
    """A run with kinds of shots side by side, by wordings of one's own, one of them a chat."""
    folder = tmp_path_factory.mktemp("axes")
    (folder / "own.yaml").write_text(OWN_PROMPTS)
    changes = {
        "shots": "2, 3 nearest, 1",
        "shot_seeds": 2,
        "items": 5,
        "prompts": str(folder / "own.yaml"),
        "precision": "float32",
    }
    config = prompting.Config.check({**tasks.TASKS["prompting"].SMOKE, **changes})
    config._directory = folder / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "SAMPLE_TEXTS", 3)
        patch.setattr(prompt_methods, "EPOCHS", 1)
        data = prompting.load_data(config)
        return config, data, flow.run(config, models, data)


def test_kinds_of_shots_stand_side_by_side(axes):
    _, _, result = axes
    found = {(row["condition"], row["template"], row["shot_seed"], row["shots"])
             for row in result.tables["prompts"]}  # fmt: skip
    by_draw = {("2 shots", seed, 2) for seed in (0, 1)} | {("1 shot", seed, 1) for seed in (0, 1)}
    kinds = {("zero-shot", 0, 0), ("3 nearest shots", 0, 3), *by_draw}
    assert found == {(name, way, seed, count) for name, seed, count in kinds
                     for way in ("plain", "chat")}  # fmt: skip
    assert result.method == "2 shots + batch"
    methods = {result.method, *result.baselines}
    assert methods == set(result.tables["methods"]) | {"generation", "constrained generation"}
    assert {name for name in methods if "1 shot" in name} == {"1 shot", "1 shot + batch"}
    assert "3 nearest shots + PMI" not in methods
    figure = figures.accuracy_by_shots(result)
    values = [row["accuracy"]["value"] for row in result.tables["prompts"]
              if (row["condition"], row["variant"]) == ("1 shot", "batch")]  # fmt: skip
    assert f"1 shot {np.mean(values):.3f} (sd {np.std(values, ddof=1):.3f})" in figure.caption
    assert "nearest" in tables.priors(result).body
    assert "leave no empty input" in tables.prompts(result).body
    assert figures.shot_attention(result).png


def test_every_prompt_of_a_run_is_kept_and_is_what_was_scored(axes, models, capsys, monkeypatch):
    config, data, result = axes
    lines = list(prompt_record.read(config.directory))
    assert len(lines) == 5 * 2 * (1 + 1 + 2 + 2)
    words = ["bad", "neutral", "good"]
    assert list(data.labels) == ["negative", "neutral", "positive"]
    train = dict(zip(data.splits["train"]["text"], data.splits["train"]["label"], strict=True))
    item = data.splits["test"][0]
    own = {(line["shots"], line["template"], line["draw"]): line["prompt"] for line in lines
           if line["item"] == item["item"]}  # fmt: skip
    assert own["zero-shot", "plain", 1] == f"{item['text']} I find that"
    assert own["zero-shot", "chat", 1] == (
        "<|im_start|>system\nSay bad, neutral or good.<|im_end|>\n"
        f"<|im_start|>user\n{item['text']}<|im_end|>\n<|im_start|>assistant\n"
    )
    first, second, last = own["2 shots", "plain", 2].split("\n\n")
    assert last == own["zero-shot", "plain", 1]
    for part in (first, second):
        text, _, word = part.partition(" I find that ")
        assert words[data.labels.index(train[text])] == word
    shown = result.tables["prompt"]
    assert shown["prompt"] == own["2 shots", "plain", 1]
    scored = score.log_likelihoods(
        models.decoder, [shown["prompt"]], [f" {word}" for word in words], dtype=torch.float32
    )
    assert [*shown["scores"]] == [f" {word}" for word in words]
    assert [*shown["scores"].values()] == pytest.approx(np.exp(normalise(scored.sums))[0], abs=1e-3)
    assert "I find that" in tables.exact_prompt(result).body
    monkeypatch.setenv(paths.SHELL, "")  # which a command sets
    capsys.readouterr()
    assert cli.main(["prompts", str(config.directory), item["item"]]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["prompt"] for line in printed] == [*own.values()]
    assert cli.main(["prompts", str(config.directory), "no such item"]) == 3
    assert "has no item 'no such item'" in capsys.readouterr().err


def test_a_chat_is_answered_by_the_word_alone(models, tmp_path):
    (tmp_path / "own.yaml").write_text(OWN_PROMPTS)
    labels = ["negative", "neutral", "positive"]
    found = prompts.load(
        "tiny_reviews", labels, models.decoder, 50, file=str(tmp_path / "own.yaml")
    )
    plain, chat = found.templates
    assert found.answers(plain) == [" bad", " neutral", " good"]
    assert found.answers(chat) == ["bad", "neutral", "good"]
    assert [found.label_of(answer) for answer in (" good", "good")] == ["positive", "positive"]
    filled = chat.fill([({"text": "It {works}"}, "good")], {"text": "It broke"})
    assert filled.endswith(
        "<|im_start|>user\nIt {works}<|im_end|>\n<|im_start|>assistant\ngood<|im_end|>\n"
        "<|im_start|>user\nIt broke<|im_end|>\n<|im_start|>assistant\n"
    )
    ids = models.decoder.encode(filled)
    assert ids.count(models.decoder.tokenizer.convert_tokens_to_ids("<|im_start|>")) == 5


def test_nearest_shots_are_of_each_text_and_the_farthest_leave_first(models, monkeypatch):
    config = prompting.Config.check(
        {**tasks.TASKS["prompting"].SMOKE, "shots": "3 nearest", "items": 4}
    )
    data = prompting.load_data(config)
    asked, _ = prompt_methods.ask(config, models.decoder, data)
    train = prompt_methods.labelled(data, "train")
    own = data.splits["test"]["text"][0]
    same = dataclasses.replace(train, texts=[*train.texts[:-1], own])
    _, near = prompt_methods.draw(config, asked, data, same, models.encoder)
    found = prompt_scores.score(asked, [near])
    for template, one in zip(asked.prompts.templates, found, strict=True):
        for place, fields in enumerate(asked.items):
            assert one.contexts[place] == template.fill(near.own[place], fields)
    long = max(len(models.decoder.encode(text)) for one in found for text in one.contexts)
    spare = asked.prompts.new_tokens + prompts.SPARE_TOKENS
    monkeypatch.setattr(models.decoder.network.config, "max_position_embeddings", long + spare - 1)
    short = prompt_scores.score(asked, [near])
    assert max(one.dropped_shots for one in short) == 1
    assert any(one.contexts[0] == template.fill(near.own[0][1:], asked.items[0])
               for template, one in zip(asked.prompts.templates, short, strict=True))  # fmt: skip
    assert near.seconds > 0
    assert len(near.own) == len(asked.items) + len(asked.sample)
    assert near.own[0][-1][0] == asked.items[0], "the text itself is the nearest, and the last"
    assert near.kept(1).own[0] == [near.own[0][-1]]
    assert near.kept(0).of(0) == []
    with pytest.raises(ParameterError, match="64 nearest shots, but only 30"):
        few = dataclasses.replace(train, texts=train.texts[:30], labels=train.labels[:30])
        reading = prompt_methods.Reading(config.max_tokens, torch.float32)
        prompt_shots.nearest(asked, few, [own], models.encoder, reading, 64)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("templates: {a: {question: 'no field'}}", "question is 'no field'"),
        ("templates: {a: {question: '{text} {mood}'}}", "fields of {text}, {labels}"),
        ("templates: {a: {question: '{text} {'}}", "double a brace"),
        ("templates: {a: {question: '{text}: '}}", "no space at the end"),
        ("templates: {a: {question: '{text}', channel: '{label} {text}'}}", "templates.a.channel"),
        ("templates: {a: {question: '{text:d}'}}", "question is '{text:d}'"),
        ("templates: {a: {question: '{text} {labels!s}'}}", "question is"),
        ("templates: {a: {instruction: 'Is it {text}?', question: '{text}'}}", "instruction is"),
        ("templates: {a: {wording: '{text}'}}", "own.yaml:1: templates.a.question: Field required"),
        ("templates: {a: {question: '{text}', chat: yes please}}", "own.yaml:1: templates.a.chat"),
        ("templates: {vote: {question: '{text}'}}", "can't be called 'vote'"),
        ("templates: {}", "templates: Dictionary should have at least 1 item"),
        ("- {text}", "Input should be"),
        ("words: {x: y}\ntemplates: {a: {question: '{text}'}}", "words has 'x'"),
        ("words: {a: ''}\ntemplates: {a: {question: '{text}'}}", "is no word"),
        ("words: {a: b}\ntemplates: {a: {question: '{text}'}}", "a word of its own"),
        ("words: {0: b}\ntemplates: {a: {question: '{text}'}}", "in quotes"),
        ("templates: {a: {question: '{text}'}, a: {question: 'Q {text}'}}", "own.yaml:1"),
        ("templates: [", "own.yaml"),
    ],
)
def test_a_file_of_prompts_that_is_none_is_one_clear_error(models, tmp_path, text, says):
    file = tmp_path / "own.yaml"
    file.write_text(text)
    with pytest.raises(ParameterError) as caught:
        prompts.load("tiny_reviews", ["a", "b"], models.decoder, 50, file=str(file))
    assert says in str(caught.value)


def test_a_chat_goes_as_its_model_has_it(models, monkeypatch):
    tokenizer = models.decoder.tokenizer
    monkeypatch.setattr(
        tokenizer,
        "chat_template",
        "{{ bos_token }}{% for turn in messages %}{% if turn.role == 'assistant' %} {{ turn.content"
        " }}</s>{% else %}[INST] {{ turn.content }} [/INST]{% endif %}{% endfor %}",
    )
    chat = Chat(tokenizer, "tiny", tokenizer.bos_token)
    template = Template("x", "", "{text}", chat=chat)
    shots = [({"text": "in"}, "st")]
    assert template.fill(shots, {"text": "[I"}) == "[INST] in [/INST] st</s>[INST] [I [/INST]"
    assert template.joint == " "
    turns = [{"role": "user", "content": "a"}]
    assert Chat(tokenizer, "tiny", "").render(turns) == f"{tokenizer.bos_token}[INST] a [/INST]"
    parts = [
        (part.name, part.text) for part in shot_attention._parts(template, shots, {"text": "[I"})
    ]
    assert parts == [
        ("between", "[INST] "), ("text 1", "in"), ("between", " [/INST] "), ("label 1", "st"),
        ("between", "</s>[INST] "), ("question", "[I"), ("between", " [/INST]"),
    ]  # fmt: skip


def test_the_file_of_the_documentation_is_one(models, tmp_path):
    text = (paths.ROOT / "docs" / "add_a_dataset.md").read_text(encoding="utf-8")
    (tmp_path / "own.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    file = str(tmp_path / "own.yaml")
    found = prompts.load("tiny_reviews", ["pos", "neg"], models.decoder, 50, file=file)
    assert [template.name for template in found.templates] == ["plain", "chat"]
    assert "positive or negative" in found.templates[1].fill([], {"text": "It works"})


def test_a_model_without_a_chat_template_is_one_clear_error(models, tmp_path, monkeypatch):
    (tmp_path / "own.yaml").write_text("templates: {a: {question: '{text}', chat: true}}")
    monkeypatch.setattr(models.decoder.tokenizer, "chat_template", None)
    with pytest.raises(ParameterError, match="can't be asked by chat"):
        prompts.load(
            "tiny_reviews", ["a", "b"], models.decoder, 50, file=str(tmp_path / "own.yaml")
        )


def test_prompts_of_the_file_name_data_sets_that_there_are():
    import yaml

    found = set(yaml.safe_load((paths.PACKAGE / "methods" / "prompts.yaml").read_text()))
    assert found == {"brand_tweets", prompts.ENTITIES, prompts.ANY_TEXTS, prompts.CHOICES}
