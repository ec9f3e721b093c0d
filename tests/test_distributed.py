"""Several processes that train one run: gradients, numbers, one run directory, exit codes."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pandas
import psutil
import pytest
import torch

from workbench import training
from workbench.batch import server
from workbench.core import distributed, machine, paths, sources
from workbench.data import ner
from workbench.models.encoder import Encoder, TokenClassifier
from workbench.models.text_classifier import TextClassifier
from workbench.models.windows import pack
from workbench.record import state
from workbench.training.checkpoints import Checkpoints, Progress
from workbench.training.steps import Objective, parameter_groups

RECIPE = training.Recipe(epochs=1, learning_rate=1e-3)
# One of two processes: gradients of some windows, each process on its part of them; then what a
# checkpoint holds, which only the first's folder has.
PROCESS = """
import os, torch
from pathlib import Path
os.environ.update(place)
from tests import test_distributed as here
model = here.tagger(encoder)
with torch.no_grad():
    model.head.bias += here.distributed.rank()  # overwritten by the first process's
here.distributed.join(model)
torch.save([here.gradients(model, count) for count in here.WINDOWS], folder + ".gradients")
model, optimizer = here.stepped(encoder, 0)
here.distributed.join(model)
progress, kept = here.Checkpoints(Path(folder)).load(model, optimizer)
state = optimizer.state_dict()["state"][0]["exp_avg"]
torch.save([progress.steps, model.state_dict(), kept, state], folder + ".found")
"""
WINDOWS = (5, 1)
"""Windows in a batch: an uneven fraction of each of two processes, and nothing for the second."""


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
    assert sum(part.tokens for part in parts) == batch.tokens
    assert batch.part(5, 6) is None

    def read(part):
        """Each word's place and first token."""
        tokens = part.input_ids.flatten()[part.positions].tolist()
        return list(zip(part.sentences, part.words, tokens, strict=True))

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


def stepped(folder, count):
    """A tagger and its optimiser after so many steps."""
    model = tagger(folder)
    optimizer = torch.optim.AdamW(parameter_groups(model, RECIPE), lr=1e-3, fused=True)
    for _ in range(count):
        batch, *objective = words(model, 3)
        Objective(model, *objective, RECIPE).step(optimizer, batch)
    return model, optimizer


@pytest.fixture(scope="module")
def two_processes(tiny_bert, tmp_path_factory):
    """What two processes have left in a folder; and model and optimiser of its checkpoint."""
    folder = tmp_path_factory.mktemp("two")
    model, optimizer = stepped(tiny_bert, 2)
    Checkpoints(folder / "0").save(
        Progress(epoch=2, steps=2), model, optimizer, {"best": {}, "average": {}}
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = []
    for rank in ("0", "1"):
        values = {
            "place": common | {"RANK": rank, "LOCAL_RANK": rank},
            "encoder": str(tiny_bert), "folder": str(folder / rank),
        }  # fmt: skip
        started.append(server.start(os.environ).Process(target=exec, args=(PROCESS, values)))
        started[-1].start()
    for process in started:
        process.join(120)
    assert [process.exitcode for process in started] == [0, 0]
    assert not (folder / "1").exists()
    return folder, model, optimizer


def test_all_processes_go_on_from_the_checkpoint_of_the_first(two_processes):
    folder, model, optimizer = two_processes
    moments = optimizer.state_dict()["state"][0]["exp_avg"]
    for rank in ("0", "1"):
        done, weights, kept, state = torch.load(folder / f"{rank}.found", weights_only=True)
        assert (done, kept) == (2, {"best": {}, "average": {}})
        assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
        assert torch.equal(state, moments)


def test_gradients_added_up_are_those_of_the_whole_batch(tiny_bert, two_processes):
    folder, *_ = two_processes
    model = tagger(tiny_bert)
    first, second = (torch.load(folder / f"{rank}.gradients", weights_only=True) for rank in (0, 1))
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


def test_two_processes_leave_one_run_with_the_numbers_of_one_and_listen_on_loopback_only(
    call_forked, reports, tmp_path, tiny_bert
):
    settings = ["ner", "--set", "dataset=tiny_ner", "--set", "epochs=1", "--set", "transfer="]
    settings += ["--set", "batch_tokens=64", "--set", "precision=float32"]
    settings += ["--set", f"model={tiny_bert}"]
    alone = call_forked("run", *settings, WORKBENCH_REPORTS=str(tmp_path / "alone"))
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "run", *settings, "--processes", "2"],
        cwd=paths.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    addresses, interfaces = set(), {}
    while process.poll() is None:  # the kernels listen from their training to their end
        for one in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it has ended meanwhile
                addresses |= listening([one])
                interfaces |= {kernel.pid: interface_of(kernel) for kernel in kernels_of([one])}
        time.sleep(0.3)
    out, error = process.communicate()
    assert process.returncode == 0, error
    (directory,) = (reports / "runs").iterdir()
    assert out.splitlines() == [str(directory)]
    assert {address.removeprefix("::ffff:") for address in addresses} == {"127.0.0.1"}
    assert len(interfaces) == 2
    assert all("127.0.0.1" in found for found in interfaces.values())
    assert directory.name == alone.stdout.strip().rpartition("/")[2]

    one, two = (
        json.loads((folder / "runs" / directory.name / "result.json").read_text())
        for folder in (tmp_path / "alone", reports)
    )
    assert (one["cost"]["processes"], two["cost"]["processes"]) == (1, 2)
    assert one["cost"]["trained_tokens"] == two["cost"]["trained_tokens"]
    for name, metric in one["metrics"].items():
        assert two["metrics"][name]["value"] == pytest.approx(metric["value"], abs=0.05), name
    losses = [
        pandas.read_parquet(folder / "runs" / directory.name / "items.parquet").loss
        for folder in (tmp_path / "alone", reports)
    ]
    np.testing.assert_allclose(*losses, rtol=1e-2)


@pytest.mark.long
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
def long_run(reports, tmp_path, tiny_bert, until_training):
    """Start a run of minutes in two processes; wait until they are training."""
    data = tmp_path / "many.conll"
    documents = (f"-DOCSTART- O\n\nword{number} B-PER\n" for number in range(3000))
    data.write_text("\n".join(documents))
    command = [sys.executable, "-m", "workbench", "run", "ner", "--processes", "2"]
    process = subprocess.Popen(
        [
            *command, "--set", f"dataset={data}", "--set", f"model={tiny_bert}",
            "--set", "transfer=", "--set", "epochs=100",
        ],
        cwd=paths.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    return process, until_training(process, 1)


def listening(processes) -> set[str]:
    """Addresses on which they, and what they have started, listen."""
    tree = {each for one in processes for each in (one, *one.children(recursive=True))}
    sockets = [socket for one in tree for socket in one.net_connections()]
    return {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN}


def kernels_of(processes) -> list[psutil.Process]:
    """Those of them that are kernels."""
    return [one for one in processes if "batch.application" in " ".join(one.cmdline())]


def interface_of(kernel) -> set[str]:
    """Addresses of the interface that a kernel is told to use."""
    return {each.address for each in psutil.net_if_addrs()[kernel.environ()["GLOO_SOCKET_IFNAME"]]}


@pytest.mark.long
def test_process_that_dies_ends_the_others(long_run, reports):
    process, started = long_run
    (second,) = (kernel for kernel in kernels_of(started) if kernel.environ()["RANK"] == "1")
    second.kill()
    _, steps = process.communicate(timeout=90)
    assert process.returncode == 7, steps
    assert "error: another of the processes ended with code 7" in steps
    assert not psutil.wait_procs(started, timeout=20)[1]
    (directory,) = (reports / "runs").iterdir()
    assert state.read(directory)["status"] == "interrupted"


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_one_that_started_them(long_run, reports, number):
    process, started = long_run
    process.send_signal(number)
    process.communicate(timeout=90)
    assert process.returncode == (8 if number == signal.SIGTERM else -number)
    assert not psutil.wait_procs(started, timeout=30)[1]
    (directory,) = (reports / "runs").iterdir()
    assert state.read(directory)["status"] == "interrupted"


def test_fewer_than_one_process_is_refused(call_forked, reports):
    done = call_forked("run", "ner", "--processes", "0")
    assert done.returncode == 2
    assert "--processes 0" in done.stderr
