"""Names of models and data: catalogue, path, and a stand-in for the Hub on 127.0.0.1."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from workbench.core import assets, paths, sources
from workbench.core.errors import DataError, ParameterError
from workbench.data import tables, tagged_files

COMMIT = "c0ffee" * 6 + "c0ff"


def test_unknown_name_lists_the_known():
    for kind, wrong, near in (("model", "minilmm", "minilm"), ("dataset", "conl2003", "conll2003")):
        with pytest.raises(ParameterError, match=f"unknown {kind} '{wrong}'") as error:
            sources.resolve(wrong, kind)
        assert f"expected: one of {', '.join(sources.known(kind))}; a path" in str(error.value)
        assert f"did you mean '{near}'?" in str(error.value)


def test_the_known_are_the_catalogue_and_the_fixtures():
    kinds = {kind: set(sources.known(kind)) for kind in ("model", "dataset")}
    fixtures = {folder.name for folder in paths.FIXTURES.iterdir()}
    named = {name for name, asset in assets.catalogue().items() if asset.kind != "font"}
    assert kinds["model"] | kinds["dataset"] == named | fixtures
    assert fixtures <= kinds["dataset"]
    assert not kinds["model"] & kinds["dataset"]


def test_make_fetches_all_assets_before_the_tests_which_reach_no_network():
    makefile = (paths.ROOT / "Makefile").read_text()
    assert "\t@$(BIN)/workbench fetch\n\t@$(BIN)/python -m pytest --numprocesses=2" in makefile


def test_a_model_is_no_dataset():
    with pytest.raises(ParameterError, match="'minilm' is a model, where a dataset is meant"):
        sources.resolve("minilm", "dataset")


def test_path_is_taken_from_the_project_root_wherever_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(paths.SHELL, raising=False)
    found = sources.resolve("data/fixtures/tiny_ner", "dataset")
    assert found.path == paths.FIXTURES / "tiny_ner"
    assert found.about == "the user's own dataset, found in the project"


def test_relative_paths_are_looked_for_in_the_stated_order(tmp_path, monkeypatch):
    folders = {name: tmp_path / name for name in ("notebook", "shell", "project", "data")}
    for name, folder in folders.items():
        folder.mkdir()
        (folder / "mine.csv").write_text(name)
    monkeypatch.setattr(paths, "NOTEBOOKS", folders["notebook"])
    monkeypatch.setattr(paths, "ROOT", folders["project"])
    monkeypatch.setenv("WORKBENCH_DATA", str(folders["data"]))
    monkeypatch.setenv(paths.SHELL, str(folders["shell"]))
    for name, folder in folders.items():
        seen = []
        # The command line stands in the shell's folder, the kernel beside its notebook.
        for place in ("shell", "notebook"):
            monkeypatch.chdir(folders[place])
            seen.append(sources.resolve("mine.csv", "dataset"))
        assert {found.path for found in seen} == {folder / "mine.csv"}, name
        assert seen[0] == seen[1]
        (folder / "mine.csv").unlink()
    with pytest.raises(ParameterError, match="no such file or folder") as error:
        sources.resolve("mine.csv", "dataset")
    order = [str(error.value).index(f": {folder}") for folder in folders.values()]
    assert order == sorted(order), "the error lists where it looked"


def test_a_notebook_that_no_command_started_looks_beside_itself_first(tmp_path, monkeypatch):
    monkeypatch.delenv(paths.SHELL, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text("a")
    assert sources.resolve("mine.csv", "dataset").path == tmp_path / "mine.csv"


def test_kernels_find_what_the_shells_folder_holds(tmp_path, monkeypatch):
    (tmp_path / "mine.csv").write_text("a")
    script = (
        "import os, sys; from workbench import cli; from workbench.core import paths, sources\n"
        "from workbench.batch.kernel import passed_on\n"
        "cli.main(['params', 'ner'])\n"
        "own = sources.resolve('mine.csv', 'dataset')\n"
        "kept = passed_on(os.environ); os.environ.clear(); os.environ.update(kept)\n"
        "os.chdir(paths.NOTEBOOKS)\n"
        "assert sources.resolve('mine.csv', 'dataset') == own, own"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize("name", ["~nouser/x", "x" * 5000, "a\0b", "half \ud800"])
def test_a_name_that_can_be_no_path_is_an_unknown_one(name):
    with pytest.raises(ParameterError, match="unknown dataset") as error:
        sources.resolve(name, "dataset")
    assert len(str(error.value)) < 1500


def test_a_snapshot_of_the_hubs_cache_may_link_to_its_blobs_only(tmp_path):
    blobs, folder = tmp_path / "blobs", tmp_path / "snapshots" / COMMIT
    for place in (blobs, folder):
        place.mkdir(parents=True)
    (blobs / "abc").write_text("a")
    (folder / "a.csv").symlink_to("../../blobs/abc")
    assert sources.resolve(str(folder), "dataset").path == folder
    (tmp_path / "secret.csv").write_text("a")
    (folder / "b.csv").symlink_to("../../secret.csv")
    with pytest.raises(DataError, match="b.csv is a link to .*secret.csv, outside the folder"):
        sources.resolve(str(folder), "dataset")


@pytest.mark.parametrize("suffix", [*tagged_files.CONLL_SUFFIXES, *tables.SUFFIXES, ".csv.gz"])
def test_all_files_that_are_read_are_taken_from_the_hub(suffix):
    assert any(fnmatch(f"data/a{suffix}", each) for each in sources.HUB_FILES["dataset"])


def test_no_readme_is_taken_from_the_hub():
    assert not any(fnmatch("README.md", pattern) for pattern in sources.HUB_FILES["dataset"])


def test_fingerprint_follows_the_content(tmp_path):
    file = tmp_path / "a.conll"
    file.write_text("x O\n")
    before = sources.resolve(str(file), "dataset").fingerprint
    assert sources.resolve(str(file), "dataset").fingerprint == before
    file.write_text("y O\n")
    assert sources.resolve(str(file), "dataset").fingerprint != before


def test_empty_folder_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="empty folder"):
        sources.resolve(str(tmp_path), "dataset")


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub's interface as a download of a whole repository asks for."""

    repositories: dict[str, Path] = {}

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = unquote(urlsplit(self.path).path).strip("/")
        kind, _, rest = path.removeprefix("api/").partition("/")
        if path.startswith("api/"):
            name = "/".join(rest.split("/")[:2])
            folder = self.repositories.get(f"{kind}/{name}")
            if not folder:
                return self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            names = sorted(file.name for file in folder.iterdir())
            if "/tree/" in rest:
                files = [self.entry(folder / file) for file in names]
                return self.answer(200, json.dumps(files).encode())
            siblings = [{"rfilename": file} for file in names]
            return self.answer(
                200, json.dumps({"id": name, "sha": COMMIT, "siblings": siblings}).encode()
            )
        name, _, file = path.partition("/resolve/")
        name = name if name.startswith("datasets/") else f"models/{name}"
        content = (self.repositories[name] / file.split("/", 1)[1]).read_bytes()
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        return self.answer(200, content, {"ETag": etag, "X-Repo-Commit": COMMIT})

    def entry(self, file):
        return {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": "0" * 40}

    def answer(self, status, content, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(tiny_bert, tmp_path):
    """The stand-in, with a tiny random model and a data set written here; its environment."""
    from datasets import ClassLabel, Dataset, Features, List, Value

    folder = tmp_path / "hub-data"
    folder.mkdir()
    features = Features(
        {"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=["O", "B-LOC"]))}
    )
    for split in ("train", "validation", "test"):
        rows = {"tokens": [["In", "Tarvik"], [split]], "ner_tags": [[0, 1], [0]]}
        table = Dataset.from_dict(rows, features=features)
        table.to_parquet(str(folder / f"{split}-00000-of-00001.parquet"))
    (folder / "harmful.py").write_text("raise SystemExit('imported')")
    Hub.repositories = {"models/ours/tiny-bert": tiny_bert, "datasets/ours/places": folder}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_XET": "1",
    }
    server.shutdown()
    server.server_close()
    thread.join()


def test_model_and_data_of_the_hub_run_then_run_again_without_it(hub, workbench, reports):
    settings = [
        "--set", "model=hf:ours/tiny-bert", "--set", "dataset=hf:ours/places",
        "--set", "epochs=1", "--set", "window_tokens=32",
    ]  # fmt: skip
    done = workbench("run", "ner", *settings, **hub)
    assert done.returncode == 0, done.stderr
    directory = Path(done.stdout.splitlines()[-1])
    record = json.loads((directory / "result.json").read_text())
    assert record["sources"]["model"]["name"] == f"hf:ours/tiny-bert@{COMMIT}"
    assert record["sources"]["dataset"]["fingerprint"] == COMMIT
    assert not list(Path(hub["HF_HOME"]).rglob("harmful.py"))

    cut = {**hub, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
    again = workbench("run", "ner", *settings, **cut)
    assert again.returncode == 0, again.stderr
    assert "is done" in again.stderr


@pytest.mark.parametrize(
    ("name", "offline", "code", "says"),
    [
        ("hf:ours/no-such", "0", 2, "no model 'ours/no-such' on the Hub"),
        ("hf:ours/tiny-bert", "1", 9, "not in the local cache"),
    ],
)
def test_hub_that_has_it_not_or_is_cut_off(hub, name, offline, code, says):
    script = (
        "import sys; from workbench.core import errors, sources\n"
        f"try: sources.resolve({name!r}, 'model')\n"
        "except errors.WorkbenchError as e: print(e); sys.exit(e.exit_code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | hub | {"HF_HUB_OFFLINE": offline},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert says in done.stdout


@pytest.mark.parametrize(
    ("kind", "names"),
    [("dataset", ["train.txt"]), ("model", ["model.safetensors", "config.json"])],
)
def test_hidden_files_and_folders_do_not_change_what_data_or_a_model_is(tmp_path, kind, names):
    folder = tmp_path / ".mine"  # hidden itself, which is no matter
    notes = folder / ".cache" / "huggingface" / "download"
    folder.mkdir()
    for name in names:
        (folder / name).write_text("as it was\n")
    before = sources.resolve(str(folder), kind).fingerprint
    notes.mkdir(parents=True)
    (notes / f"{names[0]}.metadata").write_text("one commit")
    for name in (".DS_Store", ".gitattributes"):
        (folder / name).write_text("x")
    assert sources.resolve(str(folder), kind).fingerprint == before
    (folder / names[0]).write_text("another\n")
    assert sources.resolve(str(folder), kind).fingerprint != before


def test_reports_inside_a_data_folder_are_no_data(tmp_path, reports):
    (tmp_path / "train.txt").write_text("Ada B-PER\n")
    before = sources.resolve(str(tmp_path), "dataset").fingerprint
    (reports / "runs").mkdir(parents=True)
    (reports / "runs" / "items.csv").write_text("text,label")
    assert sources.resolve(str(tmp_path), "dataset").fingerprint == before
    (reports / "runs" / "train.txt").write_text("Ada B-PER\n")
    own = sources.resolve(str(reports / "runs"), "dataset")  # asked for by name, it is
    assert [file.name for file in sources.files(own.path)] == ["items.csv", "train.txt"]


def test_folder_of_a_whole_disk_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_FILES", 2)
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text("x")
    with pytest.raises(DataError, match="holds more than 2 files"):
        sources.resolve(str(tmp_path), "dataset")
