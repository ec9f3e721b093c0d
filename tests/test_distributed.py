"""Several processes that train one run: gradients, numbers, one run directory, exit codes."""

import json
import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pandas
import psutil
import pytest
import torch

from workbench import training
from workbench.core import distributed, machine, paths, sources
from workbench.data import ner
from workbench.models.encoder import Encoder, TokenClassifier
from workbench.models.text_classifier import TextClassifier
from workbench.models.windows import pack
from workbench.record import state
from workbench.training.checkpoints import Checkpoints, Progress
from workbench.training.steps import Objective, parameter_groups

RECIPE = training.Recipe(epochs=1, learning_rate=1e-3)
# One of several processes: gradients of some windows, each process on its part of them.
PROCESS = """
import sys, torch
from tests import test_distributed as here
model = here.tagger(sys.argv[1])
with torch.no_grad():
    model.head.bias += here.distributed.rank()  # overwritten by the first process's
here.distributed.join(model)
torch.save([here.gradients(model, count) for count in here.WINDOWS], sys.argv[2])
"""
# One of two processes: of its folder only the first's holds a checkpoint.
RESUMING = """
import sys, torch
from pathlib import Path
from tests import test_distributed as here
model, optimizer = here.stepped(sys.argv[1], 0)
here.distributed.join(model)
progress, kept = here.Checkpoints(Path(sys.argv[2])).load(model, optimizer)
state = optimizer.state_dict()["state"][0]["exp_avg"]
torch.save([progress.steps, model.state_dict(), kept, state], Path(sys.argv[2] + ".found"))
"""
WINDOWS = (5, 1)
"""Windows in a batch: an uneven share of each of two processes, and nothing for the second."""


def tagger(folder) -> TokenClassifier:
    machine.seed(0)
    encoder = Encoder(sources.resolve(str(folder), "model"))
    return TokenClassifier(encoder, ner.load("tiny_ner").labels)


def words(model: TokenClassifier, count: int):
    """A batch of some windows, its loss, and what the loss is a mean over."""
    rows = ner.load("tiny_ner").splits["train"]
    segments = model.encoder.segments(list(rows["tokens"]), list(rows["document"]))
    batch = model.encoder.collate(pack(segments, 24)[:count])
    tags = rows["ner_tags"]

    def loss(part):
        places = zip(part.sentences, part.words, strict=True)
        target = torch.tensor([model.labels.index(tags[s][w]) for s, w in places])
        return torch.nn.functional.cross_entropy(model(part), target)

    return batch, loss, lambda part: len(part.words)


def gradients(model: TokenClassifier, count: int) -> dict[str, torch.Tensor]:
    """Loss and gradients of a batch, by parameter; only of those that have one."""
    model.zero_grad()
    batch, *objective = words(model, count)
    value = Objective(model, *objective, RECIPE).gradients(batch)
    named = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {"loss": value} | named


def test_parts_make_up_a_batch(tiny_bert):
    model = tagger(tiny_bert)
    batch, _, weight = words(model, 5)
    parts = [batch.part(index, 3) for index in range(3)]
    assert sum(map(weight, parts)) == weight(batch)
    assert sum(part.pieces for part in parts) == batch.pieces
    assert batch.part(5, 6) is None

    def read(part):
        """Each word's place and first piece."""
        pieces = part.input_ids.flatten()[part.positions].tolist()
        return list(zip(part.sentences, part.words, pieces, strict=True))

    assert sorted(word for part in parts for word in read(part)) == sorted(read(batch))


def test_parts_of_texts_make_up_a_batch_and_its_gradient(tiny_bert):
    encoder = Encoder(sources.resolve(str(tiny_bert), "model"))
    model = TextClassifier(encoder, ["a", "b"])
    encoded, _ = encoder.encode(["one", "two words", "three words here", "4"], 16)
    batch = model.collate(encoded, [3, 1, 0, 2])
    counts = torch.tensor([[1.0, 0.0], [2.0, 3.0], [0.0, 1.0], [5.0, 0.0]])

    def loss(part):
        each = counts[part.rows]
        return -(each * model(part).log_softmax(-1)).sum() / each.sum()

    loss(batch).backward()
    whole = model.head.weight.grad.clone()
    model.zero_grad()
    for index in range(3):
        part = batch.part(index, 3)
        (loss(part) * counts[part.rows].sum() / counts[batch.rows].sum()).backward()
    assert torch.allclose(model.head.weight.grad, whole, rtol=1e-5, atol=1e-7)
    assert batch.part(4, 5) is None


def two_processes(script, model, folder):
    """Run a script in two that know of each other, each with a path of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(model), str(folder / rank)],
            env=os.environ | common | {"RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in ("0", "1")
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]


def stepped(folder, count):
    """A tagger and its optimiser after so many steps."""
    model = tagger(folder)
    optimizer = torch.optim.AdamW(parameter_groups(model, RECIPE), lr=1e-3, fused=True)
    for _ in range(count):
        batch, *objective = words(model, 3)
        Objective(model, *objective, RECIPE).step(optimizer, batch)
    return model, optimizer


def test_all_processes_go_on_from_the_checkpoint_of_the_first(tiny_bert, tmp_path):
    model, optimizer = stepped(tiny_bert, 2)
    Checkpoints(tmp_path / "0").save(
        Progress(epoch=2, steps=2), model, optimizer, {"best": {}, "average": {}}
    )
    assert not (tmp_path / "1").exists()
    two_processes(RESUMING, tiny_bert, tmp_path)
    moments = optimizer.state_dict()["state"][0]["exp_avg"]
    for rank in ("0", "1"):
        done, weights, kept, state = torch.load(tmp_path / f"{rank}.found", weights_only=True)
        assert (done, kept) == (2, {"best": {}, "average": {}})
        assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
        assert torch.equal(state, moments)


def test_gradients_added_up_are_those_of_the_whole_batch(tiny_bert, tmp_path):
    two_processes(PROCESS, tiny_bert, tmp_path)
    model = tagger(tiny_bert)
    first, second = (torch.load(tmp_path / rank, weights_only=True) for rank in ("0", "1"))
    for count, one, other in zip(WINDOWS, first, second, strict=True):
        whole = gradients(model, count)
        assert list(one) == list(other) == list(whole)
        assert len(whole) < 1 + len(list(model.parameters()))  # the pooler has no gradient
        for name, value in whole.items():
            assert torch.equal(one[name], other[name]), name
            assert torch.allclose(one[name], value, rtol=1e-4, atol=1e-7), name


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (1, 0, 0)),
        ({"RANK": "1", "WORLD_SIZE": "2"}, (1, 0, 0)),
        (dict(zip(distributed.PLACE, ("3", "1", "4", "a", "1"), strict=True)), (4, 3, 1)),
    ],
)
def test_process_knows_its_place(monkeypatch, environment, expected):
    for name in distributed.PLACE:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (distributed.count(), distributed.rank(), distributed.local_rank()) == expected


def test_two_processes_leave_one_run_with_the_numbers_of_one(workbench, reports, tmp_path):
    settings = ["ner", "--set", "dataset=tiny_ner", "--set", "epochs=1", "--set", "transfer="]
    settings += ["--set", "batch_pieces=64", "--set", "precision=float32"]
    alone = workbench("run", *settings, WORKBENCH_REPORTS=str(tmp_path / "alone"))
    done = workbench("run", *settings, "--processes", "2")
    assert done.returncode == 0, done.stderr
    (directory,) = (reports / "runs").iterdir()
    assert done.stdout.splitlines() == [str(directory)]
    assert directory.name == alone.stdout.strip().rpartition("/")[2]

    one, two = (
        json.loads((folder / "runs" / directory.name / "result.json").read_text())
        for folder in (tmp_path / "alone", reports)
    )
    assert (one["cost"]["processes"], two["cost"]["processes"]) == (1, 2)
    assert one["cost"]["trained_pieces"] == two["cost"]["trained_pieces"]
    for name, metric in one["metrics"].items():
        assert two["metrics"][name]["value"] == pytest.approx(metric["value"], abs=0.05), name
    losses = [
        pandas.read_parquet(folder / "runs" / directory.name / "items.parquet").loss
        for folder in (tmp_path / "alone", reports)
    ]
    np.testing.assert_allclose(*losses, rtol=1e-2)


def test_failure_keeps_its_exit_code(workbench, reports, tmp_path):
    bad = tmp_path / "bad"
    bad.mkdir()
    for split in ("train", "validation", "test"):
        (bad / f"{split}.txt").write_text("Ada B-PER\nruns\n")
    done = workbench("run", "ner", "--processes", "2", "--set", f"dataset={bad}")
    assert done.returncode == 3
    assert f"{bad}/train.txt:2: 1 columns" in done.stderr
    assert "Traceback" not in done.stderr
    (directory,) = (reports / "runs").iterdir()
    assert done.stdout.splitlines() == [str(directory)]


@pytest.fixture
def long_run(reports, tmp_path, until_training):
    """Start a run of minutes in two processes; wait until they are training."""
    data = tmp_path / "many.conll"
    documents = (f"-DOCSTART- O\n\nword{number} B-PER\n" for number in range(3000))
    data.write_text("\n".join(documents))
    command = [sys.executable, "-m", "workbench", "run", "ner", "--processes", "2"]
    process = subprocess.Popen(
        [*command, "--set", f"dataset={data}", "--set", "epochs=100"],
        cwd=paths.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    return process, until_training(process, 1)


def listening(processes) -> set[str]:
    """Addresses on which they, and what they have started, listen."""
    tree = {each for one in processes for each in (one, *one.children(recursive=True))}
    sockets = [socket for one in tree for socket in one.net_connections()]
    return {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN}


@pytest.mark.long
def test_process_that_dies_ends_the_others(long_run, reports):
    process, started = long_run
    kernels = [one for one in started if "batch.application" in " ".join(one.cmdline())]
    (second,) = (kernel for kernel in kernels if kernel.environ()["RANK"] == "1")
    second.kill()
    _, steps = process.communicate(timeout=90)
    assert process.returncode == 7, steps
    assert "error: another of the processes ended with code 7" in steps
    assert not psutil.wait_procs(started, timeout=20)[1]
    (directory,) = (reports / "runs").iterdir()
    assert state.read(directory)["status"] == "interrupted"


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGKILL]
)
def test_processes_listen_on_loopback_only_and_none_outlives_the_one_that_started_them(
    long_run, reports, number
):
    process, started = long_run
    assert {address.removeprefix("::ffff:") for address in listening(started)} == {"127.0.0.1"}
    for kernel in (one for one in started if "batch.application" in " ".join(one.cmdline())):
        interface = psutil.net_if_addrs()[kernel.environ()["GLOO_SOCKET_IFNAME"]]
        assert "127.0.0.1" in {each.address for each in interface}
    process.send_signal(number)
    process.communicate(timeout=90)
    assert process.returncode == (8 if number == signal.SIGTERM else -number)
    assert not psutil.wait_procs(started, timeout=30)[1]
    (directory,) = (reports / "runs").iterdir()
    assert state.read(directory)["status"] == "interrupted"


def test_fewer_than_one_process_is_refused(workbench, reports):
    done = workbench("run", "ner", "--processes", "0")
    assert done.returncode == 2
    assert "--processes 0" in done.stderr
