"""A run's model: kept, loaded by plain transformers, asked for new text."""

import json
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pandas
import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForTokenClassification, AutoTokenizer

import workbench as wb
from workbench import flow, tasks
from workbench.core import machine, paths, sources
from workbench.core.errors import DataError, IntegrityError, ParameterError
from workbench.data import lines
from workbench.data import ner as data
from workbench.data.words import words as cut
from workbench.methods import classifiers, export, predict
from workbench.methods.classifiers import Reading
from workbench.models.encoder import Encoder, TokenClassifier, word_shape
from workbench.models.text_classifier import TextClassifier, merged
from workbench.record import iob
from workbench.record.result import Result
from workbench.tasks.fine_tuning import run as fine_tuning
from workbench.tasks.ner import run as ner

TEXTS = [
    "Ada Lund runs the harbour of Tarvik.",
    "",
    "   ",
    "The council of Tarvik met on Monday; nobody came.",
]


LONG = "The harbour was quiet, the food arrived late and cold, nobody smiled, " * 2


@pytest.fixture(scope="module", autouse=True)
def models_are_kept():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(export.VARIABLE, raising=False)
        yield


@pytest.fixture
def command(call_forked):
    """What the command line says of a run's model and a file."""

    def call(*arguments) -> subprocess.CompletedProcess:
        return call_forked("predict", *map(str, arguments))

    return call


@pytest.fixture(scope="module")
def encoder(tmp_path_factory, tiny_bert):
    """The folder of a tiny encoder whose tokenizer adds what begins and ends a text."""
    folder = shutil.copytree(tiny_bert, tmp_path_factory.mktemp("encoder"), dirs_exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    added = [(name, tokenizer.convert_tokens_to_ids(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=added
    )
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def tagged(tmp_path_factory, encoder):
    """A run that learned a few sentences by heart, its model kept."""
    folder, run = tmp_path_factory.mktemp("same"), tmp_path_factory.mktemp("run")
    for split in ("train", "validation", "test"):
        shutil.copy(paths.FIXTURES / "tiny_ner" / "train.txt", folder / f"{split}.txt")
    config = ner.Config.check(
        {
            "model": encoder, "dataset": str(folder), "transfer": "", "epochs": 20,
            "learning_rate": 0.01, "batch_tokens": 128, "window_tokens": 40,
            "extras": "casing, document_smoothing, window_averaging", "precision": "float32",
        }
    )  # fmt: skip
    config._directory = run
    result = flow.run(config, ner.load_model(config), ner.load_data(config))
    result.save()
    return run, result


@pytest.fixture(scope="module")
def classified(tmp_path_factory, encoder):
    """A run of full fine-tuning on a few reviews, its model kept."""
    run = tmp_path_factory.mktemp("run")
    changes = {
        "model": encoder, "epochs": 10, "learning_rate": 0.01, "max_tokens": 80,
        "precision": "float32",
    }  # fmt: skip
    config = fine_tuning.Config.check(tasks.TASKS["fine_tuning"].SMOKE | changes)
    config._directory = run
    result = flow.run(config, fine_tuning.load_model(config), fine_tuning.load_data(config))
    result.save()
    return run, result


def test_sentences_learned_by_heart_are_tagged_the_same_from_raw_text(tagged):
    run, result = tagged
    rows = result.items[result.items["predicted"].map(len) > 4].head(8)
    texts = [" ".join(words) for words in rows["input"]]
    found = list(predict.predict(run, texts))
    assert [answer["text"] for answer in found] == texts
    names = {(entity["type"], entity["text"]) for answer in found for entity in answer["entities"]}
    wanted = {
        (tag[2:], word)
        for words, tags in zip(rows["input"], rows["gold"], strict=True)
        for place, (word, tag) in enumerate(zip(words, tags, strict=True))
        if tag.startswith("B-") and not [*tags, "O"][place + 1].startswith("I-")
    }
    assert len(wanted & names) > 0.8 * len(wanted)


def test_places_are_those_of_the_text_and_nothing_is_left_out(tagged):
    run, _ = tagged
    long = " ".join(["Ada Lund went to Tarvik."] * 300)
    found = list(predict.predict(run, [*TEXTS, long]))
    assert [answer["text"] for answer in found] == [*TEXTS, long]
    assert found[1]["entities"] == found[2]["entities"] == []
    for answer in found:
        for entity in answer["entities"]:
            assert answer["text"][entity["start"] : entity["end"]] == entity["text"]
            assert 0 < entity["probability"] <= 1
    assert max(entity["end"] for entity in found[-1]["entities"]) > 0.9 * len(long)


def joined(tokens):
    """Tokens as people write them, and the place of each: signs stand at words, quotes pair."""
    text, places, quoted, glued = "", [], False, True
    for token in tokens:
        ends = token in {*".,;:!?)]}%", "...", "n't", "'"} or token.lower() in CLITICS
        ends = ends or (token == '"' and quoted)
        text += "" if glued or ends else " "
        places.append((len(text), len(text) + len(token)))
        text += token
        quoted ^= token == '"'
        glued = token in {*"([{$#"} or (token == '"' and quoted) or token.endswith("$")
    return text, places


HINDI = "\u0939\u093f\u0928\u094d\u0926\u0940"
"""A word with vowel signs, which are marks and no letters."""
CLITICS = {"'s", "'re", "'m", "'ve", "'ll", "'d"}


def test_words_of_running_text_are_those_of_the_corpus(conll2003):
    """Of CoNLL-2003's test split, joined; the old rule gave back 83 of 100 sentences."""
    rows = conll2003.splits["test"]
    same = kept = given = bounds = entities = 0
    for tokens, tags in zip(rows["tokens"], rows["ner_tags"], strict=True):
        text, places = joined(tokens)
        found = cut(text)
        same += found == places
        kept, given = kept + len(set(places) & set(found)), given + len(places)
        starts, ends = {start for start, _ in found}, {end for _, end in found}
        for _, first, end in iob.spans(tags):
            entities += 1
            bounds += places[first][0] in starts and places[end - 1][1] in ends
    assert same / len(rows) > 0.97
    assert kept / given > 0.998
    assert bounds / entities > 0.999


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See https://x.co/a?b=c, or www.b.org/d.", "See https://x.co/a?b=c , or www.b.org/d ."),
        ("@ada_l loves #NER; mail a.b@c.org!", "@ada_l loves #NER ; mail a.b@c.org !"),
        ("bit.ly/x (via yahoo.com)", "bit.ly/x ( via yahoo.com )"),
        ("It costs $1,000.50 or 3-1/2%", "It costs $ 1,000.50 or 3-1/2 %"),
        ("on 1996-08-22 at 2:29.34, up +0.5", "on 1996-08-22 at 2:29.34 , up +0.5"),
        ("O'Brien's dog and d'Italia's", "O'Brien 's dog and d'Italia 's"),
        ("I don't, you can\u2019t, WE'LL", "I do n't , you ca n\u2019t , WE 'LL"),
        ("the U.S. and U.S.-led U.N. troops.", "the U.S. and U.S.-led U.N. troops ."),
        ("Mr. J. Smith of St. Louis, 12-year-old", "Mr. J. Smith of St. Louis , 12-year-old"),
        ("S&P and AT&amp;T ... wow!!", "S&P and AT &amp; T ... wow !!"),
        (f"{HINDI}, {HINDI}", f"{HINDI} , {HINDI}"),
        ("the players' bus", "the players ' bus"),
    ],
)  # fmt: skip
def test_what_corpora_keep_whole_is_one_word(text, expected):
    assert [text[start:end] for start, end in cut(text)] == expected.split()


@pytest.mark.parametrize(
    "text", ["x" * 300_000, "a." * 100_000, "x'y" * 100_000, "a@b." * 50_000, "n't" * 100_000,
             "www." * 50_000, "1-" * 100_000, " " * 300_000, "Mr." + " " * 100_000],
    ids=lambda text: text[:4],
)  # fmt: skip
def test_words_of_endless_text_are_found_in_linear_time(text):
    began = time.process_time()
    cut(text)
    assert time.process_time() - began < 10, "a rule that looks back or ahead takes minutes"


def f1(gold, found):
    """Entity F1 of sets of (text, type, start, end)."""
    return 2 * len(gold & found) / (len(gold) + len(found))


def test_entities_of_joined_text_are_those_of_the_run(tagged):
    """F1 from raw text is within a point of the run's own; from its words it is the same."""
    run, result = tagged
    texts, gold = [], set()
    for at, row in enumerate(result.items.itertuples()):
        text, places = joined(row.input)
        texts.append(text)
        gold |= {(at, kind, places[first][0], places[end - 1][1])
                 for kind, first, end in iob.spans(row.gold)}  # fmt: skip
    found = {
        (at, entity["type"], entity["start"], entity["end"])
        for at, answer in enumerate(predict.predict(run, texts))
        for entity in answer["entities"]
    }
    assert f1(gold, found) == pytest.approx(result.metrics["test/entity_f1"].value, abs=0.01)


def test_words_of_a_file_are_taken_as_they_are(tagged, command, tmp_path):
    run, result = tagged
    file = tmp_path / "test.conll"
    shutil.copy(paths.FIXTURES / "tiny_ner" / "train.txt", file)
    table = tmp_path / "test.jsonl"
    rows = data.load(str(result.sources["dataset"]["name"])).splits["test"]
    table.write_text(
        "".join(json.dumps({"tokens": r["tokens"], "document": r["document"]}) + "\n" for r in rows)
    )
    copies = [tmp_path / "test.CONLL", tmp_path / "test.tsv", tmp_path / "test.JSONL"]
    copies[0].write_text(file.read_text())
    copies[1].write_text(file.read_text().replace(" ", "\t"))
    copies[2].write_text(table.read_text())
    for path in (file, table, *copies):
        found = [json.loads(line) for line in command(run, path).stdout.splitlines()]
        assert [answer["words"] for answer in found] == [list(w) for w in result.items["input"]]
        assert [answer["tags"] for answer in found] == [list(t) for t in result.items["predicted"]]
        assert found[0]["text"] == " ".join(found[0]["words"])
        for entity in found[0]["entities"]:
            assert found[0]["text"][entity["start"] : entity["end"]] == entity["text"]


def test_no_entity_lies_inside_a_link(tagged):
    run, _ = tagged
    text = "Ada Lund posted http://x.org/Tarvik/Ada_Lund in Tarvik"
    (answer,) = predict.predict(run, [text])
    link = range(text.index("http"), text.index(" in "))
    for entity in answer["entities"]:
        inside = link.start < entity["start"] < link.stop or link.start < entity["end"] < link.stop
        assert not inside


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", b"", "holds no text"),
        ("a.txt", b" \n\t\n", "holds no text"),
        ("a.txt", b"Ada\0Lund", "holds bytes of 0"),
        ("a.conll", b"", "no sentences"),
        ("a.jsonl", b'{"tokens": ["Ada", 7]}\n', "no list of words"),
        ("a.jsonl", b'{"tokens": ["Ada"]}\n{"tokens": "Ada"}\n', "row 1: 'Ada' is no list"),
        ("a" * 5000, None, "there is no file"),
        ("a\0", None, "there is no file"),
    ],
)
def test_odd_files_are_one_clear_error(tmp_path, name, content, says):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=says):
        lines.read(str(path), "text")


def test_odd_texts_are_answered(tagged, tmp_path):
    run, _ = tagged
    odd = ["x" * 50_000, "Ada\0Lund", "\u200b", "half \ud800", "\N{GRINNING FACE} Ada Lund"]
    table = tmp_path / "odd.jsonl"
    table.write_text("".join(json.dumps({"text": text}) + "\n" for text in odd))
    asked = lines.read(str(table), "text")
    found = list(predict.predict(run, **vars(asked)))
    assert [answer["text"] for answer in found] == [*odd[:3], "half ?", odd[4]]


def test_blank_line_parts_documents():
    lines = ["", "Ada ran.", "She won.", " ", "\n", "Tarvik"]
    assert predict._documents([cut(line) for line in lines]) == [1, 1, 3]


def test_document_is_read_without_those_beyond_a_blank_line(tagged):
    run, _ = tagged
    one, other = ["Ada Lund went to Tarvik .", "Lund ran ."], ["Tarvik sold Lund ."]
    alone = list(predict.predict(run, one)) + list(predict.predict(run, other))
    both = [row for row in predict.predict(run, [*one, "", *other]) if row["text"]]
    for ours, theirs in zip(both, alone, strict=True):
        places = [
            [(e["start"], e["end"], e["type"]) for e in r["entities"]] for r in (ours, theirs)
        ]
        assert places[0] == places[1]


def test_a_run_of_an_earlier_version_is_read_by_its_old_names(tagged, tmp_path):
    """Its record says `losses` and `trained_pieces`, its model's settings `views` and so on."""
    run, result = tagged
    old = shutil.copytree(run, tmp_path / "old")
    record = json.loads((old / "result.json").read_text())
    record["losses"] = record.pop("data_issues")
    record["cost"]["trained_pieces"] = record["cost"].pop("trained_tokens")
    record["metrics"]["test/entity_f1"]["unit"] = "share"
    (old / "result.json").write_text(json.dumps(record))
    assert Result.read(old).metrics == result.metrics
    assert Result.read(old).data_issues == result.data_issues
    assert Result.read(old).cost == result.cost
    settings = old / export.FOLDER / export.SETTINGS
    text = settings.read_text()
    for before, now in export.RENAMED.items():
        text = text.replace(now, before)
    assert '"window_pieces"' in text
    assert "views" in text
    settings.write_text(text)
    files = export._hashes(old / export.FOLDER)
    assert (
        export.load(old / export.FOLDER, files)[1]
        == export.load(run / export.FOLDER, result.tables["model_files"])[1]
    )


def test_plain_transformers_tags_the_same(tagged):
    """The model card's recipe: the model, its tokenizer, and letter case as token types."""
    run, result = tagged
    model, _ = export.load(run / export.FOLDER, result.tables["model_files"])
    plain = AutoModelForTokenClassification.from_pretrained(run / export.FOLDER)
    tokenizer = AutoTokenizer.from_pretrained(run / export.FOLDER)
    for words in list(result.items["input"])[:10]:
        inputs = tokenizer(list(words), is_split_into_words=True, return_tensors="pt")
        owners = inputs.word_ids()
        shapes = [0 if owner is None else word_shape(words[owner]) for owner in owners]
        inputs["token_type_ids"] = torch.tensor([shapes])
        first = [owners.index(word) for word in range(len(words))]
        (segment,) = model.encoder.segments([list(words)], [0])
        with torch.inference_mode():
            theirs = plain(**inputs).logits[0, first]
            ours = model(model.encoder.collate([[segment]]))
        assert torch.allclose(ours, theirs, atol=1e-4)
    assert plain.config.id2label[1] == "B-LOC"


def test_kept_model_is_the_trained_one_and_can_be_trained_on(tagged):
    run, result = tagged
    source = sources.resolve(str(run / export.FOLDER), "model")
    again = Encoder(source)
    assert again.shapes.weight.abs().max() > 0
    settings = {**tasks.TASKS["ner"].SMOKE, "model": str(run / export.FOLDER)}
    config = ner.Config.check(settings)
    assert flow.run(config, ner.load_model(config), ner.load_data(config)).metrics
    assert result.tables["model_files"].keys() >= {"model.safetensors", "config.json"}
    card = (run / export.FOLDER / "README.md").read_text()
    assert str(result.metrics["test/entity_f1"]) in card


def test_texts_get_the_probabilities_of_the_run(classified):
    run, result = classified
    rows = result.items[result.items["method"] == "full fine-tuning"]
    model, settings = export.load(run / export.FOLDER, result.tables["model_files"])
    tokens = [model.encoder.tokenizer.tokenize(text[0]) for text in rows["input"]]
    short = rows[[len(each) <= settings["max_tokens"] for each in tokens]]
    assert len(short) > 20
    assert len({label[0] for label in short["predicted"]}) > 1
    found = list(predict.predict(run, [text[0] for text in short["input"]]))
    assert [answer["label"] for answer in found] == [label[0] for label in short["predicted"]]
    gold = [label[0] for label in short["gold"]]
    losses = [-np.log(a["probabilities"][label]) for a, label in zip(found, gold, strict=True)]
    assert losses == pytest.approx(list(short["loss"]), abs=0.02)
    nothing, longer = predict.predict(run, ["", "good " * 900])
    assert nothing["label"] is None
    assert sum(longer["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_long_texts_get_the_probabilities_of_the_run(classified, capsys):
    run, result = classified
    model, settings = export.load(run / export.FOLDER, result.tables["model_files"])
    texts = [LONG, LONG * 3, LONG * 20, LONG * 30]
    _, windows = model.encoder.encode(texts, settings["max_tokens"])
    assert windows.counts.tolist()[0] == 2
    assert (windows.counts.max(), windows.cut) == (16, 2)
    wanted = classifiers.predict(model, texts, Reading(settings["max_tokens"], torch.float32))
    capsys.readouterr()
    found = list(predict.predict(run, texts))
    given = [list(each["probabilities"].values()) for each in found]
    assert np.array(given) == pytest.approx(wanted, abs=0.01)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.endswith("texts cut after 16 windows of 80 tokens: 2 of 4 (50.00%)\n")


def test_the_cards_own_code_classifies_long_texts_the_same(classified):
    """Plain transformers and what the card shows, text by text, in float32."""
    run, result = classified
    model, _ = export.load(run / export.FOLDER, result.tables["model_files"])
    code = (run / export.FOLDER / "README.md").read_text().split("```python\n")[1].split("```")[0]
    assert "workbench" not in code
    cell = {
        "model": AutoModelForTokenClassification.from_pretrained(run / export.FOLDER).eval(),
        "tokenizer": AutoTokenizer.from_pretrained(run / export.FOLDER),
    }
    exec(code, cell)  # noqa: S102  our own card
    texts = [TEXTS[0], LONG, LONG * 3, LONG * 30]
    with torch.inference_mode():
        found = torch.stack([cell["probabilities"](text) for text in texts])
    wanted = classifiers.predict(model, texts, Reading(80, torch.float32))
    assert found.numpy() == pytest.approx(wanted, abs=1e-4)
    assert np.abs(wanted[1] - wanted[0]).max() > 1e-3, "texts do differ"


def test_plain_transformers_classifies_the_same(classified):
    run, result = classified
    model, _ = export.load(run / export.FOLDER, result.tables["model_files"])
    plain = AutoModelForTokenClassification.from_pretrained(run / export.FOLDER)
    tokenizer = AutoTokenizer.from_pretrained(run / export.FOLDER)
    encoded, _ = model.encoder.encode(TEXTS[:1], 100)
    with torch.inference_mode():
        theirs = plain(**tokenizer(TEXTS[0], return_tensors="pt")).logits.mean(1)
        ours = model(model.collate(encoded, [0]))
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_merged_adapter_gives_what_the_adapter_gave(tiny_bert, tmp_path):
    machine.seed(0)
    encoder = Encoder(sources.resolve(str(tiny_bert), "model"), casing=False)
    model = TextClassifier(encoder, ["a", "b"], lora_rank=4).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    encoded, _ = model.encoder.encode(TEXTS[:1], 100)
    batch = model.collate(encoded, [0])
    with torch.inference_mode():
        before = model(batch)
        untouched = TextClassifier(encoder, ["a", "b"]).eval()
        untouched.head.load_state_dict(model.head.state_dict())
        assert not torch.allclose(untouched(batch), before, atol=1e-3)
        untouched.encoder.network = merged(model.encoder.network)
        assert torch.allclose(untouched(batch), before, atol=1e-5)
    files = export.save(model, tmp_path / "model", {"max_tokens": 10})
    again, _ = export.load(tmp_path / "model", files)
    with torch.inference_mode():
        assert torch.allclose(again(batch), before, atol=1e-5)


def test_damaged_and_missing_models_are_refused(tagged, tmp_path):
    run, _ = tagged
    copy = shutil.copytree(run, tmp_path / "copy")
    weights = copy / export.FOLDER / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match="model.safetensors is missing or not as"):
        list(predict.predict(copy, TEXTS))
    record = Result.read_record(run)
    record.model_copy(update={"tables": {}}).save(tmp_path / "none")
    with pytest.raises(ParameterError, match="kept no model"):
        list(predict.predict(tmp_path / "none", TEXTS))


def test_model_is_not_kept_where_transformers_could_not_load_it(
    tagged, tiny_bert, tmp_path, monkeypatch, capsys
):
    _, result = tagged
    encoder = Encoder(sources.resolve(str(tiny_bert), "model"))
    tagger = TokenClassifier(encoder, ["O", "B-LOC", "I-LOC"])
    monkeypatch.setenv(export.VARIABLE, "none")
    assert export.keep(tagger, result, tmp_path, window_tokens=9) is result
    monkeypatch.delenv(export.VARIABLE)
    tagger.head = torch.nn.Linear(encoder.width, 4)
    assert export.keep(tagger, result, tmp_path, window_tokens=9) is result
    assert "the model is not kept: a classifier of model_type 'bert'" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_command_answers_each_line_of_a_file_of_standard_input_and_of_a_table(
    tagged, command, start_forked, tmp_path
):
    run, _ = tagged
    file = tmp_path / "text.txt"
    file.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    done = command(run, file)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["text"] for answer in answers] == TEXTS
    table = tmp_path / "table.csv"
    table.write_text("id,body\n" + "".join(f'1,"{text}"\n' for text in TEXTS))
    assert command(run, table, "--column", "body").stdout.count("\n") == len(TEXTS)
    file.write_text(TEXTS[0], encoding="utf-8")
    given = f"os.dup2(os.open({str(file)!r}, os.O_RDONLY), 0)\nsys.stdin = open(0)"
    alone, said = start_forked("predict", str(run), "-", before=given).communicate()
    assert json.loads(alone)["text"] == TEXTS[0], said


def test_rows_of_a_table_are_read_without_their_neighbours(tagged, command, tmp_path):
    run, _ = tagged

    def places(texts):
        table = tmp_path / "rows.jsonl"
        table.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        found = [json.loads(line) for line in command(run, table).stdout.splitlines()]
        return {answer["text"]: str(answer["entities"]) for answer in found}

    several = ["Ada Lund runs the harbour of Tarvik.", "The council met.", "Berlin", "Ada Lund"]
    alone = {}
    for text in several:
        alone |= places([text])
    assert {text: re.sub(r"0\.\d+", "", found) for text, found in places(several).items()} == {
        text: re.sub(r"0\.\d+", "", found) for text, found in alone.items()
    }


def test_odd_cells_are_read_or_replaced(tmp_path):
    broken = tmp_path / "half.jsonl"
    broken.write_text('{"text": "half \\ud800 a pair"}\n{"text": null}\n')
    assert lines.read(str(broken), "text") == lines.Texts(["half ? a pair", ""], False)
    numbers = tmp_path / "numbers.parquet"
    pandas.DataFrame({"text": [1.5, None]}).to_parquet(numbers)
    assert lines.read(str(numbers), "text") == lines.Texts(["1.5", ""], False)


def test_reader_that_has_enough_is_no_error(tagged, tmp_path):
    run, _ = tagged
    (tmp_path / "many.txt").write_text("Ada Lund\n" * 3000)
    command = f"{sys.executable} -m workbench predict {run} {tmp_path / 'many.txt'}"
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1; exit ${{PIPESTATUS[0]}}"],
        cwd=paths.ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_run_in_batch_keeps_its_model_and_answers_by_the_beginning_of_its_id(
    call_forked, tiny_bert, reports
):
    settings = (f"model={tiny_bert}", "dataset=tiny_ner", "epochs=1", "transfer=")
    settings = [word for setting in settings for word in ("--set", setting)]
    done = call_forked("run", "ner", *settings, WORKBENCH_MODELS="")
    assert done.returncode == 0, done.stderr
    (directory,) = (reports / "runs").iterdir()
    assert (directory / export.FOLDER / "model.safetensors").exists()
    (directory.parent.parent / "text.txt").write_text(TEXTS[0])
    done = call_forked("predict", "50-ner", str(reports / "text.txt"))
    assert json.loads(done.stdout)["text"] == TEXTS[0], done.stderr


def test_command_says_what_is_wrong_with_a_file(tagged, command, tmp_path):
    run, _ = tagged
    (tmp_path / "table.csv").write_text("id,body\n1,x\n")
    done = command(run, tmp_path / "table.csv")
    assert done.returncode == DataError.exit_code
    assert "no column 'text'; its columns: id, body" in done.stderr
    assert command(run, tmp_path / "none.txt").returncode == DataError.exit_code
    (tmp_path / "empty.txt").write_text("\n\n")
    assert "holds no text" in command(run, tmp_path / "empty.txt").stderr


def after_run(task, **changes):
    """The result of a small run as a cell has it, before it is saved."""
    module = tasks.find(task)
    config = flow.start(task, module.Config.check(module.SMOKE | changes).model_dump())
    return flow.run(config, flow.load_model(config), flow.load_data(config))


def predictions(result, method):
    """Texts and what a method of a run predicted for them."""
    rows = result.items[result.items["method"] == method]
    return [row[0] for row in rows["input"]], [row[0] for row in rows["predicted"]]


def test_the_classifier_that_a_run_scored_is_at_hand_in_the_next_cell(reports, encoder):
    result = after_run("fine_tuning", model=encoder, train_texts=32)
    texts, said = predictions(result, result.method)
    found = result.predict(texts)
    assert [row["label"] for row in found] == said
    assert result.predict(texts[0]) == found[:1], "one text is a list of one"
    assert wb.predict(result, texts) == found
    with pytest.raises(ParameterError, match=r"texts\[0\] is 3 \(int\)"):
        result.predict([3])
    result.save()
    again = wb.read(result.directory)
    assert [row["label"] for row in wb.predict(again, texts)] == said
    assert wb.predict(result.directory.name, texts[:2]) == wb.predict(again, texts[:2])
    with pytest.raises(ParameterError, match="nothing to predict with in this process(.|\n)*wb.pr"):
        again.predict(texts)


def test_the_tagger_that_a_run_scored_is_at_hand_in_the_next_cell(reports, encoder):
    result = after_run("ner", model=encoder, extras="", epochs=2, precision="float32")
    rows = result.items[result.items["split"] == "test"]
    sentences, gold = [[list(row) for row in rows[name]] for name in ("input", "gold")]
    found = result.predict(sentences)
    assert [row["words"] for row in found] == sentences
    alone = wb.measure(gold, [row["tags"] for row in found])["entity_f1"]
    assert alone.value == result.metrics["test/entity_f1_sentence_alone"].value
    text = " ".join(sentences[0])
    assert result.predict([text])[0]["text"] == text


@pytest.mark.parametrize("shots", ["1", "0", "2 nearest"])
def test_the_prompts_that_a_run_scored_are_asked_in_the_next_cell(
    reports, encoder, varied_decoder_folder, shots
):
    result = after_run(
        "prompting", model=str(varied_decoder_folder), encoder=encoder, shots=shots, shot_seeds=1
    )
    texts, said = predictions(result, result.method)
    found = result.predict(texts)
    assert len({*said}) > 1
    assert [row["label"] for row in found] == said
    assert sum(found[0]["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    with pytest.raises(ParameterError, match="texts, not lists of words"):
        result.predict([["a", "b"]])


def test_a_task_without_a_model_of_its_own_says_so(reports):
    result = after_run("template")
    for call in (result.predict, lambda texts: wb.predict(result, texts)):
        with pytest.raises(ParameterError, match="template has nothing(.|\n)*fine_tuning"):
            call(["Ada"])
    result.save()
    with pytest.raises(ParameterError, match="kept no model"):
        wb.predict(result.directory, ["Ada"])
