"""Text in other encodings than UTF-8: read right and said, or refused in one sentence."""

# ruff: noqa: RUF001

import json
from collections import Counter

import pytest

from workbench.core.errors import DataError
from workbench.data import (
    corpus,
    dialogs,
    encodings,
    interactions,
    lines,
    market,
    ner,
    tables,
    text,
)

SIMPLIFIED = [
    "这家酒店的房间很干净，早餐也不错。", "手机屏幕太小了，电池也不耐用。",
    "这部电影的故事很感人，演员演得很好。", "服务员态度恶劣，菜也凉了，价格还贵。",
]  # fmt: skip
TRADITIONAL = [
    "這家旅館的房間很乾淨，早餐也不錯。", "手機螢幕太小了，電池也不耐用。",
    "這部電影的故事很感人，演員演得很好。", "服務生態度惡劣，菜也涼了，價格還貴。",
]  # fmt: skip
ENGLISH = "The room was clean and the breakfast was good, we will come again."
CHINESE = [
    ("gb2312", "GB18030", SIMPLIFIED), ("gbk", "GB18030", SIMPLIFIED),
    ("gb18030", "GB18030", [*SIMPLIFIED, "朱镕基在上海，𠮷字。"]), ("gbk", "GB18030", TRADITIONAL),
    ("big5", "Big5", TRADITIONAL),
    ("big5hkscs", "Big5", [*TRADITIONAL, "我們喺屋企食飯，裏面很暖。"]),
]  # fmt: skip
NOTE = "file is in {}, not in UTF-8, and read as that"


def decoded(content, codec):
    counts = Counter()
    return encodings.decode(content.encode(codec), counts, "a.csv"), counts


@pytest.mark.parametrize(("codec", "name", "sentences"), CHINESE)
@pytest.mark.parametrize("header", ["text,label", "文本,标签"])
@pytest.mark.parametrize("english", [0, 1, 3])
def test_chinese_of_one_sentence_is_recognised(codec, name, sentences, header, english):
    header = header.replace("标签", "標籤") if codec.startswith("big5") else header
    for sentence in [*sentences, "，好\n".join(sentences)]:
        content = "\n".join([header, sentence, *[ENGLISH] * english])
        found, counts = decoded(content + "\n", codec)
        assert found == content
        assert counts[f"in {name}"] == 1
        assert counts["recoded"] == 0
        assert encodings.notes(counts) == [f"1 {NOTE.format(name)}"]


WESTERN = [
    "Le garçon était très déçu par l’hôtel.", "«À la carte», c’est mieux – déjà à Noël.",
    "Über das Frühstück können wir nicht klagen.", "Größe ÄÖÜ überzeugt, 5 € für „alles“.",
    "¿Qué pasó con el niño? ¡Mañana!", "Hyvää päivää, sää on kylmä, työ jää kesken.",
    "Não há opções de avaliação em São Paulo.", "£££, it costs £££", "São",
]  # fmt: skip


@pytest.mark.parametrize("sentence", WESTERN)
@pytest.mark.parametrize("english", [0, 3])
def test_western_lines_are_read_as_latin_1_and_counted(sentence, english):
    raw = "\n".join(["text,label", sentence, *[ENGLISH] * english]).encode("cp1252")
    counts = Counter()
    assert encodings.decode(raw, counts, "a.csv") == raw.decode("latin-1")
    assert counts == {"lines": 2 + english, "recoded": 1}


def test_one_line_of_another_encoding_changes_no_file_in_utf_8():
    for odd in (SIMPLIFIED[0].encode("gbk"), "déçu".encode("latin-1"), "Москва".encode("cp1251")):
        raw = "\n".join([*SIMPLIFIED, "café"]).encode() + b"\n" + odd
        counts = Counter()
        found = encodings.decode(raw, counts, "a.csv").split("\n")
        assert found == [*SIMPLIFIED, "café", odd.decode("latin-1")]
        assert counts == {"lines": 6, "recoded": 1}


OTHERS = {
    "cp1251": "Гостиница была очень чистой, но завтрак холодный.",
    "koi8-r": "Телефон не работает, верните деньги.",
    "shift_jis": "このホテルの部屋はとてもきれいでした。",
    "euc_jp": "彼は昨日図書館で本を借りました。",
    "euc_kr": "이 호텔은 방이 아주 깨끗했습니다.",
    "cp1253": "Το δωμάτιο ήταν καθαρό αλλά μικρό.",
}


@pytest.mark.parametrize("codec", OTHERS)
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".json"])
def test_what_is_neither_is_refused_with_how_to_save_it(tmp_path, codec, suffix):
    path = tmp_path / f"a{suffix}"
    row = '{"text": "%s", "label": "a"}' if "json" in suffix else "text,label\n%s,a\n"
    path.write_bytes((row % OTHERS[codec]).encode(codec))
    with pytest.raises(DataError) as error:
        tables.read_file(path, Counter())
    assert str(error.value) == (
        f"{path}: 1 lines are no UTF-8, and neither Latin-1 nor Chinese in GB18030 or Big5\n"
        "expected: text in UTF-8\n"
        "do: save it as UTF-8, such as by: iconv -f GB18030 -t UTF-8 OLD > NEW (or -f BIG5, "
        "SHIFT_JIS, EUC-KR, CP1251, as the file has it)"
    )


def test_a_broken_byte_in_chinese_is_refused_with_the_encoding(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("\n".join(["text,label", *SIMPLIFIED]).encode("gbk") + b"\n\xb0\n")
    with pytest.raises(DataError, match=r"5 lines are no UTF-8; most is GB18030(.|\n)*iconv -c -f"):
        tables.read_file(path, Counter())


@pytest.mark.parametrize(("codec", "name", "sentences"), CHINESE)
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".json"])
def test_tables_in_chinese_encodings_give_their_rows(tmp_path, codec, name, sentences, suffix):
    path = tmp_path / f"a{suffix}"
    rows = [{"文本": each, "label": "好"} for each in sentences]
    if suffix in {".csv", ".tsv"}:
        mark = "," if suffix == ".csv" else "\t"
        content = "\n".join(mark.join(each) for each in [rows[0], *(r.values() for r in rows)])
    elif suffix == ".json":
        content = json.dumps(rows, ensure_ascii=False)
    else:
        content = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_bytes(content.encode(codec))
    counts = Counter()
    assert tables.read_file(path, counts).to_dict("records") == rows
    assert encodings.notes(counts) == [f"1 {NOTE.format(name)}"]


def test_each_family_says_in_which_encoding_files_were(tmp_path, capsys):
    said = f"1 {NOTE.format('GB18030')}"
    for split, sentence in zip(("train", "dev", "test"), SIMPLIFIED, strict=False):
        rows = [f"{sentence},好", f"{sentence[::-1]},坏"]
        path = tmp_path / "texts" / f"{split}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes("\n".join(["text,label", *rows]).encode("gbk"))
        path = tmp_path / "words" / f"{split}.conll"
        path.parent.mkdir(exist_ok=True)
        tags = ["B-LOC", *["O"] * (len(sentence) - 1)]
        lined = [f"{word} {tag}" for word, tag in zip(sentence, tags, strict=True)]
        path.write_bytes("\n".join(lined).encode("gbk"))
    texts = text.load(str(tmp_path / "texts"))
    assert set(texts.splits["test"]["text"]) == {SIMPLIFIED[2], SIMPLIFIED[2][::-1]}
    assert texts.labels == ("坏", "好")
    assert texts.notes == ("3 files are in GB18030, not in UTF-8, and read as that",)
    assert texts.notes[0] in texts.describe()
    assert texts.data_issues["recoded"].count == 0
    words = ner.load(str(tmp_path / "words"))
    assert list(words.splits["test"]["tokens"]) == [[*SIMPLIFIED[2]]]
    assert words.notes == texts.notes
    assert words.notes[0] in words.describe()
    prose = tmp_path / "prose.txt"
    prose.write_bytes("\n\n".join(SIMPLIFIED).encode("gbk"))
    found = corpus.load(str(prose))
    assert sorted(found.documents) == sorted(SIMPLIFIED)
    assert found.notes == (said,)
    assert said in found.describe()
    assert lines.read(str(prose), "text").texts[0] == SIMPLIFIED[0]
    assert capsys.readouterr().err == f"{said}\n"
    lines.read(str(tmp_path / "words" / "test.conll"), "text")
    assert capsys.readouterr().err == f"{said}\n"


def test_questions_events_and_prices_in_chinese_encodings_are_read_too(tmp_path):
    def saved(name, *rows):
        path = tmp_path / name
        path.write_bytes("\n".join(rows).encode("gbk"))
        return str(path)

    questions = (f"第{n}个问题是什么？,答案是{n}" for n in range(30))
    asked = dialogs.load(saved("questions.csv", "question,answer", *questions))
    assert "第7个问题是什么？" in {q for split in asked.splits.values() for q in split["question"]}
    assert asked.notes == (f"1 {NOTE.format('GB18030')}",)
    assert asked.notes[0] in asked.describe()
    events = saved("events.csv", "user,item,time", *(f"{n},书{n % 3}号,{n}" for n in range(9)))
    items = saved("items.csv", "item,text", *(f"书{n}号,历史书{n}" for n in range(3)))
    found = interactions.load(events, items=items)
    assert set(found.texts) == {"历史书0", "历史书1", "历史书2"}
    assert found.notes == ("2 files are in GB18030, not in UTF-8, and read as that",)
    assert found.notes[0] in found.describe()
    days = (f"2024-{m:02}-{d:02},{m * d + 5}.5" for m in range(1, 7) for d in range(1, 29))
    prices = market.load(
        saved("a.csv", "交易日期,收盘价格", *days), date_column="交易日期", price_column="收盘价格"
    )
    assert len(prices.days) == 168
    assert f"1 {NOTE.format('GB18030')}" in prices.describe()
