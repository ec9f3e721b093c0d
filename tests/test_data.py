"""The strict CoNLL reader and what becomes of files, folders and tables."""

import json

import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from workbench.core import assets, paths
from workbench.core.errors import DataError
from workbench.data import conll, ner

GOOD = "-DOCSTART- O\n\nAda B-PER\nruns O\n\nTarvik B-LOC\n"


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


CONLL = (
    16,
    "CoNLL files: a column missing or too many, an unknown tag, Latin-1, BOM, CRLF, 0 bytes",
    "exit 3 with file and line, or read as documented",
)
EMPTY = (19, "a split without entities; one class alone", "exit 3, no NaN")
LABELS = (21, "labels that training lacks", "exit 3, they are listed")


def test_sentences_documents_and_lines(tmp_path):
    found = conll.read(write(tmp_path / "a.txt", GOOD + "\n-DOCSTART- O\n\nEnd O\n"))
    assert found.tokens == [["Ada", "runs"], ["Tarvik"], ["End"]]
    assert found.tags == [["B-PER", "O"], ["B-LOC"], ["O"]]
    assert found.documents == [1, 1, 2]
    assert found.lines == [3, 6, 10]


def test_without_marks_each_sentence_is_its_own_document(tmp_path):
    found = conll.read(write(tmp_path / "a.txt", "Ada B-PER\n\nTarvik B-LOC\n"))
    assert found.documents == [0, 1]


@pytest.mark.fault(*CONLL)
@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.rstrip("\n").encode(),
        GOOD.replace(" ", "\t").encode(),
        GOOD.replace("\n\n", "\n \n\n").encode(),
    ],
    ids=["byte order mark", "CRLF", "no last newline", "tabs", "blank lines with spaces"],
)
def test_harmless_variants_read_the_same(tmp_path, content):
    plain = conll.read(write(tmp_path / "plain.txt", GOOD))
    other = conll.read(write(tmp_path / "other.txt", content))
    assert (other.tokens, other.tags) == (plain.tokens, plain.tags)


def test_other_spaces_stay_inside_words(tmp_path):
    found = conll.read(write(tmp_path / "a.txt", "10\u00a0000 O\nnext\u2028line O\n"))
    assert found.tokens == [["10\u00a0000", "next\u2028line"]]


@pytest.mark.fault(*CONLL)
@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ("Ada X B-PER\nruns O\n", 2, "2 columns"),
        ("Ada B-PER\nruns X O\n", 2, "3 columns"),
        ("Ada\n", 1, "1 columns"),
        ("Ada B-PER\n B-PER\n", 2, "columns"),
        ("Ada B-PER\nruns X-PER\n", 2, "unknown tag 'X-PER'"),
        ("Ada B-PER\nruns B-\n", 2, "unknown tag 'B-'"),
        (b"Ada B-PER\n\nZ\xfcrich B-LOC\n", 3, "byte 0xfc at column 2 is not UTF-8"),
    ],
)
def test_broken_line_is_named(tmp_path, content, line, says):
    path = write(tmp_path / "bad.txt", content)
    with pytest.raises(DataError, match=says) as error:
        conll.read(path)
    assert f"{path}:{line}:" in str(error.value)


@pytest.mark.fault(*CONLL)
@pytest.mark.parametrize("content", ["", "\n\n", "-DOCSTART- O\n\n"])
def test_no_sentences_is_an_error(tmp_path, content):
    with pytest.raises(DataError, match="no sentences"):
        conll.read(write(tmp_path / "empty.txt", content))


@pytest.mark.fault(*CONLL)
def test_unknown_type_is_refused_where_types_are_known(tmp_path):
    path = write(tmp_path / "a.txt", "Ada B-PERSON\n")
    with pytest.raises(DataError, match=r"a.txt:1: unknown tag 'B-PERSON'(.|\n)*LOC, PER"):
        conll.read(path, types=("LOC", "PER"))


def folder_with(tmp_path, **splits):
    for split in ("train", "validation", "test"):
        write(tmp_path / f"{split}.txt", splits.get(split, GOOD))
    return tmp_path


def test_folder_of_conll_files_loads_and_iob1_is_counted(tmp_path):
    data = ner.load(str(folder_with(tmp_path, train="Ada I-PER\nBerg I-PER\nruns O\n\nX B-LOC\n")))
    assert data.types == ("LOC", "PER")
    assert data.labels == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    assert data.splits["train"]["ner_tags"][0] == ["B-PER", "I-PER", "O"]
    assert data.data_issues["rewritten_tags"].count == 1
    assert "tags rewritten to IOB2: 1 of" in data.describe()


def test_test_sentences_seen_in_training_are_counted(tmp_path):
    data = ner.load(str(folder_with(tmp_path, test=GOOD + "\nNew O\n")))
    assert (data.data_issues["test_in_train"].count, data.data_issues["test_in_train"].of) == (2, 3)


@pytest.mark.fault(*LABELS)
def test_type_that_training_lacks_is_an_error(tmp_path):
    with pytest.raises(DataError, match="test split has entities of type ORG"):
        ner.load(str(folder_with(tmp_path, test="Hale B-ORG\n")))


@pytest.mark.fault(*EMPTY)
def test_split_without_entities_is_an_error(tmp_path):
    with pytest.raises(DataError, match="test split has no entity"):
        ner.load(str(folder_with(tmp_path, test="nothing O\n")))


def test_class_label_of_no_class_is_an_error(tmp_path):
    features = Features(
        {"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=["O", "B-PER"]))}
    )
    for split in ("train", "validation", "test"):
        rows = {"tokens": [["Ada", "runs"]], "ner_tags": [[1, -1]]}
        Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / f"{split}.parquet"))
    with pytest.raises(DataError, match="row 0: unknown tag -1"):
        ner.load(str(tmp_path))


def test_missing_split_is_an_error(tmp_path):
    for split in ("train", "validation"):
        write(tmp_path / f"{split}.txt", GOOD)
    with pytest.raises(DataError, match="has the splits train, validation"):
        ner.load(str(tmp_path))


ROWS = [
    {"tokens": ["Ada", "runs", str(number)], "ner_tags": ["B-PER", "O", "O"]}
    for number in range(60)
]


@pytest.mark.parametrize("ending", [".jsonl", ".parquet", ".conll"])
def test_single_file_is_split_by_hash(tmp_path, ending):
    path = tmp_path / f"mine{ending}"

    def save(rows):
        if ending == ".jsonl":
            write(path, "".join(json.dumps(row) + "\n" for row in rows))
        elif ending == ".parquet":
            Dataset.from_list(rows).to_parquet(str(path))
        else:
            blocks = ("\n".join(map(" ".join, zip(*row.values(), strict=True))) for row in rows)
            write(path, "\n\n".join(blocks))

    save(ROWS[:50])
    before = {
        name: {tuple(t) for t in s["tokens"]} for name, s in ner.load(str(path)).splits.items()
    }
    assert all(before.values())
    save(ROWS)
    after = {
        name: {tuple(t) for t in s["tokens"]} for name, s in ner.load(str(path)).splits.items()
    }
    assert all(before[name] <= after[name] for name in before), "more data moved an item"


def test_class_labels_become_text(tmp_path):
    features = Features(
        {"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=["O", "B-PER"]))}
    )
    rows = {"tokens": [["Ada", "runs"]], "ner_tags": [[1, 0]]}
    for split in ("train", "validation", "test"):
        Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / f"{split}.parquet"))
    assert ner.load(str(tmp_path)).splits["test"]["ner_tags"][0] == ["B-PER", "O"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"tokens": ["Ada"], "ner_tags": ["B-PER", "O"]}', "row 0: 1 words and 2 tags"),
        ('{"tokens": ["Ada"], "ner_tags": [1]}', "row 0: unknown tag 1"),
        ('{"tokens": ["Ada"], "ner_tags": null}', "row 0: 1 words and 0 tags"),
        ('{"tokens": ["Ada", null], "ner_tags": ["O", "O"]}', "row 0: 2 words and 2 tags"),
        ('{"text": "Ada"}', "has the columns text"),
        ('{"tokens": ["Ada"', "can't be read"),
    ],
)
def test_broken_table_is_a_data_error(tmp_path, line, says):
    with pytest.raises(DataError, match=says):
        ner.load(str(write(tmp_path / "mine.jsonl", line + "\n")))


def test_file_that_cannot_hold_tagged_words_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a .xlsx file(.|\n)*\.conll"):
        ner.load(str(write(tmp_path / "mine.xlsx", "text,label\n")))


def test_conll2003_is_the_official_data(conll2003):
    data = conll2003
    counts = {name: (len(s), sum(map(len, s["tokens"]))) for name, s in data.splits.items()}
    assert counts == {
        "train": (14041, 203621), "validation": (3250, 51362), "test": (3453, 46435),
    }  # fmt: skip
    assert len(set(data.splits["test"]["document"])) == 231
    assert "research use" in data.describe()
    assert assets.find("conll2003").state() == "verified"


def test_part_of_speech_and_chunk_stand_beside_each_word_of_conll2003(conll2003):
    data = conll2003
    first = data.splits["train"][0]
    assert list(zip(first["tokens"], first["pos_tags"], first["chunk_tags"], strict=True))[:4] == [
        ("EU", "NNP", "B-NP"), ("rejects", "VBZ", "B-VP"), ("German", "JJ", "B-NP"),
        ("call", "NN", "I-NP"),
    ]  # fmt: skip
    for split in data.splits.values():
        lengths = list(map(len, split["tokens"]))
        assert list(map(len, split["pos_tags"])) == list(map(len, split["chunk_tags"])) == lengths
    tags = {tag for tags in data.splits["train"]["chunk_tags"] for tag in tags}
    assert all(tag == "O" or tag[:2] in {"B-", "I-"} for tag in tags)


@pytest.mark.parametrize(("columns", "known"), [("NN B-NP", True), ("NN", False), ("a b c", False)])
def test_four_columns_only_are_those_of_conll2003(tmp_path, columns, known):
    lines = f"Ada {columns} B-PER\nruns {columns} O\n"
    data = ner.load(str(folder_with(tmp_path, train=lines, validation=lines, test=lines)))
    assert ("pos_tags" in data.splits["train"].column_names) is known
    if known:
        assert data.splits["test"]["pos_tags"][0] == ["NN", "NN"]
        assert data.splits["test"]["chunk_tags"][0] == ["B-NP", "B-NP"]


def test_wnut16_is_split_by_hash_and_has_its_ten_types():
    data = ner.load("wnut16")
    counts = {name: (len(s), sum(map(len, s["tokens"]))) for name, s in data.splits.items()}
    assert counts == {"train": (1941, 37842), "validation": (241, 4628), "test": (212, 3999)}
    assert data.types == (
        "company", "facility", "geo-loc", "movie", "musicartist", "other", "person", "product",
        "sportsteam", "tvshow",
    )  # fmt: skip
    assert len(data.labels) == 21
    assert data.data_issues["test_in_train"].count == 0
    assert data.splits.column_names["train"] == ["tokens", "ner_tags", "document"]


def test_fixture_is_ours_and_small():
    files = list((paths.FIXTURES / "tiny_ner").iterdir())
    assert sum(file.stat().st_size for file in files) < 100_000
    assert ner.load("tiny_ner").types == ("LOC", "MISC", "ORG", "PER")
