"""Runs as Ray tasks on real clusters of this machine: lost nodes, interrupts, nodes that differ."""

import contextlib
import dataclasses
import json
import secrets
import signal
import subprocess
import sys
import time
from typing import ClassVar

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from workbench import notebooks
from workbench.batch import plan, ray_engine
from workbench.core import paths
from workbench.core.errors import MachineError
from workbench.record import state
from workbench.record.result import Result, is_whole

START = 'import workbench as wb\n\ncfg = wb.start("template", globals())'
WORK = "result = wb.run(cfg, wb.load_model(cfg), wb.load_data(cfg))\nresult.save()"
# Waits, the first time, for a file that never comes; the place and process are told to the test.
ONCE = """
import os, pathlib, time
told = pathlib.Path({told!r})
if not told.exists():
    told.with_suffix(".new").write_text(f"{{os.getppid()}} {{os.getpid()}}")
    told.with_suffix(".new").rename(told)
    time.sleep(600)
"""
# A head without cores and two nodes of one core; ends with its standard input.
CLUSTER = """
import json, os, sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
for _ in range(2):
    cluster.add_node(num_cpus=1)
print(json.dumps(cluster.address), flush=True)
sys.stdin.read()
cluster.shutdown()
"""
# The command line, with the notebooks of a test.
MAIN = """
import pathlib, signal, sys
from workbench import cli
from workbench.core import paths
paths.NOTEBOOKS = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(cli.main(sys.argv[2:]))
"""


@pytest.fixture
def notebook(tmp_path, monkeypatch, reports):
    """Write a notebook of the template's task with the given cells; return its folder."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(paths, "NOTEBOOKS", folder)

    def write(name: str, *cells: str, start: str = START):
        source = notebooks.parameters_source(notebooks.tasks.TASKS["template"].Config)
        first = new_code_cell(source, metadata={"tags": ["parameters"]})
        content = new_notebook(cells=[first, *(new_code_cell(c) for c in (start, *cells))])
        nbformat.write(content, folder / f"{name}.ipynb")
        return folder

    return write


@pytest.fixture
def start(tmp_path):
    """Start run-all on Ray as a user does; whatever is left of it is killed in the end."""
    started = []

    def call(folder, suite: str, *options: str) -> subprocess.Popen:
        path = tmp_path / "suite.yaml"
        path.write_text(suite)
        arguments = [str(folder), "run-all", str(path), "--engine", "ray", *options]
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, *arguments],
            cwd=paths.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield call
    for process in started:
        kill([process.pid])


@pytest.fixture
def cluster(monkeypatch):
    """A cluster of two nodes with one core each, started as if elsewhere: its address."""
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # on 127.0.0.1
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        yield json.loads(process.stdout.readline())
        process.communicate(timeout=30)
    finally:
        kill([process.pid])


def kill(pids):
    for pid in pids:
        try:
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


@pytest.mark.long
@pytest.mark.fault(38, "a Ray node is lost, kill -9 of its raylet", "done again elsewhere")
def test_lost_node_has_its_run_done_again_on_another(
    notebook, start, cluster, tmp_path, reports, wait_for, record_property
):
    told = tmp_path / "told"
    notebook("91_slow", ONCE.format(told=str(told)), WORK)
    folder = notebook("92_good", WORK)
    suite = "runs: [{notebook: slow}, {notebook: good, seeds: [0, 1]}]"
    driver = start(folder, suite, "--address", cluster)
    wait_for(told.exists, driver)
    supervisor, kernel = (psutil.Process(int(pid)) for pid in told.read_text().split())
    raylet = next(p for p in supervisor.parents() if p.name() == "raylet")
    lost = [supervisor, kernel, *raylet.children(recursive=True)]
    raylet.kill()
    said, steps = driver.communicate(timeout=300)
    assert driver.returncode == 0, (said, steps)
    assert "91_slow: its worker was lost" in steps

    lines = said.strip().splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [
        ["91_slow", "succeeded"], ["92_good", "succeeded"], ["92_good", "seed=1"],
    ]  # fmt: skip
    assert [line.endswith("; 2 attempts") for line in lines[:3]] == [True, False, False]
    directories = {found.name[:7]: found for found in reports.glob("runs/91-slow-*")}
    assert len(directories) == 1
    assert state.read(directories["91-slow"])["attempts"] == 2
    assert all(is_whole(directory) for directory in reports.glob("runs/*"))
    assert not psutil.wait_procs(lost, timeout=20)[1]

    again = start(folder, suite, "--address", cluster)
    said, _ = again.communicate(timeout=300)
    assert "0 of 3 runs executed, 3 were done before" in said
    record_property("seen", "exit 0, one result, 2 attempts shown, no process left")


def test_local_cluster_runs_a_suite_and_goes_with_it(notebook, start, reports):
    notebook("91_bad", "1 / 0", start=f"if False:\n    {START.splitlines()[-1]}")
    folder = notebook("92_good", WORK)
    driver = start(folder, "runs: [{notebook: bad}, {notebook: good}]", "--jobs", "2")
    while not (nodes := [p for p in family(driver) if p.name() in {"raylet", "gcs_server"}]):
        assert driver.poll() is None
        time.sleep(0.1)
    said, steps = driver.communicate(timeout=300)
    assert driver.returncode == 5, (said, steps)
    assert "ZeroDivisionError" in said
    assert "entity F1 0.667" in said
    assert not psutil.wait_procs(nodes, timeout=20)[1]


def test_a_local_cluster_that_starts_too_late_is_started_again(tmp_path, capsys):
    class Late:
        begun: ClassVar = []

        def init(self, **options):
            self.begun.append(options["_temp_dir"])
            if len(self.begun) < 3:
                raise Exception("The current node timed out during startup. This could happen")

        def shutdown(self):
            self.begun[-1] += " ended"

    local = {"address": "local"}
    ray_engine._start(Late(), local, str(tmp_path), attempts=3)
    assert Late.begun == [f"{tmp_path}/1 ended", f"{tmp_path}/2 ended", f"{tmp_path}/3"]
    assert capsys.readouterr().err.count("starting it again") == 2
    Late.begun.clear()
    with pytest.raises(Exception, match="timed out"):
        ray_engine._start(Late(), local, str(tmp_path), attempts=2)


@pytest.mark.long
def test_interrupt_ends_runs_on_ray_and_leaves_them_to_be_begun_again(
    notebook, start, tmp_path, reports, wait_for
):
    told = tmp_path / "told"
    folder = notebook("91_slow", ONCE.format(told=str(told)), WORK)
    driver = start(folder, "runs: [{notebook: slow, seeds: [0, 1]}]", "--jobs", "1")
    wait_for(told.exists, driver)
    began = family(driver)
    assert {ip.removeprefix("::ffff:") for ip in listening(began)} == {"127.0.0.1"}
    driver.send_signal(signal.SIGINT)
    said, _ = driver.communicate(timeout=90)
    assert driver.returncode == 8, said
    (directory,) = (reports / "runs").iterdir()
    assert state.read(directory)["status"] == "interrupted"
    assert not psutil.wait_procs(began, timeout=20)[1]
    assert not psutil.pid_exists(int(told.read_text().split()[1]))


def family(driver):
    return psutil.Process(driver.pid).children(recursive=True)


def listening(processes) -> list[str]:
    """Addresses at which processes can be reached."""
    found = []
    for process in processes:
        try:
            connections = process.net_connections("tcp")
        except psutil.NoSuchProcess:
            continue
        found += [c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN]
    return found


def test_node_with_other_code_or_data_is_refused(notebook, monkeypatch):
    notebook("92_good", WORK)
    run = plan.resolve(plan.from_texts("good", {}))
    assert ray_engine.same_here(run) == run
    monkeypatch.setattr(plan, "_package_sha256", lambda _: "another package")
    with pytest.raises(MachineError, match="package changed"):
        ray_engine.same_here(run)
    monkeypatch.undo()
    other = dataclasses.replace(run, job=dataclasses.replace(run.job))
    notebook("92_good", WORK + " ")
    with pytest.raises(MachineError, match="notebook changed"):
        ray_engine.same_here(other)


def test_attempt_finds_the_run_whole_that_a_lost_one_finished(notebook, execute_forked):
    notebook("92_good", WORK)
    run = plan.resolve(plan.from_texts("good", {}))
    assert execute_forked(run).status == "succeeded"
    before = (run.directory / "result.json").stat().st_mtime_ns
    assert ray_engine.attempt(run, {}, 2).status == "succeeded"
    assert (run.directory / "result.json").stat().st_mtime_ns == before
    assert Result.read_record(run.directory).status == "succeeded"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--engine", "ray"], ["Ray is not installed", 'do: pip install "llm-workbench[ray]"']),
        (["--address", "127.0.0.1:6379"], ["--address 127.0.0.1:6379", "--engine ray"]),
    ],
)
def test_engine_that_cannot_be_had_exits_2(reports, start_forked, arguments, says):
    done = start_forked("run-all", "smoke", *arguments, before="sys.modules['ray'] = None")
    _, error = done.communicate(timeout=60)
    assert done.returncode == 2
    assert all(words in error for words in says)
    assert "Traceback" not in error
    assert not reports.exists()


def test_cluster_that_is_not_there_exits_9(call_forked, reports, tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_text("runs: [{notebook: template, parameters: {dataset: tiny_ner}}]")
    done = call_forked("run-all", str(path), "--engine", "ray", "--address", "127.0.0.1:1")
    assert done.returncode == 9
    assert "no Ray cluster at 127.0.0.1:1" in done.stderr
