"""Named-entity files as people have them: read right, or refused in one sentence."""

import json
import os

import pyarrow
import pyarrow.parquet
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from workbench.core.errors import DataError
from workbench.data import conll, entities, ner, tables, text

WORDS = ["Ada", "Lund", "met", "O'Brien", "in", "Oslo", "."]
TAGS = ["B-PER", "I-PER", "O", "B-PER", "O", "B-LOC", "O"]
TEXT = "Ada Lund met O'Brien in Oslo."
SPANS = [(0, 8, "PER"), (13, 20, "PER"), (24, 28, "LOC")]


def columns(tags=TAGS, mark=" ", *, words=WORDS, before=(), after=()):
    rows = zip(words, tags, strict=True)
    return "\n".join(mark.join([*before, *row, *after]) for row in rows) + "\n"


def numbered(start=1):
    lines = [
        f"{at}\t{word}\t{tag}"
        for at, (word, tag) in enumerate(zip(WORDS, TAGS, strict=True), start)
    ]
    return "\n".join(lines) + "\n"


def spans(form):
    return [form(*span) for span in SPANS]


def lines(record):
    return json.dumps(record) + "\n"


def a_word_a_row(mark, *, head="Sentence #,Word,POS,Tag", number="Sentence: 1"):
    """Kaggle's layout: the sentence's number is shown next to its first word only."""
    rows = [
        mark.join([number if at == 0 else "", word, "NN", tag])
        for at, (word, tag) in enumerate(zip(WORDS, TAGS, strict=True))
    ]
    return "\n".join([head.replace(",", mark), *rows]) + "\n"


bioes = ["B-PER", "E-PER", "O", "S-PER", "O", "S-LOC", "O"]
bilou = ["B-PER", "L-PER", "O", "U-PER", "O", "U-LOC", "O"]
io = ["I-PER", "I-PER", "O", "I-PER", "O", "I-LOC", "O"]
LAYOUTS = {
    "BIOES": ("a.conll", columns(bioes)),
    "BILOU": ("a.txt", columns(bilou)),
    "BMESO": ("a.bio", columns(["B-PER", "M-PER", *bioes[2:]])),
    "IO": ("a.conll", columns(io)),
    "types alone": ("a.conll", columns([tag[2:] or "O" for tag in TAGS])),
    "CoNLL-U numbers": ("a.conllu", f"# sent_id = 1\n# text = {TEXT}\n{numbered()}"),
    "numbers from 0": ("a.conll", numbered(0)),
    "annotator last": ("a.iob2", columns(mark="\t", after=["-", "bo"])),
    "tabs in .tsv": ("a.tsv", columns(mark="\t")),
    "byte order mark, CRLF": ("a.conll", "\ufeff" + columns().replace("\n", "\r\n")),
    "spans as objects": (
        "a.jsonl",
        lines({"text": TEXT, "entities": spans(
            lambda s, e, t: {"start": s, "end": e, "type": t})}),
    ),
    "spaCy's pairs": ("a.json", json.dumps([[TEXT, {"entities": SPANS}]])),
    "doccano's labels": ("a.jsonl", lines({"id": 7, "text": TEXT, "label": SPANS})),
    "doccano's entities": (
        "a.jsonl",
        lines({
            "text": TEXT, "relations": [],
            "entities": spans(lambda s, e, t: {
                "id": s, "label": t, "start_offset": s, "end_offset": e}),
        }),
    ),
    "Label Studio's export": (
        "a.json",
        json.dumps([{
            "id": 1, "data": {"text": TEXT},
            "annotations": [{"was_cancelled": False, "result": spans(lambda s, e, t: {
                "type": "labels",
                "value": {"start": s, "end": e, "text": TEXT[s:e], "labels": [t]}})}],
        }]),
    ),
    "Label Studio's small export": (
        "a.json",
        json.dumps([{
            "text": TEXT,
            "label": spans(lambda s, e, t: {"start": s, "end": e, "labels": [t]}),
        }]),
    ),
    "Prodigy's spans": (
        "a.jsonl",
        lines({
            "text": TEXT, "tokens": [{"text": "Ada", "start": 0, "end": 3, "id": 0}],
            "spans": spans(lambda s, e, t: {"start": s, "end": e, "label": t}),
        }),
    ),
    "spans with spaces at their ends": (
        "a.jsonl", lines({"text": TEXT, "entities": [(0, 9, "PER"), (12, 20, "PER"), SPANS[2]]}),
    ),
    "Kaggle's table, Latin-1": ("a.csv", a_word_a_row(",").encode("latin-1")),
    "semicolons and sep=": ("a.csv", "sep=;\n" + a_word_a_row(";")),
    "tabs with a header": ("a.tsv", a_word_a_row("\t", head="sentence_id,token,pos,ner_tag")),
    "a list in an object": ("a.json", json.dumps({"data": [{"tokens": WORDS, "ner_tags": bioes}]})),
    "columns of lists": ("a.json", json.dumps({"tokens": [WORDS], "ner_tags": [TAGS]})),
    "one row alone": ("a.json", json.dumps({"tokens": WORDS, "ner_tags": TAGS})),
    "one row of spans alone": (
        "a.json",
        json.dumps({"content": TEXT, "entities": spans(
            lambda s, e, t: {"start": s, "end": e, "label": t})}),
    ),
    "an array called .jsonl": ("a.jsonl", json.dumps([{"tokens": WORDS, "ner_tags": TAGS}])),
    "a pair a line": ("a.jsonl", lines([TEXT, {"entities": SPANS}])),
    "sep= with commas after it": ("a.csv", "sep=;,,,\n" + a_word_a_row(";")),
    "sep= line, rare": ("a.csv", "sep=^\n" + a_word_a_row("^")),
    "words and tags in capitals": ("a.jsonl", lines({"Tokens": WORDS, "NER_Tags": TAGS})),
}  # fmt: skip


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_that_people_have_are_read_to_the_same_sentence(tmp_path, layout):
    name, content = LAYOUTS[layout]
    for split in ("train", "dev", "test"):
        write(tmp_path / f"x.{split}{name[1:]}", content)
    found = ner.load(str(tmp_path))
    (row,) = found.splits["validation"]
    assert (row["tokens"], row["ner_tags"]) == (WORDS, TAGS)
    assert found.types == ("LOC", "PER")


@pytest.mark.parametrize(
    ("tags", "scheme", "count"),
    [(bioes, "BIOES", 9), (bilou, "BILOU", 9), (io, "IOB2$", 9), ([t[2:] or "O" for t in TAGS],
     "types alone", 12)],
)  # fmt: skip
def test_rewritten_tags_are_counted_and_their_scheme_is_named(tmp_path, tags, scheme, count):
    for split in ("train", "validation", "test"):
        write(tmp_path / f"{split}.txt", columns(tags))
    loss = ner.load(str(tmp_path)).data_issues["rewritten_tags"]
    assert (loss.count, loss.of) == (count, 21)
    assert scheme.strip("$") in loss.note


REFUSED = {
    "tags of two schemes": ("a.conll", columns(["B-PER", "E-PER", "O", "U-PER", *TAGS[4:]]),
                            "a.conll:4: unknown tag 'U-PER'"),
    "a column missing": ("a.conll", "Ada B-PER\nran\n", "a.conll:2: 1 columns"),
    "words of prose": ("a.txt", "good morning\ngood night\n", "unknown tag 'morning'"),
    "bytes for characters": (
        "a.jsonl",
        lines({"text": "Zürich und Oslo",
               "entities": [{"start": 12, "end": 16, "text": "Oslo", "label": "LOC"}]}),
        "is no span of a text of 15 characters",
    ),
    "offsets of another text": (
        "a.jsonl",
        lines({"text": "in Oslo", "entities": [{"start": 2, "end": 6, "text": "Oslo",
                                                "label": "LOC"}]}),
        "the entity 'Oslo' is ' Osl' in the text",
    ),
    "an end before its start": ("a.jsonl", lines({"text": "Oslo", "entities": [[4, 0, "LOC"]]}),
                                "is no span of a text"),
    "a class for a list of spans": ("a.jsonl", lines({"text": "Oslo", "label": "LOC"}),
                                    "no list of spans"),
    "numbers for tags": ("a.jsonl", lines({"tokens": WORDS, "ner_tags": [1] * 7}),
                         "unknown tag 1"),
    "numbers for words": ("a.jsonl", lines({"tokens": [7], "ner_tags": ["O"]}), "'7' is no word"),
    "half a character": ("a.jsonl", '{"tokens": ["\\ud800"], "ner_tags": ["O"]}\n',
                         "half a character"),
    "lists as their print": ("a.csv", "Sentence #,Sentence,Tag\n1,Ada,\"['B-PER']\"\n",
                             "no header with the columns word, tag, sentence"),
    "a sentence that comes again": (
        "a.csv", "sentence,word,tag\n1,Ada,B-PER\n2,Oslo,B-LOC\n1,ran,O\n",
        "row 2: sentence '1' comes again",
    ),
    "a quotation mark that is not doubled": (
        "a.csv", 'sentence,word,tag\n1,",O\n1,Ada,B-PER\n', "can't be read|is no word",
    ),
    "deep JSON": ("a.json", "[" * 100_000, "can't be read"),
    "two annotators": (
        "a.json",
        json.dumps([{"data": {"text": "Oslo"}, "annotations": [{"result": []}, {"result": []}]}]),
        "1 texts and 2 annotations",
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", REFUSED)
@pytest.mark.fault(
    46, "files of tagged words that can be read in two ways", "exit 3 in one sentence"
)
def test_what_can_be_read_in_two_ways_is_refused_in_one_sentence(tmp_path, layout):
    name, content, says = REFUSED[layout]
    with pytest.raises(DataError, match=says):
        ner.load(str(write(tmp_path / name, content)))


NAMES = [
    ("x.train.conll", "x.dev.conll", "x.test.conll"),
    ("x_train.txt", "x_dev.txt", "x_test.txt"),
    ("x-train.txt", "x-valid.txt", "x-test.txt"),
    ("eng.train", "eng.testa", "eng.testb"),
    ("data/train-00000-of-00001.conll", "data/val-00000-of-00001.conll",
     "data/test-00000-of-00001.conll"),
    ("train/a.conll", "development/a.conll", "test/a.conll"),
]  # fmt: skip


@pytest.mark.parametrize("names", NAMES, ids=lambda names: names[0])
def test_own_names_of_split_files_are_known(tmp_path, names):
    for name, place in zip(names, ("Rome", "Oslo", "Bonn"), strict=True):
        write(tmp_path / name, f"{place} B-LOC\n")
    write(tmp_path / "LICENSE.txt", "free")
    found = ner.load(str(tmp_path))
    assert [found.splits[split]["tokens"][0] for split in tables.SPLITS] == [
        ["Rome"], ["Oslo"], ["Bonn"]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["one.conll", "two.conll"], "no train, validation, test file among(.|\n)*x.train.conll"),
        (["a.train.txt", "b.train.txt", "test.txt"], "2 files for the train split"),
        (["en/train.txt", "en/test.txt", "de/train.txt", "de/test.txt"], "several data sets"),
    ],
)
def test_names_that_say_too_little_are_refused_with_how_to_rename(tmp_path, names, says):
    for name in names:
        write(tmp_path / name, "Oslo B-LOC\n")
    with pytest.raises(DataError, match=says):
        ner.load(str(tmp_path))


def test_without_validation_a_tenth_of_training_is_it_and_the_test_split_stays(tmp_path):
    train = "\n".join(f"Ada B-PER\nsaw O\n{number} O\n" for number in range(200))
    test = "Oslo B-LOC\n\nOslo B-LOC\n\nAda B-PER\nsaw O\n7 O\n"
    write(tmp_path / "train.txt", train + "\nOslo B-LOC\n")
    write(tmp_path / "test.txt", test)
    found = ner.load(str(tmp_path))
    sizes = {split: len(rows) for split, rows in found.splits.items()}
    assert sizes["train"] + sizes["validation"] == 201
    assert 8 <= sizes["validation"] <= 35
    assert list(found.splits["test"]["tokens"]) == [["Oslo"], ["Oslo"], ["Ada", "saw", "7"]]
    loss = found.data_issues["validation_from_train"]
    assert (loss.count, loss.of) == (sizes["validation"], 201)
    held = {tuple(words) for words in found.splits["validation"]["tokens"]}
    write(tmp_path / "train.txt", train + "\nOslo B-LOC\n\nTom B-PER\n")
    again = {tuple(words) for words in ner.load(str(tmp_path)).splits["validation"]["tokens"]}
    assert held <= again, "more data moved a document"


def test_rows_that_name_their_split_are_left_in_it(tmp_path):
    rows = [("train", "Rome"), ("dev", "Oslo"), ("test", "Bonn")]
    content = "".join(
        lines({"split": split, "tokens": [word], "ner_tags": ["B-LOC"]}) for split, word in rows
    )
    found = ner.load(str(write(tmp_path / "all.jsonl", content)))
    assert not found.one_file, "the splits are the data's own"
    assert [found.splits[split]["tokens"][0][0] for split in tables.SPLITS] == [
        "Rome", "Oslo", "Bonn"
    ]  # fmt: skip


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@pytest.mark.fault(43, "a data file replaced, its time stamp kept", "the new rows")
def test_a_file_replaced_with_its_time_kept_is_read_anew(tmp_path, ending):
    def save(word):
        for split in ("train", "validation", "test"):
            path = tmp_path / f"{split}.{ending}"
            row = {"tokens": [word], "ner_tags": ["B-LOC"]}
            if ending == "jsonl":
                write(path, lines(row))
            else:
                pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), path)
            os.utime(path, (1, 1))

    for word in ("Oslo", "Rome"):
        save(word)
        assert ner.load(str(tmp_path)).splits["test"]["tokens"][0] == [word]


@pytest.mark.fault(44, "a data folder whose README names other files", "they are not read")
def test_a_readme_chooses_no_files(tmp_path):
    secret = write(
        tmp_path / "elsewhere" / "secret.jsonl", lines({"tokens": ["X"], "ner_tags": ["O"]})
    )
    folder = tmp_path / "data"
    for split in ("train", "validation", "test"):
        write(folder / f"{split}.jsonl", lines({"tokens": ["Oslo"], "ner_tags": ["B-LOC"]}))
    files = "".join(
        f"  - split: {split}\n    path: {secret}\n" for split in ("train", "validation", "test")
    )
    front = f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n"
    write(folder / "README.md", front)
    assert ner.load(str(folder)).splits["train"]["tokens"][0] == ["Oslo"]


def test_spans_inside_words_are_widened_and_overlapping_ones_left_out_counted(tmp_path):
    text = "Visit http://x.co/ada now\nThe Bank of Oslo shut"
    given = [[18, 21, "PER"], [30, 42, "ORG"], [38, 42, "LOC"]]
    for split in ("train", "validation", "test"):
        write(tmp_path / f"{split}.jsonl", lines({"text": text, "entities": given}))
    found = ner.load(str(tmp_path))
    assert list(found.splits["test"]["tokens"]) == [
        ["Visit", "http://x.co/ada", "now"], ["The", "Bank", "of", "Oslo", "shut"]
    ]  # fmt: skip
    assert list(found.splits["test"]["ner_tags"]) == [
        ["O", "B-PER", "O"], ["O", "B-ORG", "I-ORG", "I-ORG", "O"]
    ]  # fmt: skip
    assert list(found.splits["test"]["document"]) == [0, 0]
    counts = {name: found.data_issues[name].count for name in ("widened", "overlapping")}
    assert counts == {"widened": 3, "overlapping": 3}


def test_words_that_look_like_numbers_or_nothing_stay_words(tmp_path):
    rows = 'sentence,word,tag\n1,NA,B-ORG\n1,null,O\n1,1.0,O\n1,"""",O\n'
    for split in ("train", "validation", "test"):
        write(tmp_path / f"{split}.csv", rows)
    assert ner.load(str(tmp_path)).splits["test"]["tokens"][0] == ["NA", "null", "1.0", '"']


def test_a_lone_quotation_mark_between_tabs_is_a_word_where_rows_end_early_too(tmp_path):
    rows = 'sentence\tword\ttag\tnote\n1\t"\tO\n1\tOslo\tB-LOC\tx\n1\t"\tO\t\n'
    for split in ("train", "validation", "test"):
        write(tmp_path / f"{split}.tsv", rows)
    assert ner.load(str(tmp_path)).splits["test"]["tokens"][0] == ['"', "Oslo", '"']


def test_class_numbers_of_a_word_a_row_get_their_names(tmp_path):
    features = Features({
        "sentence": Value("int64"), "word": Value("string"),
        "tag": ClassLabel(names=["O", "B-LOC"]),
    })  # fmt: skip
    rows = {"sentence": [1, 1], "word": ["in", "Oslo"], "tag": [0, 1]}
    for split in ("train", "validation", "test"):
        Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / f"{split}.parquet"))
    assert ner.load(str(tmp_path)).splits["test"]["ner_tags"][0] == ["O", "B-LOC"]


def test_two_columns_of_numbers_are_words_and_tags(tmp_path):
    found = conll.read(write(tmp_path / "a.conll", "1 O\n2 O\nAda B-PER\n"))
    assert found.tokens == [["1", "2", "Ada"]]
    found = conll.read(write(tmp_path / "b.conll", "1 NN O\n2 NN O\n\n1966 NN B-MISC\n"))
    assert found.tokens[0] == ["1", "2"], "a year does not count words"


ONE_ROW = lines({"tokens": ["Oslo"], "ner_tags": ["B-LOC"]})


@pytest.mark.parametrize(
    ("files", "tagged"),
    [
        ({"x.train.conll": "Oslo B-LOC\n"}, True),
        ({"train.CONLL": "Oslo B-LOC\n", "README.txt": "what it is"}, True),
        ({"data/train.conll": "Oslo B-LOC\n", "notes.csv": "text,label\na,b\n"}, True),
        ({"eng.train": "Oslo B-LOC\n", "eng.testa": "Oslo B-LOC\n"}, True),
        ({"mine.jsonl": ONE_ROW}, True),
        ({"a.JSONL": LAYOUTS["doccano's labels"][1]}, True),
        ({"a.json": LAYOUTS["spaCy's pairs"][1]}, True),
        ({"a.csv": a_word_a_row(",")}, True),
        ({"a.tsv": columns(mark="\t")}, True),
        ({"train.csv": "text,label\na,b\n", "test.csv": "text,label\na,b\n",
          "README.txt": "what it is", "notes.txt": "more"}, False),
        ({"all.csv": "text,label\na,b\n", "notes.txt": "more"}, False),
        ({"all.tsv": "text\tlabel\na\tb\n"}, False),
        ({"all.jsonl": lines({"text": "a", "label": "b"})}, False),
        ({"Sentences_AllAgree.txt": "a@b\n"}, False),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, dict) else "",
)  # fmt: skip
def test_files_of_splits_and_their_columns_tell_tagged_sentences_from_texts(
    tmp_path, files, tagged
):
    for name, content in files.items():
        write(tmp_path / name, content)
    assert entities.is_tagged(str(tmp_path)) is tagged


FOLDERS = {
    "devel": ["train.{}", "devel.{}", "test.{}"],
    "development": ["a_train.{}", "a_development.{}", "a_test.{}"],
    "testa": ["a.train.{}", "a.testa.{}", "a.testb.{}"],
    "folders": ["train/train.{}", "dev/dev.{}", "test/test.{}"],
    "another folder beside them": ["train.{}", "dev.{}", "test.{}", "raw/train.{}"],
    "train alone": ["train.{}"],
    "numbered parts": ["train_2019.{}", "train_2020.{}", "test.{}"],
    "numbers without a sign": ["train1.{}", "train2.{}", "test.{}"],
    "two files": ["train.{}", "train_old.{}", "test.{}"],
    "no test": ["train.{}", "dev.{}"],
    "no split": ["one.{}", "two.{}"],
    "two data sets": ["en/train.{}", "en/test.{}", "de/train.{}", "de/test.{}"],
    "one split in a column": ["all.{}"],
    "all splits in a column": ["all.{}"],
    "some rows without a split": ["all.{}"],
}
CELLS = {"one": ["train"], "all": ["Train", "dev", "test"], "some": ["train", "test", ""]}


@pytest.mark.parametrize("kind", FOLDERS)
def test_texts_and_tagged_words_of_files_of_the_same_names_have_the_same_splits(tmp_path, kind):
    """Compare which files, or cells of the column, each split's rows come from; or the error."""
    cells = CELLS.get(kind.split()[0])

    def found(load, key, row):
        for name in FOLDERS[kind]:
            stem = name.removesuffix(".{}").replace("/", "_")
            own = cells or [stem]
            rows = [row(own[at % len(own)], at) for at in range(90)]
            rows = [each | ({"split": own[at % len(own)]} if cells else {})
                    for at, each in enumerate(rows)]  # fmt: skip
            write(tmp_path / key / name.format("jsonl"), "".join(map(lines, rows)))
        try:
            splits = load(str(tmp_path / key)).splits
        except DataError as error:
            first = str(error).splitlines()[0]
            return first.replace(f"{tmp_path / key}", "").replace("/all.jsonl", "")
        words = {name: [r[key] if key == "tokens" else r[key].split() for r in rows]
                 for name, rows in splits.items()}  # fmt: skip
        return {name: {each[0] for each in own} for name, own in words.items()}

    of_texts = found(text.load, "text", lambda s, at: {"text": f"{s} {at}", "label": "ab"[at % 2]})
    of_words = found(
        ner.load, "tokens", lambda s, at: {"tokens": [s, str(at)], "ner_tags": ["B-X", "O"]}
    )
    assert of_texts == of_words
