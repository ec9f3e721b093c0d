"""Decoders: read once from GGUF, then from a copy; whole, or refused."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel

from workbench.core import paths, sources
from workbench.core.errors import IntegrityError, ParameterError
from workbench.methods.adaptation import METHODS, methods
from workbench.methods.learners import BITFIT
from workbench.models.causal_lm import CausalLM, is_causal
from workbench.models.encoder import Encoder

WIDTH, INNER, LAYERS = 32, 64, 2
SHAPES = {
    "attn_norm": [WIDTH], "attn_q": [WIDTH, WIDTH], "attn_k": [16, WIDTH], "attn_v": [16, WIDTH],
    "attn_output": [WIDTH, WIDTH], "ffn_norm": [WIDTH], "ffn_gate": [INNER, WIDTH],
    "ffn_up": [INNER, WIDTH], "ffn_down": [WIDTH, INNER],
}  # fmt: skip
GOLDEN = json.loads((Path(__file__).parent / "golden" / "smollm2.json").read_text())
"""What llama.cpp makes of the same file (tests/golden/smollm2.py)."""
STRINGS = [*GOLDEN["tokens"], ""]


def tiny_gguf(path):
    """A Llama-type decoder of two layers with a byte-level tokenizer, as a GGUF file."""
    import gguf
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    tokens = ["<|endoftext|>", *bytes_to_unicode().values(), "th", "Ġth"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] + [1] * (len(tokens) - 1))
    writer.add_token_merges(["t h", "Ġ th"])
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_unk_token_id):
        add(0)
    chance = np.random.default_rng(0)
    shapes = {"token_embd": [len(tokens), WIDTH], "output_norm": [WIDTH]}
    for layer in range(LAYERS):
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in SHAPES.items()}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", chance.normal(0, 0.1, shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Folder of the tiny decoder; what is made from it lies beside."""
    monkeypatch.setenv("WORKBENCH_RAW", str(tmp_path / "raw"))
    folder = tmp_path / "raw" / "tiny"
    folder.mkdir(parents=True)
    tiny_gguf(folder / "model.gguf")
    return folder


def load(folder):
    return CausalLM(sources.resolve(str(folder), "model"))


def copy_of(folder):
    (copied,) = (path for path in paths.processed().iterdir() if path.is_dir())
    assert copied.name.startswith(f"{folder.name}-")
    return copied


def test_a_gguf_file_is_read_once_and_then_its_copy(tiny, capsys):
    first = load(tiny)
    assert "reading model.gguf, once" in capsys.readouterr().out
    copied = copy_of(tiny)
    before = {path.name: path.stat().st_mtime_ns for path in copied.iterdir()}
    second = load(tiny)
    assert capsys.readouterr().out == ""
    assert {path.name: path.stat().st_mtime_ns for path in copied.iterdir()} == before
    ids = torch.tensor([first.encode("this thing")])
    with torch.inference_mode():
        one, two = (model.network(ids).logits for model in (first, second))
        by_parts = first.head(first.hidden(ids))
    assert one.equal(two)
    torch.testing.assert_close(by_parts, one)
    weights = load_file(copied / "model.safetensors")
    assert len(weights) == 2 + LAYERS * len(SHAPES), "what is tied is kept once"


def load_file(path):
    from safetensors.torch import load_file as read

    return read(path)


def test_another_file_gets_a_copy_of_its_own(tiny):
    load(tiny)
    content = bytearray((tiny / "model.gguf").read_bytes())
    content[-1] ^= 1
    (tiny / "model.gguf").write_bytes(content)
    load(tiny)
    assert len([path for path in paths.processed().iterdir() if path.is_dir()]) == 2


@pytest.mark.parametrize("kept", [0, 4, 50, 2000, 20_000, 113_000])
def test_a_file_that_was_cut_is_an_integrity_error(tiny, kept):
    content = (tiny / "model.gguf").read_bytes()
    assert kept < len(content)
    (tiny / "model.gguf").write_bytes(content[:kept])
    with pytest.raises(IntegrityError, match="can't be used as a decoder"):
        load(tiny)
    assert not [path for path in paths.processed().iterdir() if path.is_dir()], "nothing is left"


@pytest.mark.parametrize("place", [1495, 2839, 4531])
def test_a_flipped_byte_in_the_head_is_an_integrity_error(tiny, place):
    content = bytearray((tiny / "model.gguf").read_bytes())
    content[place] ^= 0xFF
    (tiny / "model.gguf").write_bytes(content)
    with pytest.raises(IntegrityError, match="can't be used as a decoder"):
        load(tiny)


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_a_damaged_copy_is_an_integrity_error_that_says_how_to_mend_it(tiny, file):
    load(tiny)
    damaged = copy_of(tiny) / file
    damaged.write_bytes(damaged.read_bytes()[:-1000])
    with pytest.raises(IntegrityError, match=f"remove {damaged.parent}: it is rebuilt"):
        load(tiny)


def test_weights_that_are_not_there_are_not_made_up(tiny):
    from safetensors.torch import save_file

    load(tiny)
    path = copy_of(tiny) / "model.safetensors"
    weights = load_file(path)
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(IntegrityError, match=r"lacks 1 weights, such as model\.layers\.1\.mlp"):
        load(tiny)


@pytest.mark.parametrize("kind", ["encoder", "catalogue", "notes"])
def test_what_is_no_decoder_is_refused_with_exit_2(tiny_bert, tmp_path, kind):
    (tmp_path / "notes.txt").write_text("no model here")
    name = {"encoder": str(tiny_bert), "catalogue": "minilm", "notes": str(tmp_path)}[kind]
    source = sources.resolve(name, "model")
    assert not is_causal(source)
    with pytest.raises(ParameterError, match="is no decoder(.|\n)*use smollm2") as error:
        CausalLM(source)
    assert error.value.exit_code == 2


@pytest.fixture(scope="module")
def smollm2():
    return CausalLM(sources.resolve("smollm2", "model"))


@pytest.mark.parametrize("words", STRINGS, ids=lambda words: repr(words[:12]))
def test_token_ids_of_any_text_round_trip(smollm2, words):
    ids = smollm2.encode(words)
    assert smollm2.tokenizer.decode(ids, clean_up_tokenization_spaces=False) == words
    assert all(0 <= number < smollm2.network.config.vocab_size for number in ids)
    assert not set(ids) & set(smollm2.tokenizer.all_special_ids)


def test_smollm2_is_tied_and_as_large_as_its_authors_say(smollm2):
    assert smollm2.head.weight is smollm2.network.get_input_embeddings().weight
    assert sum(weight.numel() for weight in smollm2.parameters()) == 134_515_008
    assert "134.5 M parameters" in smollm2.describe()
    assert is_causal(smollm2.source)
    assert not smollm2.network.training


@pytest.mark.parametrize("words", GOLDEN["tokens"], ids=lambda words: repr(words[:12]))
def test_token_ids_are_those_of_llama_cpp(smollm2, words):
    assert smollm2.encode(words) == GOLDEN["tokens"][words]


@pytest.mark.parametrize("prompt", GOLDEN["next"], ids=lambda prompt: repr(prompt[:12]))
def test_the_likeliest_next_token_is_that_of_llama_cpp(smollm2, prompt):
    token, log_probability = GOLDEN["next"][prompt]
    ids = torch.tensor([smollm2.encode(prompt)])
    with torch.inference_mode():
        logs = smollm2.head(smollm2.hidden(ids))[0, -1].log_softmax(-1)
    assert int(logs.argmax()) == token
    assert float(logs[token]) == pytest.approx(log_probability, abs=0.1)


def test_the_perplexity_of_a_text_is_that_of_llama_cpp(smollm2):
    """llama.cpp rounds what goes into its products to eight bits, ours are in float32."""
    ids = torch.tensor([smollm2.encode(GOLDEN["text"])])
    with torch.inference_mode():
        logs = smollm2.head(smollm2.hidden(ids))[0].log_softmax(-1)
    found = logs[:-1].gather(1, ids[0, 1:, None])[:, 0]
    assert math.exp(-found.mean()) == pytest.approx(GOLDEN["perplexity"], rel=0.02)
    assert math.exp(-found.mean()) == pytest.approx(36.84, abs=0.01), "what it was in 2026"
    apart = (found - torch.tensor(GOLDEN["log_probabilities"])).abs()
    assert apart.max() < 0.6
    assert apart.mean() < 0.15


def test_a_decoder_as_encoder_sees_what_comes_after(tiny):
    encoder = Encoder(sources.resolve(str(tiny), "model")).eval()
    text = "one two three"
    (ids,), _ = encoder.encode([text], 50)
    assert ids[0] == encoder.tokenizer.cls_token_id
    assert ids[-1] == encoder.tokenizer.sep_token_id
    first = torch.tensor([ids])
    last = first.clone()
    last[0, -2] += 1
    whole = torch.ones_like(first)
    with torch.no_grad():
        before, after = (encoder._read(input_ids=x, attention_mask=whole)[0] for x in (first, last))
        assert not torch.allclose(before[0], after[0], atol=1e-4), "the first token sees the last"
        causal = load(tiny)
        same = torch.equal(causal.hidden(first)[0, 0], causal.hidden(last)[0, 0])
        assert same, "as a decoder it does not"
        padded = torch.nn.functional.pad(first, (0, 3), value=encoder.tokenizer.pad_token_id)
        mask = torch.nn.functional.pad(whole, (0, 3))
        read = encoder._read(input_ids=padded, attention_mask=mask)[0, : len(ids)]
    assert torch.allclose(read, before, atol=1e-5)


def test_a_decoder_without_biases_has_no_bitfit(tiny, capsys):
    encoder = Encoder(sources.resolve(str(tiny), "model"))
    assert set(METHODS) - set(methods(encoder)) == {BITFIT}
    assert "has no biases" in capsys.readouterr().out


def test_a_decoder_that_drops_out_does_not_as_an_encoder(tmp_path, tiny):
    """GPT-2 has dropout of .1, learned positions, and a tokenizer of another make."""
    tokenizer = load(tiny).tokenizer
    before = tokenizer.backend_tokenizer.pre_tokenizer
    steps = [pre_tokenizers.Digits(individual_digits=True), before]
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4, n_positions=64)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    tokenizer.save_pretrained(tmp_path / "gpt2")
    encoder = Encoder(sources.resolve(str(tmp_path / "gpt2"), "model")).train()
    (ids,), _ = encoder.encode(["one two three"], 50)
    rows, mask = torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long)
    with torch.no_grad():
        once, again = (encoder._read(input_ids=rows, attention_mask=mask) for _ in range(2))
    assert torch.equal(once, again)
    (segment,) = encoder.segments([["in", "1996", "b."]], [0])
    text = encoder.tokenizer(" in 1996 b.", add_special_tokens=False)["input_ids"]
    assert [token for word in segment.tokens for token in word] == text


def test_a_decoder_reads_listed_words_as_its_text(tiny):
    encoder = Encoder(sources.resolve(str(tiny), "model"))
    (segment,) = encoder.segments([["one", "two"]], [0])
    text = encoder.tokenizer(" one two", add_special_tokens=False)["input_ids"]
    assert [token for word in segment.tokens for token in word] == text
