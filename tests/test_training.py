"""One golden step, and what the loop promises."""

import json
from pathlib import Path

import pytest
import torch

from workbench import machine, sources
from workbench.data import ner
from workbench.errors import ParameterError, TrainingError
from workbench.models.encoder import Encoder, TokenClassifier
from workbench.models.windows import batches, pack
from workbench.training import Log, Recipe, fit, parameter_groups, step

GOLDEN = Path(__file__).parent / "golden" / "ner_step.json"
RECIPE = Recipe(epochs=1, learning_rate=1e-3)


def size(batch):
    return len(batch.words)


@pytest.fixture
def tagger(tiny_bert):
    machine.seed(0)
    data = ner.load("tiny_ner")
    tagger = TokenClassifier(Encoder(sources.resolve(str(tiny_bert), "model")), data.labels)
    with torch.no_grad():
        weight = tagger.head.weight
        weight.copy_(torch.cos(torch.arange(weight.numel()).reshape(weight.shape)) * 0.1)
    rows = data.splits["train"]
    segments = tagger.encoder.segments(list(rows["tokens"]), list(rows["document"]))
    batch = tagger.encoder.collate(batches(pack(segments, 64), 10_000)[0])
    target = [
        data.labels.index(rows["ner_tags"][s][w])
        for s, w in zip(batch.sentences, batch.words, strict=True)
    ]
    loss = lambda _: torch.nn.functional.cross_entropy(tagger(batch), torch.tensor(target))  # noqa: E731
    return tagger, batch, loss


def test_golden_step(tagger):
    model, batch, loss = tagger
    optimizer = torch.optim.AdamW(parameter_groups(model, RECIPE), lr=1e-3, betas=RECIPE.betas)
    loss(batch).backward()
    norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    optimizer.zero_grad()
    before = step(model, optimizer, batch, loss, size, RECIPE, torch.device("cpu"))
    found = {
        "words": len(batch.words),
        "pieces": batch.pieces,
        "loss_before": round(float(before), 5),
        "gradient_norm": round(float(norm), 5),
        "loss_after": round(float(loss(batch).detach()), 5),
    }
    golden = json.loads(GOLDEN.read_text())
    for name, value in golden.items():
        assert found[name] == pytest.approx(value, rel=1e-3), (
            f"{GOLDEN.name}: {name} {value} -> {found[name]}. Not meant? Then it is a bug in "
            f"windows, model, loss or optimiser. Meant? Write {json.dumps(found)} to {GOLDEN} and "
            f"say why in CHANGELOG.md."
        )


def test_training_lowers_the_loss_and_keeps_the_best_epoch(tagger, capsys):
    model, batch, loss = tagger
    scores = iter([0.2, 0.9, 0.4])
    kept = []

    def evaluate():
        kept.append({name: value.clone() for name, value in model.state_dict().items()})
        return next(scores)

    log = Log(None)
    done = fit(model, lambda _: [batch] * 5, loss, size, evaluate, Recipe(3, 1e-3), log)
    assert (done.best_epoch, done.best_score, done.steps) == (2, 0.9, 15)
    assert all(torch.equal(value, kept[1][name]) for name, value in model.state_dict().items())
    losses = [record["train_loss"] for record in log.records if record["event"] == "epoch"]
    assert losses[2] < losses[0]
    assert "validation score 0.9000" in capsys.readouterr().out


def test_loss_that_is_not_finite_stops_training(tagger):
    model, batch, loss = tagger
    with pytest.raises(TrainingError, match="loss is nan in epoch 1"):
        fit(
            model,
            lambda _: [batch],
            lambda b: loss(b) * float("nan"),
            size,
            float,
            RECIPE,
            Log(None),
        )


def test_of_epochs_without_a_score_the_last_line_stays(capsys):
    log = Log(None)
    for epoch in (1, 2, 3):
        log({"event": "epoch", "epoch": epoch, "epochs": 3, "train_loss": 0.5, "score": None})
    (line, rest) = capsys.readouterr().out.split("\n")
    assert line.rsplit("\r", 1)[-1].rstrip() == "epoch 3: training loss 0.500"
    assert rest == ""


def test_log_is_written_as_it_comes(tmp_path, capsys):
    log = Log(tmp_path / "run")
    log({"event": "epoch", "epoch": 1, "train_loss": 0.5, "score": 0.25})
    assert json.loads((tmp_path / "run/metrics.jsonl").read_text()) == log.records[0]


def test_precision_follows_the_hardware():
    place = torch.device("cpu")
    assert machine.precision("float32", place) == torch.float32
    assert machine.precision("bfloat16", place) == torch.bfloat16
    assert machine.precision("auto", place) in {torch.float32, torch.bfloat16}
    with pytest.raises(ParameterError, match="auto, float32, bfloat16"):
        machine.precision("half", place)


def test_bfloat16_step_is_near_float32(tagger):
    _, batch, loss = tagger
    with torch.no_grad():
        exact = loss(batch)
        with machine.autocast(torch.bfloat16, torch.device("cpu")):
            rough = loss(batch)
    assert float(rough) == pytest.approx(float(exact), rel=0.02)
