"""What decoders write: the same whatever the batch, and nothing that a grammar forbids."""

import copy
import itertools
import json

import jsonschema
import pytest
import torch
from transformers import ByT5Tokenizer

from workbench.core import sources
from workbench.core.errors import ParameterError
from workbench.decoding import generate as generation
from workbench.decoding.generate import Sampling, generate, nucleus
from workbench.decoding.grammar import json_of, one_of
from workbench.models.causal_lm import CausalLM

SHOTS = "Text: good\nLabel: positive\n\nText: it broke at once, alas\nLabel: very negative\n\n"
TEXTS = ("the lamp works", "N/A", "", "A bag of cloth, delivered on Tuesday by a friendly man.")
PROMPTS = [f"{SHOTS}Text: {text}\nLabel:" for text in TEXTS]
LABELS = (" positive", " very", " very negative", " Zürich 🎉", ' a "b"\\')
SCHEMA = {
    "type": "object",
    "properties": {
        "person": {"type": "array", "items": {"type": "string", "maxLength": 8}, "maxItems": 2},
        "sure": {"type": "boolean"},
    },
    "required": ["person", "sure"],
    "additionalProperties": False,
}
ARCHITECTURES = ("llama", "gpt2", "gpt_neo", "qwen3", "gemma3_text", "mistral", "gpt_neox", "opt")


@pytest.fixture(scope="module")
def real():
    return CausalLM(sources.resolve("smollm2", "model"))


@pytest.fixture(scope="module")
def model(varied_decoder_folder):
    return CausalLM(sources.resolve(str(varied_decoder_folder), "model"))


def texts(answers):
    return [answer.text for answer in answers]


def likeliest(model, ids, count):
    """The next tokens after a row, one full forward pass each."""
    ids = list(ids)
    for _ in range(count):
        with torch.inference_mode():
            ids.append(int(model.network(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[-count:]


def test_greedy_answers_are_those_of_one_text_at_a_time(model, real):
    ended = set()
    for decoder, prompts in ((model, PROMPTS), (real, PROMPTS[2:])):
        found = generate(decoder, prompts, max_new_tokens=6)
        for prompt, answer in zip(prompts, found, strict=True):
            ids = likeliest(decoder, decoder.encode(prompt), 6)
            own = ids[: next((at for at, token in enumerate(ids) if token in decoder.ends), 6)]
            assert answer.text == decoder.tokenizer.decode(own)
            assert answer.ended == (len(own) < 6)
            ended.add(answer.ended)
    assert ended == {False, True}, "else one of the two was not tried"


@pytest.mark.parametrize(
    "kind",
    [*ARCHITECTURES[:5], *(pytest.param(k, marks=pytest.mark.long) for k in ARCHITECTURES[5:])],
)
def test_no_answer_depends_on_its_batch(tiny_decoder, kind):
    tiny = tiny_decoder(kind)
    for grammar, sampling in itertools.product(
        (None, one_of(LABELS)), (None, Sampling(0.8, 0.9, seed=3))
    ):
        asked = {"max_new_tokens": 4, "grammar": grammar, "sampling": sampling}
        together = generate(tiny, PROMPTS, **asked)
        assert generate(tiny, PROMPTS, batch_tokens=1, **asked) == together
        # Fewer of them share another beginning, and pad less.
        assert generate(tiny, PROMPTS[:2], **asked) == together[:2]
        if sampling is None:
            assert generate(tiny, PROMPTS[3:], **asked) == together[3:]


def test_an_answer_ends_with_the_end_of_text(real):
    other = copy.copy(real)
    other.tokenizer = copy.deepcopy(real.tokenizer)
    first, second, *_ = likeliest(real, real.encode(PROMPTS[0]), 3)
    assert first != second
    other.tokenizer.eos_token = real.tokenizer.convert_ids_to_tokens(second)
    (answer,) = generate(other, PROMPTS[:1], max_new_tokens=4)
    assert answer == generation.Written(real.tokenizer.decode([first]), ended=True)


def test_a_stop_ends_an_answer_and_is_no_part_of_it(real):
    free = generate(real, PROMPTS, max_new_tokens=8)
    assert all("\n" in answer.text for answer in free)
    stopped = generate(real, PROMPTS, max_new_tokens=8, stop="\n")
    assert texts(stopped) == [answer.text.partition("\n")[0] for answer in free]
    assert all(answer.ended for answer in stopped)


@pytest.mark.parametrize("sampling", [None, Sampling(3.0, seed=1)])
def test_an_answer_held_to_labels_is_one_of_them_however_few_tokens(model, sampling):
    found = generate(
        model, PROMPTS * 4, max_new_tokens=1, grammar=one_of(LABELS), sampling=sampling
    )
    assert set(texts(found)) <= set(LABELS)
    assert all(answer.ended for answer in found)
    if sampling:
        assert len(set(texts(found))) > 1


def test_greedy_labels_are_the_likeliest_token_by_token(model):
    """Two labels of one token each: greedy decoding and scoring must agree."""
    from workbench.decoding.score import log_likelihoods

    words = (" positive", " negative")
    found = generate(model, PROMPTS, max_new_tokens=3, grammar=one_of(words))
    scores = log_likelihoods(model, PROMPTS, words).sums
    assert texts(found) == [words[best] for best in scores.argmax(axis=1)]


@pytest.mark.parametrize("labels", [(" positive", " negative", " neutral"), (" very", " vexed")])
def test_labels_are_those_that_the_likeliest_allowed_tokens_lead_to(model, labels):
    """By hand: of all tokens that a label goes on with the likeliest, until one label is left."""
    pieces = [model.tokenizer.decode([token]) for token in range(len(model.tokenizer))]
    found = generate(model, PROMPTS, max_new_tokens=1, grammar=one_of(labels))
    for prompt, answer in zip(PROMPTS, found, strict=True):
        ids, text = model.encode(prompt), ""
        while len([label for label in labels if label.startswith(text)]) > 1:
            with torch.inference_mode():
                logits = model.network(torch.tensor([ids])).logits[0, -1].tolist()
            fits = [
                token
                for token, piece in enumerate(pieces)
                if piece and any(label.startswith(text + piece) for label in labels)
            ]
            ids.append(max(fits, key=logits.__getitem__))
            text += pieces[ids[-1]]
        assert answer.text == next(label for label in labels if label.startswith(text))


def test_a_label_that_begins_another_is_told_from_it_by_what_follows(real):
    words = [" yes", " yes please"]
    prompts = [f"Say:{word}\n" * 4 + "Say:" for word in words]
    assert texts(generate(real, prompts, max_new_tokens=1, grammar=one_of(words))) == words


def test_a_label_without_room_in_the_model_is_cut_and_says_so(tiny_decoder):
    prompt = "word " * 19 + "w"
    tiny = tiny_decoder("llama")
    tiny.network.config.max_position_embeddings = len(tiny.encode(prompt))
    labels = [" a quite long label that takes a while", " a quite long label that takes time"]
    (answer,) = generate(tiny, [prompt], max_new_tokens=1, grammar=one_of(labels))
    assert not answer.ended
    assert all(label.startswith(answer.text) for label in labels)


def test_tokens_that_only_pad_the_vocabulary_are_never_written(tiny_decoder, model):
    known = len(model.tokenizer)
    padded = tiny_decoder("llama", vocab_size=known + 70)
    ids = padded.encode("Label:")
    with torch.inference_mode():
        padded.head.weight[-70:] *= 100
        logits = padded.network(torch.tensor([ids])).logits[0, -1]
    assert int(logits.argmax()) >= known
    (answer,) = generate(padded, ["Label:"], max_new_tokens=1)
    assert answer.text == model.tokenizer.decode([int(logits[:known].argmax())])
    (label,) = generate(padded, ["Label:"], max_new_tokens=1, grammar=one_of(LABELS))
    assert label.text in LABELS


def test_a_batch_ends_with_its_last_answer_and_reads_what_all_begin_with_once(real, monkeypatch):
    read = []
    network = real.body.forward

    def spy(ids, *arguments, **options):
        read.append(tuple(ids.shape))
        return network(ids, *arguments, **options)

    monkeypatch.setattr(real.body, "forward", spy)
    found = generate(real, PROMPTS, max_new_tokens=20, stop="\n")
    assert all(answer.ended for answer in found)
    lengths = [len(real.encode(prompt)) for prompt in PROMPTS]
    shared = len(real.encode(f"{SHOTS}Text:"))
    beginning, rest, *steps = read
    assert beginning == (1, shared)
    assert rest == (len(PROMPTS), max(lengths) - shared)
    longest = max(len(real.encode(answer.text)) for answer in found)
    assert set(steps) <= {(len(PROMPTS), 1)}
    assert len(steps) == longest, "the last answer's tokens, and the one that ends it"


@pytest.mark.parametrize("sampling", [None, Sampling(1.5, seed=5)])
def test_json_that_ended_is_valid(real, sampling):
    asked = [f"Names in JSON.\n\nText: {text}\nJSON:" for text in TEXTS]
    found = generate(real, asked, max_new_tokens=60, grammar=json_of(SCHEMA), sampling=sampling)
    ended = [answer for answer in found if answer.ended]
    assert ended
    for answer in ended:
        jsonschema.validate(json.loads(answer.text), SCHEMA)


def test_json_without_room_for_its_end_says_so(model):
    (answer,) = generate(model, PROMPTS[:1], max_new_tokens=2, grammar=json_of(SCHEMA))
    assert not answer.ended
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.text)


def test_sampling_depends_on_the_seed_and_its_shares_are_the_models(model):
    draws = [Sampling(seed=seed) for seed in (0, 0, 1)]
    first, again, other = (
        texts(generate(model, PROMPTS[:1] * 40, max_new_tokens=1, sampling=draw)) for draw in draws
    )
    assert first == again != other
    with torch.inference_mode():
        logits = model.network(torch.tensor([model.encode(PROMPTS[0])])).logits[0, -1]
    best = int(logits.argmax())
    share = float(logits.softmax(-1)[best])
    drawn = [*first, *other].count(model.tokenizer.decode([best])) / 80
    assert abs(drawn - share) < 3 * (share * (1 - share) / 80) ** 0.5


def test_the_nucleus_is_the_smallest_set_that_reaches_its_share():
    logits = torch.tensor([[0.1, 0.4, 0.2, 0.3], [0.97, 0.01, 0.01, 0.01]]).log()
    kept = nucleus(logits, 0.65).isfinite().tolist()
    assert kept == [[False, True, False, True], [True, False, False, False]]
    assert nucleus(logits, 1.0).isfinite().all()


def test_an_empty_context_and_none(real):
    assert generate(real, [], max_new_tokens=3) == []
    (answer,) = generate(real, [""], max_new_tokens=3)
    start = real.tokenizer.bos_token_id
    assert answer.text == real.tokenizer.decode(likeliest(real, [start], 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Sampling(temperature=0), "temperature > 0"),
        (lambda: Sampling(top_p=0), "top_p above 0"),
        (lambda: one_of([]), "one at least"),
        (lambda: one_of(["a", ""]), "none ''"),
        (lambda: json_of({"type": "nonsense"}), "JSON schema"),
        (lambda: json_of({"uniqueItems": True, "x-guidance": {"lenient": True}}), "uniqueItems"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


def test_a_context_without_room_for_its_answer_is_refused(model, monkeypatch):
    monkeypatch.setattr(model.network.config, "max_position_embeddings", 20)
    with pytest.raises(ParameterError, match="at most 20 tokens"):
        generate(model, ["word " * 19], max_new_tokens=8)


def test_a_tokenizer_that_no_grammar_can_read_is_refused(model):
    slow = copy.copy(model)
    slow.tokenizer = ByT5Tokenizer()
    with pytest.raises(ParameterError, match="ByT5Tokenizer can't be held to a grammar"):
        generate(slow, PROMPTS[:1], max_new_tokens=1, grammar=one_of(LABELS))
