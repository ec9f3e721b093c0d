"""The inspection of pretrained models: scored text, the lens, parts, probes, and the record."""

import dataclasses
import lzma
import math

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import accuracy_score, f1_score
from torch.utils.flop_counter import FlopCounterMode

from workbench import figures, paths, sources, tables
from workbench.data import ner
from workbench.errors import DataError, ParameterError
from workbench.models import anatomy, lens
from workbench.models.causal_lm import CausalLM
from workbench.models.encoder import Encoder
from workbench.result import Result
from workbench.tasks import pretraining, probe_scores, probes, surprisal

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
        pretraining.SMOKE
        | {"dataset": str(folder), "encoder": str(tiny_bert), "precision": "float32"}
    )
    loaded = pretraining.load_data(config)
    return pretraining.run(config, pretraining.Models(decoder, encoder), loaded)


def test_scored_text_is_what_the_tokens_decode_to_wherever_it_is_cut(decoder):
    whole = len(decoder.encode(TEXT))
    for most in range(1, whole + 1):
        document = surprisal.cut(decoder, TEXT, most)
        assert TEXT.startswith(document.text)
        assert surprisal.is_exact(decoder, document)
        assert len(document.ids) + document.cut == whole
        assert most - len(document.ids) < 4
    assert document.text == TEXT
    assert not surprisal.is_exact(decoder, dataclasses.replace(document, text=TEXT[:-1]))


def test_surprisal_in_batches_equals_one_token_at_a_time(decoder):
    texts = ["The caf\u00e9 opened on Tuesday.", "Yes"]
    documents = [surprisal.cut(decoder, text, 40) for text in texts]
    found = surprisal.score(decoder, documents, torch.float32, name="test")
    start = surprisal.start_token(decoder)
    assert decoder.tokenizer.decode([start]) == "<|endoftext|>"
    for document, scored in zip(documents, found, strict=True):
        ids = [start, *document.ids]
        for place, token in enumerate(document.ids, 1):
            with torch.inference_mode():
                logits = decoder.network(torch.tensor([ids[:place]])).logits[0, -1]
            assert -float(logits.log_softmax(-1)[token]) == pytest.approx(
                scored.nats[place - 1], abs=1e-3
            )
            assert int(logits.argmax()) == scored.best[place - 1]


def test_words_share_out_all_bits_of_their_document(decoder):
    document = surprisal.cut(decoder, TEXT, 40)
    (scored,) = surprisal.score(decoder, [document], torch.float32, name="test")
    words = surprisal.word_bits(document, scored)
    assert [word for word, _ in words] == TEXT.split()
    assert sum(bits for _, bits in words) == pytest.approx(scored.nats.sum() / math.log(2))


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
    ids = torch.tensor([[piece for word in segment.pieces for piece in word]])
    embedded = encoder.network.get_input_embeddings().weight[ids[0, 0]].detach().numpy()
    assert not np.isnan(states).any()
    assert np.linalg.norm(states[2, 0] - states[1, 0]) > 0
    # The embedding layer holds the piece itself, whatever stands around it.
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


def test_probes_of_a_pretrained_encoder_beat_their_controls():
    """The real encoder on the tags of CoNLL-2003, with paired intervals that exclude 0."""
    real = Encoder(sources.resolve("minilm", "model"), casing=False).eval()
    found = probe_scores.run(ner.load("conll2003"), real, most=200, seed=0, dtype=torch.float32)
    for name in ("pos/accuracy", "chunk/accuracy", "ner/macro_f1"):
        for other in (probe_scores.SHUFFLED, probe_scores.UNTRAINED, probe_scores.MAJORITY):
            assert found.comparisons[other][name].verdict == "better", (name, other)


def test_headline_numbers_follow_from_the_items(inspected):
    """Written without the package's own statistics."""
    rows = inspected.items[inspected.items["split"] == "tiny_reviews"]
    nats = sum(row.loss * len(row.gold) for row in rows.itertuples())
    read = "".join(row.input[0] for row in rows.itertuples()).encode()
    assert inspected.metrics["tiny_reviews/bits_per_byte"].value == pytest.approx(
        nats / math.log(2) / len(read)
    )
    gold, best = (np.concatenate(list(rows[column])) for column in ("gold", "predicted"))
    right = np.mean(gold == best)
    assert inspected.metrics["tiny_reviews/next_token_accuracy"].value == pytest.approx(right)
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


def test_lzma_and_even_guessing_are_what_they_say(inspected):
    rows = inspected.items[inspected.items["split"] == "tiny_reviews"]
    read = "\n".join(row[0] for row in rows["input"]).encode()
    name = "tiny_reviews/bits_per_byte"
    packed = len(lzma.compress(read, format=lzma.FORMAT_ALONE, preset=9 | lzma.PRESET_EXTREME))
    assert inspected.baselines["lzma"][name].value == pytest.approx(8 * packed / len(read))
    tokens = sum(map(len, rows["gold"]))
    size = sum(len(row[0].encode()) for row in rows["input"])
    even = tokens * math.log2(49_152) / size
    assert inspected.baselines["uniform"][name].value == pytest.approx(even)
    assert inspected.metrics[name].value < even


def test_every_layer_has_its_numbers_and_the_check_holds(inspected):
    assert inspected.metrics["lens/last_layer_difference"].value <= 1e-4
    assert inspected.metrics["lens/agreement/layer_30"].value == 1
    assert "lens/nats/layer_31" not in inspected.metrics
    last = inspected.metrics["lens/nats/layer_30"].value
    assert last < inspected.metrics["lens/nats/layer_0"].value
    for layer in range(3):
        assert f"chunk/accuracy/layer_{layer}" in inspected.metrics
        assert f"chunk/accuracy/layer_{layer}" in inspected.comparisons["shuffled tags"]


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
    again.tables["spans"][0]["span"] = "<script>x</script>"
    assert "<script>" not in tables.surprising(again).body


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
            return {"ner": answers}, {"ner": answers}

    parts = tuple(
        probes.Sample([f"{split}/0"], [["x", "y"]], [0], {"ner": [tags]})
        for split, tags in (("train", ["A", "A"]), ("validation", ["A", "B"]), ("test", ["B", "A"]))
    )
    found = probe_scores._probed("fake", OneRightLayer(), None, parts, torch.float32)
    assert found.best == {"ner": 2}
    assert (found.chosen("ner") == found.own["ner"][2]).all()


def test_files_without_grammar_columns_give_the_name_probe_only(encoder):
    found = probe_scores.run(ner.load("tiny_ner"), encoder, most=50, seed=0, dtype=torch.float32)
    assert set(found.best_layers) == {"ner"}
    assert found.losses["probes/lacking"].count == 2
    assert "pos, chunk" in found.losses["probes/lacking"].note


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
    config = pretraining.Config.check(pretraining.SMOKE | changes)
    with pytest.raises(ParameterError, match=words):
        pretraining.load_data(config)
        pretraining.load_model(config)
