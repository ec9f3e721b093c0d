"""Chinese: words, joined text, names of the People's Daily, reviews, tokens and figures."""

# ruff: noqa: RUF001

import io
from collections import Counter

import pytest
from matplotlib.figure import Figure as Canvas

from workbench.core import assets, sources
from workbench.core.errors import IntegrityError, MachineError
from workbench.core.unspaced import is_joined, joined
from workbench.data import chinese, ner, repairs, text
from workbench.data.near import form, groups
from workbench.data.words import words
from workbench.display import canvas
from workbench.models.encoder import Encoder
from workbench.record.iob import spans

PARAGRAPHS = [
    "李/nr  明/nr  在/p  北京/ns  大学/n  。/w  “/w  好/a  ！/w  ”/w  他/r  说/v",
    "欧阳/nr  海/nr  、/w  爱因斯坦/nr  和/c  陈/nr  方/nr  安生/nr  到/v  联合国/nt",
    "杜/nr  中武/nr  孙/nr  传刚/nr  摄/Vg  １９９８年/t",
    "没有/v  名字/n  。/w",
]


def cut(given):
    return [given[start:end] for start, end in words(given)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("他在北京。", ["他", "在", "北", "京", "。"]),
        ("涨了3.5%，见www.x.com。", ["涨", "了", "3.5", "%", "，", "见", "www.x.com", "。"]),
        ("给ada@example.org写信", ["给", "ada@example.org", "写", "信"]),
        ("１９９８年don't", ["１９９８", "年", "do", "n't"]),
        ("ラーメンとIT企業", [*"ラーメンと", "IT", *"企業"]),
        ("한국어 문장", ["한국어", "문장"]),
    ],
)
def test_each_character_that_is_written_without_spaces_is_a_word(given, expected):
    assert cut(given) == expected


def test_words_are_joined_as_they_are_written():
    assert joined(cut("江泽民，1998年在U.N.说：好！")) == "江泽民，1998年在U.N.说：好！"
    assert joined(["The", "EU", "'s", "plan"]) == "The EU 's plan"
    assert not is_joined("a", "b")
    assert is_joined("中", "b")


@pytest.fixture
def paper(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("\n".join(PARAGRAPHS) + "\n", encoding="utf-8")
    return path


def names(rows):
    return [
        (kind, joined(row["tokens"][start:end]))
        for row in rows
        for kind, start, end in sorted(spans(row["ner_tags"]), key=lambda span: span[1])
    ]


def test_names_of_the_peoples_daily_are_put_together(paper, monkeypatch):
    monkeypatch.setattr(chinese, "HELD_OUT", {"test": 1, "validation": 1})
    found = chinese.peoples_daily(paper, Counter())
    assert names(found["train"]) == [
        ("PER", "李明"), ("LOC", "北京"), ("PER", "欧阳海"), ("PER", "爱因斯坦"),
        ("PER", "陈方安生"), ("ORG", "联合国"),
    ]  # fmt: skip
    assert names(found["validation"]) == [("PER", "杜中武"), ("PER", "孙传刚")]
    assert [joined(row["tokens"]) for row in found["train"][:3]] == [
        "李明在北京大学。", "“好！”", "他说",
    ]  # fmt: skip
    assert [row["document"] for row in found["train"]] == [0, 0, 0, 1]
    assert joined(found["test"][0]["tokens"]) == "没有名字。"


def test_a_word_without_a_tag_is_an_error_with_its_line(paper):
    paper.write_text("李/nr\n名字\n", encoding="utf-8")
    with pytest.raises(IntegrityError, match="line 2: a word without a tag"):
        chinese.peoples_daily(paper, Counter())


def test_the_real_peoples_daily_is_whole_and_split_by_date():
    data = ner.load("peoples_daily", train_sentences=300)
    assert data.types == ("LOC", "ORG", "PER")
    assert [len(set(data.splits[split]["document"])) for split in ("validation", "test")] == [
        500, 1000,
    ]  # fmt: skip
    assert len(data.splits["train"]) == 300
    assert data.data_issues["not_trained"].count == 41_261 - 300
    found = Counter(kind for split in data.splits.values() for kind, _ in names(split))
    assert min(found.values()) > 50


def test_a_part_of_training_lies_in_every_larger_part():
    part, more = (
        set(map(tuple, ner.load("tiny_ner", train_sentences=count).splits["train"]["tokens"]))
        for count in (8, 20)
    )
    assert len(part) == 8
    assert part < more


def test_the_real_reviews_are_without_repeats_and_keep_their_punctuation():
    data = text.load("zh_reviews")
    assert data.labels == ("negative", "positive")
    assert sum(map(len, data.splits.values())) == 17_361
    assert data.data_issues["repeated"].count == 17_537
    wide = sum("，" in each for each in data.splits["test"]["text"])
    assert wide > len(data.splits["test"]) / 2


def test_wide_punctuation_is_no_damage():
    counts = Counter()
    assert repairs.repair(["价格是１２元，很好！"], counts) == ["价格是１２元，很好！"]
    assert counts["repaired"] == 0
    assert repairs.repair(["ＦＵＬＬ　ＷＩＤＴＨ"], counts) == ["FULL WIDTH"]


def test_near_copies_are_known_by_their_characters():
    first = "这家酒店的房间很干净，早餐也不错，服务员非常热情，下次还会来住。"
    other = "我昨天在网上买的手机今天就到了，屏幕很清楚，电池也很耐用，非常满意。"
    assert form("好！") == "好"
    assert list(groups([form(first), form(first.replace("！", "")[:-1] + "吧"), form(other)])) in (
        [0, 0, 1], [1, 1, 0],
    )  # fmt: skip


def test_a_character_is_read_as_in_running_text():
    encoder = Encoder(sources.resolve("e5_small", "model"))
    given = "中国人民银行在北京。"
    (segment,) = encoder.segments([[*given, "ABC"]], [0])
    tokens = [encoder.tokenizer.convert_ids_to_tokens(ids) for ids in segment.tokens]
    assert tokens == [*([character] for character in given), ["▁ABC"]]


def picture(title):
    drawn = Canvas(figsize=(3, 1))
    drawn.text(0.1, 0.5, title)
    return drawn


def test_figures_have_the_letters_of_chinese(recwarn):
    figure = canvas.Figure(picture("Paris 中国"), "title", "caption")
    assert not [each for each in recwarn if "missing from" in str(each.message)]
    assert figure.caption == "caption"
    with pytest.warns(UserWarning, match="missing from"):
        picture("Paris 中国").savefig(io.BytesIO())


def test_a_figure_without_the_font_says_so_and_asks_for_it_once(monkeypatch):
    asked = []

    def fail(name):
        asked.append(name)
        raise MachineError("no network")

    monkeypatch.setattr(assets, "ensure", fail)
    canvas._added_font.cache_clear()
    for _ in range(2):
        with pytest.warns(UserWarning, match="missing from"):
            figure = canvas.Figure(picture("中国"), "title", "caption")
        assert "workbench fetch noto_sans_sc" in figure.caption
    assert asked == ["noto_sans_sc"]
    canvas._added_font.cache_clear()
