"""One golden step, and what the loop promises."""

import json
import re
import resource
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from workbench import flow
from workbench.core import machine, sources
from workbench.core.errors import ParameterError, TrainingError
from workbench.data import ner
from workbench.methods.extras import TAGGER
from workbench.models.encoder import Encoder, TokenClassifier
from workbench.models.windows import batches, pack
from workbench.record.result import CHECKPOINTS, HISTORY, STATE
from workbench.tasks.ner import run as ner_task
from workbench.training import Log, Recipe, checkpoints, estimate, fit
from workbench.training.averaging import Average
from workbench.training.checkpoints import PROGRESS, TENSORS
from workbench.training.log import FAILED_BATCH
from workbench.training.steps import Objective, parameter_groups

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
    before = Objective(model, loss, size, RECIPE).step(optimizer, batch)
    found = {
        "words": len(batch.words),
        "tokens": batch.tokens,
        "loss_before": round(float(before[0]), 5),
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


def test_estimate_is_said_and_changes_nothing(tagger, monkeypatch, capsys):
    model, batch, loss = tagger
    start = {name: value.clone() for name, value in model.state_dict().items()}
    found = []
    for least in (10**6, 1):
        monkeypatch.setattr(estimate, "WORTH_STEPS", least)
        model.load_state_dict(start)
        fit(model, lambda _: [batch] * 2, loss, size, None, RECIPE, Log(None))
        found.append({name: value.clone() for name, value in model.state_dict().items()})
        said = "training: 2 steps, " in (out := capsys.readouterr().out)
        assert said == (least == 1)
    least = r"(about [\d,]+ MiB gpu|at least [\d,]+ MiB resident)"
    assert re.search(rf"scoring not counted; {least} memory", out)
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_mean_of_the_weights_is_scored_and_kept(tagger):
    model, batch, loss = tagger
    weight, seen, scored = model.head.weight, [], []
    rate = 1e-2
    recipe = Recipe(1, rate, averaging=0.5)
    mean = weight.detach().clone()

    def watched(value):
        seen.append(weight.detach().clone())
        return loss(value)

    def evaluate():
        scored.append(weight.detach().clone())
        return 0.5

    fit(model, lambda _: [batch] * 4, watched, size, evaluate, recipe, Log(None))
    # The weights after steps 1 to 3 are seen at the beginning of the next; the fourth is not.
    for steps, after in enumerate(seen[1:]):
        fraction = min(0.5, (1 + steps) / (10 + steps))
        mean = fraction * mean + (1 - fraction) * after
    assert torch.equal(scored[0], weight)
    assert not torch.allclose(scored[0], seen[-1], atol=1e-4)
    fraction = min(0.5, 4 / 13)
    last = (scored[0] - fraction * mean) / (1 - fraction)
    assert float((last - seen[-1]).abs().max()) < 2 * rate, "one step of AdamW away"


def test_lower_layers_learn_more_slowly_with_layer_decay(tagger):
    model, _, _ = tagger
    groups = parameter_groups(model, Recipe(1, 1e-3, layer_decay=0.5, new_scale=3))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    scales = {names[id(p)]: group["scale"] for group in groups for p in group["params"]}
    assert set(scales) == {name for name, p in model.named_parameters() if p.requires_grad}
    layers = model.encoder.network.config.num_hidden_layers
    assert scales["head.weight"] == scales["encoder.shapes.weight"] == 3
    last = f"encoder.network.encoder.layer.{layers - 1}.output.dense.weight"
    assert scales[last] == 1
    assert scales["encoder.network.encoder.layer.0.output.dense.bias"] == 0.5 ** (layers - 1)
    words = "encoder.network.embeddings.word_embeddings.weight"
    assert scales[words] == 0.5**layers
    assert len(parameter_groups(model, RECIPE)) == 2


def poisoned(loss, step, poison):
    """A loss that goes wrong in its `step`-th call."""
    calls = iter(range(1, 1000))
    return lambda batch: poison(loss(batch)) if next(calls) == step else loss(batch)


NOT_FINITE = (22, "the loss becomes NaN at step 7", "exit 5, step and items said, checkpoint kept")


@pytest.mark.fault(*NOT_FINITE)
def test_loss_that_is_not_finite_is_found_and_its_batch_named(run, tagger):
    model, batch, loss = tagger
    loss = poisoned(loss, 7, lambda value: value * float("nan"))
    with pytest.raises(TrainingError, match="the loss is nan in epoch 2, step 2") as error:
        fit(model, lambda _: [batch] * 5, loss, size, lambda: 0.5, Recipe(3, 1e-3), Log(run))
    assert error.value.exit_code == 5
    failed = json.loads((run / FAILED_BATCH).read_text())
    assert failed["items"] == sorted(set(batch.sentences))
    assert (failed["epoch"], failed["step"]) == (2, 2)
    (kept, _) = sorted((run / CHECKPOINTS / "1").iterdir(), reverse=True)
    weights = safetensors.torch.load_file(kept / TENSORS)
    assert all(value.isfinite().all() for value in weights.values())
    assert "NaN" not in (run / HISTORY).read_text()


@pytest.mark.fault(*NOT_FINITE)
def test_gradient_that_is_not_finite_is_found_at_its_own_step(tagger):
    model, batch, loss = tagger
    bad = poisoned(loss, 2, lambda value: value + (value - value.detach()).sqrt())
    with pytest.raises(TrainingError, match=r"a gradient is (nan|inf) in epoch 1, step 2"):
        fit(model, lambda _: [batch] * 5, bad, size, None, RECIPE, Log(None))


@pytest.mark.fault(24, "the GPU's memory is full", "exit 5, with advice")
def test_full_memory_of_a_gpu_is_explained(tagger):
    model, batch, _ = tagger

    def loss(_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(TrainingError, match="memory is full in a batch of 1,146 tokens") as error:
        fit(model, lambda _: [batch], loss, size, None, RECIPE, Log(None))
    assert "lower batch_tokens" in str(error.value)
    assert error.value.exit_code == 5


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The directory of a run in batch whose training keeps a checkpoint after each step."""
    monkeypatch.setattr(checkpoints, "EVERY_S", 0.0)
    (tmp_path / STATE).write_text("{}")
    return tmp_path


def learn(model, directory, monkeypatch, *, cut_at=10**6, extras="casing"):
    """A run of the task over a few sentences, cut off before a step."""
    steps = iter(range(1, 10**6))

    step = Objective.step

    def counted(*arguments):
        if next(steps) == cut_at:
            raise KeyboardInterrupt
        return step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Objective, "step", counted)
        return _run_task(model, directory, extras)


def _run_task(model, directory, extras):
    config = ner_task.Config.check(
        {
            "model": str(model), "dataset": "tiny_ner", "epochs": 3, "batch_tokens": 300,
            "extras": extras, "transfer": "",
        }
    )  # fmt: skip
    config._directory = directory
    machine.seed(0)
    return flow.run(config, ner_task.load_model(config), ner_task.load_data(config))


@pytest.fixture(scope="module")
def whole(tiny_bert, tmp_path_factory):
    """The result of a training that nothing cuts off."""
    return _run_task(tiny_bert, tmp_path_factory.mktemp("undisturbed"), "casing")


def half(place):
    path = place / TENSORS
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def no_progress(place):
    (place / PROGRESS).unlink()


@pytest.mark.fault(13, "a checkpoint cut in half; one without its record", "the one before, said")
@pytest.mark.parametrize("damage", [None, half, no_progress])
@pytest.mark.parametrize("cut_at", [4, 8, 11])
def test_training_goes_on_and_ends_as_if_never_cut_off(
    run, tiny_bert, whole, monkeypatch, capsys, cut_at, damage
):
    with pytest.raises(KeyboardInterrupt):
        learn(tiny_bert, run, monkeypatch, cut_at=cut_at)
    kept = sorted((run / CHECKPOINTS / "1").iterdir())
    assert [int(place.name) for place in kept] == [cut_at - 2, cut_at - 1]
    if damage:
        damage(kept[-1])
    (run / HISTORY).unlink()
    capsys.readouterr()
    again = learn(tiny_bert, run, monkeypatch)
    said = capsys.readouterr().out
    assert f"going on after step {cut_at - (2 if damage else 1)}, from a checkpoint" in said
    assert (f"the checkpoint after step {cut_at - 1} is damaged" in said) == bool(damage)
    assert again.items.equals(whole.items)
    assert again.metrics == whole.metrics
    assert again.cost.trained_tokens == whole.cost.trained_tokens
    epochs = [[r for r in found.history if r["event"] == "epoch"] for found in (again, whole)]
    for ours, theirs in zip(*epochs, strict=True):
        assert ours == theirs | {"train_loss": pytest.approx(theirs["train_loss"])}
    assert len((run / HISTORY).read_text().splitlines()) == len(again.history)


# What compiles a network for minutes is told apart: it is of use on a GPU.
@pytest.mark.parametrize("left_out", ["compiled", pytest.param("", marks=pytest.mark.long)])
def test_training_with_all_extras_goes_on_as_if_never_cut_off(
    run, tiny_bert, whole, tmp_path_factory, monkeypatch, capsys, left_out
):
    everything = ", ".join(name for name in TAGGER if name != left_out)
    assert left_out in {"", *TAGGER}
    extras = learn(tiny_bert, tmp_path_factory.mktemp("extras"), monkeypatch, extras=everything)
    with pytest.raises(KeyboardInterrupt):
        learn(tiny_bert, run, monkeypatch, cut_at=8, extras=everything)
    assert (run / CHECKPOINTS / "1").is_dir()
    again = learn(tiny_bert, run, monkeypatch, extras=everything)
    assert "going on after step 7" in capsys.readouterr().out
    assert again.items.equals(extras.items)
    assert not whole.items.equals(extras.items)


def test_checkpoint_that_cannot_be_written_does_not_end_the_training(
    run, tiny_bert, monkeypatch, capsys
):
    (run / CHECKPOINTS).write_text("in the way")
    assert learn(tiny_bert, run, monkeypatch).metrics
    assert "no checkpoint could be written" in capsys.readouterr().out


@pytest.mark.fault(13, "the disk has no room for a checkpoint", "training goes on, said once")
def test_checkpoints_larger_than_the_disk_takes_are_said_once_and_counted(
    run, tiny_bert, monkeypatch, capsys
):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
    try:
        assert learn(tiny_bert, run, monkeypatch).metrics
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    said = capsys.readouterr().out
    assert said.count("no checkpoint could be written, training goes on: ") == 1
    assert "File too large" in said
    assert re.search(r"\b(\d+) checkpoints could not be written", said)
    assert not list((run / CHECKPOINTS / "1").iterdir()), "no part of one is left"


def test_a_damaged_checkpoint_is_replaced_when_training_comes_to_its_step_again(
    run, tiny_bert, monkeypatch, capsys
):
    with pytest.raises(KeyboardInterrupt):
        learn(tiny_bert, run, monkeypatch, cut_at=4)
    half(run / CHECKPOINTS / "1" / "000000003")
    with pytest.raises(KeyboardInterrupt):
        learn(tiny_bert, run, monkeypatch, cut_at=2)
    assert "the checkpoint after step 3 is damaged" in capsys.readouterr().out
    with pytest.raises(KeyboardInterrupt):
        learn(tiny_bert, run, monkeypatch, cut_at=1)
    said = capsys.readouterr().out
    assert "going on after step 3, from a checkpoint" in said
    assert "damaged" not in said
    assert {p.name for p in (run / CHECKPOINTS / "1").iterdir()} == {"000000002", "000000003"}


def test_a_log_that_cannot_be_written_does_not_end_the_training(tagger, tmp_path, capsys):
    model, batch, loss = tagger
    (tmp_path / HISTORY).mkdir()
    log = Log(tmp_path)
    fit(model, lambda _: [batch] * 2, loss, size, lambda: 0.5, Recipe(2, 1e-3), log)
    assert capsys.readouterr().out.count("metrics.jsonl can't be written, training goes on") == 1
    assert log.unwritten == len(log.records) > 2


def test_each_word_counts_alike_whatever_batch_it_is_in(tagger):
    model, _, _ = tagger
    data = ner.load("tiny_ner")
    rows = data.splits["train"]
    labels = {label: place for place, label in enumerate(data.labels)}
    segments = model.encoder.segments(list(rows["tokens"]), list(rows["document"]))
    windows = sorted(pack(segments, 32), key=len)
    some = [model.encoder.collate(part) for part in (windows[:1], windows[1:4], windows[4:])]
    targets = [labels[tag] for tags in rows["ner_tags"] for tag in tags]

    def loss(batch):
        of_words = [
            labels[rows["ner_tags"][s][w]]
            for s, w in zip(batch.sentences, batch.words, strict=True)
        ]
        return torch.nn.functional.cross_entropy(model(batch), torch.tensor(of_words))

    assert len({len(batch.words) for batch in some}) == 3
    objective = Objective(model, loss, size, RECIPE)
    divisor = objective.mean_weight(some)
    assert divisor == pytest.approx(len(targets) / 3)
    scaled = [float(objective.gradients(batch, divisor)) for batch in some]
    model.zero_grad()
    with torch.no_grad():
        sums = [float(loss(batch)) * len(batch.words) for batch in some]
    assert sum(scaled) / 3 == pytest.approx(sum(sums) / len(targets), rel=1e-5)
    log = Log(None)
    frozen = replace(RECIPE, learning_rate=1e-12, weight_decay=0.0)
    fit(model, lambda _: some, loss, size, None, frozen, log)
    (epoch,) = [record for record in log.records if record["event"] == "epoch"]
    assert epoch["train_loss"] == pytest.approx(sum(sums) / len(targets), rel=1e-4)


def test_run_by_hand_keeps_no_checkpoint(tmp_path, tiny_bert, monkeypatch):
    monkeypatch.setattr(checkpoints, "EVERY_S", 0.0)
    learn(tiny_bert, tmp_path, monkeypatch)
    assert not (tmp_path / CHECKPOINTS).exists()


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


@pytest.mark.parametrize("parts", [2, 4, 50])
def test_a_batch_read_in_parts_makes_the_same_step(tagger, parts):
    model, batch, _ = tagger

    def loss(part):
        rows = [labels[(sentence + word) % len(labels)] for sentence, word in place(part)]
        return torch.nn.functional.cross_entropy(model(part), torch.tensor(rows))

    def place(part):
        return zip(part.sentences, part.words, strict=True)

    labels = list(range(len(model.labels)))
    found = []
    for recipe in (RECIPE, replace(RECIPE, parts=parts)):
        value = Objective(model, loss, size, recipe).gradients(batch)
        found.append([value, *(p.grad.clone() for p in model.parameters() if p.grad is not None)])
        model.zero_grad()
    assert len(batch.input_ids) > 2
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_the_moving_average_warms_up_and_leaves_out_what_is_not_trained():
    """The decay after t steps is the smaller of its own and (1 + t) / (10 + t)."""
    model = torch.nn.Linear(1, 1)
    model.bias.requires_grad_(False)
    with torch.no_grad():
        model.weight.fill_(1.0)
    average = Average(model, 0.5)
    assert list(average.means) == ["weight"]
    assert not Average(model, 0.0).means
    expected = 1.0
    for steps, value in enumerate((2.0, 3.0, 5.0), 4):
        with torch.no_grad():
            model.weight.fill_(value)
        average.add(steps)
        decay = min(0.5, (1 + steps) / (10 + steps))
        expected = decay * expected + (1 - decay) * value
    assert average.means["weight"].item() == pytest.approx(expected)
    with average.in_place():
        assert model.weight.item() == pytest.approx(expected)
    assert model.weight.item() == 5.0
