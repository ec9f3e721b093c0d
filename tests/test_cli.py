"""The command line as a user meets it: what it says, and its exit codes."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

import psutil
import pytest

from workbench.core import assets, paths, sources


def test_help_names_every_command(workbench):
    done = workbench("--help")
    assert done.returncode == 0
    names = "run run-all plan compare predict prompts tune params fetch assets report lab"
    for name in names.split():
        assert re.search(rf"(?m)^ +{name} +[A-Z].*\.$", done.stdout), name


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "ner", "--set", "epoch=3"], ["unknown parameter 'epoch'", "'epochs'"]),
        (["run", "ner", "--set", "epochs=many"], ["epochs='many'", "int, >= 1, <= 100"]),
        (["run", "ner", "--set", "epochs=0"], ["epochs='0'", "int, >= 1, <= 100"]),
        (["run", "ner", "--set", "epochs"], ["--set 'epochs'", "key=value"]),
        (["run", "ner", "--set", "a = 1; x=2"], ["unknown parameter 'a '"]),
        (["run", "nerr"], ["unknown notebook 'nerr'", "did you mean 'ner'"]),
        (["run", "../../etc/passwd"], ["unknown notebook"]),
        (
            ["run", "ner", "--set", "model=minilmm"],
            ["unknown model 'minilmm'", f"one of {', '.join(sources.known('model'))};"],
        ),
        (
            ["run", "ner", "--set", "dataset=nothing"],
            ["unknown dataset", f"one of {', '.join(sources.known('dataset'))};"],
        ),
        (["run-all", "nothing"], ["unknown suite 'nothing'", "default"]),
        (["fetch", "nothing"], ["unknown asset 'nothing'", "minilm"]),
        (["frobnicate"], ["invalid choice"]),
        ([], ["required"]),
    ],
)
def test_usage_errors_exit_2_before_a_kernel_starts(call_forked, reports, arguments, says):
    done = call_forked(*arguments)
    assert done.returncode == 2, done.stderr
    for words in says:
        assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not reports.exists()


def test_a_command_builds_no_grammar_of_iris():
    """Which nbformat's jsonschema would do as it is imported, for seconds."""
    code = "import sys, workbench, nbformat; print('lark' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_flipped_byte_in_a_model_exits_4_before_a_kernel_starts(call_forked, reports, tmp_path):
    raw = tmp_path / "raw"
    shutil.copytree(paths.raw() / "minilm", raw / "minilm")
    weights = raw / "minilm" / "model.safetensors"
    with weights.open("r+b") as file:
        file.seek(40_000_000)
        byte = file.read(1)[0]
        file.seek(40_000_000)
        file.write(bytes([byte ^ 1]))
    settings = ("--set", "dataset=tiny_ner")
    done = call_forked("run", "ner", *settings, WORKBENCH_RAW=str(raw))
    assert done.returncode == 4
    assert "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db" in done.stderr
    assert "found sha256" in done.stderr
    assert "--repair" in done.stderr
    assert not reports.exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"Ada B-PER\nruns\n", "train.txt:2: 1 columns"),
        (b"\n", "train.txt: no sentences"),
    ],
)
def test_broken_data_exits_3_with_file_and_line(call_forked, reports, tmp_path, content, says):
    data = tmp_path / "data"
    data.mkdir()
    for split in ("train", "validation", "test"):
        (data / f"{split}.txt").write_bytes(content)
    done = call_forked("run", "template", "--set", f"dataset={data}")
    assert done.returncode == 3
    assert says in done.stderr


def test_last_line_of_a_run_is_its_directory(workbench, call_forked, reports):
    """The first call with a new kernel, in a new process, as a user has it."""
    done = workbench("run", "template", "--set", "seed=7")
    assert done.returncode == 0, done.stderr
    (directory,) = (reports / "runs").iterdir()
    assert done.stdout.splitlines()[-1] == str(directory)
    again = call_forked("run", "template", "--set", "seed=7")
    assert "is done: same notebook" in again.stderr
    assert again.stdout == done.stdout


def test_pages_can_be_written_anew(call_forked, reports):
    directory = call_forked("run", "template").stdout.splitlines()[-1]
    page = reports / "runs" / directory.rsplit("/", 1)[-1] / "report.html"
    page.unlink()
    done = call_forked("report")
    assert done.stdout.strip() == str(reports / "index.html")
    assert page.exists()
    assert "is done" in call_forked("run", "template").stderr


def test_assets_are_listed_with_their_state(call_forked, tmp_path):
    done = call_forked("assets", WORKBENCH_RAW=str(tmp_path))
    names = list(assets.catalogue())
    absent = [line for line in done.stdout.splitlines() if "absent" in line]
    assert len(absent) == len(names)
    assert all(line.startswith(name) for line, name in zip(absent, names, strict=True))
    assert "research use" in done.stdout
    assert "verified" in call_forked("assets").stdout


def test_parameters_are_explained(call_forked):
    done = call_forked("params", "ner")
    assert "epochs             int, >= 1, <= 100. Passes over the training split." in done.stdout


def status_of(address: str) -> int:
    """HTTP status of a page, of a server that says its address just before it listens."""
    for _ in range(40):
        try:
            with urllib.request.urlopen(address, timeout=20) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except urllib.error.URLError:
            time.sleep(0.25)
    pytest.fail(f"nothing listens at {address}")


def test_lab_serves_this_machine_only_and_asks_for_its_token(tmp_path):
    command = [sys.executable, "-m", "workbench", "lab", "--no-browser", "--allow-root"]
    environment = os.environ | {"JUPYTER_RUNTIME_DIR": str(tmp_path)}
    with subprocess.Popen(
        [*command, "--port", "18888"], cwd=paths.ROOT, env=environment, text=True,
        stderr=subprocess.PIPE,
    ) as server:  # fmt: skip
        try:
            assert server.stderr is not None
            found = (
                re.search(r"http://127.0.0.1:(\d+)/\S*token=(\w{20,})", line)
                for line in server.stderr
            )
            port, token = next(match for match in found if match).groups()
            address = f"http://127.0.0.1:{port}/api/contents/notebooks"
            assert status_of(address) == 403
            with urllib.request.urlopen(f"{address}?token={token}", timeout=20) as answer:
                names = {entry["name"] for entry in json.load(answer)["content"]}
            assert "50_ner.ipynb" in names
            listening = [
                found.laddr.ip
                for found in psutil.Process(server.pid).net_connections()
                if found.status == psutil.CONN_LISTEN
            ]
            assert set(listening) == {"127.0.0.1"}
        finally:
            server.terminate()
