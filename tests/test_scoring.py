"""Log-likelihoods in batches: the same as one text at a time."""

import copy
from functools import partial

import pytest
import torch
from tokenizers.processors import TemplateProcessing

from workbench.core import sources
from workbench.core.errors import ParameterError
from workbench.decoding import packed, prefix
from workbench.decoding.prefix import Way
from workbench.decoding.score import encode, log_likelihoods
from workbench.models.causal_lm import CausalLM

SHOTS = "Text: good\nLabel: positive\n\nText: it broke at once, alas\nLabel: very negative\n\n"
TEXTS = ("the lamp works", "N/A", "", "A bag of cloth, delivered on Tuesday by a friendly man.")
ANSWERS = (" positive", " neutral", " very negative", " very negative indeed", " Zürich 🎉")


@pytest.fixture(scope="module")
def model(varied_decoder_folder):
    """A tiny one, its way of reading known already."""
    found = CausalLM(sources.resolve(str(varied_decoder_folder), "model"))
    prefix.fastest(found)
    return found


def contexts(shots: str = "") -> list[str]:
    return [f"{shots}Text: {text}\nLabel:" for text in TEXTS]


def one_at_a_time(model, ids: list[int], start: int) -> float:
    """Sum of the log-probabilities of ids[start:], from one full forward pass."""
    with torch.inference_mode():
        logits = model.network(torch.tensor([ids])).logits[0].log_softmax(-1)
    return sum(float(logits[place - 1, ids[place]]) for place in range(start, len(ids)))


@pytest.mark.parametrize("shots", ["", SHOTS])
@pytest.mark.parametrize("batch_tokens", [1, 4096])
def test_likelihoods_equal_those_of_one_text_at_a_time(model, shots, batch_tokens):
    each_alone(model, contexts(shots), batch_tokens)


def test_the_real_decoders_likelihoods_equal_those_of_one_text_at_a_time():
    each_alone(CausalLM(sources.resolve("smollm2", "model")), contexts(SHOTS), 4096)


def each_alone(model, contexts, batch_tokens):
    """Check scores of contexts and answers read together by reading each pair alone."""
    found = log_likelihoods(model, contexts, ANSWERS, batch_tokens=batch_tokens)
    for row, context in enumerate(contexts):
        start = len(model.encode(context))
        for column, answer in enumerate(ANSWERS):
            ids = model.encode(context + answer)
            assert ids[:start] == model.encode(context)
            expected = one_at_a_time(model, ids, start)
            assert found.sums[row, column] == pytest.approx(expected, abs=1e-4)
            assert found.tokens[row, column] == len(ids) - start
    assert found.merged == 0


def test_what_all_begin_with_is_read_once_and_one_token_answers_share_a_row(model):
    found = log_likelihoods(model, contexts(SHOTS), [" positive", " neutral"])
    lengths = [len(model.encode(context)) for context in contexts(SHOTS)]
    shared = len(model.encode(f"{SHOTS}Text:"))
    assert found.read == shared + sum(length - shared for length in lengths)


def test_one_context_alone_and_a_context_twice(model):
    once = log_likelihoods(model, contexts()[:1], ANSWERS)
    twice = log_likelihoods(model, contexts()[:1] * 2, ANSWERS)
    assert twice.sums[0] == pytest.approx(once.sums[0], abs=1e-4)
    assert (twice.sums[0] == twice.sums[1]).all()
    assert twice.read == once.read


@pytest.mark.parametrize(
    ("context", "answers"),
    [("Label: ", ("positive", "neutral")), ("It is pos", ("itive", "sible", " or not"))],
)
def test_an_answer_that_changes_the_last_token_is_scored_from_there_for_all(
    model, context, answers
):
    found = log_likelihoods(model, [context], answers)
    starts = {request.start for request in encode(model, context, answers)}
    assert len(starts) == 1
    (start,) = starts
    assert start < len(model.encode(context))
    assert found.merged == 1
    for column, answer in enumerate(answers):
        ids = model.encode(context + answer)
        assert found.sums[0, column] == pytest.approx(one_at_a_time(model, ids, start), abs=1e-4)


def test_a_tokenizer_that_begins_texts_with_a_token_gets_it_once(model):
    other = copy.copy(model)
    other.tokenizer = copy.deepcopy(model.tokenizer)
    start = other.tokenizer.bos_token
    other.tokenizer._tokenizer.post_processor = TemplateProcessing(
        single=f"{start} $A", special_tokens=[(start, other.tokenizer.bos_token_id)]
    )
    found = log_likelihoods(other, contexts(), ANSWERS[:2])
    ids = [other.tokenizer.bos_token_id, *model.encode(contexts()[0] + ANSWERS[0])]
    assert found.sums[0, 0] == pytest.approx(one_at_a_time(model, ids, len(ids) - 1), abs=1e-4)
    assert found.sums[0, 0] != pytest.approx(one_at_a_time(model, ids[1:], len(ids) - 2), abs=1e-2)


def test_an_empty_context_is_scored_after_the_start_token_and_an_empty_answer_refused(model):
    found = log_likelihoods(model, [""], [" positive"])
    ids = [model.tokenizer.bos_token_id, *model.encode(" positive")]
    assert found.sums[0, 0] == pytest.approx(one_at_a_time(model, ids, 1), abs=1e-4)
    with pytest.raises(ValueError, match="empty continuation"):
        log_likelihoods(model, ["Label:"], ["", " positive"])


def test_a_prompt_longer_than_the_model_is_refused(model, monkeypatch):
    monkeypatch.setattr(model.network.config, "max_position_embeddings", 20)
    with pytest.raises(ParameterError, match="at most 20 tokens"):
        log_likelihoods(model, ["word " * 30], [" yes"])


ARCHITECTURES = [
    "llama",
    "llama-tied",
    "gpt2",
    "qwen3",
    "gemma3_text",
    "mistral",
    "gpt_neo",
    "gpt_neox",
    "opt",
    "gemma2",
    "granite",
    "cohere",
]
OWN_ATTENTION = {"gpt_neo": Way.TREES, "gemma2": Way.TREES}


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_scores_hang_on_no_batch_and_most_are_read_without_padding_or_copies(tiny_decoder, kind):
    tiny = tiny_decoder(kind)
    assert prefix.fastest(tiny) is OWN_ATTENTION.get(kind, Way.PACKED)
    question = [f"Text: {text} and so on it goes\nLabel:" for text in TEXTS]
    score = partial(log_likelihoods, tiny, question, ANSWERS)
    apart = score(sharing=False, batch_tokens=1)
    for tokens in (1, 300, 4096):
        found = score(batch_tokens=tokens)
        assert found.sums == pytest.approx(apart.sums, abs=1e-4)
        assert (found.tokens == apart.tokens).all()
    assert found.read < apart.read / 2
    for row, context in enumerate(question):
        ids = tiny.encode(context + ANSWERS[3])
        expected = one_at_a_time(tiny, ids, len(tiny.encode(context)))
        assert found.sums[row, 3] == pytest.approx(expected, abs=1e-4)


def test_each_context_may_have_continuations_of_its_own(model):
    contexts = ["A lamp needs", "On Monday the shop"]
    own = [[" a new bulb", " a little water", " love"], [" was closed", " opened late", " ate"]]
    found = log_likelihoods(model, contexts, own)
    for row, context in enumerate(contexts):
        alone = log_likelihoods(model, [context], own[row])
        assert found.sums[row] == pytest.approx(alone.sums[0], abs=1e-4)
    stems = sum(len(model.encode(context)) for context in contexts)
    longer = sum(len(model.encode(text)) - 1 for texts in own for text in texts)
    assert found.read == stems + longer, "each question is read once"
    with pytest.raises(ValueError, match="equally many"):
        log_likelihoods(model, contexts, [own[0], own[1][:2]])
    with pytest.raises(ValueError, match="equally many"):
        log_likelihoods(model, contexts, own[:1])


@pytest.mark.parametrize("way", [Way.TREES, Way.ROWS])
def test_slower_ways_give_the_same(model, monkeypatch, way):
    wanted = log_likelihoods(model, contexts(SHOTS), ANSWERS)
    monkeypatch.setitem(prefix._known, model, way)
    for tokens in (1, 300, 4096):
        found = log_likelihoods(model, contexts(SHOTS), ANSWERS, batch_tokens=tokens)
        assert found.sums == pytest.approx(wanted.sums, abs=1e-4)


@pytest.mark.parametrize("texts", [contexts(SHOTS), contexts()], ids=["shots", "no shots"])
def test_attention_written_out_scores_the_same(model, monkeypatch, texts):
    wanted = log_likelihoods(model, texts, ANSWERS)
    monkeypatch.setattr(packed, "_normalised", packed._written_out)
    monkeypatch.setattr(packed, "SCORES", 1000)
    found = log_likelihoods(model, texts, ANSWERS)
    assert found.sums == pytest.approx(wanted.sums, abs=1e-4)


def test_in_bfloat16_all_ways_stay_near_float32(model, monkeypatch):
    exact = log_likelihoods(model, contexts(SHOTS), ANSWERS)
    for way in Way:
        monkeypatch.setitem(prefix._known, model, way)
        found = log_likelihoods(model, contexts(SHOTS), ANSWERS, dtype=torch.bfloat16)
        assert found.sums == pytest.approx(exact.sums, abs=0.1)
        assert (found.sums != exact.sums).any()


def test_a_network_keeps_its_own_attention_whatever_happens(model, monkeypatch):
    usual = model.network.config._attn_implementation
    log_likelihoods(model, contexts(), ANSWERS)
    assert model.network.config._attn_implementation == usual != packed.NAME

    def fail(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(packed, "_normalised", fail)
    with pytest.raises(ZeroDivisionError):
        log_likelihoods(model, contexts(SHOTS), ANSWERS)
    assert model.network.config._attn_implementation == usual


def test_options_of_attention_that_are_not_known_are_refused(model):
    layer = model.body.layers[0].self_attn
    states = torch.zeros(1, 1, 1, 4)
    for options in ({"softcap": 30.0}, {"s_aux": states}, {"anything": 0}):
        with pytest.raises(ValueError, match=f"know no {next(iter(options))}"):
            packed._attend(layer, states, states, states, None, **options)


def test_full_memory_is_no_reason_to_read_in_a_slower_way(model, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError

    monkeypatch.delitem(prefix._known, model)
    monkeypatch.setattr(packed, "hidden", full)
    with pytest.raises(torch.OutOfMemoryError):
        prefix.fastest(model)
    assert model not in prefix._known


def test_positions_that_all_change_at_a_length_and_layers_that_differ_limit_rows(
    model, monkeypatch
):
    config = model.network.config
    rope = {"rope_type": "longrope", "original_max_position_embeddings": 30}
    monkeypatch.setattr(config, "rope_parameters", rope)
    assert model.capacity == 30
    with pytest.raises(ParameterError, match="at most 30 tokens"):
        log_likelihoods(model, ["word " * 40], [" yes"])

    class Differing:
        max_position_embeddings = 50

        @property
        def sliding_window(self):
            raise RuntimeError("differs from layer to layer")

    monkeypatch.setattr(model.network, "config", Differing())
    assert model.attention_window == 1


@pytest.mark.parametrize("masked", [False, True])
def test_attention_written_out_is_that_of_the_kernel(masked):
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, heads, 7, 8) for heads in (4, 2, 2))
    mask = torch.where(torch.rand(2, 1, 7, 7) < 0.3, packed.NEVER, 0.0) if masked else None
    ways = (packed._normalised, packed._written_out)
    for causal in (False, not masked):
        one, other = (way(query, key, value, mask, 0.2, causal=causal) for way in ways)
        for found, wanted in zip(one, other, strict=True):
            assert torch.allclose(found, wanted, atol=1e-5)


def test_beyond_a_sliding_window_rows_are_read_apart(tiny_decoder):
    tiny = tiny_decoder("mistral")
    assert tiny.window == 128
    long = ["word " * 140 + "Label:", "short Label:", "other " * 150 + "Label:"]
    found = log_likelihoods(tiny, long, ANSWERS)
    apart = log_likelihoods(tiny, long, ANSWERS, sharing=False)
    assert found.sums == pytest.approx(apart.sums, abs=1e-4)


@pytest.mark.parametrize(("broken", "way"), [((packed,), Way.TREES), ((packed, prefix), Way.ROWS)])
def test_a_network_that_takes_no_mask_of_ours_is_read_otherwise(model, monkeypatch, broken, way):
    wanted = log_likelihoods(model, contexts(), ANSWERS)
    monkeypatch.delitem(prefix._known, model)

    def refused(*_):
        raise ValueError("no mask of four dimensions")

    for module in broken:
        monkeypatch.setattr(module, "seen", refused)
    assert prefix.fastest(model) is way
    found = log_likelihoods(model, contexts(), ANSWERS)
    assert found.sums == pytest.approx(wanted.sums, abs=1e-4)
    assert (found.read > wanted.read) == (way is Way.ROWS)


def test_means_divide_by_tokens_and_by_bytes_of_the_text_without_the_space_before_it(model):
    found = log_likelihoods(model, contexts(), [*ANSWERS, "\n"])
    sizes = [len("positive"), len("neutral"), 13, 20, len("Zürich ".encode()) + 4, 1]
    assert sizes[4] == 12, "ü has two bytes and the emoji four"
    assert (found.bytes == sizes).all()
    for column, answer in enumerate(ANSWERS):
        tokens = len(model.encode(contexts()[0] + answer)) - len(model.encode(contexts()[0]))
        assert found.per_token[0, column] == pytest.approx(found.sums[0, column] / tokens)
        assert found.per_byte[0, column] == pytest.approx(found.sums[0, column] / sizes[column])
