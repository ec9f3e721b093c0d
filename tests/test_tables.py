"""Tables as people have them: read right, whatever separates them, or refused in one sentence."""

import json
import os

import numpy as np
import pandas
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from workbench.core.errors import DataError
from workbench.data import near, text

LABELS = ("negative", "positive")
ROWS = [(f'Day {n}: "nice", said 1,5 guests; +{n}%', LABELS[n % 2]) for n in range(100)]
OBJECTS = [{"text": words, "label": label} for words, label in ROWS]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def rows_of(data):
    return {(row["text"], row["label"]) for split in data.splits.values() for row in split}


def csv(separator=",", head=("text", "label"), rows=ROWS, quoting=0):
    frame = pandas.DataFrame(rows, columns=["text", "label"])
    return frame.to_csv(index=False, sep=separator, header=head or False, quoting=quoting)


def tabs(rows=ROWS):
    """Tab-separated without quoting, as shared tasks publish it."""
    return "".join(f"{words}\t{label}\n" for words, label in [("text", "label"), *rows])


def columns(rows=ROWS):
    return {"text": [words for words, _ in rows], "label": [label for _, label in rows]}


READ = {
    "semicolons": ("a.csv", csv(";"), "separated by semicolons"),
    "sep= line": ("a.csv", "sep=;\r\n" + csv(";"), "separated by semicolons"),
    "sep= line, rare": ("a.csv", "sep=^\n" + csv("^"), "separated by '^'"),
    "bars": ("a.csv", csv("|"), "separated by vertical bars"),
    "tabs in .csv": ("a.csv", csv("\t"), "separated by tabs"),
    "tsv without quoting": ("a.tsv", tabs(), ""),
    "tsv of a spreadsheet": ("a.tsv", csv("\t", quoting=1), ""),
    "upper case": ("A.CSV", csv(head=("Text", "LABEL")), ""),
    "blanks in the header": ("a.csv", csv(head=(" text", "label ")), ""),
    "no header row": ("a.csv", csv(head=()), "no header row: column 2 is read as the label"),
    "no header row, label first": (
        "a.tsv", "".join(f"{label}\t{words}\n" for words, label in ROWS), "column 1 is read as"
    ),
    "old line ends": ("a.csv", csv().replace("\n", "\r"), ""),
    "UTF-16 with tabs": ("a.csv", csv("\t").encode("utf-16"), "separated by tabs"),
    "array of objects": ("a.json", json.dumps(OBJECTS, indent=1), ""),
    "array under a name": ("a.json", json.dumps({"version": 1, "data": OBJECTS}), ""),
    "columns": ("a.json", json.dumps(columns()), ""),
    "pandas, columns": ("a.json", pandas.DataFrame(OBJECTS).to_json(), ""),
    "pandas, rows": ("a.json", pandas.DataFrame(OBJECTS).to_json(orient="index"), ""),
    "pandas, split": ("a.json", pandas.DataFrame(OBJECTS).to_json(orient="split"), ""),
    "pandas, table": ("a.json", pandas.DataFrame(OBJECTS).to_json(orient="table"), ""),
    "lines called .json": ("a.json", "\n".join(map(json.dumps, OBJECTS)), ""),
}  # fmt: skip


@pytest.mark.parametrize("layout", READ)
def test_a_sentiment_file_is_read_right_in_each_layout(tmp_path, layout):
    name, content, said = READ[layout]
    data = text.load(write(tmp_path / name, content))
    assert rows_of(data) == set(ROWS)
    assert said in "\n".join(data.notes)
    assert "\n".join(data.notes) in data.describe()
    assert bool(said) == bool(data.notes)
    assert not any(issue.count for issue in data.data_issues.values())


REFUSED = {
    "three columns, no header": (
        "a.csv", csv(head=()).replace("\n", ",web\n"),
        r"no header row: '(negative|web)' occurs again below it(.|\n)*text and label",
    ),
    "which is the label": (
        "a.csv", "up,good\ndown,bad\nup,bad\ndown,good\n" * 9, "first row is no header row"
    ),
    "a text like its header": (
        "a.csv", csv(head=("review", "mood")) + "review,positive\n", "first row is no header row"
    ),
    "lists of labels": (
        "a.jsonl", "\n".join(json.dumps(row | {"label": [row["label"]]}) for row in OBJECTS),
        "row 1: the column 'label' holds a list(.|\n)*one text or number in each row",
    ),
    "objects for texts": (
        "a.json", json.dumps([row | {"text": {"en": "x"}} for row in OBJECTS]),
        "row 1: the column 'text' holds an object",
    ),
    "two columns of one name": (
        "a.csv", "text,label,label\n" + "a,b,c\n" * 9, "two columns 'label'"
    ),
    "columns of two lengths": (
        "a.json", json.dumps(columns() | {"label": ["a"]}), "different lengths"
    ),
    "array of numbers": ("a.json", "[1, 2]", "neither an array of objects nor an object of col"),
    "broken array": ("a.json", json.dumps(OBJECTS)[:-5], "can't be read"),
    "deep": ("a.json", "[" * 100_000, "too deep"),
    "deep lines": ("a.jsonl", '{"a":' * 100_000, "too deep"),
    "text file": ("a.txt", tabs(), r"a \.txt file is no table(.|\n)*\.tsv"),
}  # fmt: skip


@pytest.mark.parametrize("layout", REFUSED)
@pytest.mark.fault(45, "tables of texts that can't be read right", "exit 3 in one sentence")
def test_what_can_not_be_read_right_is_refused_in_a_sentence(tmp_path, layout):
    name, content, says = REFUSED[layout]
    with pytest.raises(DataError, match=says) as error:
        text.load(write(tmp_path / name, content))
    assert "expected:" in str(error.value)
    assert len(str(error.value)) < 500


def test_parquet_lists_and_bytes_are_refused_and_class_numbers_get_their_names(tmp_path):
    path = tmp_path / "a.parquet"
    for cell, kind in ((["a"], "a list"), ({"a": 1}, "an object"), (b"a", "bytes")):
        pandas.DataFrame({"text": [cell] * 9, "label": ["x"] * 9}).to_parquet(path)
        with pytest.raises(DataError, match=f"row 1: the column 'text' holds {kind}"):
            text.load(str(path))
    features = Features({"text": Value("string"), "label": ClassLabel(names=list(LABELS))})
    Dataset.from_dict(columns(), features=features).to_parquet(str(path))
    assert rows_of(text.load(str(path))) == set(ROWS)


@pytest.mark.parametrize(
    ("written", "labels", "merged"),
    [
        (["1", "1.0", "0", "0,0"], {"0", "1"}, 50),
        ([True, "true", False, "FALSE"], {"True", "true", "False", "FALSE"}, 50),
        (["good", "Good ", "bad", "BAD"], {"good", "Good", "bad", "BAD"}, 50),
        (["1.1", "1.10", "01", "1"], {"1.1", "1.10", "01", "1"}, 0),
        (["-1", "+1", "0", "1.5"], {"-1", "+1", "0", "1.5"}, 0),
    ],
)
def test_labels_that_differ_in_case_or_number_format_only_are_one(
    tmp_path, written, labels, merged
):
    rows = [{"text": f"text number {n}", "label": written[n % 4]} for n in range(100)]
    data = text.load(write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows))))
    assert set(data.labels) <= labels
    assert len(data.labels) == (2 if merged else 4)
    assert sum(map(len, data.splits.values())) == 100
    count = data.data_issues["merged"].count if merged else 0
    assert count == merged
    assert ("read as the most frequent: 50 of 100 (50.00%)" in data.describe()) == bool(merged)


def test_the_most_frequent_way_to_write_a_label_is_kept(tmp_path):
    rows = [(f"text number {n}", "Good" if n % 10 == 0 else LABELS[n % 2]) for n in range(200)]
    rows += [(f"more {n}", "good") for n in range(30)]
    data = text.load(write(tmp_path / "a.csv", csv(rows=rows)))
    assert data.labels == ("good", "negative", "positive")
    assert data.data_issues["merged"].count == 20


def test_labels_that_say_there_is_none_are_dropped_and_doubtful_ones_counted(tmp_path):
    odd = [("a", "NaN"), ("b", "null"), ("c", "N/A"), ("d", "nan"), ("e", "none"), ("f", "None")]
    rows = [*ROWS, *odd, *((f"none {n}", "None") for n in range(20))]
    data = text.load(write(tmp_path / "a.csv", csv(rows=rows)))
    assert data.labels == ("None", *LABELS)
    assert data.data_issues["no_label"].count == 4
    assert "a label such as NaN, null or N/A, dropped: 4 of 126" in data.describe()
    assert data.data_issues["none_label"].count == 22
    missing = [row | {"label": float("nan")} for row in OBJECTS[:3]]
    lines = "\n".join(json.dumps(row) for row in [*OBJECTS, *missing])
    assert text.load(write(tmp_path / "a.jsonl", lines)).data_issues["empty"].count == 3


def test_half_a_surrogate_pair_is_no_bug(tmp_path):
    odd = [{"text": "half \ud83d of it", "label": "la\ud83dbel"} for _ in range(1)]
    odd += [{"text": f"more {n}", "label": "la\ud83dbel"} for n in range(60)]
    lines = "\n".join(json.dumps(row) for row in [*OBJECTS, *odd])
    data = text.load(write(tmp_path / "a.jsonl", lines))
    assert "la?bel" in data.labels
    assert ("half ? of it", "la?bel") in rows_of(data)


@pytest.mark.fault(43, "a data file replaced, its time stamp kept", "the new rows")
def test_a_file_replaced_within_its_time_gives_its_new_rows(tmp_path):
    """A cache by name and time would give the old ones under a new fingerprint."""
    folder = tmp_path / "set"
    found = []
    for round_ in ("first", "second"):
        for split in ("train", "test"):
            path = folder / f"{split}-00000-of-00001.parquet"
            path.parent.mkdir(exist_ok=True)
            rows = [(f"{round_} {split} {n:03}", LABELS[n % 2]) for n in range(100)]
            pandas.DataFrame(rows, columns=["text", "label"]).to_parquet(path)
            os.utime(path, ns=(10**18, 10**18))
        found.append(text.load(str(folder)))
    assert found[0].source.fingerprint != found[1].source.fingerprint
    assert {words.split()[0] for words, _ in rows_of(found[1])} == {"second"}


@pytest.mark.fault(44, "a data folder whose README names other files", "they are not read")
def test_a_readme_does_not_choose_what_is_read(tmp_path):
    outside = write(tmp_path / "secret.csv", csv(rows=[("secret", label) for label in LABELS]))
    folder = tmp_path / "set"
    for split, rows in (("train", ROWS[:80]), ("test", ROWS[80:])):
        write(folder / f"{split}.csv", csv(rows=rows))
    for target in (outside, "../secret.csv", "https://127.0.0.1:9/x", "hf://datasets/a/b/c.csv"):
        files = f"data_files: [{{split: train, path: '{target}'}}]"
        write(folder / "README.md", f"---\nconfigs:\n- config_name: default\n  {files}\n---\n")
        assert rows_of(text.load(str(folder))) == set(ROWS)
    (folder / "valid.csv").symlink_to(outside)
    with pytest.raises(DataError, match="is a link to .*secret.csv, outside the folder"):
        text.load(str(folder))
    (folder / "valid.csv").unlink()
    (folder / "more").symlink_to(tmp_path)
    with pytest.raises(DataError, match="outside the folder"):
        text.load(str(folder))


def published(folder, train, test, ending="csv"):
    write(folder / f"x.train.{ending}", csv(rows=train))
    write(folder / f"x_test.{ending}", csv(rows=test))
    return str(folder)


TEST = [*ROWS[80:], ROWS[85], (ROWS[86][0].upper(), LABELS[1 - 86 % 2]), ROWS[3]]


def test_validation_comes_out_of_training_and_a_given_test_split_stays_whole(tmp_path):
    data = text.load(published(tmp_path, ROWS[:80], TEST))
    test = sorted(data.splits["test"], key=lambda row: row["row"])
    assert [(row["text"], row["label"]) for row in test] == TEST
    assert [row["row"] for row in test] == [*range(1, len(TEST) + 1)]
    assert len({row["item"] for row in test}) == len(TEST), "items differ, for pairs by item"
    assert len({row["cluster"] for row in test}) == len(TEST) - 2, "equal texts are drawn together"
    assert data.data_issues["test_repeated"].count == 4
    assert data.data_issues["repeated"].count == 1, "training loses what is tested"
    held = set(data.splits["validation"]["text"])
    assert held == {w for w, _ in ROWS[:80] if text.split_of(w) == "validation"} - {ROWS[3][0]}
    assert "validation is the tenth of the training texts" in data.describe()
    fewer = text.load(str(tmp_path), drop_repeats=True)
    assert len(fewer.splits["test"]) == len(TEST) - 3, "one again, and both that contradict"
    assert fewer.data_issues["contradicting"].count == 2


def test_a_column_split_is_honoured(tmp_path):
    names = ["train", "Test", "dev"]
    lines = [f"text number {n},{LABELS[n % 2]},{names[n % 3]}" for n in range(90)]
    data = text.load(write(tmp_path / "a.csv", "\n".join(["text,label,split", *lines])))
    assert {name: len(split) for name, split in data.splits.items()} == dict.fromkeys(
        ("train", "validation", "test"), 30
    )
    assert "text number 1" in data.splits["test"]["text"]
    assert all(row["text"] == f"text number {row['row'] - 1}" for row in data.splits["test"])
    lines[3] = lines[3].replace("train", "somewhere")
    with pytest.raises(DataError, match="1 rows have somewhere in the column split"):
        text.load(write(tmp_path / "a.csv", "\n".join(["text,label,split", *lines])))
    plain = [line.rsplit(",", 1)[0] + f",{n % 7}" for n, line in enumerate(lines)]
    other = text.load(write(tmp_path / "a.csv", "\n".join(["text,label,split", *plain])))
    assert len(other.splits["train"]) > 60, "a column of other values is another column"


def test_parts_of_a_split_are_joined_and_two_files_for_one_refused(tmp_path):
    for part in range(2):
        write(tmp_path / "data" / f"train-{part:05}-of-00002.csv", csv(rows=ROWS[part * 40 :][:40]))
    write(tmp_path / "data" / "test-00000-of-00001.csv", csv(rows=ROWS[80:]))
    assert rows_of(text.load(str(tmp_path))) == set(ROWS)
    write(tmp_path / "data" / "train_old.csv", csv(rows=ROWS[:3]))
    with pytest.raises(DataError, match="3 files for the train split: data/train-00000"):
        text.load(str(tmp_path))


DIFFER = [
    ("profit +8%", "profit -8%"), ("$0.10", "$-0.10"), (":)", ":("), ("😀", "😡"), ("C++", "C#"),
    ("4 + 3", "4 - 3"), ("कि", "की"), ("@you are late", "@me are late"), ("see x.org", "see y.org"),
    ("no", "no?"), ("see http://a.b/1", "see http://a.b/2"), ("2 ** 3", "2 * 3"),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second"), DIFFER)
def test_texts_that_differ_in_more_than_case_and_space_are_all_kept(tmp_path, first, second):
    rows = [*ROWS, (first, "negative"), (second, "positive")]
    data = text.load(write(tmp_path / "a.csv", csv(rows=rows)))
    assert {(first, "negative"), (second, "positive")} <= rows_of(data)
    assert data.data_issues["repeated"].count == data.data_issues["contradicting"].count == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [("Straße", "STRASSE"), ("café", "cafe\u0301"), ("a  b\n", "A\u00a0b"), ("ΣΑΣ", "σας")],
)
def test_case_and_white_space_do_not_count(first, second):
    assert text.normal_form(first) == text.normal_form(second)
    assert text.digest(first) == text.digest(second)


LONG = "the man who took the air out of the balls has now come forward to say so himself"


def copies_of(words):
    return [
        words, f"RT @x: {words}", f"{words}!!! http://t.co/x", f"{words} on tape",
        f"{words.upper()} :-(",
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_near_copies_are_kept_in_one_split_and_counted(tmp_path, seed):
    copies = copies_of(f"case {seed} is {LONG}")
    rows = [*((words, LABELS[n == 2]) for n, words in enumerate(copies)), *ROWS]
    data = text.load(write(tmp_path / "a.csv", csv(rows=rows[::-1] if seed % 2 else rows)))
    where = {row["text"]: (name, row["cluster"]) for name, s in data.splits.items() for row in s}
    assert len({where[words] for words in copies}) == 1
    assert (
        data.data_issues["near_copies"].count
        == data.data_issues["near_labels"].count
        == len(copies)
    )
    assert "kept, in one split: 5 of 105" in data.describe()
    assert "texts of the largest group of near copies, which is one unit: 5 of" in data.describe()


def test_near_copies_across_given_splits_are_reported_only(tmp_path):
    test = [*ROWS[80:], (copies_of(LONG)[1], "positive"), (copies_of(LONG)[3], "negative")]
    data = text.load(published(tmp_path, [*ROWS[:80], (LONG, "negative")], test))
    assert len(data.splits["test"]) == len(test)
    assert LONG in {*data.splits["train"]["text"], *data.splits["validation"]["text"]}
    found = {
        name: issue.count for name, issue in data.data_issues.items() if name.startswith("near")
    }
    in_training = LONG in data.splits["train"]["text"]
    assert found == ({"near_train": 2, "near_train_labels": 1} if in_training else {})


def test_groups_of_near_copies_are_those_of_exact_comparison():
    chance = np.random.default_rng(0)
    words = [f"word{n}" for n in range(300)]
    texts = [" ".join(chance.choice(words, 20)) for _ in range(300)]
    for source in range(0, 300, 3):
        tokens = texts[source].split()
        tokens[int(chance.integers(20))] = "other"
        texts += [" ".join(tokens), f"{texts[source]} tail"]
    shingles = [{tuple(t.split()[i : i + 3]) for i in range(len(t.split()) - 2)} for t in texts]
    groups = near.groups(texts)
    for a in range(len(texts)):
        for b in range(a):
            common = len(shingles[a] & shingles[b])
            if common >= 0.8 * (len(shingles[a]) + len(shingles[b]) - common):
                assert groups[a] == groups[b], (texts[a], texts[b])
            elif common == 0:
                assert groups[a] != groups[b]


@pytest.mark.parametrize("kinds", [77, 150])
def test_the_summary_of_many_labels_stays_readable(tmp_path, kinds):
    rows = [(f"question {n} of many", f"intent_{n % kinds:03}") for n in range(kinds * 40)]
    rows += [(f"one more {n}", "intent_007") for n in range(50)]
    data = text.load(write(tmp_path / "a.csv", csv(rows=rows)))
    assert len(data.labels) == kinds
    shown = data.describe()
    assert "most frequent: intent_007 90, " in shown
    assert f"{kinds}" in shown
    assert max(map(len, shown.splitlines())) < 250
    assert len(shown) < 1500


def test_ten_thousand_labels_are_refused_in_a_few_words(tmp_path):
    rows = [(f"question {n}", f"topic {n % 10_000} " + "x" * 500) for n in range(20_000)]
    with pytest.raises(DataError, match="10,000 different labels in 20,000 texts") as error:
        text.load(write(tmp_path / "a.csv", csv(rows=rows)))
    assert len(str(error.value)) < 600


def test_errors_give_the_counts_that_explain_them(tmp_path):
    rows = [("same", "negative")] * 60 + [("other", "positive"), ("", "positive"), ("x", "NaN")]
    with pytest.raises(DataError, match=r"63 rows; dropped: 1 without.*1 labelled NaN.*59 repeat"):
        text.load(write(tmp_path / "a.csv", csv(rows=rows)))
