"""Run directories that are not as a run leaves them: each is set aside, said, and stops nothing."""

import json
import os
import re
import shutil

import pytest

from workbench import cli, notebooks
from workbench.batch import plan, plan_status
from workbench.core import paths
from workbench.record import state
from workbench.record.result import is_whole
from workbench.report import index

DEEP = "[" * 100_000 + "]" * 100_000


def edited(name, **changes):
    """Change fields of a JSON file; a text that begins with ! is written as it is, unquoted."""

    def edit(directory):
        path = directory / name
        found = json.loads(path.read_text(encoding="utf-8")) | changes
        text = re.sub(r'"!([^"]+)"', r"\1", json.dumps(found))
        path.write_text(text, encoding="utf-8")

    return edit


def lacking(name, field):
    def edit(directory):
        path = directory / name
        found = json.loads(path.read_text(encoding="utf-8"))
        del found[field]
        path.write_text(json.dumps(found), encoding="utf-8")

    return edit


def replaced(name, content):
    def edit(directory):
        (directory / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return edit


def special(name, make):
    def edit(directory):
        (directory / name).unlink(missing_ok=True)
        make(directory / name)

    return edit


def sparse(path):
    with path.open("wb") as file:
        file.truncate(1 << 40)


def loop(path):
    path.symlink_to(path)


COST = {"seconds": "!1e999", "memory_mb": {}, "device": "cpu", "precision": "none"}
ODD = {
    "state-no-started": lacking("state.json", "started"),
    "state-no-status": lacking("state.json", "status"),
    "state-no-notebook": lacking("state.json", "notebook"),
    "state-seconds-infinite": edited("state.json", seconds="!Infinity"),
    "state-seconds-overflow": edited("state.json", seconds="!1e999"),
    "state-seconds-long": edited("state.json", seconds="!1" + "0" * 400),
    "state-seconds-nan": edited("state.json", seconds="!NaN"),
    "state-seconds-text": edited("state.json", seconds="long"),
    "state-seconds-negative": edited("state.json", seconds=-1),
    "state-status-number": edited("state.json", status=5),
    "state-message-list": edited("state.json", status="failed", message=["a"]),
    "state-message-none": edited("state.json", status="failed", message=None),
    "state-started-number": edited("state.json", started=7),
    "state-started-words": edited("state.json", started="yesterday"),
    "state-identity-list": edited("state.json", identity=[]),
    "state-identity-bare": edited("state.json", identity={}),
    "state-identity-odd": edited("state.json", identity={"parameters": {}, "environment": 3}),
    "state-exit-code-text": edited("state.json", status="failed", exit_code="x"),
    "state-peak-text": edited("state.json", status="failed", peak_mb="much"),
    "state-half-character": edited("state.json", status="failed", message="\ud800"),
    "state-list": replaced("state.json", "[]"),
    "state-null": replaced("state.json", "null"),
    "state-deep": replaced("state.json", DEEP),
    "state-empty": replaced("state.json", ""),
    "state-latin": replaced("state.json", b'{"status": "\xe9"}'),
    "state-folder": special("state.json", os.mkdir),
    "state-pipe": special("state.json", os.mkfifo),
    "state-loop": special("state.json", loop),
    "state-giant": special("state.json", sparse),
    "record-nan": edited("result.json", parameters={"seed": "!NaN"}),
    "record-table-nan": edited("result.json", tables={"x": "!-Infinity"}),
    "record-newer": edited("result.json", flavour="vanilla"),
    "record-cost-infinite": edited("result.json", cost=COST),
    "record-packages-list": edited("result.json", environment={"packages": []}),
    "record-headline-unknown": edited("result.json", headline=["test/none"]),
    "record-half-character": edited("result.json", parameters={"\ud800": "\udfff"}),
    "record-sources-list": edited("result.json", sources=[]),
    "record-sources-bare": edited("result.json", sources={"model": {}}),
    "record-leaves-folder": edited(
        "result.json", artefacts={"../../x": {"sha256": "0", "bytes": 1}}
    ),
    "record-empty": replaced("result.json", "{}"),
    "record-list": replaced("result.json", "[1]"),
    "record-deep": replaced("result.json", DEEP),
    "record-folder": special("result.json", os.mkdir),
    "record-pipe": special("result.json", os.mkfifo),
    "record-loop": special("result.json", loop),
    "record-giant": special("result.json", sparse),
    "parameters-nan": replaced("params.json", '{"seed": NaN}'),
    "parameters-list": replaced("params.json", "[]"),
    "parameters-pipe": special("params.json", os.mkfifo),
    "notebook-torn": replaced("notebook.ipynb", '{"cells": [{"cell_ty'),
    "notebook-deep": replaced("notebook.ipynb", DEEP),
    "notebook-list": replaced("notebook.ipynb", "[]"),
    "notebook-cells-text": replaced("notebook.ipynb", '{"cells": "x", "nbformat": 4}'),
    "notebook-folder": special("notebook.ipynb", os.mkdir),
    "notebook-pipe": special("notebook.ipynb", os.mkfifo),
    "items-empty": replaced("items.parquet", ""),
    "items-words": replaced("items.parquet", "PAR1 no table PAR1"),
    "items-folder": special("items.parquet", os.mkdir),
    "items-pipe": special("items.parquet", os.mkfifo),
    "items-giant": special("items.parquet", sparse),
    "history-torn": replaced("metrics.jsonl", '{"event": "ep'),
    "history-pipe": special("metrics.jsonl", os.mkfifo),
    "log-pipe": special("run.log", os.mkfifo),
    "page-folder": special("report.html", os.mkdir),
    "lock-folder": special("lock", os.mkdir),
    "everything-gone": lambda directory: [path.unlink() for path in directory.iterdir()],
}
STILL_WHOLE = {
    "state-no-started", "state-no-status", "state-no-notebook", "state-message-list",
    "state-message-none", "record-packages-list", "record-half-character", "record-sources-bare",
    "record-headline-unknown", "page-folder", "lock-folder",
}  # fmt: skip
"""What the record does not vouch for; with the other states the run is whole as well."""


@pytest.fixture(scope="module")
def good(tmp_path_factory, execute_forked):
    """A real run that succeeded, made once."""
    folder = tmp_path_factory.mktemp("good")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_REPORTS", str(folder))
        run = plan.resolve(plan.make_job(notebooks.find("template"), {}))
        assert execute_forked(run).status == "succeeded"
    return run, folder / "runs" / run.run_id


@pytest.fixture
def two(good, reports):
    """Reports with that run under its id, and a copy of it to be spoiled."""
    run, made = good
    shutil.copytree(made, reports / "runs" / run.run_id)
    odd = reports / "runs" / "odd"
    shutil.copytree(made, odd)
    return run, odd


def command(capsys, *arguments):
    """Exit code and what was said; a bug's code 1 and its trace are no answer to odd files."""
    code = cli.main(arguments)
    out, said = capsys.readouterr()
    assert code in {0, *range(2, 10)}, said
    assert "Traceback" not in said
    return code, out, said


@pytest.mark.fault(39, "odd run directories, 65 kinds", "set aside and said; the rest goes on")
@pytest.mark.parametrize("name", ODD)
def test_odd_run_directory_is_set_aside_and_stops_nothing(two, reports, capsys, name):
    run, odd = two
    ODD[name](odd)
    *_, said = command(capsys, "report")
    page = (reports / "index.html").read_text(encoding="utf-8")
    assert run.run_id in page
    for data in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL):
        json.loads(data, parse_constant=pytest.fail)
    whole = is_whole(odd)
    assert whole == (name in STILL_WHOLE or name.startswith("state-"))
    assert not [line for line in said.splitlines() if f"runs/{run.run_id}" in line]
    assert whole or name == "everything-gone" or f"set aside {odd}: " in said
    if name == "record-newer":
        assert "another version" in said
        assert "another version" in page
    (found,) = plan_status.judge([run.job])
    assert found.status == plan_status.DONE
    for arguments in (
        ("compare", str(odd), run.run_id),
        ("predict", str(odd), str(paths.ROOT / "pyproject.toml")),
        ("prompts", str(odd)),
    ):
        command(capsys, *arguments)


@pytest.mark.parametrize("name", ODD)
def test_run_whose_own_directory_is_odd_is_planned(good, reports, capsys, name):
    run, made = good
    directory = reports / "runs" / run.run_id
    shutil.copytree(made, directory)
    ODD[name](directory)
    (found,) = plan_status.judge([run.job])
    assert found.status in {plan_status.DONE, plan_status.FAILED, plan_status.NEW}
    assert (found.status == plan_status.DONE) == is_whole(directory)
    assert plan_status.table([found])


def test_directories_that_are_no_runs_stop_nothing(two, reports, capsys):
    run, _ = two
    folder = reports / "runs"
    loop(folder / "loop")
    (folder / "file").write_text("x")
    (folder / os.fsdecode(b"caf\xe9")).mkdir()
    (folder / ("x" * 255)).mkdir()
    (reports / "plans").mkdir()
    (reports / "plans" / "x.json").write_text('{"suite": "x", "made": "", "runs": [{"run_id": ""')
    text = '{"suite":"y","made":"","runs":[{"run_id":"","label":"","notebook":"","task":"",'
    (reports / "plans" / "y.json").write_text(text + '"status":"","why":"","seconds":1e999}]}')
    command(capsys, "report")
    assert run.run_id in index.write(reports).read_text(encoding="utf-8")
    assert state.read(folder / "loop")["status"] == state.DAMAGED
    assert plan_status.judge([run.job])[0].status == plan_status.DONE
