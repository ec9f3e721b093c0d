"""Labelled texts: what is removed, repaired, refused or counted, and that no item changes split."""

import json
import random

import pandas
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from workbench.core import paths
from workbench.core.errors import DataError
from workbench.data import entities, text

LABELS = ("bad", "good")
BANK = "financial_phrasebank/Sentences_50Agree.txt"
TEMPLATE = " ".join(f"word{number}" for number in range(12))
ROWS = [(f"item number {number} is fine", LABELS[number % 2]) for number in range(100)]


def csv(rows, head="text,label"):
    return "".join([f"{head}\n", *(f"{words},{label}\n" for words, label in rows)])


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def load(tmp_path, content, name="mine.csv", **options):
    return text.load(write(tmp_path / name, content), **options)


def everything(data):
    """Item -> split, text and label."""
    return {
        row["item"]: (name, row["text"], row["label"])
        for name, split in data.splits.items()
        for row in split
    }


def counts(data):
    return {name: issue.count for name, issue in data.data_issues.items() if issue.count}


def test_repeated_texts_are_removed_before_splitting_and_counted(tmp_path):
    again = [
        ("ITEM number 3 is fine", "good"),
        ("item \u00a0number 3\tis fine", "good"),
    ]
    lone = load(tmp_path, csv(ROWS))
    data = load(tmp_path, csv([*ROWS, *((f'"{words}"', label) for words, label in again)]))
    assert everything(data) == everything(lone), "the first of them is kept"
    assert counts(data) == {"repeated": 2}
    assert "repeated texts, dropped" in data.describe()
    assert "2 of 102 (1.96%)" in data.describe()


def test_no_text_of_real_data_stands_in_two_splits_nor_a_near_copy():
    data = text.load("brand_tweets")
    splits = data.splits
    normal = {name: set(map(text.normal_form, split["text"])) for name, split in splits.items()}
    assert sum(map(len, normal.values())) == len(set().union(*normal.values()))
    groups = {name: set(split["cluster"]) for name, split in splits.items()}
    assert sum(map(len, groups.values())) == len(set().union(*groups.values()))
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 30045, "validation": 3561, "test": 3547,
    }  # fmt: skip


def test_repeated_texts_with_contradicting_labels_are_all_dropped(tmp_path):
    data = load(tmp_path, csv([*ROWS, ("Item number 3 is fine", "bad")]))
    assert counts(data) == {"contradicting": 2}
    assert "item number 3 is fine" not in {words for _, words, _ in everything(data).values()}


@pytest.mark.parametrize("seed", range(12))
def test_more_data_moves_no_text_that_has_no_near_copy_in_it(tmp_path, seed):
    chance = random.Random(seed)
    some = chance.sample(ROWS, 80)
    shouted = [(f"@me {words.upper()}!", label) for words, label in ROWS]
    few = everything(load(tmp_path, csv(some)))
    more = everything(load(tmp_path, csv(chance.sample(ROWS, 100) + shouted)))
    assert {item: found[0] for item, found in few.items()}.items() <= {
        item: found[0] for item, found in more.items()
    }.items()
    assert all(text.split_of(words) == split for split, words, _ in more.values())
    assert all(text.split_of(f"{words}?? www.x.org") == split for split, words, _ in more.values())


def test_splits_are_about_80_10_and_10_per_cent():
    found = pandas.Series([text.split_of(f"some text {number}") for number in range(4000)])
    shares = found.value_counts(normalize=True)
    assert shares.to_dict() == pytest.approx(
        {"train": 0.8, "validation": 0.1, "test": 0.1}, abs=0.02
    )


def test_the_first_texts_are_a_sample_that_more_data_only_adds_to(tmp_path):
    order = load(tmp_path, csv(ROWS[:90])).splits["train"]["item"]
    longer = load(tmp_path, csv(ROWS[::-1])).splits["train"]["item"]
    assert [item for item in longer if item in set(order)] == list(order)


def test_texts_without_words_keep_their_signs():
    assert text.normal_form(":-)") != text.normal_form(":-(")
    assert text.normal_form("@me") != text.normal_form("@you")


@pytest.mark.parametrize(
    ("line", "found", "lost"),
    [
        ("the cafÃ© is fine,good", "the café is fine", {"repaired": 1}),
        ("fish &amp; chips,good", "fish & chips", {"repaired": 1}),
        (b"the caf\xe9 is fine,good", "the café is fine", {"recoded": 1}),
        ("lost ï¿½ï‰Û_ signs,good", "lost �ï‰Û_ signs", {"garbled": 1}),
        ("  spaces around  , good ", "spaces around", {}),
        ("“quotes” stay,good", "“quotes” stay", {}),
    ],
    ids=["mojibake", "HTML", "Latin-1", "beyond repair", "spaces", "quotes"],
)
def test_bad_encodings_are_repaired_or_counted(tmp_path, line, found, lost):
    line = line if isinstance(line, bytes) else line.encode()
    data = load(tmp_path, csv(ROWS).encode() + line + b"\n")
    texts = {words for _, words, _ in everything(data).values()}
    assert len(texts) == 101
    assert found in texts
    assert {name: count for name, count in counts(data).items() if name in lost} == lost
    assert set(data.labels) == set(LABELS)
    if not lost:
        assert counts(data) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + csv(ROWS).encode(),
        csv(ROWS).replace("\n", "\r\n").encode(),
        csv(ROWS).rstrip("\n").encode(),
        csv(ROWS).replace("\n", "\n\n").encode(),
        csv(ROWS).encode("utf-16"),
        "".join(f"{words},{label},\n" for words, label in [("text", "label"), *ROWS]).encode(),
        "".join(["text,label\n", *(f"{words},{label},\n" for words, label in ROWS)]).encode(),
    ],
    ids=["byte order mark", "CRLF", "no last newline", "blank lines", "UTF-16", "empty column",
         "commas at the end"],
)  # fmt: skip
def test_harmless_variants_read_the_same(tmp_path, content):
    plain = load(tmp_path, csv(ROWS), "plain.csv")
    other = load(tmp_path, content, "other.csv")
    assert everything(other) == everything(plain)
    assert counts(other) == {}


@pytest.mark.fault(19, "a split without entities; one class alone", "exit 3, no NaN")
@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "mine.csv is empty(.|\n)*a header and at least one row"),
        ("\n\n", "can't be read"),
        ("text,label\n", "has no rows(.|\n)*a header and at least one row"),
        (csv(ROWS, "words,label"), "no column 'text'; its columns: words, label(.|\n)*text_column"),
        (csv(ROWS, "text,class"), "no column 'label'(.|\n)*set label_column to one of them"),
        (csv((words, "good") for words, _ in ROWS), "1 label only: good(.|\n)*two labels at least"),
        (csv((words, "") for words, _ in ROWS), "no row with text and label"),
        (csv((words, words) for words, _ in ROWS), "100 different labels|training split has no"),
        (csv([*ROWS, *((f"x{n}", n) for n in range(200))]), "202 different labels(.|\n)*column of"),
        (csv(ROWS) + '"a quote left open,good\nmore,bad\n', "EOF inside string"),
        (csv(ROWS) + "a,row,too long\n", "Expected 2 fields in line 102, saw 3"),
        (csv((words, f"{label},x") for words, label in ROWS), "Length of header"),
        (csv(ROWS[:3]), "its 3 texts leave the .* split empty(.|\n)*some hundred texts"),
        (csv((f"{TEMPLATE} unit{n}", label) for n, (_, label) in enumerate(ROWS)),
         "split empty; 100 of them are near copies, kept in one split"),
        (csv((words, label.replace("bad", "unparsed")) for words, label in ROWS), "'unparsed'"),
    ],
    ids=["empty", "blank", "header only", "no text", "no label", "one class", "no class",
         "text as label", "many classes", "open quote", "long row", "long rows", "few texts",
         "one template",
         "reserved label"],
)  # fmt: skip
def test_what_can_not_be_used_is_one_clear_error(tmp_path, content, says):
    with pytest.raises(DataError, match=says) as error:
        load(tmp_path, content)
    assert "mine.csv" in str(error.value)
    assert "expected:" in str(error.value)
    assert len(str(error.value)) < 800, "labels of any length and number don't flood it"


@pytest.mark.fault(21, "labels that training lacks", "exit 3, they are listed")
def test_a_label_that_training_lacks_is_refused(tmp_path):
    names = [f"rare {number}" for number in range(60)]
    rare = next(name for name in names if text.split_of(name) == "test")
    with pytest.raises(DataError, match="training split has no text of 'rare'"):
        load(tmp_path, csv([*ROWS, (rare, "rare")]))


def test_rows_without_text_or_label_are_dropped_and_counted(tmp_path):
    data = load(
        tmp_path, csv([*ROWS, ("", "good"), ("  ", "bad"), ("no label", ""), ("short", "")])
    )
    assert counts(data) == {"empty": 4}
    assert len(everything(data)) == 100


def test_texts_of_ten_thousand_characters_are_kept_whole(tmp_path):
    long = [("x" * 10_000, "good"), ("word " * 2_000 + "end", "bad")]
    found = {words for _, words, _ in everything(load(tmp_path, csv([*ROWS, *long]))).values()}
    assert {words for words, _ in long} <= found


def test_csv_json_lines_and_parquet_give_the_same_data(tmp_path):
    rows = [{"text": f"Größe {n}, “so”\u2028line", "label": n % 2 + 1} for n in range(99)]
    rows.append({"text": "no label", "label": None})
    frame = pandas.DataFrame(rows, dtype=object).astype({"label": "Int64"})
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    write(tmp_path / "x.csv", frame.to_csv(index=False))
    write(tmp_path / "x.jsonl", "\n".join(lines))
    frame.to_parquet(tmp_path / "x.parquet")
    first = text.load(str(tmp_path / "x.csv"))
    assert first.labels == ("1", "2"), "whole numbers stay whole where one is missing"
    assert counts(first) == {"empty": 1, "repaired": 99}
    for ending in (".jsonl", ".parquet"):
        other = text.load(str(tmp_path / f"x{ending}"))
        assert everything(other) == everything(first), ending
        assert counts(other) == counts(first), ending


@pytest.mark.fault(18, "broken JSON lines and suites", "exit 2 or 3, with the line in suites")
@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"text": "a"', "can't be read: Expecting"),
        ("[1, 2]", "a line is no JSON object"),
        ('{"text": "a"}', "no column 'label'; its columns: text"),
        (b'{"text": "caf\xe9", "label": "a"}', "can't decode byte 0xe9"),
        ("\n", "has no rows"),
    ],
)
def test_broken_json_lines_are_a_data_error(tmp_path, line, says):
    line = line if isinstance(line, bytes) else line.encode()
    with pytest.raises(DataError, match=says):
        load(tmp_path, line + b"\n", "mine.jsonl")


@pytest.mark.parametrize("name", ["mine.parquet", "mine.txt", "mine.xlsx"])
def test_what_is_no_table_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="can't be read|is no table"):
        load(tmp_path, "no table at all", name)


def splits(folder, ending, rows):
    """A folder of three splits laid out as the Hub does."""
    names = {"train": "train", "validation": "dev", "test": "test"}
    for split, found in rows.items():
        frame = pandas.DataFrame(found, columns=["text", "label"])
        if ending == ".csv":
            write(folder / f"{names[split]}.csv", frame.to_csv(index=False))
        elif ending == ".jsonl":
            write(folder / f"{names[split]}.jsonl", frame.to_json(orient="records", lines=True))
        else:
            (folder / "data").mkdir(parents=True, exist_ok=True)
            features = Features({"text": Value("string"), "label": ClassLabel(names=[*LABELS])})
            table = Dataset.from_dict(frame.to_dict("list"), features=features)
            table.to_parquet(str(folder / "data" / f"{split}-00000-of-00001.parquet"))
    return str(folder)


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_a_text_of_a_later_split_leaves_the_earlier_ones(tmp_path, ending):
    rows = {
        "train": ROWS[:20],
        "validation": [("Item number 0  is FINE", "bad"), *ROWS[20:30]],
        "test": [
            ("item number 1 is fine", "good"),
            ("item number 20 is fine", "bad"),
            *ROWS[30:40],
        ],
    }
    data = text.load(splits(tmp_path / "data-set", ending, rows))
    kept = {name: {int(words.split()[2]) for words in s["text"]} for name, s in data.splits.items()}
    assert kept["test"] == {1, 20, *range(30, 40)}
    assert kept["validation"] == {0, *range(21, 30)}
    assert kept["train"] == set(range(2, 20))
    assert counts(data) == {"repeated": 3}


def test_each_file_of_a_folder_is_read_as_any_other(tmp_path):
    rows = {"train": ROWS[:20], "validation": ROWS[20:30], "test": ROWS[30:40]}
    folder = tmp_path / "three"
    splits(folder, ".csv", rows)
    write(folder / "test.csv", csv(ROWS[30:40]).encode() + b"caf\xe9 NA,bad\nNA,bad\n")
    data = text.load(str(folder))
    assert {"café NA", "NA"} <= set(data.splits["test"]["text"])
    assert counts(data) == {"recoded": 1}
    write(folder / "dev.csv", "text,label\n")
    with pytest.raises(DataError, match=r"dev\.csv has no rows"):
        text.load(str(folder))


@pytest.mark.parametrize("present", [("train", "validation"), ("validation",), ("test",)])
def test_training_and_test_are_needed(tmp_path, present):
    splits(tmp_path / "some", ".csv", dict.fromkeys(present, ROWS))
    with pytest.raises(DataError, match=r"has the splits(.|\n)*train, validation, test(.|\n)*do:"):
        text.load(str(tmp_path / "some"))


def test_a_folders_only_table_is_split_by_hash(tmp_path):
    write(tmp_path / "folder" / "README.md", "what it is")
    lone = load(tmp_path, csv(ROWS), "folder/all.csv")
    assert everything(text.load(str(tmp_path / "folder"))) == everything(lone)


def test_fixture_is_ours_and_small():
    files = list((paths.FIXTURES / "tiny_reviews").iterdir())
    assert sum(file.stat().st_size for file in files) < 100_000
    data = text.load("tiny_reviews")
    assert data.labels == ("negative", "neutral", "positive")
    assert all(set(split["label"]) == set(data.labels) for split in data.splits.values())


PHRASES = [(f"sales of unit {number} rose @ 5 % .", LABELS[number % 2]) for number in range(100)]


def phrases(rows=PHRASES):
    return "".join(f"{sentence}@{label}\n" for sentence, label in rows).encode()


def test_financial_phrasebank_is_read_as_its_authors_publish_it(tmp_path, monkeypatch):
    file = tmp_path / "bank" / "Sentences_AllAgree.txt"
    # \x85 is an ellipsis to Windows, and a line end to some readers.
    write(file, phrases() + b"Yhti\xf6n tulos\x85 kasvoi .@good\r\n")
    data = text.load(str(file))
    found = {(words, label) for _, words, label in everything(data).values()}
    assert found == {*PHRASES, ("Yhtiön tulos… kasvoi .", "good")}
    assert counts(data) == {"recoded": 1, "repaired": 1}
    assert not entities.is_tagged(str(file))
    monkeypatch.setenv("WORKBENCH_DATA", f"{tmp_path / 'none'}:{tmp_path}")
    named = text.load("bank/Sentences_AllAgree.txt")
    assert everything(named) == everything(data)
    assert named.source.fingerprint == data.source.fingerprint


def test_a_folder_of_phrases_names_its_files_and_a_line_without_label_its_number(tmp_path):
    for share in ("AllAgree", "50Agree"):
        write(tmp_path / f"Sentences_{share}.txt", phrases())
    with pytest.raises(DataError, match=r"Sentences_50Agree\.txt, Sentences_AllAgree\.txt"):
        text.load(str(tmp_path))
    with pytest.raises(DataError, match="line 101 is no sentence with @"):
        load(tmp_path, phrases() + b"no label here\n", name="Sentences_66Agree.txt")


@pytest.mark.skipif(
    not any((folder / BANK).is_file() for folder in paths.own_data()),
    reason=f"no {BANK} in WORKBENCH_DATA",
)
def test_the_real_phrasebank():
    data = text.load(BANK)
    assert data.labels == ("negative", "neutral", "positive")
    assert data.data_issues["repeated"].of == 4846
    assert sum(map(len, data.splits.values())) > 4800
