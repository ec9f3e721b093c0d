"""Runs in batch: ids, what is skipped, what a failure leaves, and the truth of a run's status."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from workbench import notebooks
from workbench.batch import gpus, kernel, plan, plan_status, runner, suite
from workbench.batch.execute import execute
from workbench.batch.results import SuiteResults
from workbench.core import paths
from workbench.core.errors import InterruptedRunError, MachineError, ParameterError
from workbench.record import state
from workbench.record.result import Result, is_whole
from workbench.report import index

START = 'import workbench as wb\n\ncfg = wb.start("template", globals())'
NO_START = 'if False:\n    wb.start("template", globals())'
"""In place of it where the package, which takes seconds to import, is not needed."""
WORK = "result = wb.run(cfg, wb.load_model(cfg), wb.load_data(cfg))"


@pytest.fixture
def job(tmp_path, monkeypatch, reports):
    """Make a job of a notebook that ends with the given cells."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(paths, "NOTEBOOKS", folder)

    def make(
        *cells: str, name: str = "90_trial", start: str = START, timeout_s: int = 60, **parameters
    ) -> plan.Job:
        source = notebooks.parameters_source(notebooks.tasks.TASKS["template"].Config)
        first = new_code_cell(source, metadata={"tags": ["parameters"]})
        content = new_notebook(cells=[first, *(new_code_cell(c) for c in (start, *cells))])
        nbformat.write(content, folder / f"{name}.ipynb")
        notebook = notebooks.find(name)
        return plan.Job(notebook, notebook.config.check(parameters), timeout_s)

    return make


@pytest.fixture
def forked(execute_forked):
    """Execute a run in a forked kernel, and see that it had one."""

    def call(run):
        outcome = execute_forked(run)
        assert state.read(run.directory)["kernel"] == "forked"
        return outcome

    return call


@pytest.fixture(params=["new", "forked"])
def carry_out(request, forked):
    """Execute a run with that kind of kernel, the forked one in a process of its own."""
    return execute if request.param == "new" else forked


def page_of(run: plan.Run) -> str:
    return (run.directory / "report.html").read_text(encoding="utf-8")


def test_same_work_has_the_same_id_and_other_work_another(job, tmp_path, monkeypatch):
    first = plan.resolve(job(WORK, "result.save()")).run_id
    assert plan.resolve(job(WORK, "result.save()")).run_id == first
    assert first.startswith("90-trial-")
    copy = tmp_path / "copy"
    shutil.copytree(paths.FIXTURES / "tiny_ner", copy)
    others = {
        plan.resolve(job(WORK, "result.save() ")).run_id,
        plan.resolve(job(WORK, "result.save()", seed=1)).run_id,
        plan.resolve(job(WORK, "result.save()", dataset=str(copy))).run_id,
    }
    (copy / "test.txt").write_text("Ada B-PER\n")
    others.add(plan.resolve(job(WORK, "result.save()", dataset=str(copy))).run_id)
    monkeypatch.setattr(plan, "_lock_sha256", lambda: "another lock")
    others.add(plan.resolve(job(WORK, "result.save()")).run_id)
    assert len(others | {first}) == 6


def test_values_saved_in_the_parameters_cell_are_those_that_run(forked, job):
    made = job(WORK, "result.save()")
    cell = made.notebook.parameters_cell
    cell.source = cell.source.replace("seed = 0", "seed = 5")
    nbformat.write(made.notebook.content, made.notebook.path)
    run = plan.resolve(plan.from_texts("trial", {}))
    assert forked(run).status == "succeeded"
    assert Result.read_record(run.directory).parameters["seed"] == 5
    back = plan.resolve(plan.from_texts("trial", {"seed": "0"}))
    assert forked(back).status == "succeeded"
    assert Result.read_record(back.directory).parameters["seed"] == 0
    assert json.loads((back.directory / "params.json").read_text())["seed"] == 0


def test_unexpected_failure_is_recorded(job, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("Kernel died before replying to kernel_info")

    run = plan.resolve(job(WORK, "result.save()"))
    monkeypatch.setattr("workbench.batch.kernel.execute_notebook", broken)
    outcome = execute(run)
    assert (outcome.status, outcome.exit_code) == ("failed", 1)
    assert "Kernel died before replying" in outcome.message
    assert state.read(run.directory)["status"] == "failed"
    assert "Traceback" in (run.directory / "run.log").read_text()


def test_machine_that_fails_between_runs_is_a_line_of_the_table(job, tmp_path, monkeypatch, capsys):
    def full(_):
        raise OSError(28, "No space left on device")

    job(WORK, "result.save()", name="91_one")
    job(WORK, "result.save()", name="92_two")
    monkeypatch.setattr(plan_status, "resolve", full)
    assert runner.run_suite(write_suite(tmp_path, "runs: [{notebook: one}, {notebook: two}]")) == 9
    assert capsys.readouterr().out.count("No space left on device") == 2


def test_run_that_ends_well_is_whole_until_a_file_changes(forked, job):
    run = plan.resolve(job(WORK, "result.save()"))
    assert not is_whole(run.directory)
    assert forked(run).status == "succeeded"
    assert is_whole(run.directory)
    record = Result.read_record(run.directory)
    assert record.run_id == run.run_id
    assert state.read(run.directory)["status"] == "succeeded"
    assert not list(run.directory.glob("*draft*"))
    (run.directory / "items.parquet").write_bytes(b"cut short")
    assert not is_whole(run.directory)


def test_cell_that_raises_leaves_its_page_and_the_finished_cells(forked, job):
    run = plan.resolve(job("print('before it broke')", "1 / 0", "print('never')"))
    outcome = forked(run)
    assert (outcome.status, outcome.exit_code) == ("failed", 5)
    assert "ZeroDivisionError" in outcome.message
    assert "before it broke" in page_of(run)
    assert "ZeroDivisionError" in page_of(run)
    assert not is_whole(run.directory)
    assert "failed" in index.write(paths.reports()).read_text()


def test_error_of_ours_keeps_its_exit_code(forked, job, tmp_path):
    bad = tmp_path / "bad"
    bad.mkdir()
    for split in ("train", "validation", "test"):
        (bad / f"{split}.txt").write_text("Ada B-PER\nruns\n")
    outcome = forked(plan.resolve(job(WORK, "result.save()", dataset=str(bad))))
    assert outcome.exit_code == 3
    assert f"{bad}/train.txt:2: 1 columns" in outcome.message


def test_killed_kernel_is_said_to_be_killed(carry_out, job):
    cells = ("print('alive')", "import os; os.kill(os.getpid(), 9)", "print('no')")
    run = plan.resolve(job(*cells, start=NO_START))
    outcome = carry_out(run)
    assert (outcome.status, outcome.exit_code) == ("killed", 7)
    assert outcome.message.startswith(
        "code cell 4 (import os; os.kill(os.getpid(), 9)): the kernel"
    )
    assert state.read(run.directory)["status"] == "killed"
    assert "alive" in page_of(run)
    assert not is_whole(run.directory)


def test_processes_that_a_run_leaves_behind_are_ended_and_no_interrupt_is_told(carry_out, job):
    sleeper = "import subprocess; print('pid', subprocess.Popen(['sleep', '600']).pid)"
    run = plan.resolve(job(sleeper, WORK, "result.save()"))
    assert carry_out(run).status == "succeeded"
    assert not psutil.pid_exists(int(re.search(r"pid (\d+)", page_of(run))[1]))
    assert "KeyboardInterrupt" not in (run.directory / "run.log").read_text()


def test_kernel_sees_no_secret_of_the_environment(carry_out, job, monkeypatch):
    for name in ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "GITHUB_TOKEN", "MY_PASSWORD"):
        monkeypatch.setenv(name, "hush-hush")
    run = plan.resolve(job("import os; print(sorted(os.environ.items()))", WORK, "result.save()"))
    assert carry_out(run).status == "succeeded"
    assert "WORKBENCH_RUN_DIRECTORY" in page_of(run)
    for path in run.directory.iterdir():
        assert b"hush-hush" not in path.read_bytes()
    assert os.environ["MY_PASSWORD"] == "hush-hush"


def test_hub_token_and_jupyters_token_reach_only_whom_they_are_for(job, monkeypatch):
    for name in ("HF_TOKEN", "JUPYTER_TOKEN", "HFISH", "HF_HOME", "JUPYTER_PATH", "https_proxy"):
        monkeypatch.setenv(name, name)
    run = plan.resolve(job(WORK, "result.save()"))
    hub = run.job.config.model_copy(update={"dataset": "hf:someone/something@main"})
    seen = {}
    for config in (run.job.config, hub):
        with kernel._environment(replace(run, job=replace(run.job, config=config))):
            seen[config.dataset] = set(os.environ)
    own, other = seen.values()
    assert {"HF_HOME", "JUPYTER_PATH", "https_proxy"} < own
    assert not {"HF_TOKEN", "JUPYTER_TOKEN", "HFISH"} & own
    assert other - own == {"HF_TOKEN"}


def test_process_that_dies_with_its_run_is_said_and_the_others_go_on(job, tmp_path, capsys):
    job("import os; os.kill(os.getppid(), 9)", "import time; time.sleep(60)", name="91_deadly")
    job(WORK, "result.save()", name="92_good")
    path = write_suite(tmp_path, "runs: [{notebook: deadly}, {notebook: good}]")
    assert runner.run_suite(path) == 7
    said = capsys.readouterr().out
    assert "the run's own process ended with code -9" in said
    assert "entity F1 0.667" in said
    (found,) = (found for found in plan_status.judge(suite.read(path)) if found.status != "done")
    assert (found.status, found.job.notebook.name) == ("failed", "91_deadly")
    assert found.why == "interrupted"


def test_fewer_than_no_jobs_are_refused(tmp_path, reports):
    with pytest.raises(ParameterError, match="jobs=-1"):
        runner.run_suite(write_suite(tmp_path, "runs: [{notebook: template}]"), -1)
    assert not reports.exists()


def test_full_disk_stops_a_run_before_it_loses_anything(forked, job, monkeypatch):
    run = plan.resolve(job(WORK, "result.save()"))
    assert forked(run).status == "succeeded"
    before = {path: path.read_bytes() for path in run.directory.iterdir()}
    monkeypatch.setattr("workbench.batch.execute.MIN_FREE_BYTES", 1 << 60)
    with pytest.raises(MachineError, match=r"(?s)bytes free.*expected: 1,152,921,504,606,846,976"):
        execute(run, again=True)
    assert {path: path.read_bytes() for path in run.directory.iterdir()} == before


@pytest.mark.parametrize(
    ("allowed", "listed", "expected"),
    [
        (None, "GPU-a\nGPU-b\n", ["GPU-a", "GPU-b"]),
        ("0,3", "GPU-a\n", ["0", "3"]),
        ("", "GPU-a\n", []),
        ("-1", "GPU-a\n", []),
        (None, None, []),
    ],
)
def test_gpus_are_those_that_may_be_seen(tmp_path, monkeypatch, allowed, listed, expected):
    monkeypatch.setenv("PATH", str(tmp_path), prepend=None)
    if listed is not None:
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\n/bin/cat <<'END'\n{listed}END\n")
        tool.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if allowed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", allowed)
    assert gpus.visible() == expected


def test_runs_share_cores_and_take_a_gpu_each(monkeypatch):
    monkeypatch.setattr(gpus, "visible", lambda: ["GPU-a", "GPU-b"])
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    crew = runner._WorkerPool(SuiteResults([]), 0)
    assert crew.jobs == 2
    found = crew._environment(["GPU-b"])
    assert found["CUDA_VISIBLE_DEVICES"] == "GPU-b"
    assert int(found["OMP_NUM_THREADS"]) == max(1, os.cpu_count() // 2)
    assert crew._environment([])["CUDA_VISIBLE_DEVICES"] == "", "a run that asks for none"
    alone = runner._WorkerPool(SuiteResults([]), 1)._environment([])
    assert "OMP_NUM_THREADS" not in alone


def test_a_gpu_is_leased_whole_or_in_parts(monkeypatch):
    monkeypatch.setattr(gpus, "_used_mb", lambda _: 0)
    leases = gpus.Leases(["a", "b"])
    assert leases.take(0) == []
    assert leases.take(0.5) == ["a"]
    assert leases.take(1) == ["b"]
    assert leases.take(1) is None
    assert leases.take(2) is None
    assert leases.take(0.5) == ["a"], "what is left of the same one"
    assert leases.take(0.25) is None
    leases.give(["b"], 1)
    leases.give(["a"], 0.5)
    assert leases.take(1) == ["b"]
    leases.give(["b"], 1)
    leases.give(["a"], 0.5)
    assert sorted(leases.take(2)) == ["a", "b"]
    with pytest.raises(MachineError, match="asks for 3 GPUs"):
        leases.take(3)


def test_a_gpu_is_free_once_its_memory_is(monkeypatch):
    used = iter([300, 9000, 9000, 700])
    monkeypatch.setattr(gpus, "_used_mb", lambda _: next(used))
    leases = gpus.Leases(["a"])
    leases.give(leases.take(1), 1)
    assert not list(used), "asked until no more than before was in use, and a little"


def test_a_run_that_asks_for_a_gpu_where_there_is_none_fails(job, tmp_path, monkeypatch, capsys):
    if gpus.visible():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    job(WORK, "result.save()", name="91_large")
    path = write_suite(tmp_path, "runs: [{notebook: large, gpus: 0.5}]")
    assert runner.run_suite(path) == 9
    assert "asks for 0.5 GPUs" in capsys.readouterr().out


def test_notebook_without_a_result_has_failed(forked, job):
    outcome = forked(plan.resolve(job(WORK)))
    assert outcome.exit_code == 5
    assert "without a result" in outcome.message


def test_failed_run_starts_again_from_nothing(forked, job):
    run = plan.resolve(
        job("import os; assert os.environ.get('WORKBENCH_LET_IT')", WORK, "result.save()")
    )
    assert forked(run).status == "failed"
    (run.directory / "left-over.txt").write_text("old")
    os.environ["WORKBENCH_LET_IT"] = "yes"
    try:
        assert forked(run).status == "succeeded"
    finally:
        del os.environ["WORKBENCH_LET_IT"]
    assert not (run.directory / "left-over.txt").exists()


def test_held_run_is_not_started_twice(job):
    run = plan.resolve(job(WORK, "result.save()"))
    with state.held(run.directory), pytest.raises(InterruptedRunError, match="already running"):
        execute(run)


def test_run_that_nobody_holds_any_more_is_interrupted(job):
    run = plan.resolve(job(WORK, "result.save()"))
    with state.held(run.directory):
        state.write(run.directory, status="running")
        assert state.read(run.directory)["status"] == "running"
    assert state.read(run.directory)["status"] == "interrupted"


def write_suite(tmp_path, text):
    path = tmp_path / "suite.yaml"
    path.write_text(text)
    return str(path)


def test_suite_goes_on_after_a_failure_and_returns_the_worst_code(job, tmp_path, capsys):
    job("1 / 0", name="91_bad")
    job(WORK, "result.save()", name="92_good")
    path = write_suite(tmp_path, "runs: [{notebook: bad}, {notebook: good}]")
    assert runner.run_suite(path) == 5
    said = capsys.readouterr().out
    assert "ZeroDivisionError" in said
    assert "entity F1 0.667" in said
    assert said.rstrip().endswith("index.html")

    assert runner.run_suite(path) == 5
    assert "1 of 2 runs executed, 1 were done before" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("runs: []", "runs: List should have at least 1 item"),
        ("runs: [{notebook: nothing}]", "run 1: unknown notebook 'nothing'"),
        ("runs: [{notebook: template, parameters: {sede: 1}}]", "did you mean 'seed'"),
        ("runs: [{notebook: template, parameters: {seed: '1'}}]", "seed='1'"),
        ("runs: [{notebok: template}]", "runs.0.notebook: Field required"),
        ("runs: [", "is not YAML"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
    ],
)
def test_wrong_suite_is_refused_before_anything_runs(tmp_path, reports, text, says):
    with pytest.raises(ParameterError, match=says):
        runner.run_suite(write_suite(tmp_path, text))
    assert not reports.exists()


def test_every_suite_of_the_project_can_be_read():
    for path in paths.SUITES.glob("*.yaml"):
        assert suite.read(path.stem)


@pytest.fixture
def long_suite(tmp_path, tiny_bert):
    """A suite of three runs that take minutes."""
    data = tmp_path / "many.conll"
    data.write_text("\n".join(f"-DOCSTART- O\n\nword{n} B-PER\n" for n in range(1000)))
    parameters = f"{{dataset: {data}, model: {tiny_bert}, transfer: '', epochs: 100}}"
    return write_suite(
        tmp_path, f"runs: [{{notebook: ner, parameters: {parameters}, seeds: [0, 1, 2]}}]"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_ends_every_run_and_begins_no_other(
    start_forked, long_suite, until_training, reports, number
):
    process = start_forked("run-all", long_suite, "--jobs", "2")
    started = until_training(process, 2)
    assert len(list(reports.glob("runs/*/metrics.jsonl"))) == 2
    process.send_signal(number)
    said = process.communicate(timeout=60)
    assert process.returncode == 8, said
    directories = list((reports / "runs").iterdir())
    assert [state.read(found)["status"] for found in directories] == ["interrupted"] * 2
    assert not psutil.wait_procs(started, timeout=20)[1]
    assert not process.family()
    assert all(json.loads((d / "params.json").read_text())["epochs"] == 100 for d in directories)


def test_no_run_outlives_a_killed_supervisor(long_suite, until_training, reports):
    """With the server of kernels that a suite starts, as a user has it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "run-all", long_suite, "--jobs", "2"],
        cwd=paths.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    started = until_training(process, 2)
    process.kill()
    process.communicate(timeout=20)
    assert not psutil.wait_procs(started, timeout=30)[1]
    directories = list((reports / "runs").iterdir())
    assert [state.read(found)["status"] for found in directories] == ["interrupted"] * 2


SWAP = """
import os
before = os.stat({0!r})
with open({0!r}) as file:
    text = file.read()
with open({0!r} + ".new", "w") as file:
    file.write(text.replace({1!r}, {2!r}))
os.utime({0!r} + ".new", ns=(before.st_atime_ns, before.st_mtime_ns))
os.replace({0!r} + ".new", {0!r})
assert (os.stat({0!r}).st_size, os.stat({0!r}).st_mtime_ns) == (before.st_size, before.st_mtime_ns)
"""
"""Replaces words of a file by others of the same length, its size and time kept."""


@pytest.mark.fault(40, "data or package replaced while a run goes on", "it fails, the file is said")
@pytest.mark.parametrize(
    ("what", "code", "says"),
    [("data", 3, "the dataset"), ("package", 9, "the package"), ("nothing", 0, "")],
)
def test_run_whose_data_or_package_changes_meanwhile_has_failed(
    forked, job, tmp_path, monkeypatch, what, code, says
):
    data, package = tmp_path / "data", tmp_path / "package"
    shutil.copytree(paths.FIXTURES / "tiny_ner", data)
    shutil.copytree(paths.PACKAGE, package)
    monkeypatch.setattr(paths, "PACKAGE", package)
    plan._package_sha256.cache_clear()
    changed = package / "record" / "iob.py"
    swaps = {
        "data": (data / "test.txt", SWAP.format(str(data / "test.txt"), "O", "0")),
        "package": (changed, SWAP.format(str(changed), "def", "fed")),
        "nothing": (None, "pass"),
    }
    file, cell = swaps[what]
    if what == "package":  # a server's process knows the real package's folder only
        carry_out, made = execute, job(cell, start=NO_START)
    else:
        carry_out, made = forked, job(WORK, cell, "result.save()", dataset=str(data))
    run = plan.resolve(made)
    plan._package_sha256.cache_clear()
    outcome = carry_out(run)
    assert outcome.exit_code == code, outcome.message
    assert is_whole(run.directory) == (what == "nothing")
    if file:
        assert outcome.status == state.read(run.directory)["status"] == "failed"
        assert f"{says}" in outcome.message
        assert f"changed after the run's id was made: {file}\n" in outcome.message


def test_run_whose_data_changes_while_it_waits_does_not_begin(job, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(paths.FIXTURES / "tiny_ner", data)
    run = plan.resolve(job(WORK, "result.save()", dataset=str(data)))
    (data / "train.txt").unlink()
    outcome = execute(run)
    assert (outcome.status, outcome.exit_code) == ("failed", 3)
    assert str(data) in outcome.message
    assert not (run.directory / "notebook.ipynb").exists()


def test_notebook_that_is_edited_while_its_run_waits_runs_as_it_was(forked, job):
    run = plan.resolve(job("print('as it was')", WORK, "result.save()"))
    job("print('edited')", "1 / 0")
    assert forked(run).status == "succeeded"
    executed = nbformat.read(run.directory / "notebook.ipynb", as_version=4)
    assert executed.cells[2].source == "print('as it was')"
    again = plan.resolve(plan.from_texts("trial", {}))
    assert again.run_id != run.run_id


def test_equal_ids_of_a_suite_are_one_run_and_it_is_said(job, tmp_path, capsys):
    job(WORK, "result.save()")
    text = "runs: [{notebook: trial, grid: {dataset: [tiny_ner, 'tiny_ner ']}}]"
    (found,) = plan_status.judge(suite.read(write_suite(tmp_path, text)))
    assert found.status == plan_status.NEW
    assert "left out, the same run as 90_trial" in capsys.readouterr().err
