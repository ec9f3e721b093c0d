"""The command line as a user meets it: what it says, and its exit codes."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import psutil
import pytest

from workbench import cli, lab, notebooks
from workbench.batch import plan
from workbench.core import assets, paths, sources

HERE = paths.NOTEBOOKS


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
    """The port that it names is the one it serves, also where the one asked for is taken."""
    command = [sys.executable, "-m", "workbench", "lab", "--no-browser", "--allow-root"]
    environment = os.environ | {"JUPYTER_RUNTIME_DIR": str(tmp_path)}
    with (
        socket.create_server(("127.0.0.1", 18888)),
        subprocess.Popen(
            [*command, "--port", "18888"], cwd=paths.ROOT, env=environment, text=True,
            stderr=subprocess.PIPE,
        ) as server,
    ):  # fmt: skip
        try:
            assert server.stderr is not None
            lines, found = [], None
            while not found:
                lines.append(server.stderr.readline())
                found = re.search(
                    r"http://127.0.0.1:(\d+)/lab/tree/work\?token=(\w{20,})", lines[-1]
                )
            port, token = found.groups()
            said = "".join(lines)
            assert "port 18888 is taken" in said
            assert f"ssh -L {port}:127.0.0.1:{port} " in said
            address = f"http://127.0.0.1:{port}/api/contents/work"
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
            page = f"http://127.0.0.1:{port}/lab?token={token}"
            with urllib.request.urlopen(page, timeout=20) as answer:
                assert lab.NEWS in answer.read().decode().split("disabledExtensions")[1][:200]
        finally:
            server.terminate()


@pytest.fixture
def copies(tmp_path, monkeypatch):
    """A project of three notebooks, and how its copies are made, which gives what is said."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path / "notebooks")
    paths.NOTEBOOKS.mkdir()
    for name in ("00_template", "20_fine_tuning", "50_ner"):
        shutil.copy(HERE / f"{name}.ipynb", paths.NOTEBOOKS)
    return lambda: "\n".join(lab.copy())


def change(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_jupyterlab_works_on_copies_that_are_kept_once_edited_or_run(copies, tmp_path):
    before = {path: path.read_bytes() for path in paths.NOTEBOOKS.iterdir()}
    assert "edited" not in copies()
    mine, other = tmp_path / "work/50_ner.ipynb", tmp_path / "work/00_template.ipynb"
    assert notebooks.read(mine).code_sha256 == notebooks.find("ner").code_sha256
    change(mine, "epochs = 2", "epochs = 7")
    change(
        other,
        '"outputs": []',
        '"outputs": [{"name": "stdout", "output_type": "stream", "text": "x"}]',
    )
    said, kept = copies(), mine.read_bytes()
    kept_are = "edited or run there, so kept, not as in notebooks/: "
    assert f"{kept_are}50_ner.ipynb\n" in said
    assert f"rm {mine}" in said
    assert "stdout" in other.read_text(), "what a run printed is no edit, and stays"
    assert {path: path.read_bytes() for path in paths.NOTEBOOKS.iterdir()} == before
    assert plan.from_texts("ner", {}).config.epochs == 2, "a batch run does not see it"
    for tracked in paths.NOTEBOOKS.iterdir():
        change(tracked, "What you need", "What one needs")
    assert f"{kept_are}00_template.ipynb, 50_ner.ipynb\n" in copies()
    assert mine.read_bytes() == kept
    assert "What you need" in other.read_text(), "nor is it lost with a newer notebook"
    untouched = tmp_path / "work/20_fine_tuning.ipynb"
    assert "What one needs" in untouched.read_text(), "a copy that nobody touched is renewed"
    mine.unlink()
    (tmp_path / "work/scratch.ipynb").write_text("{")
    assert f"{kept_are}00_template.ipynb\n" in copies()
    assert "epochs = 2" in mine.read_text()
    mine.write_text("no notebook")
    assert "50_ner.ipynb" in copies()
    assert mine.read_text() == "no notebook"


def test_what_is_edited_in_a_tracked_notebook_is_named_by_its_runs(copies):
    change(paths.NOTEBOOKS / "50_ner.ipynb", "epochs = 2", "epochs = 7")
    assert plan.from_texts("ner", {}).label == "50_ner epochs=7"
    scratch = {"cell_type": "code", "id": "mine", "metadata": {}, "outputs": [],
               "execution_count": None, "source": "!ls\n%time 1\n?print\nhalf ("}  # fmt: skip
    text = json.loads((paths.NOTEBOOKS / "00_template.ipynb").read_text(encoding="utf-8"))
    text["cells"].insert(4, scratch)
    (paths.NOTEBOOKS / "00_template.ipynb").write_text(json.dumps(text), encoding="utf-8")
    assert plan.from_texts("template", {"seed": "3"}).label == "00_template seed=3"


def test_as_root_jupyterlab_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert cli.main(["lab"]) == 2
    assert 'make lab OPTIONS="--allow-root"' in capsys.readouterr().err
    makefile = (paths.ROOT / "Makefile").read_text()
    assert "workbench lab $(OPTIONS)\n" in makefile


def test_a_taken_port_is_left_and_a_wrong_one_refused(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert lab.free_port(port) > port
    assert cli.main(["lab", "--allow-root", "--port", "70000"]) == 2
    assert "1 to 65535" in capsys.readouterr().err
