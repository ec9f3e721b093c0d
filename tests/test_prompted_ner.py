"""Entities by prompting: the grammar of answers, their places, shots, scores, and a whole run."""

import json

import numpy as np
import pytest
import torch
from nervaluate import Evaluator
from sklearn.metrics import accuracy_score

from workbench import figures, flow, tables, tasks
from workbench.core.errors import DataError, ParameterError
from workbench.data import ner as data
from workbench.decoding.generate import Written
from workbench.methods import prompt_record, tag_errors, tag_scores
from workbench.methods.embeddings import most_alike
from workbench.record.comparison import compare
from workbench.tasks.prompted_ner import answers as ner_answers
from workbench.tasks.prompted_ner import prompts
from workbench.tasks.prompted_ner import run as prompted_ner
from workbench.tasks.prompted_ner import scores as prompted_ner_scores
from workbench.tasks.prompted_ner.answers import (
    MatchOutcome,
    Mention,
    parse,
    place,
    tags_of,
    words_of,
    write,
)
from workbench.tasks.prompted_ner.scores import Read

KINDS = words_of(["LOC", "MISC", "ORG", "PER"])
FORMATS = ("lines", "json", "marked")
WORDS = "EU rejects German call , says EU official Jörg Weiß [ sic ]".split()


def named(answer, form, words=WORDS):
    """Type and string of each entity; None for an answer that is unparsed."""
    found = parse(answer, words, form, KINDS)
    return None if found is None else [(each.kind, each.text) for each in found]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("\nnone", []),
        (" None\n\nSentence: person: Ada", []),
        ("\nperson: Ada Berg", [("PER", "Ada Berg")]),
        ("\n Person :  Ada   Berg ;Tom;\nLOCATION:Oslo\n",
         [("PER", "Ada Berg"), ("PER", "Tom"), ("LOC", "Oslo")]),
        ("\nperson: none\nother: Open", [("MISC", "Open")]),
        ("\nperson: A\nlocation: A", [("PER", "A"), ("LOC", "A")]),
        ("\nperson: A\nperson: B", [("PER", "A"), ("PER", "B")]),
        ("\nperson: U.S. : north", [("PER", "U.S. : north")]),
        ("", None),
        ("\n\nperson: Ada", None),
        ("\nperson:", None),
        ("\nperson: A;; B", None),
        ("\nperson: A\nThat is all.", None),
        ("\nnone\nperson: A", None),
        ("\npeople: A", None),
        ("\nperson A", None),
    ],
)  # fmt: skip
def test_lines_are_read_by_the_grammar_or_not_at_all(answer, expected):
    assert named(answer, "lines") == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (" {}", []),
        (' {"person": []}', []),
        (' {"person": ["Ada", "Tom"], "Location": ["Oslo"]}\nmore',
         [("PER", "Ada"), ("PER", "Tom"), ("LOC", "Oslo")]),
        (r' {"person": ["J\u00f6rg"]}', [("PER", "Jörg")]),
        ("", None),
        (" []", None),
        (' ["Ada"]', None),
        (' {"person": ["Ada"', None),
        (' {"person": "Ada"}', None),
        (' {"person": {}}', None),
        (' {"person": [["Ada"]]}', None),
        (' {"person": [1]}', None),
        (' {"person": [" "]}', None),
        (' {"city": ["Oslo"]}', None),
        (' {"person": ["Ada"], "Person": ["Tom"]}', None),
        (' {"person": ["Ada"]} and more', None),
        ('\n{"person": ["Ada"]}', None),
        (" " + "[" * 100_000, None),
    ],
)  # fmt: skip
def test_json_is_read_by_the_grammar_or_not_at_all(answer, expected):
    assert named(answer, "json") == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (" EU rejects German call , says EU official Jörg Weiß [ sic ]", []),
        (" EU rejects German call, says [EU](Organisation) official [Jörg Weiß](person) [sic]\nx",
         [("ORG", "EU"), ("PER", "Jörg Weiß")]),
        (" EU rejects German call , says EU official Jörg Weiß", None),
        (" EU rejects German call , says [EU](organisation) official Jorg Weiß [ sic ]", None),
        (" EU rejects [German](people) call , says EU official Jörg Weiß [ sic ]", None),
        (" EU rejects [German] call , says EU official Jörg Weiß [ sic ]", None),
        (" EU []( other) rejects German call , says EU official Jörg Weiß [ sic ]", None),
        (" [](other)EU rejects German call , says EU official Jörg Weiß [ sic ]", None),
        ("", None),
    ],
)  # fmt: skip
def test_marked_sentences_are_read_where_they_are_the_sentence_or_not_at_all(answer, expected):
    assert named(answer, "marked") == expected


def placed(sentence, *strings, kind="LOC"):
    """Outcome and words of each string in a sentence."""
    outcomes = place(sentence.split(), [Mention(kind, text) for text in strings])
    return [(match.outcome, match.span[1:] if match.span else None) for match in outcomes]


def test_each_time_a_string_is_written_it_takes_its_next_place():
    oslo = "Oslo beat Oslo in Oslo"
    assert placed(oslo, "Oslo", "Oslo", "Oslo", "Oslo") == [
        ("exact", (0, 1)), ("exact", (2, 3)), ("exact", (4, 5)), ("repeated", None)
    ]  # fmt: skip
    outcomes = place(oslo.split(), [Mention("LOC", "Oslo")])
    assert outcomes == [
        MatchOutcome(Mention("LOC", "Oslo"), "exact", ("LOC", 0, 1), ambiguous=True)
    ]
    thrice = place(oslo.split(), [Mention("LOC", "Oslo")] * 3)
    assert not any(match.ambiguous for match in thrice)
    twice = place(oslo.split(), [Mention("LOC", "Oslo")] * 2)
    assert [match.ambiguous for match in twice] == [True, True]


def test_the_first_of_overlapping_entities_wins_and_free_places_are_looked_for():
    bank = "the Bank of China told China"
    assert placed(bank, "Bank of China", "China") == [("exact", (1, 4)), ("exact", (5, 6))]
    assert not place(bank.split(), [Mention("ORG", "Bank of China"), Mention("LOC", "China")])[
        1
    ].ambiguous
    assert placed(bank, "China", "Bank of China") == [("exact", (3, 4)), ("overlapping", None)]
    assert placed("New York", "New York", "York", "York") == [
        ("exact", (0, 2)), ("overlapping", None), ("overlapping", None)
    ]  # fmt: skip


def test_case_is_looked_away_from_only_where_nothing_fits_letter_for_letter():
    assert placed("CHINA and China", "China", "China") == [
        ("exact", (2, 3)),
        ("other_case", (0, 1)),
    ]
    assert placed("CHINA said", "China") == [("other_case", (0, 1))]
    assert placed("in STRASSE today", "Straße") == [("other_case", (1, 2))]
    assert placed("in Straße today", "STRASSE") == [("other_case", (1, 2))]
    # Half of an ß is no letter of the sentence.
    assert placed("ein ßa", "sa") == [("not_in_text", None)]
    assert placed("İzmir ve Oslo", "Oslo") == [("exact", (2, 3))]
    assert placed("İZMİR ve OSLO", "oslo") == [("other_case", (2, 3))]


def test_parts_of_words_and_strings_from_nowhere_are_dropped():
    assert placed("Manchester beat U.S. men", "Man", "U.S", "men", "Paris", "beat U.S. m") == [
        ("boundary", None), ("boundary", None), ("exact", (3, 4)), ("not_in_text", None),
        ("boundary", None),
    ]  # fmt: skip
    assert placed("( Oslo ) - Oslo-based", "Oslo", "Oslo", "( Oslo )") == [
        ("exact", (1, 2)), ("repeated", None), ("overlapping", None)
    ]  # fmt: skip
    assert placed("東京 と 大阪 。", "大阪", "東") == [("exact", (2, 3)), ("boundary", None)]
    assert placed("caf\u00e9 Oslo", "cafe\u0301") == [("not_in_text", None)]


def test_a_marked_answer_shows_which_words_it_means():
    answer = " Oslo beat [Oslo](location) in Os[lo](other)"
    found = parse(answer, "Oslo beat Oslo in Oslo".split(), "marked", KINDS)
    outcomes = place("Oslo beat Oslo in Oslo".split(), found)
    assert [(match.outcome, match.span) for match in outcomes] == [
        ("exact", ("LOC", 2, 3)), ("boundary", None)
    ]  # fmt: skip
    assert tags_of(outcomes, 5) == ["O", "O", "B-LOC", "O", "O"]


def test_words_with_space_in_them_keep_their_places():
    words = ["New\u00a0York", "", "and", "\u2028", "Oslo"]
    for form in FORMATS:
        tags = ["B-LOC", "O", "O", "O", "B-PER"]
        answer = write(words, tags, form, KINDS)
        assert tags_of(place(words, parse(answer, words, form, KINDS)), 5) == tags
    assert "\n" not in ner_answers.sentence(["a\nb", "c"])


@pytest.mark.parametrize(("form", "at_least"), [("lines", 0.998), ("json", 0.998), ("marked", 1)])
def test_gold_written_parsed_and_placed_is_gold_again(conll2003, form, at_least):
    """Of CoNLL-2003's test sentences, but where a string can't say which of its places it means."""
    rows = conll2003.splits["test"]
    same = unexplained = 0
    for words, tags in zip(rows["tokens"], rows["ner_tags"], strict=True):
        answer = write(words, tags, form, KINDS)
        named = parse(answer, words, form, KINDS)
        assert named is not None
        outcomes = place(words, named)
        again = tags_of(outcomes, len(words)) == list(tags)
        several = any(" ".join(words).count(each.text) > 1 for each in named)
        same += again
        unexplained += not again and not several
    assert same / len(rows) >= at_least
    assert not unexplained


def test_unknown_types_keep_their_names_and_types_of_one_word_are_told_apart():
    assert words_of(["geo-loc", "PER"]) == {"PER": "person", "geo-loc": "geo-loc"}
    assert words_of(["PER", "person"]) == {"PER": "PER", "person": "person"}


@pytest.fixture(scope="module")
def models():
    return prompted_ner.load_model(prompted_ner.Config())


@pytest.fixture(scope="module")
def whole(models, tmp_path_factory):
    """A run on a few real sentences; the run directory holds what was asked and written."""
    config = prompted_ner.Config.check(tasks.TASKS["prompted_ner"].SMOKE)
    config._directory = tmp_path_factory.mktemp("run")
    return flow.run(config, models, prompted_ner.load_data(config))


def lines_of(result):
    text = (result._directory / prompt_record.WRITTEN).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_scores_follow_from_the_items_by_another_library(whole):
    gold = [list(tags) for tags in whole.items["gold"]]
    found = [list(tags) for tags in whole.items["predicted"]]
    assert len(gold) == tasks.TASKS["prompted_ner"].SMOKE["items"]
    theirs = Evaluator(gold, found, tags=list(KINDS), loader="list").evaluate()["overall"]["strict"]
    placed = whole.metrics["test/entity_f1_placed_only"].value
    assert np.nan_to_num(theirs.f1) == pytest.approx(placed)
    # The headline counts what was written and has no place as wrong: gold, predicted, unplaced.
    none = sum(match["words"] is None for line in lines_of(whole) for match in line["strings"])
    wrong = 2 * theirs.correct / (theirs.possible + theirs.actual + none)
    assert whole.metrics["test/entity_f1"].value == pytest.approx(wrong)
    right = accuracy_score(sum(gold, []), sum(found, []))  # noqa: RUF017
    assert whole.metrics["test/token_accuracy"].value == pytest.approx(right)


def test_what_was_written_is_kept_and_read_again_to_the_same_tags(whole):
    kept = lines_of(whole)
    assert [line["item"] for line in kept] == list(whole.items["item"])
    for line, row in zip(kept, whole.items.itertuples(), strict=True):
        words = list(row.input)
        assert line["prompt"].endswith(f"Sentence: {' '.join(words)}\nNames:")
        parsed = None if line["problem"] else parse(line["answer"], words, "lines", KINDS)
        assert tags_of(place(words, parsed or []), len(words)) == list(row.predicted)
    problems = sum(bool(line["problem"]) for line in kept)
    assert whole.metrics["test/unparsed"].value == problems / len(kept)
    assert whole.data_issues["unparsed"].count + whole.data_issues["cut"].count == problems
    strings = [each for line in kept for each in line["strings"]]
    assert whole.data_issues["not_in_text"].of == len(strings)


def test_shots_are_training_sentences_with_their_gold(whole):
    train = data.load("tiny_ner").splits["train"]
    for line in lines_of(whole):
        assert len(line["shots"]) == 2
        for at in line["shots"]:
            row = train[at]
            answer = write(row["tokens"], row["ner_tags"], "lines", KINDS)
            assert f"Sentence: {' '.join(row['tokens'])}\nNames:{answer}\n\n" in line["prompt"]
        assert line["prompt"].count("Sentence: ") == 3


def test_the_same_items_as_a_taggers_can_be_compared(whole):
    loaded = data.load("tiny_ner")
    gold = list(loaded.splits["test"]["ner_tags"])
    theirs = whole.model_copy(update={"method": "fine-tuned"}).with_details(
        directory=None, items=tag_scores.items(loaded, "test", gold), history=[]
    )
    found = compare(whole, theirs)
    assert found.data_issues["only_a"].count == 0
    assert found.data_issues["only_b"].count == len(gold) - len(whole.items)
    assert found.measures["accuracy"].b.value == 1


def test_a_sample_of_items_is_the_same_in_any_run_and_grows():
    loaded = data.load("tiny_ner")
    few, small = tag_scores.sample(loaded, "test", 3)
    more, large = tag_scores.sample(loaded, "test", 6)
    assert set(small) < set(large)
    assert small == sorted(small)
    assert len(few.splits["train"]) == len(loaded.splits["train"])
    every = tag_scores.names(loaded, "test")
    assert tag_scores.names(more, "test", large) == [every[at] for at in large]
    assert tag_scores.sample(loaded, "test", 10**6)[1] == list(range(len(every)))


def reading(words, strings, problem=""):
    written = [Mention(kind, text) for kind, text in strings]
    return Read(words.split(), "", problem, place(words.split(), written), 5)


def test_untyped_and_dropped_views_and_differences_by_hand(tmp_path, models):
    lines = ["Ada B-PER\nran O\n", "in O\nOslo B-LOC\n", "Tom B-PER\nfell O\n"]
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.txt").write_text("\n".join(lines))
    loaded = data.load(str(tmp_path))
    read = [
        reading("Ada ran", [("PER", "Ada"), ("LOC", "Paris")]),
        reading("in Oslo", [("PER", "Oslo")]),
        reading("Tom fell", [], problem="unparsed"),
    ]
    config = prompted_ner.Config.check(
        {"dataset": str(tmp_path), "shot_choice": "random", "shots": 3}
    )
    asked = prompts.ask(config, models.decoder, None, loaded)
    found = prompted_ner_scores.scores(loaded, asked, read)
    tags, unplaced = [each.tags for each in read], [each.unplaced for each in read]
    assert unplaced == [["LOC"], [], []]
    every = tag_scores.metrics(loaded, "test", tags, unplaced=unplaced)
    own = every["test/entity_f1"].value
    assert own == pytest.approx(2 * 1 / (3 + 3)), "Paris is not in the sentence, and counts"
    assert every["test/entity_precision"].value == pytest.approx(1 / 3)
    assert every["test/entity_f1/LOC"].value == 0
    assert found.metrics["test/entity_f1_placed_only"].value == pytest.approx(2 * 1 / (2 + 3))
    assert found.metrics["test/entity_f1_any_type"].value == pytest.approx(2 * 2 / (3 + 3))
    errors = {row["kind"]: row for row in tag_errors.study(loaded, tags, None, unplaced)["errors"]}
    assert errors["not in the sentence"]["count"] == 1
    assert errors["not in the sentence"]["gain"]["value"] == pytest.approx(2 / 5 - 2 / 6)
    assert found.metrics["test/unparsed"].value == pytest.approx(1 / 3)
    # The shots are the whole training split here, and that is the test split.
    for name in ("lexicon", "lexicon of the shots"):
        assert found.baselines[name]["test/entity_f1"].value == 1
        assert found.comparisons[name]["test/entity_f1"].value == pytest.approx(own - 1)
    assert "disputed" not in tag_errors.study(loaded, tags)


def test_an_answer_that_was_cut_is_not_read(models):
    config = prompted_ner.Config.check({"dataset": "tiny_ner", "shots": 1, "max_tokens": 4})
    loaded, _ = tag_scores.sample(data.load("tiny_ner"), "test", 2)
    asked = prompts.ask(config, models.decoder, models.encoder, loaded)
    answers = [Written("\nnone", ended=True), Written("\nperson: Ada Berg; Tom", ended=False)]
    read = prompted_ner_scores.read(models.decoder, asked, answers, loaded)
    assert [each.problem for each in read] == ["", "cut"]
    assert not read[1].outcomes


def test_balanced_shots_take_the_types_in_turn():
    loaded = data.load("tiny_ner")
    train = loaded.splits["train"]
    order = list(range(len(train)))
    chosen = prompts.balanced(loaded, order, 5)
    kinds = [{tag[2:] for tag in train[at]["ner_tags"]} - {""} for at in chosen]
    for kind, found in zip([*loaded.types, ""], kinds, strict=True):
        assert kind in found or (not kind and not found)
    assert sorted(prompts.balanced(loaded, order, len(train))) == order


def test_nearest_shots_are_nearest_and_end_with_the_nearest(models):
    loaded = data.load("tiny_ner")
    texts = [" ".join(words) for words in loaded.splits["train"]["tokens"]]
    config = prompted_ner.Config.check({"dataset": "tiny_ner", "shots": 4, "precision": "float32"})
    asked = [texts[5], "who sails the ferry ?"]
    read = prompts._reader(config, models.encoder)
    chosen = most_alike(read, [*texts, texts[5]], asked, config.shots)
    assert chosen[0][-1] == 5, "of equal sentences the first"
    assert all(len(set(places)) == 4 for places in chosen)
    vectors = []
    for text in [*texts, asked[1]]:
        ids, _ = models.encoder.encode([text], 512)
        batch = torch.tensor(ids)
        with torch.inference_mode():
            states = models.encoder.network(input_ids=batch).last_hidden_state[0].mean(0)
        vectors.append(states.numpy() / np.linalg.norm(states.numpy()))
    likeness = np.array(vectors[:-1]) @ vectors[-1]
    assert sorted(chosen[1], key=lambda at: likeness[at]) == chosen[1]
    assert set(chosen[1]) == set(np.argsort(-likeness)[:4].tolist())


def test_random_shots_hang_on_the_seed_and_too_many_are_refused(models):
    loaded, _ = tag_scores.sample(data.load("tiny_ner"), "test", 2)

    def shots(**values):
        given = {"dataset": "tiny_ner", "shots": 3, "shot_choice": "random"} | values
        return prompts.ask(prompted_ner.Config.check(given), models.decoder, None, loaded).shots

    assert shots() == shots()
    assert shots()[0] == shots()[1]
    assert shots() != shots(seed=1)
    assert shots(shots=0) == [[], []]
    with pytest.raises(ParameterError, match="only 29 training sentences"):
        shots(shots=30)


def test_shots_that_do_not_fit_are_left_out_and_counted(models, monkeypatch):
    loaded, _ = tag_scores.sample(data.load("tiny_ner"), "test", 2)
    config = prompted_ner.Config.check({"dataset": "tiny_ner", "shots": 4, "max_tokens": 16})
    monkeypatch.setattr(models.decoder.network.config, "max_position_embeddings", 150)
    asked = prompts.ask(config, models.decoder, models.encoder, loaded)
    assert asked.dropped_shots == 8 - sum(map(len, asked.shots)) > 0
    assert all(len(models.decoder.encode(prompt)) <= 150 - 16 for prompt in asked.prompts)


def test_tables_and_figures_show_what_was_found(whole):
    first = lines_of(whole)[0]
    shown = tables.exact_prompt(whole).body
    assert "Names:\n" in shown
    assert first["item"] in shown
    assert "of 4 answers" in tables.written_names(whole).body
    assert "tokens read" in tables.asking(whole).body
    assert "wrong or missed" in tables.worst_sentences(whole).body
    figure = figures.methods(whole, "test/entity_f1")
    assert "entity F1" in figure.caption
    asked = {"item": "x", "prompt": "<script>", "answer": "<b>"}
    hostile = whole.model_copy(update={"tables": whole.tables | {"prompt": asked}})
    assert "<script>" not in tables.exact_prompt(hostile).body


def test_a_sample_without_an_entity_is_one_clear_error(models):
    config = prompted_ner.Config.check(tasks.TASKS["prompted_ner"].SMOKE)
    loaded = data.load("tiny_ner")
    bare = loaded.splits["test"].map(lambda row: {"ner_tags": ["O"] * len(row["ner_tags"])})
    loaded.splits["test"] = bare
    with pytest.raises(DataError, match="have no entity(.|\n)*raise items"):
        flow.run(config, models, loaded)
