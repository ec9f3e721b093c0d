"""CLUE's tasks as they are published: texts, pairs, names and passages, and test splits alone."""

import json
from itertools import product

import pytest

from workbench.core.errors import DataError
from workbench.data import corpus, dialogs, entities, ner, text

WHO = ["国足主教练", "上海一家银行", "这部古装剧", "华为新手机", "北京的房价", "高考考生"]
WHAT = ["昨天宣布退出", "明年可能推迟", "突然登上头条", "引发网友热议", "悄悄改了规则"]
WHY = ["，专家却说不奇怪", "，原因竟然是天气", "！你怎么看？", "，成本上升三成", "，粉丝表示支持"]
SENTENCES = ["".join(each) for each in product(WHO, WHAT, WHY)]
LABELS = {"100": "news_sports", "104": "news_finance", "102": "news_entertainment"}
LEFT_OUT = "the test split has no labels and is left out: the validation split is the test split"


def write(folder, **splits):
    """A file of JSON lines for each split; `__` in a name is a full stop."""
    folder.mkdir(exist_ok=True)
    for name, rows in splits.items():
        lines = (json.dumps(row, ensure_ascii=False) for row in rows)
        path = folder / f"{name.replace('__', '.')}.json"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder)


def tnews(sentences, *, labelled=True):
    for n, sentence in enumerate(sentences):
        label = list(LABELS)[n % 3]
        given = {"label": label, "label_desc": LABELS[label]} if labelled else {"id": n}
        yield given | {"sentence": sentence, "keywords": "头条,热议"}


def test_tnews_is_read_and_its_test_split_without_labels_left_out(tmp_path):
    folder = write(
        tmp_path,
        train=tnews(SENTENCES[:120]),
        dev=tnews(SENTENCES[120:]),
        test=tnews(["没有标签的新闻", "另一条新闻"], labelled=False),
    )
    (tmp_path / "labels.json").write_text('{"label": "100", "label_desc": "news_sports"}\n')
    data = text.load(folder, text_column="sentence", label_column="label_desc")
    assert data.labels == tuple(sorted(LABELS.values()))
    expected = {(row["sentence"], row["label_desc"]) for row in tnews(SENTENCES[120:])}
    assert {(row["text"], row["label"]) for row in data.splits["test"]} == expected
    held = {each for each in SENTENCES[:120] if text.split_of(each) == "validation"}
    assert held <= set(data.splits["validation"]["text"])
    assert len(data.splits["train"]) + len(data.splits["validation"]) == 120
    assert data.notes == (LEFT_OUT, text.HELD_OUT)
    assert LEFT_OUT in data.describe()
    assert not any(issue.count for name, issue in data.data_issues.items() if "near" not in name)
    with pytest.raises(DataError, match="no column 'labels'; its columns: label, label_desc, sen"):
        text.load(folder, text_column="sentence", label_column="labels")


@pytest.mark.parametrize("cell", [None, ""])
def test_empty_labels_are_none_and_without_validation_all_is_split_by_hash(tmp_path, cell):
    test = [{"sentence": "新闻", "label_desc": cell}]
    folder = write(tmp_path, train=tnews(SENTENCES), test=test)
    data = text.load(folder, text_column="sentence", label_column="label_desc")
    assert data.notes == ("the test split has no labels and is left out",)
    assert sum(map(len, data.splits.values())) == len(SENTENCES)
    test = [*tnews(SENTENCES[:1]), *test]
    folder = write(tmp_path, train=tnews(SENTENCES[1:]), test=test)
    data = text.load(folder, text_column="sentence", label_column="label_desc")
    assert data.notes == (text.HELD_OUT,), "one label is enough for a test split"
    assert data.splits["test"]["text"][:] == SENTENCES[:1]


def pairs(sentences, labels, **more):
    for n, sentence in enumerate(sentences):
        yield {"sentence1": sentence, "sentence2": f"{sentence[:5]}怎么了", **more} | (
            {"label": labels[n % len(labels)]} if labels else {}
        )


JOINED = "sentence1 + sentence2"


def test_afqmc_and_ocnli_are_pairs_of_texts_joined_by_a_bar(tmp_path):
    labels = ["neutral", "entailment", "-", "contradiction"]
    folder = write(
        tmp_path,
        train__50k=pairs(SENTENCES[:120], labels, genre="news", label0="neutral"),
        dev=pairs(SENTENCES[120:], labels),
        test=pairs(["甲在乙处吃饭。"], []),
    )
    data = text.load(folder, text_column=JOINED)
    assert data.labels == ("contradiction", "entailment", "neutral")
    expected = {
        (f"{each} | {each[:5]}怎么了", labels[n % 4])
        for n, each in enumerate(SENTENCES[120:])
        if n % 4 != 2
    }
    assert {(row["text"], row["label"]) for row in data.splits["test"]} == expected
    assert data.data_issues["dash"].describe() == (
        "rows labelled -, which is no label beside words, dropped: 37 of 150 (24.67%)"
    )
    assert data.data_issues["empty"].count == 0
    assert data.notes[:2] == ("a text is sentence1 | sentence2", LEFT_OUT)
    with pytest.raises(DataError, match="no column 'sentence3'; its columns: sentence1, sentence2"):
        text.load(folder, text_column="sentence1 + sentence3")
    folder = write(
        tmp_path / "afqmc", train=pairs(SENTENCES[:120], "01"), dev=pairs(SENTENCES[120:], "01")
        , test=pairs(SENTENCES[:9], [], id=0),
    )  # fmt: skip
    data = text.load(folder, text_column=JOINED)
    assert data.labels == ("0", "1")
    assert len(data.splits["test"]) == 30


def test_a_pair_with_one_text_missing_is_counted_and_tables_and_corpora_join_too(tmp_path):
    rows = [f"{each},后半{n},{n % 2}" for n, each in enumerate(SENTENCES)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["a,b,label", *rows, "只有前半,,0", ",只有后半,1"]), encoding="utf-8")
    data = text.load(str(path), text_column="a+b")
    assert data.data_issues["empty"].count == 2
    texts = {each for split in data.splits.values() for each in split["text"]}
    assert texts == {f"{each} | 后半{n}" for n, each in enumerate(SENTENCES)}
    assert set(corpus.load(str(path), text_column="a+b").documents) == texts
    path.write_text(path.read_text(encoding="utf-8").replace("a,b,", "a+b,b,"), encoding="utf-8")
    names = {row for split in text.load(str(path), text_column="a+b").splits.values()
             for row in split["text"]}  # fmt: skip
    assert names == {*SENTENCES, "只有前半"}, "a column of that very name is taken"


@pytest.mark.parametrize(
    ("labels", "kept"),
    [(["+", "-"], {"+", "-"}), (["-", "0", "+"], {"-", "0", "+"}), (["-", "good"], {"-", "good"}),
     (["-1", "-", "1"], {"-1", "-", "1"}), (["-", "yes", "no"], {"yes", "no"})],
)  # fmt: skip
def test_a_dash_is_a_label_unless_all_others_are_words(tmp_path, labels, kept):
    rows = [{"text": each, "label": labels[n % len(labels)]} for n, each in enumerate(SENTENCES)]
    data = text.load(f"{write(tmp_path, all=rows)}/all.json")
    assert set(data.labels) == kept
    assert ("dash" in data.data_issues) == (len(kept) < len(labels))


def cluener(n, *, labelled=True):
    name = f"叶{'老小大阿'[n % 4]}{'桂强华明'[n // 4 % 4]}"
    given = f"第{n}天，浙商银行的{name}和{name}开会"
    first, second = given.index(name), given.rindex(name)
    bank = given.index("浙商")
    label = {
        "name": {name: [[first, first + 2], [second, second + 2]]},
        "company": {"浙商银行": [[bank, bank + 3]]},
    }
    return {"text": given} | ({"label": label} if labelled else {"id": n})


def test_cluener_is_tagged_by_its_ends_and_its_test_split_left_out(tmp_path):
    folder = write(
        tmp_path,
        train=map(cluener, range(60)),
        dev=map(cluener, range(60, 64)),
        test=[cluener(n, labelled=False) for n in range(3)],
        cluener_predict=[cluener(1, labelled=False)],
    )
    assert entities.is_tagged(folder)
    data = ner.load(folder)
    assert data.types == ("company", "name")
    row = data.splits["test"][0]
    assert row["tokens"] == ["第", "60", "天", "，", *"浙商银行的叶老明和叶老明开会"]
    assert row["ner_tags"] == [
        "O", "O", "O", "O", "B-company", *["I-company"] * 3, "O", "B-name", "I-name", "I-name",
        "O", "B-name", "I-name", "I-name", "O", "O",
    ]  # fmt: skip
    assert len(data.splits["test"]) == 4
    assert len(data.splits["train"]) + len(data.splits["validation"]) == 60
    assert data.notes == (LEFT_OUT,)
    assert LEFT_OUT in data.describe()
    held = data.data_issues["validation_from_train"]
    assert (held.count, held.of) == (len(data.splits["validation"]), 60)
    assert held.count > 0
    assert not {"widened", "overlapping"} & set(data.data_issues)


@pytest.mark.parametrize(
    ("label", "says"),
    [
        ({"name": {"叶老桂": [[0, 3]]}}, "row 0: the entity '叶老桂' is '叶老桂在' in the text"),
        ({"name": {"叶老桂": [[0, 9]]}}, "is no span of a text of 7 characters"),
        ({"name": {"叶老桂": [["0", "2"]]}}, "is no span of a text"),
        ({"name": {"叶老桂": [0, 2]}}, "no list of spans"),
        ({"name": [[0, 2]]}, "no list of spans"),
    ],
)
def test_places_that_are_none_of_the_text_are_refused(tmp_path, label, says):
    folder = write(tmp_path, train=[{"text": "叶老桂在北京。", "label": label}] * 9)
    with pytest.raises(DataError, match=says):
        ner.load(folder)


def test_conll_words_without_tags_are_left_out_as_a_test_split(tmp_path):
    for name, first in (("train", 0), ("dev", 60)):
        blocks = [f"{n} O\n北 B-LOC\n京 I-LOC\n" for n in range(first, first + 60)]
        (tmp_path / f"{name}.txt").write_text("\n".join(blocks), encoding="utf-8")
    (tmp_path / "test.txt").write_text("上\n海\n\n天\n津\n", encoding="utf-8")
    data = ner.load(str(tmp_path))
    assert data.notes == (LEFT_OUT,)
    assert data.splits["test"]["tokens"][0] == ["60", "北", "京"]
    assert len(data.splits["test"]) == 60


def passage(n, answers):
    return {
        "id": f"DEV_{n}",
        "context": f"第{n}号公园建于{1900 + n}年，位于杭州西湖边。",
        "qas": [
            {"question": f"第{n}号公园建于哪一年？", "id": f"DEV_{n}_Q0", "answers": answers},
            {"question": f"第{n}号公园在哪里？", "id": f"DEV_{n}_Q1", "answers": ["杭州西湖边"]},
        ],
    }


def squad(folder, name, *passages):
    data = [{"title": "公园", "id": each["id"], "paragraphs": [each]} for each in passages]
    content = json.dumps({"version": "v1.0", "data": data}, ensure_ascii=False)
    (folder / name).write_text(content, encoding="utf-8")


def test_cmrc_asks_after_its_passage_and_answers_are_text_or_objects(tmp_path):
    squad(tmp_path, "cmrc2018_train.json", *(passage(n, [f"{1900 + n}年"]) for n in range(20)))
    one = passage(30, ["1930年", "建于1930年", "1930年"])
    other = passage(31, [{"text": "1931年", "answer_start": 7}, {"text": "1931年。"}])
    squad(tmp_path, "cmrc2018_dev.json", one, other)
    fake = passage(40, ["FAKE_ANSWER_1"])
    fake["qas"][1]["answers"] = ["FAKE_ANSWER_1", "FAKE_ANSWER_2"]
    squad(tmp_path, "cmrc2018_test_2k.json", fake)
    (tmp_path / "cmrc2018_trial.json").write_text("[]", encoding="utf-8")
    data = dialogs.load(str(tmp_path))
    found = {(row["question"], row["answer"]) for row in data.splits["test"]}
    place = "位于杭州西湖边。"
    assert found == {
        (f"第30号公园建于1930年，{place}\n第30号公园建于哪一年？", "1930年"),
        (f"第30号公园建于1930年，{place}\n第30号公园在哪里？", "杭州西湖边"),
        (f"第31号公园建于1931年，{place}\n第31号公园建于哪一年？", "1931年"),
        (f"第31号公园建于1931年，{place}\n第31号公园在哪里？", "杭州西湖边"),
    }
    assert {len(row["choices"]) for row in data.splits["test"]} == {0}
    assert len(data.splits["train"]) == 40
    assert data.notes == (LEFT_OUT,)
    assert LEFT_OUT in data.describe()
    assert (
        data.data_issues["several"]
        .describe()
        .startswith("questions with several accepted answers that differ, the first taken: 1 of 44")
    )


def test_the_flat_trial_layout_is_read_and_questions_without_answers_dropped(tmp_path):
    def asked(n):
        yield {"query_id": "Q0", "query_text": f"{n}号何时建？", "answers": [f"{1900 + n}年"]}
        yield {"query_id": "Q1", "query_text": f"{n}号谁建的？", "answers": []}

    rows = [
        {"context_id": n, "context_text": f"{n}号建于{1900 + n}年。", "qas": [*asked(n)]}
        for n in range(30)
    ]
    path = tmp_path / "cmrc2018_trial.json"
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    data = dialogs.load(str(path))
    found = {(row["question"], row["answer"]) for split in data.splits.values() for row in split}
    assert found == {(f"{n}号建于{1900 + n}年。\n{n}号何时建？", f"{1900 + n}年")
                     for n in range(30)}  # fmt: skip
    assert (data.data_issues["empty"].count, data.data_issues["empty"].of) == (30, 60)
    del rows[0]["qas"][0]["query_text"]
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    with pytest.raises(DataError, match="its passages can't be read: KeyError 'question'"):
        dialogs.load(str(path))


def test_questions_of_which_the_test_split_has_no_answers_are_asked_of_validation(tmp_path):
    def asked(first, last, **more):
        return [{"question": f"第{n}题？", **more} for n in range(first, last)]

    folder = write(
        tmp_path, train=asked(0, 9, answer="是"), dev=asked(9, 12, answer="否"), test=asked(12, 15)
    )
    data = dialogs.load(folder)
    assert set(data.splits["test"]["question"]) == {"第9题？", "第10题？", "第11题？"}
    assert data.notes == (LEFT_OUT,)
