"""The inspection of pretrained models: scored text, the lens, parts, probes, and the record."""

import dataclasses
import lzma
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import accuracy_score, f1_score
from torch.utils.flop_counter import FlopCounterMode

from workbench import figures, flow, tables, tasks
from workbench.core import paths, sources
from workbench.core.errors import DataError, ParameterError
from workbench.data import corpus, ner
from workbench.models import anatomy, lens
from workbench.models.causal_lm import CausalLM
from workbench.models.encoder import Encoder
from workbench.record.result import Metric, Result
from workbench.record.statistics import Verdict
from workbench.tasks.pretraining import (
    compressors,
    corpus_scores,
    decoder_figures,
    lens_scores,
    passages,
    probe_scores,
    probes,
    surprisal,
)
from workbench.tasks.pretraining import figures as figures_of_pretraining
from workbench.tasks.pretraining import run as pretraining

TEXT = "The caf\u00e9 \U0001f600 opened\n\n  on Tuesday; a \ufb01ne place. \u4f60\u597d!"


@pytest.fixture(scope="module")
def decoder():
    return CausalLM(sources.resolve("smollm2", "model"))


@pytest.fixture(scope="module")
def encoder(tiny_bert):
    return Encoder(sources.resolve(str(tiny_bert), "model"), casing=False).eval()


@pytest.fixture(scope="module")
def inspected(tiny_bert, decoder, encoder, tmp_path_factory):
    """A whole run over few texts, with part-of-speech and chunk columns among the tags."""
    folder = tmp_path_factory.mktemp("tags")
    for split in ("train", "validation", "test"):
        rows = (paths.FIXTURES / "tiny_ner" / f"{split}.txt").read_text().splitlines()
        lines = []
        for row in rows:
            word, _, tag = row.partition(" ")
            kind = ("NNP", "B-NP") if word[:1].isupper() else ("NN", "O")
            lines.append(f"{word} {kind[0]} {kind[1]} {tag}" if tag else row)
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n")
    config = pretraining.Config.check(
        tasks.TASKS["pretraining"].SMOKE
        | {"dataset": str(folder), "encoder": str(tiny_bert), "precision": "float32"}
    )
    loaded = pretraining.load_data(config)
    return flow.run(config, pretraining.Models(decoder, encoder), loaded)


def document(decoder, *texts):
    """Texts joined in one passage, and its tokens."""
    whole = passages.SEPARATOR.join(texts)
    return surprisal.tokenize(
        decoder, passages.take(list(texts) * 2, len(whole.encode()), 1).passages[0]
    )


def test_scored_text_is_what_the_tokens_decode_to_wherever_it_is_cut(decoder):
    size = len(TEXT.encode())
    for most in range(1, size + 1):
        (passage,) = passages.take([TEXT], most, 1).passages
        found = surprisal.tokenize(decoder, passage)
        assert TEXT.startswith(found.text)
        assert surprisal.is_exact(decoder, found)
        assert most - len(found.text.encode()) < 4, "only a character that does not fit is left out"
    assert found.text == TEXT
    assert not surprisal.is_exact(decoder, dataclasses.replace(found, text=TEXT[:-1]))


def test_passages_are_equal_in_size_whatever_the_documents():
    short = [f"Tweet number {number}, short." for number in range(400)]
    long = [f"Article {number}. " + "And so on. " * 200 for number in range(40)]
    taken = passages.equal({
        "short": passages.take(short, 100, 30), "long": passages.take(long, 100, 30),
    })  # fmt: skip
    for each in taken.values():
        assert [len(passage.text.encode()) for passage in each.passages] == [100] * 20
    assert taken["long"].used == 20, "half of the documents are left to the compressors"
    joined = taken["short"].passages[0]
    assert [joined.text[start : start + 4] for start in joined.starts] == ["Twee"] * 5
    assert taken["short"].used == sum(len(passage.starts) for passage in taken["short"].passages)


@pytest.mark.parametrize(
    ("documents", "texts", "used"),
    [
        (["One."], ["One."], 1),
        (["One.", "Two."], ["One."], 1),
        (["One.", "Two.", "Three."], ["One.\n\nTwo."], 2),
        (["x" * 50], ["x" * 20], 1),
        (["x" * 20, "One.", "Two.", "Three."], ["x" * 20], 1),
    ],
    ids=["one document", "two", "fewer bytes than a passage", "long", "a rest that fills none"],
)
def test_tiny_corpora_give_what_they_have(documents, texts, used):
    found = passages.take(documents, 20, 100)
    assert [passage.text for passage in found.passages] == texts
    assert found.used == used


def test_a_corpus_of_few_passages_does_not_shorten_the_others():
    taken = passages.equal({
        "few": passages.take(["x" * 20] * 4, 20, 50),
        "many": passages.take(["y" * 20] * 60, 20, 50),
    })  # fmt: skip
    assert {name: len(each.passages) for name, each in taken.items()} == {"few": 2, "many": 30}


def test_a_passage_longer_than_the_decoder_reads_is_refused(decoder):
    (passage,) = passages.take(["1 2 3 4 " * 9000], 40_000, 1).passages
    with pytest.raises(
        ParameterError, match="a passage has (.|\n)*give passage_bytes a lower value"
    ):
        surprisal.tokenize(decoder, passage)


def kneser_ney(given, before, byte, order):
    """Interpolated Kneser-Ney by the book, counting anew for every byte."""
    if order == 0:
        return 1 / 256

    def grams(length):
        padded = b"\0" * (compressors.ORDER - 1) + given
        ends = range(compressors.ORDER, len(padded) + 1)
        return [padded[end - length : end] for end in ends]

    counts = {}
    if order == compressors.ORDER:
        for gram in grams(order):
            counts[gram] = counts.get(gram, 0) + 1
    else:
        for longer in set(grams(order + 1)):
            counts[longer[1:]] = counts.get(longer[1:], 0) + 1
    once, twice = (list(counts.values()).count(count) for count in (1, 2))
    discount = once / (once + 2 * twice) if once and twice else 0.5
    context = (b"\0" * order + before)[len(before) + 1 :] if order > 1 else b""
    after = {gram[-1]: count for gram, count in counts.items() if gram[:-1] == context}
    shorter = kneser_ney(given, before, byte, order - 1)
    if not after:
        return shorter
    own = max(after.get(byte, 0) - discount, 0)
    return (own + discount * len(after) * shorter) / sum(after.values())


def test_the_ngram_model_is_interpolated_kneser_ney():
    given = b"the cat sat on the mat. the cats sat on the hat. " * 3 + "caf\u00e9".encode()
    model = compressors.Ngrams(given)
    text = b"the hats of caf"
    for place, nats in enumerate(model.nats(text)):
        wanted = kneser_ney(given, text[:place], text[place], compressors.ORDER)
        assert nats == pytest.approx(-math.log(wanted))
    every = [np.exp(-model.nats(bytes([byte]), b"the c")[0]) for byte in range(256)]
    assert sum(every) == pytest.approx(1)
    later = model.nats(text[4:], text[:4])
    assert later == pytest.approx(model.nats(text)[4:])


def test_an_ngram_model_that_is_given_nothing_guesses_evenly():
    assert compressors.Ngrams(b"").nats(b"zz") == pytest.approx([math.log(256)] * 2)
    assert compressors.lzma_bits(b"", b"abc") == 0


@pytest.mark.parametrize("size", range(20, 33))
def test_every_document_is_scored_given_or_behind_a_passage_never_two_of_these(size):
    documents = [f"<{number:02}>{'x' * (number % 7)}" for number in range(60)]
    found = passages.take(documents, size, 100).first(3)
    scored = "".join(passage.text for passage in found.passages)
    assert [mark for mark in documents[found.used :] if mark[:4] in scored] == []
    assert scored.count("<") == found.used


def test_compressors_gain_from_what_they_are_given():
    chance = np.random.default_rng(0)
    words = ["".join(map(chr, chance.integers(97, 123, 6))) for _ in range(300)]
    kind = [" ".join(chance.choice(words, 40)) for _ in range(60)]
    given, text = " ".join(kind[10:]).encode(), " ".join(kind[:10]).encode()
    alone = compressors.lzma_bits(text, b"")
    packed = len(lzma.compress(text, format=lzma.FORMAT_ALONE, preset=6))
    nothing = len(lzma.compress(b"", format=lzma.FORMAT_ALONE, preset=6))
    assert alone == 8 * (packed - nothing)
    assert compressors.lzma_bits(text, given) < 0.7 * alone
    ngrams = [compressors.Ngrams(part).nats(text).sum() for part in (given, given[:500])]
    assert ngrams[0] < 0.7 * ngrams[1]


def test_lzma_looks_back_over_all_it_is_given():
    text = np.random.default_rng(0).bytes(20_000)
    assert compressors.lzma_bits(text, text + bytes(17 << 20)) < 0.01 * 8 * len(text)


def test_compressors_are_given_no_more_than_they_can_hold(monkeypatch):
    monkeypatch.setattr(corpus_scores, "GIVEN_BYTES", 12)
    texts = ["read", "\u00e9\u00e9", "abcd", "e"]
    read = corpus.Corpus(None, texts)
    found = corpus_scores.Domain("few", read, [], [], [], used=1)
    assert found.rest == "\u00e9\u00e9\n\nabcd\n\n"
    assert found.size["given"] == len(found.rest.encode()) == 12


def test_surprisal_in_batches_equals_one_token_at_a_time(decoder):
    texts = ["The caf\u00e9 opened on Tuesday.", "Yes"]
    read = [document(decoder, text) for text in texts]
    found = surprisal.score(decoder, read, torch.float32, name="test")
    start = surprisal.start_token(decoder)
    assert decoder.tokenizer.decode([start]) == "<|endoftext|>"
    for passage, scored in zip(read, found, strict=True):
        ids = [start, *passage.ids]
        for place, token in enumerate(passage.ids, 1):
            with torch.inference_mode():
                logits = decoder.network(torch.tensor([ids[:place]])).logits[0, -1]
            assert -float(logits.log_softmax(-1)[token]) == pytest.approx(
                scored.nats[place - 1], abs=1e-3
            )
            assert int(logits.argmax()) == scored.best[place - 1]


def test_words_share_out_all_bits_of_their_passage(decoder):
    found = document(decoder, TEXT, "Another text.", "A third")
    (scored,) = surprisal.score(decoder, [found], torch.float32, name="test")
    words = surprisal.word_bits(found, scored)
    assert [word for word, _ in words] == [*TEXT.split(), "Another", "text.", "A", "third"]
    assert sum(bits for _, bits in words) == pytest.approx(scored.nats.sum() / math.log(2))
    parts = surprisal.by_document(found, words)
    assert [[word for word, _ in part] for part in parts][1:] == [
        ["Another", "text."],
        ["A", "third"],
    ]
    assert [pair for part in parts for pair in part] == words


def test_surprising_span_passes_over_the_beginning_links_and_names():
    words = [(word, 1.0) for word in "a b c d e f g h i j k l m".split()]
    words[0], words[6] = ("A", 90.0), ("@me", 80.0)
    words[9] = ("J", 3.0)
    span = surprisal.surprising_span(words)
    assert span["span"] == "h i J k"
    assert span["bits"] == 6
    assert span["before"].endswith("f @me")
    assert surprisal.surprising_span(words[:7]) is None


def test_last_layer_read_by_the_lens_is_the_model(decoder):
    tokens = torch.tensor([[0, *decoder.encode(TEXT)]])
    with torch.inference_mode():
        stream, logits = lens.residuals(decoder, tokens)
        assert lens.check(decoder, stream, logits) <= 1e-4
        assert len(stream) == decoder.network.config.num_hidden_layers + 1
        torch.testing.assert_close(stream[0], decoder.network.get_input_embeddings()(tokens))
        # The trap: the last hidden state of transformers has had its norm already.
        normed = stream.clone()
        normed[-1] = decoder.hidden(tokens)
        with pytest.raises(ParameterError, match="off its own logits"):
            lens.check(decoder, normed, logits)


def test_attention_rows_sum_to_one_and_look_back_only(decoder):
    tokens = torch.tensor([[0, *decoder.encode("Rome is the capital of Italy.")]])
    with torch.inference_mode():
        before = decoder.network(tokens).logits
        weights = lens.attention(decoder, tokens, 12)
        after = decoder.network(tokens).logits
    assert weights.shape == (9, tokens.shape[1], tokens.shape[1])
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:2]))
    assert float(weights.triu(1).abs().max()) == 0
    assert decoder.network.config._attn_implementation == "sdpa"
    assert torch.equal(before, after)


def test_parts_count_every_weight_once(decoder, encoder):
    for network, causal in ((decoder.network, True), (encoder.network, False)):
        found = anatomy.parts(network, context=10, causal=causal)
        assert sum(part.parameters for part in found.values()) == sum(
            weight.numel() for weight in network.parameters()
        )
    found = anatomy.parts(decoder.network, context=10, causal=True)
    assert found["head"].parameters == 0
    assert found["head"].flops == 2 * 49_152 * 576
    assert found["norms"].parameters == 61 * 576


def test_arithmetic_of_parts_is_what_torch_counts(decoder, encoder):
    for model, context, causal in ((decoder, 12, True), (encoder, 12, False)):
        model.network.set_attn_implementation("eager")
        tokens = torch.ones(1, context, dtype=torch.long)
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            model.network(tokens)
        model.network.set_attn_implementation("sdpa")
        found = anatomy.parts(model.network, context=context, causal=causal)
        ours = context * sum(part.flops for part in found.values())
        config = model.network.config
        if causal:  # Eager attention multiplies with the words ahead too, and then hides them.
            ours += context * 4 * config.num_hidden_layers * config.hidden_size * (context - 1) // 2
        pooler = 0 if causal else 2 * config.hidden_size**2
        assert counter.get_total_flops() == ours + pooler


def test_discriminant_analysis_is_that_of_scikit_learn():
    chance = np.random.default_rng(0)
    tags = chance.integers(0, 4, 600)
    features = chance.normal(size=(600, 6)) + chance.normal(size=(4, 6))[tags]
    found = probes.Discriminant(6, 4 + 2)
    for part in np.array_split(np.arange(600), 5):
        known = torch.from_numpy(np.stack([tags[part] == tag for tag in range(4)], 1)).double()
        halves = torch.from_numpy(np.stack([tags[part] < 2, tags[part] > 1], 1)).double()
        found.add(torch.from_numpy(features[part]), torch.cat([known, halves], 1))
    weights = found.solve([4, 2]).numpy()
    outputs = features @ weights[:-1] + weights[-1]
    for columns, wanted in ((slice(0, 4), tags), (slice(4, 6), tags > 1)):
        theirs = LinearDiscriminantAnalysis(solver="lsqr").fit(features, wanted).predict(features)
        assert np.mean(outputs[:, columns].argmax(1) == theirs) > 0.99


def test_a_tag_that_training_lacks_is_never_an_answer():
    found = probes.Discriminant(2, 3)
    features = torch.tensor([[0.0, 1], [1, 0], [0, 2], [2, 0]], dtype=torch.float64)
    found.add(features, torch.eye(3, dtype=torch.float64)[[0, 1, 0, 1]])
    weights = found.solve([3])
    assert set((features @ weights[:-1] + weights[-1]).argmax(1).tolist()) == {0, 1}


def test_probes_read_every_word_at_its_own_layer(encoder):
    read = probes.sample(ner.load("tiny_ner"), "test", 100, 0)
    states = np.zeros((3, int(read.starts[-1]), encoder.width))
    for rows, part in probes.hidden(encoder, read, torch.float32, name="test"):
        states[:, rows] = part.numpy()
    (segment,) = encoder.segments(read.words[:1], read.documents[:1])
    ids = torch.tensor([[token for word in segment.tokens for token in word]])
    embedded = encoder.network.get_input_embeddings().weight[ids[0, 0]].detach().numpy()
    assert not np.isnan(states).any()
    assert np.linalg.norm(states[2, 0] - states[1, 0]) > 0
    # The embedding layer holds the token itself, whatever stands around it.
    first = [word for row in read.words for word in row]
    same = [place for place, word in enumerate(first) if word == first[0]]
    assert len(same) >= 1
    assert np.corrcoef(states[0, 0], embedded)[0, 1] > 0.3


def test_an_untrained_encoder_is_another_one_and_leaves_the_first_alone(encoder):
    before = {name: value.clone() for name, value in encoder.network.state_dict().items()}
    fresh = probes.untrained(encoder, 0)
    again = probes.untrained(encoder, 0)
    name = "encoder.layer.0.output.dense.weight"
    assert not torch.equal(fresh.network.state_dict()[name], before[name])
    assert torch.equal(fresh.network.state_dict()[name], again.network.state_dict()[name])
    assert all(
        torch.equal(value, before[key]) for key, value in encoder.network.state_dict().items()
    )


def test_probes_of_a_pretrained_encoder_beat_their_controls(conll2003):
    """The real encoder on the tags of CoNLL-2003, with paired intervals that exclude 0."""
    real = Encoder(sources.resolve("minilm", "model"), casing=False).eval()
    found = probe_scores.run(conll2003, real, most=200, seed=0, dtype=torch.float32)
    for name in ("pos/accuracy", "chunk/accuracy", "ner/macro_f1"):
        for other in (probe_scores.CONTROL, probe_scores.UNTRAINED, probe_scores.MAJORITY):
            assert found.comparisons[other][name].verdict == "better", (name, other)


def test_headline_numbers_follow_from_the_items(inspected):
    """Written without the package's own statistics."""
    rows = inspected.items[inspected.items["split"] == "tiny_reviews"]
    for method, found in (
        ("smollm2", inspected.metrics),
        ("n-gram", inspected.baselines["n-gram"]),
    ):
        own = rows[rows["method"] == method]
        read = "".join(row.input[0] for row in own.itertuples()).encode()
        assert found["tiny_reviews/bits_per_byte"].value == pytest.approx(
            own["loss"].sum() / math.log(2) / len(read)
        )
        assert len(own) == 10
        assert own["item"].is_unique
        assert all(list(row.gold) == list(row.predicted) for row in own.itertuples())
    for name, kind in (("pos/accuracy", "pos"), ("ner/macro_f1", "ner")):
        own = inspected.items[inspected.items["method"] == f"{kind} probe"]
        gold = [tag for tags in own["gold"] for tag in tags]
        answers = [tag for tags in own["predicted"] for tag in tags]
        if kind == "pos":
            value = accuracy_score(gold, answers)
        else:
            value = f1_score(gold, answers, average="macro", zero_division=0)
        assert inspected.metrics[name].value == pytest.approx(value)
        assert inspected.metrics[name].n == len(gold)
    assert inspected.headline == ("tiny_reviews/bits_per_byte", "pos/accuracy", "ner/macro_f1")


def test_compressors_are_given_the_documents_that_no_passage_touches(inspected):
    rows = inspected.items[inspected.items["split"] == "tiny_reviews"]
    read = [row.input[0] for row in rows[rows["method"] == "smollm2"].itertuples()]
    documents = corpus.load("tiny_reviews").documents
    used = inspected.tables["domains"]["tiny_reviews"]["documents"]
    rest = passages.SEPARATOR.join([*documents[used:], ""]).encode()
    assert len(rest) == inspected.tables["domains"]["tiny_reviews"]["given"]
    assert documents[used - 1] not in rest.decode()
    assert "".join(read).startswith(documents[0])
    name = "tiny_reviews/bits_per_byte"
    joined = passages.SEPARATOR.join(read).encode()
    sizes = [
        len(lzma.compress(data, format=lzma.FORMAT_ALONE, preset=6))
        for data in (rest, rest + joined)
    ]
    packed = 8 * (sizes[1] - sizes[0])
    assert inspected.baselines["lzma"][name].value == pytest.approx(packed / len(joined))
    size = sum(len(text.encode()) for text in read)
    even = inspected.tables["domains"]["tiny_reviews"]["tokens"] * math.log2(49_152) / size
    assert inspected.baselines["uniform"][name].value == pytest.approx(even)
    assert inspected.metrics[name].value < even
    difference = inspected.metrics[name].value - inspected.baselines["n-gram"][name].value
    assert inspected.comparisons["n-gram"][name].value == pytest.approx(difference)


def test_a_control_task_gives_every_word_type_one_tag_as_often_as_the_real_ones_occur():
    data = ner.load("tiny_ner")
    read = [probes.sample(data, split, 100, 0) for split in probes.SPLITS]
    parts = probes.with_controls(read, 0)
    known = {}
    for part in parts:
        for words, tags in zip(part.words, part.tags["ner control"], strict=True):
            for word, tag in zip(words, tags, strict=True):
                assert known.setdefault(word, tag) == tag
    real = {tag for row in read[0].tags["ner"] for tag in row}
    assert set(known.values()) <= real
    outside = sum(tag == "O" for row in read[0].tags["ner"] for tag in row)
    share = outside / sum(map(len, read[0].words))
    assert np.mean([tag == "O" for tag in known.values()]) == pytest.approx(share, abs=0.15)
    again = probes.with_controls(read, 1)
    assert again[0].tags["ner control"] != parts[0].tags["ner control"]
    assert all(part.tags["ner"] == own.tags["ner"] for part, own in zip(parts, read, strict=True))


def test_selectivity_is_the_score_minus_that_of_the_control_task(inspected):
    name = "pos/accuracy"
    control = inspected.items[inspected.items["method"] == "pos, control task"]
    gold = [tag for tags in control["gold"] for tag in tags]
    answers = [tag for tags in control["predicted"] for tag in tags]
    value = accuracy_score(gold, answers)
    assert inspected.baselines["control task"][name].value == pytest.approx(value)
    real = inspected.items[inspected.items["method"] == "pos probe"]
    assert gold != [tag for tags in real["gold"] for tag in tags]
    assert inspected.comparisons["control task"][name].value == pytest.approx(
        inspected.metrics[name].value - value
    )
    assert set(inspected.tables["selective_layers"]) == {"pos", "chunk", "ner"}


def test_the_most_selective_layer_need_not_be_the_best():
    found = probe_scores.Probed({}, {"pos": [0.8, 0.9, 0.7], "pos control": [0.3, 0.6, 0.4]})
    assert (found.best("pos"), found.most_selective("pos")) == (1, 0)


def test_new_words_get_the_tag_of_rare_words_with_their_ending_and_shape():
    train = probes.Sample(
        ["train/0"],
        [["walking", "Boeing", "talking", "the", "1996", "U.S."]],
        [0],
        {"pos": [["VBG", "NNP", "VBG", "DT", "CD", "NNP"]]},
    )
    words = ["the", "singing", "Harding", "1873", "U.N.", "?"]
    read = probes.Sample(["test/0"], [words], [0], {"pos": [["X"] * len(words)]})
    usual = probes.by_word(train, read, "pos")[0][1]
    assert probes.by_ending(train, read, "pos") == [["DT", "VBG", "NNP", "CD", "NNP", usual]]


def test_every_layer_has_its_numbers_and_the_check_holds(inspected):
    assert inspected.metrics["lens/last_layer_difference"].value <= 1e-4
    assert inspected.metrics["lens/agreement/layer_30"].value == 1
    assert "lens/nats/layer_31" not in inspected.metrics
    last = inspected.metrics["lens/nats/layer_30"].value
    assert last < inspected.metrics["lens/nats/layer_0"].value
    for layer in range(3):
        assert f"chunk/accuracy/layer_{layer}" in inspected.metrics
        assert f"chunk/accuracy/layer_{layer}" in inspected.comparisons["control task"]


def test_figures_and_tables_can_be_made_anew_from_what_is_saved(inspected, tmp_path):
    again = Result.read(inspected.save(tmp_path / "run"))
    for name in ("bits_per_byte", "fertility", "lens", "lens_sentence", "attention", "probes"):
        figure = getattr(figures, name)(again)
        assert figure.png.startswith(b"\x89PNG")
        assert figure.caption.endswith(".")
    assert "134,515,008" in tables.parts(again, "model").body
    assert "such as a pooler" in tables.parts(again, "encoder").body
    assert "tiny_reviews" in tables.domains(again).body
    assert "probe, layer" in tables.probes(again).body
    caption = figures.bits_per_byte(again).caption
    assert "Each passage (n) has 64 bytes" in caption
    assert "The domains differ" not in caption
    again.parameters["passage_bytes"] = 640
    caption = figures.bits_per_byte(again).caption
    assert "tiny_reviews: less than 640 bytes a passage" in caption
    again.tables["spans"][0]["span"] = "<script>x</script>"
    assert "<script>" not in tables.surprising(again).body


def test_captions_say_only_what_the_numbers_carry():
    def rows(*values):
        return [Metric(value=value, n=50, unit="nats", how="none") for value in values]

    record = SimpleNamespace(
        tables={"even_nats": 10.0},
        metrics={"lens/last_layer_difference": Metric(value=0, n=50, unit="logits", how="none")},
    )
    late = decoder_figures._late
    assert "at every layer." in late(record, rows(9, 8, 7), rows(0.1, 0.5, 1))
    assert "from 2 on" in late(record, rows(9, 12, 7), rows(0.1, 0.5, 1))
    assert "at no layer that stays so" in late(record, rows(9, 8, 12), rows(0.1, 0.5, 1))
    found = {"tokens": ["", "a", "b"], "best": [["a", "b", "c"]] * 2, "cut": 4}
    assert "Only the first 2 of the sentence's 6 tokens are read." in decoder_figures._settled(
        found
    )
    one = decoder_figures._heads(np.array([[[1.0, 0.0], [0.5, 0.5]]]), 1)
    assert one.startswith("Layer 1 has 1 head. On average 50% ")
    assert "just before" not in one, "the only token before is the one before the text"
    unsure = Verdict("cannot tell", borderline=False)
    assert figures_of_pretraining._beside(rows(0.1)[0], unsure) == "without an interval to judge by"


def test_verdicts_on_probes_are_corrected_for_all_that_stand_beside_each_other(inspected):
    """Each difference alone would be called better: p = .03."""
    near = Metric(value=0.1, low=0.01, high=0.2, n=50, how="bootstrap", p=0.03)
    comparisons = {
        method: dict.fromkeys(found, near) for method, found in inspected.comparisons.items()
    }
    record = inspected.model_copy(update={"comparisons": comparisons})
    body = tables.probes(record).body
    assert ">better<" not in body
    assert body.count("cannot tell") == 15
    assert "corrected for 15 comparisons by Holm" in body
    caption = figures_of_pretraining._best(record, list(figures_of_pretraining.KINDS))
    assert caption.count("no clear difference") == 3
    assert "corrected for 15 comparisons by Holm" in caption


def test_no_surprising_span_is_said(inspected):
    empty = inspected.model_copy(update={"tables": inspected.tables | {"spans": []}})
    assert "No document has the 8 words" in tables.surprising(empty).body


def test_a_sentence_without_tokens_is_refused(decoder):
    with pytest.raises(ParameterError, match="has no tokens"):
        lens_scores.sentence(decoder, "", 1)


def test_layers_are_chosen_on_validation_and_never_on_test():
    class OneRightLayer:
        """Answers that are right at one layer of three, another one on test."""

        labels = {"ner": ["A", "B"]}

        def fit(self, *_args, **_named):
            pass

        def predict(self, _encoder, read, _dtype, **_named):
            gold = probes.places(read.tags["ner"], ["A", "B"])
            right = 2 if read.names[0] == "validation/0" else 0
            answers = np.stack([gold if layer == right else 1 - gold for layer in range(3)])
            return {"ner": answers}

    parts = tuple(
        probes.Sample([f"{split}/0"], [["x", "y"]], [0], {"ner": [tags]})
        for split, tags in (("train", ["A", "A"]), ("validation", ["A", "B"]), ("test", ["B", "A"]))
    )
    found = probe_scores._probed("fake", OneRightLayer(), None, parts, torch.float32)
    assert found.best("ner") == 2
    assert (found.chosen("ner") == found.own["ner"][2]).all()


def test_files_without_grammar_columns_give_the_name_probe_only(encoder):
    found = probe_scores.run(ner.load("tiny_ner"), encoder, most=50, seed=0, dtype=torch.float32)
    assert set(found.best_layers) == {"ner"}
    assert found.data_issues["probes/lacking"].count == 2
    assert "pos, chunk" in found.data_issues["probes/lacking"].note


def test_own_corpora_are_read_by_parameters_alone(tmp_path):
    (tmp_path / "notes.csv").write_text("body,when\nA first note.,1\nA second note.,2\n")
    (tmp_path / "diary.txt").write_text("One day.\n\nAnother day.\n")
    given = {
        "corpora": f"{tmp_path / 'notes.csv'}, {tmp_path / 'diary.txt'}",
        "text_column": "body",
        "dataset": "tiny_ner",
    }
    found = pretraining.load_data(pretraining.Config.check(given))
    assert {name: len(corpus.documents) for name, corpus in found.corpora.items()} == {
        "notes": 2, "diary": 2,
    }  # fmt: skip
    with pytest.raises(DataError, match="no column 'text'"):
        pretraining.load_data(pretraining.Config.check(given | {"text_column": "text"}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"corpora": " , "}, "names no corpus"),
        ({"corpora": "tiny_reviews, tiny_reviews"}, "names 'tiny_reviews' twice"),
        ({"attention_layer": 31}, "has 30 layers"),
        ({"model": "minilm"}, "no decoder"),
    ],
)
def test_what_can_not_be_inspected_is_refused(changes, words):
    config = pretraining.Config.check(tasks.TASKS["pretraining"].SMOKE | changes)
    with pytest.raises(ParameterError, match=words):
        pretraining.load_data(config)
        pretraining.load_model(config)
