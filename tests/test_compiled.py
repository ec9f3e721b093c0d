"""Training through a compiled network is training."""

import copy

import pytest
import torch

from workbench import flow
from workbench.core import sources
from workbench.models import compiled
from workbench.models.compiled import Compiled
from workbench.models.encoder import Encoder
from workbench.tasks.ner import run as ner

SHAPES = ((4, 31), (1, 7), (2, 40), (2, 60))


@pytest.fixture
def encoder(tiny_bert):
    return Encoder(sources.resolve(str(tiny_bert), "model"), casing=False)


def batch(rows, width, seed):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.ones(rows, width, dtype=torch.long)
    mask[0, -3:] = 0
    return torch.randint(5, 20, (rows, width), generator=generator), mask


def gradients(encoder, rows, width):
    """Pooled states, and the gradient that a loss of them leaves in each weight."""
    encoder.zero_grad()
    pooled = encoder.pooled(*batch(rows, width, rows * width))
    (pooled - 1).square().sum().backward()
    found = encoder.network.named_parameters()
    return pooled.detach(), {name: p.grad.clone() for name, p in found if p.grad is not None}


@pytest.mark.parametrize(
    ("rows", "most"),
    [pytest.param(1, compiled.MOST, marks=pytest.mark.long), (compiled.ROWS, 1)],
)
def test_states_and_gradients_are_those_of_the_plain_network(encoder, monkeypatch, rows, most):
    """Padded to a grid as on a processor and as on a GPU; more shapes than are compiled."""
    monkeypatch.setattr(compiled, "MOST", most)
    plain = [gradients(encoder, *shape) for shape in SHAPES]
    encoder.compiled = Compiled(encoder.network, encoder.capacity + 2, backend="aot_eager")
    encoder.compiled.rows = rows
    other = Compiled(copy.deepcopy(encoder.network), encoder.capacity + 2, backend="aot_eager")
    ids, mask = batch(2, 126, 0)
    assert other(mask, {"input_ids": ids}).shape == (2, 126, encoder.width), "up to its positions"
    for shape, (states, by_name) in zip(SHAPES, plain, strict=True):
        ours, found = gradients(encoder, *shape)
        torch.testing.assert_close(ours, states)
        assert found.keys() == by_name.keys()
        for name, gradient in found.items():
            torch.testing.assert_close(gradient, by_name[name], atol=1e-5, rtol=1e-4)
    grid = {(n + -n % rows, w + -w % compiled.WIDTHS) for n, w in SHAPES}
    assert encoder.compiled.shapes <= grid
    assert len(encoder.compiled.shapes) == min(most, len(grid))


def test_reading_alone_compiles_nothing(encoder):
    encoder.train_compiled()
    with torch.inference_mode():
        encoder.pooled(*batch(2, 9, 0))
    assert not encoder.compiled.shapes


def test_a_tagger_trains_compiled_to_the_same_scores(tiny_bert, monkeypatch):
    monkeypatch.setattr(compiled, "MOST", 1)  # compiling takes half a minute a shape
    settings = {"model": str(tiny_bert), "dataset": "tiny_ner", "transfer": "", "epochs": 1}
    found = []
    for extras in ("casing", "casing, compiled"):
        config = ner.Config.check(settings | {"extras": extras})
        result = flow.run(config, ner.load_model(config), ner.load_data(config))
        found.append(result.metrics["test/token_accuracy"].value)
        found.append(float(result.items["loss"].mean()))
    assert found[:2] == pytest.approx(found[2:], rel=1e-3)
