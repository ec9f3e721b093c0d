"""The same broken answers by other rules and by ours, counted by hand."""

import numpy as np
import pytest

from workbench.core import sources
from workbench.methods.templates import Template
from workbench.models.causal_lm import CausalLM
from workbench.tasks.prompting import shot_attention, traps

WORDS = {label: label for label in ("negative", "neutral", "positive")}
GOLD = ["neutral", "neutral", "positive", "negative"]
WRITTEN = ["Neutral.", "no idea", "positive", "positive or negative"]
EXPECTED = {
    # nothing, a refusal: neutral by default, or nothing that could be scored
    "nothing": [0.5, None, 0.5, 0.0, 0.0, None, 1.0],
    "a refusal": [0.5, None, 0.5, 0.0, 0.0, None, 1.0],
    # "not positive" holds "positive"
    "not the right word": [1.0, None, 1.0, 0.0, 0.0, None, 1.0],
    # places 0 and 2 are right, of the others one is neutral
    "half right, half garbage": [0.75, 1.0, 0.75, 0.5, 0.5, 1.0, 0.5],
    # the last answer names two labels: the last or the first that is looked for
    "what the model wrote": [0.75, 1.0, 1.0, 0.5, 0.5, 1.0, 0.5],
}


def test_each_rule_gives_what_it_gives_by_hand():
    found = traps.compare(GOLD, WRITTEN, WORDS)
    assert found["default"] == "neutral"
    assert {row["outputs"]: row for row in found["rows"]}.keys() == EXPECTED.keys()
    for row in found["rows"]:
        ours = [row["low"], row["high"], row["unparsed"]]
        assert [*row["scores"].values(), *ours] == EXPECTED[row["outputs"]], row["outputs"]


def test_without_a_neutral_label_the_default_is_the_commonest():
    words = {"no": "no", "yes": "yes"}
    found = traps.compare(["yes", "yes", "no"], ["not sure", "", "no"], words)
    assert found["default"] == "yes"
    wrote = found["rows"][-1]["scores"]
    assert wrote["first match"] == pytest.approx(2 / 3), "the no in not is wrong, nothing is yes"


def test_gold_labels_that_are_read_like_answers_are_joined():
    words = {"very good": "very good", "good": "good", "bad": "bad"}
    assert traps.else_default(["good"], ["very good"], words, "bad") == 1
    assert traps.first_match(["good"], ["very good"], words, "bad") == 0


@pytest.fixture(scope="module")
def model(varied_decoder_folder):
    return CausalLM(sources.resolve(str(varied_decoder_folder), "model"))


SHOTS = [({"text": "I love it"}, "positive"), ({"text": "it broke"}, "negative")]


@pytest.mark.parametrize("instruction", ["", "Say what each text is."])
@pytest.mark.parametrize("shots", [[], SHOTS])
def test_attention_is_shared_out_among_the_parts(model, instruction, shots):
    template = Template("fields", instruction, "Text: {text}\nLabel:")
    items = [{"text": "a fine day"}, {"text": "no"}]
    found = shot_attention.look(model, template, shots, items, ["positive", "positive"])
    weights = np.array(found["weights"])
    assert weights.shape == (model.network.config.num_hidden_layers, len(found["parts"]))
    assert weights.sum(axis=1) == pytest.approx(1, abs=0.01)
    named = ["text 1", "label 1", "text 2", "label 2"] if shots else []
    head = ["instruction"] if instruction else []
    texts = [part for part in found["parts"] if part != shot_attention.SEPARATOR]
    assert texts == ["first token", *head, *named, "question"]
    assert (shot_attention.SEPARATOR in found["parts"]) == bool(head or named)
    parts = [part.text for part in shot_attention._parts(template, shots, items[0])]
    assert "".join(parts) == template.fill(shots, items[0])
    if shots:
        place = found["parts"].index("label 1")
        assert found["same"] == pytest.approx(weights[:, place], abs=1e-3)


@pytest.mark.parametrize(("real", "layers"), [(False, (1, 2)), (True, (1, 15, 30))])
def test_attention_of_the_last_token_is_that_of_the_whole_prompt(model, real, layers):
    import torch

    from workbench.models import lens

    if real:
        model = CausalLM(sources.resolve("smollm2", "model"))
    ids = torch.tensor([model.encode("Text: I love it\nLabel: positive\n\nText: no\nLabel:")])
    with torch.inference_mode():
        last = lens.last_attention(model, ids)
        for layer in layers:
            whole = lens.attention(model, ids, layer)
            torch.testing.assert_close(last[layer - 1], whole[:, -1], atol=1e-4, rtol=1e-3)
    assert model.network.config._attn_implementation == "sdpa", "as before"
