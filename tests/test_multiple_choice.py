"""Multiple choice: questions, drawn answers, rules by hand, and every number from the items."""

import json
from collections import Counter

import numpy as np
import pandas
import pytest
from datasets import Dataset

from workbench import figures, flow, tables, tasks
from workbench.core.errors import DataError, ParameterError
from workbench.data import dialogs
from workbench.data.choices import answer_form
from workbench.decoding import score
from workbench.tasks.multiple_choice import items as choice_items
from workbench.tasks.multiple_choice import methods as choice_methods
from workbench.tasks.multiple_choice import run as multiple_choice
from workbench.tasks.multiple_choice import scores as choice_scores
from workbench.tasks.multiple_choice.items import Item
from workbench.tasks.multiple_choice.scores import BYTE, PMI, SUM, TOKEN, Read

OWN = "zero-shot + per byte"
LEARNED = [f"{shots} + {rule}" for shots in ("zero-shot", "1 shot") for rule in (SUM, TOKEN, PMI)]
OTHERS = ["1 shot + per byte", "longest answer", "shortest answer", "TF-IDF similarity"]
METHODS = [OWN, *LEARNED, *OTHERS, "encoder similarity"]


@pytest.fixture(scope="module")
def config(tiny_bert, varied_decoder_folder):
    """Of a few questions to tiny models of fixed weights."""
    own = {"model": str(varied_decoder_folder), "encoder": str(tiny_bert), "precision": "float32"}
    return multiple_choice.Config.check(tasks.TASKS["multiple_choice"].SMOKE | own)


@pytest.fixture(scope="module")
def models(config):
    return multiple_choice.load_model(config)


@pytest.fixture(scope="module")
def result(config, models):
    return flow.run(config, models, multiple_choice.load_data(config))


def right(result, method):
    rows = result.items[result.items["method"] == method]
    return np.array([a[0] == b[0] for a, b in zip(rows["gold"], rows["predicted"], strict=True)])


def save(path, *lines):
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("method", METHODS)
def test_every_accuracy_follows_from_the_items(result, method):
    found = result.metrics if method == OWN else result.baselines[method]
    picks = right(result, method)
    assert result.method == OWN
    assert found["test/accuracy"].value == pytest.approx(picks.mean())
    assert found["test/accuracy"].n == len(picks) == tasks.TASKS["multiple_choice"].SMOKE["items"]
    if method != OWN:
        difference = result.comparisons[method]["test/accuracy"]
        assert difference.value == pytest.approx((right(result, OWN) * 1.0 - picks).mean())
        if method.startswith("1 shot"):
            assert difference.low is None, "one draw of examples tells nothing of others"
        else:
            assert difference.low <= difference.value <= difference.high
    shares = [Counter() for _ in range(2)]
    for row in result.tables["lengths"]:
        if row["method"] == method:
            shares[0][row["part"]] += row["accuracy"]["n"]
            shares[1]["right"] += row["accuracy"]["n"] * row["accuracy"]["value"]
    assert shares[0].total() == len(picks)
    assert shares[1]["right"] == pytest.approx(picks.sum())


def test_chance_is_exact_and_compared_with(result):
    chance = result.baselines["chance"]["test/accuracy"]
    assert chance.value == 1 / 4
    assert chance.low is None
    difference = result.comparisons["chance"]["test/accuracy"]
    assert difference.value == pytest.approx(right(result, OWN).mean() - 1 / 4)
    assert set(result.baselines) == {*METHODS, "chance"} - {OWN}


def test_rules_are_the_scorers_sums_over_tokens_bytes_and_minus_the_premise(result, models):
    """One item by hand: its prompt, its choices, one template."""
    shown = result.tables["example"]
    prompt = shown["prompts"]["zero-shot, fields"]
    assert prompt == f"Question: {result.items['input'][0][0]}\nAnswer:"
    texts = [f" {choice['text']}" for choice in shown["choices"]]
    sums, alone = (
        score.log_likelihoods(models.decoder, [context], texts).sums[0]
        for context in (prompt, "Answer:")
    )
    for choice, found, less in zip(shown["choices"], sums, alone, strict=True):
        assert choice[SUM] == pytest.approx(found, abs=1e-3)
        assert choice[TOKEN] == pytest.approx(choice[SUM] / choice["tokens"])
        assert choice[BYTE] == pytest.approx(choice[SUM] / len(choice["text"].encode()))
        assert choice[PMI] == pytest.approx(found - less, abs=2e-3)


def made(sums, tokens, sizes, premise=0.0):
    """A reading of one template with given sums [N, K]."""
    found = score.Scores(np.array(sums), np.array(tokens), np.array(sizes), 0, 0)
    alone = score.Scores(np.array(sums) * 0 + premise, found.tokens, found.bytes, 0, 0)
    return Read("zero-shot", "one", found, alone, 0)


def test_each_rule_picks_as_computed_by_hand():
    # Means: tokens -3, -2, -4, -3.5; bytes -1.5, -2, -0.8, -0.7; minus the premise: +1, -2, 0, +3.
    one = made([[-3.0, -4.0, -8.0, -7.0]], [[1, 2, 2, 2]], [[2, 2, 10, 10]])
    one.premise.sums[:] = [[-4.0, -2.0, -8.0, -10.0]]
    wanted = {SUM: 0, TOKEN: 1, BYTE: 3, PMI: 3}
    for rule, place in wanted.items():
        assert choice_scores.picks(one.scores(rule)) == [place]
        assert choice_scores.ensembles([one])[f"zero-shot + {rule}"].argmax() == place
    assert one.scores(TOKEN)[0] == pytest.approx([-3, -2, -4, -3.5])
    assert one.scores(BYTE)[0] == pytest.approx([-1.5, -2, -0.8, -0.7])
    assert one.scores(PMI)[0] == pytest.approx([1, -2, 0, 3])


def test_a_method_is_the_mean_of_its_templates_and_losses_are_cross_entropies():
    reads = [made([[-1.0, -3.0]], [[1, 1]], [[1, 1]]), made([[-9.0, -2.0]], [[1, 1]], [[1, 1]])]
    found = choice_scores.ensembles(reads)["zero-shot + sum"]
    assert found.argmax() == 1, "-5 and -2.5 on average, though the first template says otherwise"
    item = Item("", "?", ("a", "b"), 0)
    assert choice_scores.losses(found, [item]) == pytest.approx([np.log1p(np.exp(2.5))])


def test_the_first_example_stands_before_the_question_and_is_no_test_item(result):
    prompts = result.tables["example"]["prompts"]
    asked = {row[0] for row in result.items["input"]}
    few = prompts["1 shot, fields"]
    shown = few.partition("Question: ")[2].partition("\n")[0]
    assert shown not in asked
    assert few.endswith(prompts["zero-shot, fields"])
    assert few.count("Answer:") == 2


ROWS = Dataset.from_list(
    [
        {"cluster": f"{n:012x}", "question": f"Question {n}?", "answer": answer, "choices": []}
        for n, answer in enumerate(["a cat", "The cat", "dog", "cow", "hen", "Dog.", "ox", "owl"])
    ]
)


@pytest.mark.parametrize("distractors", ["random", "near"])
def test_choices_differ_hold_the_right_one_and_it_takes_each_place_in_turn(distractors):
    items = choice_items.make(ROWS, 4, distractors, 0)
    for item, row in zip(items, ROWS, strict=True):
        assert len({answer_form(choice) for choice in item.choices}) == 4
        assert item.choices[item.right] == row["answer"]
        assert set(item.choices) <= set(ROWS["answer"])
    assert [item.right for item in items] == [0, 1, 2, 3] * 2
    assert items == choice_items.make(ROWS, 4, distractors, 0)
    assert len({item.name for item in items}) == len(items)


def test_another_seed_draws_others_and_an_item_does_not_hang_on_how_many_are_asked(config):
    test = multiple_choice.load_data(config).splits["test"]
    first, second = (choice_items.make(test, 4, "random", seed) for seed in (0, 1))
    same = sum(set(a.choices) == set(b.choices) for a, b in zip(first, second, strict=True))
    assert same < len(first) / 10
    assert {a.cluster for a in first} == {b.cluster for b in second}


def test_near_choices_come_from_the_questions_most_alike():
    texts = ["capital of France", "capital of Chad", "capital of Peru", "a hen lays", "a cow eats"]
    answers = ["Paris", "N'Djamena", "Lima", "eggs", "grass"]
    rows = Dataset.from_list(
        [
            {"cluster": str(n), "question": text, "answer": answer, "choices": []}
            for n, (text, answer) in enumerate(zip(texts, answers, strict=True))
        ]
    )
    near = choice_items.make(rows, 3, "near", 0)
    assert all(set(item.choices) == {"Paris", "N'Djamena", "Lima"} for item in near[:3])


def test_too_few_different_answers_are_one_clear_error():
    with pytest.raises(DataError, match="6 different answers\nexpected: 7 at least"):
        choice_items.make(ROWS, 7, "random", 0)


def test_length_baselines_and_parts_go_by_bytes():
    items = [Item("", "?", ("ab", "é", "abcd"), 2), Item("", "?", ("abc", "é", "abcd"), 1)]
    assert choice_scores.picks(choice_scores.by_length(items, longest=True)).tolist() == [2, 2]
    assert choice_scores.picks(choice_scores.by_length(items, longest=False)).tolist() == [0, 1]
    assert [choice_scores.part(item) for item in items] == ["longest", "shortest"]
    assert choice_scores.part(Item("", "?", ("ab", "é", "abcd"), 1)) == "neither"


def test_word_likeness_finds_the_choice_that_shares_rare_words():
    items = [
        Item("", "My printer is out of ink", ("Change the ink of the printer", "Charge it"), 0),
        Item("", "My phone is out of power", ("Change the ink of the printer", "Charge phone"), 1),
    ]
    assert choice_scores.picks(choice_methods.tfidf(items)).tolist() == [0, 1]


def test_trivia_has_its_questions_and_tech_support_hardly_any():
    data = dialogs.load("dialogs")
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 29, "test": 231}
    assert data.data_issues["broken"].count == 1
    assert "different answers" in data.describe()
    few = dialogs.load("dialogs", categories="tech_support")
    assert (few.data_issues["repeated"].count, few.data_issues["repeated"].of) == (1040, 1050)
    both = dialogs.load("dialogs", categories="computers, ai")
    assert both.data_issues["longer"].count == 10
    assert both.data_issues["other_answers"].count == 44
    with pytest.raises(ParameterError, match=r"unknown category 'tech'\n.*tech_support"):
        dialogs.load("dialogs", categories="tech")
    with pytest.raises(ParameterError, match="unknown category ''"):
        dialogs.load("dialogs", categories=" ,")


def test_repeats_other_answers_and_broken_text_are_counted(tmp_path):
    lines = [
        {"question": "Who is it?", "answer": "me"},
        {"question": "who  is it?", "answer": "The me."},
        {"question": "Who is it?", "answer": "you"},
        {"question": "Whatâ€™s up?", "answer": "the sky"},
        {"question": " ", "answer": "x"},
        {"question": "And now?", "answer": None},
        *({"question": f"Number {n}?", "answer": n} for n in range(20)),
    ]
    data = dialogs.load(save(tmp_path / "own.jsonl", *lines))
    counts = {name: issue.count for name, issue in data.data_issues.items()}
    assert counts == {"empty": 2, "repeated": 1, "other_answers": 1, "repaired": 1}
    rows = [row for split in data.splits.values() for row in split]
    assert len(rows) == 22
    assert "What\u2019s up?" in {row["question"] for row in rows}
    assert "7" in {row["answer"] for row in rows}


def given(**more):
    return {"question": "Which?", "choices": ["red", "blue", "green"], "answer": 1} | more


def test_choices_may_be_lists_json_text_or_columns(tmp_path):
    lines = [given(question=f"Which {n}?") for n in range(12)]
    frame = pandas.DataFrame(lines)
    frame.to_parquet(tmp_path / "own.parquet")
    frame.assign(choices=frame["choices"].map(json.dumps)).to_csv(tmp_path / "own.csv")
    wide = pandas.DataFrame(frame["choices"].tolist(), columns=["choice_0", "choice_1", "choice_2"])
    frame[["question", "answer"]].join(wide).to_csv(tmp_path / "wide.csv", index=False)
    save(tmp_path / "own.jsonl", *lines)
    for name in ("own.parquet", "own.csv", "wide.csv", "own.jsonl"):
        test = dialogs.load(str(tmp_path / name)).splits["test"]
        items = choice_items.make(test, 4, "random", 0)
        assert {tuple(sorted(item.choices)) for item in items} == {("blue", "green", "red")}, name
        assert {item.choices[item.right] for item in items} == {"blue"}
        assert len({item.right for item in items}) > 1, "no tie goes to the place listed first"
        assert items == choice_items.make(test, 4, "random", 1), "whatever the seed"


def test_a_missing_choice_keeps_its_number(tmp_path):
    lines = [
        given(question=f"Which {n}?", choices=["red", None, "blue"], answer=2) for n in range(12)
    ]
    lines.append(given(question="Which is missing?", choices=["red", "", "blue"], answer=1))
    data = dialogs.load(save(tmp_path / "own.jsonl", *lines))
    assert {row["answer"] for split in data.splits.values() for row in split} == {"blue"}
    assert data.data_issues["empty"].count == 1


def test_choices_that_are_alike_or_uneven_leave_and_are_counted(tmp_path):
    lines = [given(question=f"Which {n}?") for n in range(12)]
    lines += [given(question="Twice?", choices=["red", "The red.", "blue"])]
    lines += [given(question="Two?", choices=["red", None, "blue"], answer=0)]
    data = dialogs.load(save(tmp_path / "own.jsonl", *lines))
    assert (data.data_issues["alike"].count, data.data_issues["uneven"].count) == (1, 1)
    assert sum(map(len, data.splits.values())) == 12


HOSTILE = {
    "no question": ([{"text": "a", "answer": "b"}], "no column 'question'; its columns: text"),
    "no answer": ([{"question": "a", "label": "b"}], "no column 'answer'"),
    "too high": ([given(answer=3)], "row 1: the answer 3 names none of its 3 choices"),
    "negative": ([given(), given(answer=-1)], "row 2: the answer -1"),
    "a late letter": ([given(answer="B"), given(answer="D")], "row 2: the answer 'D'"),
    "letters and numbers": ([given(answer="B"), given(answer=1)], "the answer"),
    "true": ([given(answer=True)], "the answer True"),
    "half": ([given(answer=0.5)], "the answer 0.5"),
    "no list": ([given(choices="red, blue")], "row 1: choices are no list"),
    "an object": ([given(choices={"a": 1})], "row 1: choices are no list"),
    "nothing": (
        [given(answer=None)],
        "its 0 questions leave the test split empty .of 1 rows: 1 rows without question or answer",
    ),
    "no choices": ([given(choices=[])], "its 0 questions leave"),
    "texts that are numbers": (
        [given(choices=["1", "0"], answer="1")],
        "read as numbers from 0 and as texts, and '1' means different choices",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_one_clear_error(tmp_path, kind):
    lines, message = HOSTILE[kind]
    with pytest.raises(DataError, match=message):
        dialogs.load(save(tmp_path / "own.jsonl", *lines))


COLOURS = ["red", "blue", "green", "white"]


def asked(answer, names=None, **more):
    """Rows whose right choice is blue."""
    row = {**dict(zip(names or [], COLOURS, strict=False)), **more}
    return [row | {"question": f"Which {n}?", "answer": answer} for n in range(24)]


LAYOUTS = {
    "MMLU's csv: A to D, letters": asked("B", "ABCD"),
    "letters in lower case with brackets": asked("(b)", "ABCD"),
    "choice_a to choice_d, letters": asked("B", [f"choice_{x}" for x in "abcd"]),
    "Option A to Option D, texts": asked("Blue", [f"Option {x}" for x in "ABCD"]),
    "option1 to option4, numbers from 1": asked("2", [f"option{n}" for n in range(1, 5)]),
    "choice_0 to choice_3, numbers from 0": asked(1, [f"choice_{n}" for n in range(4)]),
    "choice_0 to choice_3, letters": asked("B", [f"choice_{n}" for n in range(4)]),
    "a list with letters": asked("B", choices=COLOURS),
    "a list with texts": asked("blue", choices=COLOURS),
    "a list with whole numbers as fractions": asked(1.0, choices=COLOURS),
    "ARC's object of texts and labels": asked("2", choices={"text": COLOURS, "label": [*"1234"]}),
    "answerKey instead of answer": [
        {"question": row["question"], "choices": row["choices"], "answerKey": "B"}
        for row in asked("B", choices=COLOURS)
    ],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_choices_in_the_layouts_that_people_publish_are_read(tmp_path, layout):
    data = dialogs.load(save(tmp_path / "own.jsonl", *LAYOUTS[layout]))
    rows = [row for split in data.splits.values() for row in split]
    assert len(rows) == 24
    assert {(row["answer"].casefold(), *row["choices"]) for row in rows} == {("blue", *COLOURS)}
    assert "answers: " in data.describe()


REFUSED = {
    "letters without choices": ([asked("B")[0], asked("A")[1]], "letters as answers"),
    "SciQ's distractors": (asked("blue", ["distractor1", "distractor2"]), "distractor1"),
    "PIQA's solutions": (asked("1", ["sol1", "sol2"]), "columns sol1, sol2"),
    "a gap in the numbers": (asked("1", ["option1", "option3"]), "the numbers 1, 3"),
    "numbers from 0 or 1": (asked("1", "ABCD"), "numbers from 0 and as numbers from 1"),
}


@pytest.mark.parametrize("layout", REFUSED)
@pytest.mark.fault(48, "choices in a layout that is not known", "exit 3 in one sentence")
def test_choices_that_cannot_be_read_are_refused_not_taken_for_open_questions(tmp_path, layout):
    lines, message = REFUSED[layout]
    with pytest.raises(DataError, match=message):
        dialogs.load(save(tmp_path / "own.jsonl", *lines))


def test_equal_stems_with_other_choices_are_other_questions(tmp_path):
    stems = [given(question="Which of these is a colour?", choices=[f"thing {n}", "red"])
             for n in range(5)]  # fmt: skip
    stems += [given(question="which of these is a  colour?", choices=["red", "Thing 0"], answer=0)]
    data = dialogs.load(save(tmp_path / "own.jsonl", *stems))
    rows = [row for split in data.splits.values() for row in split]
    assert len(rows) == 5
    assert len({row["cluster"] for row in rows}) == 1, "drawn together for intervals"
    assert data.data_issues["repeated"].count == 1
    names = {item.name for item in choice_items.make(Dataset.from_list(rows), 2, "random", 0)}
    assert len(names) == 5


@pytest.mark.parametrize(("one", "other"), [("C", "C++"), ("5", "-5"), ("4 + 3", "4 - 3"),
                                            ("5!", "5"), (":)", ":("), ("$1", "1")])  # fmt: skip
def test_answers_that_differ_by_a_sign_are_different(tmp_path, one, other):
    lines = [given(question=f"Which {n}?", choices=[one, other], answer=0) for n in range(12)]
    data = dialogs.load(save(tmp_path / "own.jsonl", *lines))
    assert data.data_issues["empty"].count == 0
    assert "alike" not in data.data_issues
    assert sum(map(len, data.splits.values())) == 12


def test_own_choices_run_with_their_own_number_and_long_texts_are_cut(models, tmp_path):
    lines = [
        given(question=f"{'very ' * 30}good day {n}?", choices=["<b>yes</b>", "no {x}"])
        for n in range(12)
    ]
    path = save(tmp_path / "own.jsonl", *lines)
    config = multiple_choice.Config.check({"dataset": path, "shots": 0, "max_tokens": 8})
    data = multiple_choice.load_data(config)
    result = flow.run(config, models, data)
    assert result.baselines["chance"]["test/accuracy"].value == 1 / 2
    assert result.data_issues["cut"].count == len(data.splits["test"])
    shown = tables.choice_example(result)._repr_html_()
    assert "&lt;b&gt;yes" in shown
    assert "<b>yes" not in shown + tables.worst_choices(result)._repr_html_()


@pytest.mark.parametrize(
    ("words", "limit", "shown"), [(60, 24, 20), (60, 4, 0), (21, 24, 21), (0, 24, 0)]
)
def test_a_passage_is_cut_and_the_question_after_it_stays(models, words, limit, shown):
    passage = "word " * words + "\n" if words else ""
    config = multiple_choice.Config.check({"shots": 0, "max_tokens": limit})
    item = Item("", f"{passage}Who came?", ("a", "b"), 0)
    asked = choice_methods.ask(config, models.decoder, [item], None)
    assert asked.items[0].question == "word " * shown + "Who came?"
    assert asked.cut == (shown < words)


def test_more_shots_than_questions_are_one_clear_error(models, tmp_path):
    path = save(tmp_path / "own.jsonl", *(given(question=f"Which {n}?") for n in range(12)))
    config = multiple_choice.Config.check({"dataset": path, "shots": 64})
    with pytest.raises(ParameterError, match=r"shots=64, but \d+ questions"):
        flow.run(config, models, multiple_choice.load_data(config))


def test_figures_and_tables_say_what_the_record_says(result):
    caption = figures.choice_lengths(result).caption
    assert "zero-shot" in caption or "No right answer" in caption
    chosen = tables.choice_lengths(result)._repr_html_()
    assert all(method in chosen for method in METHODS)
    cost = tables.choice_costs(result)._repr_html_()
    first = result.tables["reading"][0]
    assert f"{1000 * first['tokens'] / first['items']:,.0f}" in cost
    assert tables.worst_choices(result, count=2)._repr_html_().count("<tr>") == 3
    assert "sum" in tables.prompts(result)._repr_html_()
