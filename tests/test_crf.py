"""The conditional random field against all taggings written out."""

import itertools
import json

import pytest
import torch

from workbench import flow
from workbench.core import machine, sources
from workbench.core.errors import ParameterError
from workbench.data import ner as data
from workbench.methods import export
from workbench.models.crf import Crf, runs_of
from workbench.models.encoder import Encoder, TokenClassifier
from workbench.models.windows import batches, pack
from workbench.record import iob
from workbench.tasks.ner import run as ner

LABELS = ("O", "B-PER", "I-PER")
RUNS = [(3, True), (1, True), (2, True)]
LENGTHS = [count for count, _ in RUNS]


@pytest.fixture
def crf():
    machine.seed(3)
    made = Crf(LABELS)
    torch.nn.init.normal_(made.steps)
    return made


def valid(tags):
    return iob.to_iob2([LABELS[tag] for tag in tags])[1] == 0


def written_out(crf, scores):
    """Tagging -> its score, of all valid ones of a sentence."""
    found = {}
    for tags in itertools.product(range(len(LABELS)), repeat=len(scores)):
        if valid(tags):
            steps = [
                crf.steps[-1, tags[0]],
                *(crf.steps[a, b] for a, b in itertools.pairwise(tags)),
            ]
            found[tags] = sum(steps) + sum(row[tag] for row, tag in zip(scores, tags, strict=True))
    return found


def test_loss_is_the_gold_taggings_share_of_all_valid_ones(crf):
    scores, target = torch.randn(6, 3), torch.tensor([1, 2, 0, 1, 0, 0])
    wanted = 0.0
    for rows, tags in zip(torch.split(scores, LENGTHS), torch.split(target, LENGTHS), strict=True):
        every = written_out(crf, rows)
        logs = torch.stack(list(every.values())).logsumexp(0)
        wanted += logs - every[tuple(tags.tolist())]
    assert torch.allclose(crf.loss(scores, target, RUNS), wanted / 6, atol=1e-5)


def test_marginals_are_sums_over_taggings(crf):
    scores = torch.randn(6, 3)
    found = torch.split(crf.log_marginals(scores, RUNS).exp(), LENGTHS)
    for rows, probabilities in zip(torch.split(scores, LENGTHS), found, strict=True):
        every = written_out(crf, rows)
        total = torch.stack(list(every.values())).logsumexp(0)
        for place, label in itertools.product(range(len(rows)), range(3)):
            wanted = sum((s - total).exp() for tags, s in every.items() if tags[place] == label)
            assert probabilities[place, label] == pytest.approx(
                float(torch.as_tensor(wanted).detach()), abs=1e-5
            )


def test_forbidden_taggings_have_no_probability_and_gradients_stay_finite(crf):
    scores = torch.randn(6, 3, requires_grad=True)
    crf.loss(scores, torch.tensor([1, 2, 0, 1, 0, 0]), RUNS).backward()
    assert torch.isfinite(scores.grad).all()
    assert torch.isfinite(crf.steps.grad).all()
    first = crf.log_marginals(scores, RUNS).exp()[[0, 3, 4], 2]
    assert torch.all(first < 1e-6), "no sentence begins with I-"


def test_words_of_a_sentence_follow_each_other_in_a_run(tiny_bert):
    rows = data.load("tiny_ner").splits["train"]
    encoder = Encoder(sources.resolve(str(tiny_bert), "model"))
    windows = pack(encoder.segments(list(rows["tokens"]), list(rows["document"])), 64)
    for group in batches(windows, 300):
        batch = encoder.collate(group)
        runs = runs_of(batch.sentences, batch.words)
        assert runs == [(len(segment.pieces), True) for window in group for segment in window]


def test_a_sentence_cut_within_an_entity_may_go_on_with_it(crf):
    scores, target = torch.randn(2, 3), torch.tensor([2, 0])
    whole, cut = (crf.loss(scores, target, [(2, b)]).detach() for b in (True, False))
    assert float(whole) > 1000, "no sentence begins with I-"
    assert float(cut) < 20
    assert crf.log_marginals(scores, [(2, False)]).exp()[0, 2] > 1e-3


def test_a_crf_learns_its_steps_with_the_tagger(tiny_bert, tmp_path, monkeypatch):
    monkeypatch.delenv(export.VARIABLE, raising=False)
    given = {**ner.SMOKE, "model": str(tiny_bert), "extras": "views, crf", "transfer": ""}
    config = ner.Config.check(given)
    config._directory = tmp_path
    result = flow.run(config, ner.load_model(config), ner.load_data(config))
    settings = json.loads((tmp_path / "model" / "workbench.json").read_text())
    steps = torch.tensor(settings["steps"])
    assert (steps != 0).float().mean() > 0.5
    assert len(result.items) > 0


def test_steps_change_what_a_tagger_says(tiny_bert):
    encoder = Encoder(sources.resolve(str(tiny_bert), "model"))
    machine.seed(0)
    tagger = TokenClassifier(encoder, LABELS, crf=True)
    (segment,) = encoder.segments([["a", "b", "c"]], [0])
    batch = encoder.collate([[segment]])
    with torch.inference_mode():
        logits = tagger(batch)
    before = tagger.log_probabilities(logits, batch)
    tagger.crf.steps.data[:, 1] += 5
    after = tagger.log_probabilities(logits, batch)
    assert torch.all(after[:, 1] > before[:, 1])
    assert torch.allclose(after.exp().sum(1), torch.ones(3), atol=1e-5)


@pytest.mark.parametrize("other", ["smoothing", "class_weights"])
def test_what_is_of_single_labels_is_refused_beside_a_crf(other):
    with pytest.raises(ParameterError, match=f"{other} is of single labels"):
        ner.Config.check({"extras": f"crf, {other}"})
