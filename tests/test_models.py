"""Windows, encoders and the lexicon: every word is read, and none is cut away."""

import json
import random

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from workbench.core import sources
from workbench.core.errors import IntegrityError, ParameterError
from workbench.models.encoder import Encoder, TokenClassifier
from workbench.models.head import Head
from workbench.models.lexicon import Lexicon
from workbench.models.windows import Segment, batches, pack, pad, split_long


def segment(sentence: int, document: int, lengths: list[int]) -> Segment:
    tokens = [[sentence * 100 + word] * length for word, length in enumerate(lengths)]
    return Segment(sentence, document, 0, tokens, [0] * len(lengths))


def random_segments(seed: int) -> list[Segment]:
    chance = random.Random(seed)
    return [
        segment(index, index // 7, [chance.randint(1, 4) for _ in range(chance.randint(1, 30))])
        for index in range(60)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_windows_hold_every_segment_once_in_order_within_a_document(seed):
    segments = random_segments(seed)
    windows = pack(segments, 50)
    assert [part for window in windows for part in window] == segments
    for window in windows:
        assert len({part.document for part in window}) == 1
        assert len(window) == 1 or sum(part.length for part in window) <= 50


@pytest.mark.parametrize("seed", range(20))
def test_batches_keep_their_size_and_lose_nothing(seed):
    windows = pack(random_segments(seed), 50)
    grouped = batches(windows, 200, shuffle=random.Random(seed))
    assert sorted(map(id, windows)) == sorted(id(window) for group in grouped for window in group)
    for group in grouped:
        longest = max(sum(part.length for part in window) for window in group)
        assert len(group) == 1 or len(group) * longest <= 200


def test_long_sentence_is_cut_between_words_and_long_word_keeps_its_place():
    parts = split_long(segment(3, 1, [4, 4, 4, 90, 2]), 10)
    assert [part.first_word for part in parts] == [0, 2, 3, 4]
    assert all(part.length <= 10 for part in parts)
    assert sum(len(part.tokens) for part in parts) == 5


@pytest.fixture(scope="module")
def encoder(tiny_bert):
    return Encoder(sources.resolve(str(tiny_bert), "model")).eval()


def test_every_word_is_predicted_once(encoder):
    words = [["Ada", "Berg", "ran"], ["x" * 500] * 3, ["\u200b", "", "end"], ["word"] * 400]
    segments = encoder.segments(words, [0, 0, 1, 1])
    seen = []
    for group in batches(pack(segments, 60), 500):
        batch = encoder.collate(group)
        assert encoder(batch).shape == (len(batch.words), encoder.width)
        seen += zip(batch.sentences, batch.words, strict=True)
    assert sorted(seen) == [(s, w) for s, tokens in enumerate(words) for w in range(len(tokens))]


def test_padding_does_not_change_a_word(encoder):
    segments = encoder.segments(
        [["Ada", "ran"], ["a", "longer", "sentence", "of", "words"]], [0, 1]
    )
    alone = encoder(encoder.collate([[segments[0]]]))
    padded = encoder(encoder.collate([[segments[1]], [segments[0]]]))[5:]
    torch.testing.assert_close(alone, padded, rtol=1e-4, atol=1e-5)


def test_context_of_the_document_changes_a_word(encoder):
    segments = encoder.segments([["Ada", "ran"], ["far"]], [0, 0])
    alone = encoder(encoder.collate([[segments[0]]]))
    beside = encoder(encoder.collate([segments]))[:2]
    assert not torch.allclose(alone, beside, atol=1e-5)


def test_casing_is_added_only_where_the_tokenizer_hides_it(encoder, tiny_bert):
    assert encoder.shapes is not None
    source = sources.resolve(str(tiny_bert), "model")
    assert Encoder(source, casing=False).shapes is None
    with torch.no_grad():
        before = encoder(encoder.collate([encoder.segments([["ada"]], [0])]))
        capital = encoder(encoder.collate([encoder.segments([["Ada"]], [0])]))
    torch.testing.assert_close(before, capital, msg="zero at first")


def test_classifier_leaves_the_loaded_encoder_alone(encoder):
    tagger = TokenClassifier(encoder, ["O", "B-PER"])
    with torch.no_grad():
        for weight in tagger.parameters():
            weight.add_(1)
    assert not torch.equal(
        tagger.encoder.network.get_input_embeddings().weight,
        encoder.network.get_input_embeddings().weight,
    )


def test_folder_without_a_model_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no model here")
    with pytest.raises(ParameterError, match=r"is no encoder(.|\n)*use minilm"):
        Encoder(sources.resolve(str(tmp_path), "model"))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(IntegrityError, match="can't be used as an encoder"):
        Encoder(sources.resolve(str(tmp_path), "model"))


def test_damaged_weights_are_an_integrity_error(tiny_bert, tmp_path):
    for file in tiny_bert.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(IntegrityError, match="can't be used as an encoder"):
        Encoder(sources.resolve(str(tmp_path), "model"))


def test_weights_that_are_not_there_are_not_made_up(tiny_bert, tmp_path):
    for file in tiny_bert.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(IntegrityError, match="its file lacks 16 weights"):
        Encoder(sources.resolve(str(tmp_path), "model"))


def test_pickled_weights_are_not_loaded(tiny_bert, tmp_path):
    for file in tiny_bert.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(IntegrityError, match="can't be used as an encoder"):
        Encoder(sources.resolve(str(tmp_path), "model"))


def test_lexicon_remembers_the_longest_and_most_frequent():
    lexicon = Lexicon()
    lexicon.fit(
        [["Lake", "Mora"], ["Mora"], ["Mora"], ["Mora"]],
        [["B-LOC", "I-LOC"], ["B-PER"], ["B-ORG"], ["B-ORG"]],
    )
    assert lexicon.predict(["Lake", "Mora", "Mora", "x"]) == ["B-LOC", "I-LOC", "B-ORG", "O"]


def test_lexicon_is_the_baseline_of_the_shared_task(conll2003):
    """Precision 71.91, recall 50.90, F1 59.61 (Tjong Kim Sang and De Meulder 2003, table 5)."""
    from workbench.record.metrics import EntityScores

    splits = conll2003.splits
    lexicon = Lexicon()
    lexicon.fit(splits["train"]["tokens"], splits["train"]["ner_tags"])
    found = EntityScores().compute(
        predictions=[lexicon.predict(words) for words in splits["test"]["tokens"]],
        references=list(splits["test"]["ner_tags"]),
    )
    assert found["precision"] == pytest.approx(0.7191, abs=0.001)
    assert found["recall"] == pytest.approx(0.5090, abs=0.001)
    assert found["f1"] == pytest.approx(0.5961, abs=0.001)


def test_plain_attention_of_training_and_fused_attention_of_scoring_agree(encoder, monkeypatch):
    rows, _ = encoder.encode(["one short text", "a text that is rather longer than the other"], 64)
    width = max(map(len, rows))
    ids, mask = pad(rows, width, 0), pad([[1] * len(row) for row in rows], width, 0)
    used = []
    backends = sdpa_kernel
    monkeypatch.setattr(
        "workbench.models.encoder.sdpa_kernel", lambda kind: used.append(kind) or backends(kind)
    )
    trained = encoder.pooled(ids, mask)
    assert used == [SDPBackend.MATH]
    with torch.no_grad():
        scored = encoder.pooled(ids, mask)
    assert len(used) == 1
    assert torch.allclose(trained, scored, atol=1e-5)
    monkeypatch.setattr("workbench.models.encoder.SHORT", width - 1)
    encoder.pooled(ids, mask)
    assert len(used) == 1


def test_a_head_standardises_states_and_gives_the_same_scores_as_one_linear_layer():
    torch.manual_seed(0)
    states = torch.randn(500, 6) * torch.tensor([0.1, 0.2, 0.3, 0.1, 0.2, 0.3]) + 4
    head = Head(6, 3)
    plain = torch.nn.functional.linear(states, head.weight, head.bias)
    assert torch.equal(head(states), plain), "as it is made it changes nothing"
    head.standardise(states)
    seen = (states - head.mean) / head.scale
    assert torch.allclose(seen.mean(0), torch.zeros(6), atol=1e-4)
    assert seen.std(0, correction=0).mean() == pytest.approx(1, abs=1e-5)
    folded = torch.nn.Linear(6, 3)
    folded.load_state_dict(head.folded())
    assert torch.allclose(folded(states), head(states), atol=1e-4)
    head.standardise(torch.ones(5, 6))
    assert torch.isfinite(head(torch.ones(2, 6))).all(), "states that are all alike"


def test_a_standardised_head_learns_where_states_share_most_of_their_length():
    torch.manual_seed(0)
    rare = (torch.arange(400) % 8 == 0).long()
    states = torch.randn(400, 32) * 0.1 + 2
    states[:, 0] += 0.3 * rare
    found = {}
    for standardised in (True, False):
        head = Head(32, 2)
        if standardised:
            head.standardise(states)
        optimizer = torch.optim.AdamW(head.parameters(), lr=2e-3)
        for _ in range(150):
            loss = torch.nn.functional.cross_entropy(head(states), rare)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found[standardised] = (head(states).argmax(-1)[rare == 1] == 1).float().mean()
    assert found[True] > 0.5
    assert found[False] == 0
