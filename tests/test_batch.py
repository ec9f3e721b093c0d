"""Runs in batch: ids, what is skipped, what a failure leaves, and the truth of a run's status."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from workbench import notebooks, paths, state
from workbench.batch import plan, runner, suite
from workbench.batch.execute import execute
from workbench.errors import InterruptedRunError, ParameterError
from workbench.result import Result, is_whole

START = 'import workbench as wb\n\ncfg = wb.start("template", globals())'
WORK = "result = wb.run(cfg, wb.load_model(cfg), wb.load_data(cfg))"


@pytest.fixture
def job(tmp_path, monkeypatch, reports):
    """Make a job of a notebook that ends with the given cells."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(paths, "NOTEBOOKS", folder)

    def make(*cells: str, name: str = "90_trial", timeout_s: int = 60, **parameters) -> plan.Job:
        source = notebooks.parameters_source(notebooks.tasks.TASKS["template"].Config)
        first = new_code_cell(source, metadata={"tags": ["parameters"]})
        content = new_notebook(cells=[first, *(new_code_cell(c) for c in (START, *cells))])
        nbformat.write(content, folder / f"{name}.ipynb")
        notebook = notebooks.find(name)
        return plan.Job(notebook, notebook.config.check(parameters), timeout_s)

    return make


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


def test_values_saved_in_the_parameters_cell_are_those_that_run(job):
    made = job(WORK, "result.save()")
    cell = made.notebook.parameters_cell
    cell.source = cell.source.replace("seed = 0", "seed = 5")
    nbformat.write(made.notebook.content, made.notebook.path)
    run = plan.resolve(plan.from_texts("trial", {}))
    assert execute(run).status == "succeeded"
    assert Result.read_record(run.directory).parameters["seed"] == 5
    back = plan.resolve(plan.from_texts("trial", {"seed": "0"}))
    assert execute(back).status == "succeeded"
    assert Result.read_record(back.directory).parameters["seed"] == 0
    assert json.loads((back.directory / "params.json").read_text())["seed"] == 0


def test_unexpected_failure_is_recorded_and_the_suite_goes_on(job, tmp_path, monkeypatch, capsys):
    def broken(*_, **__):
        raise RuntimeError("Kernel died before replying to kernel_info")

    job(WORK, "result.save()", name="91_one")
    job(WORK, "result.save()", name="92_two")
    monkeypatch.setattr("workbench.batch.execute.execute_notebook", broken)
    assert runner.run(write_suite(tmp_path, "runs: [{notebook: one}, {notebook: two}]")) == 1
    said = capsys.readouterr().out
    assert said.count("Kernel died before replying") == 2
    for directory in (paths.reports() / "runs").iterdir():
        assert state.read(directory)["status"] == "failed"
        assert "Traceback" in (directory / "run.log").read_text()


def test_machine_that_fails_between_runs_is_a_line_of_the_table(job, tmp_path, monkeypatch, capsys):
    def full(_):
        raise OSError(28, "No space left on device")

    job(WORK, "result.save()", name="91_one")
    job(WORK, "result.save()", name="92_two")
    monkeypatch.setattr(runner, "resolve", full)
    assert runner.run(write_suite(tmp_path, "runs: [{notebook: one}, {notebook: two}]")) == 9
    assert capsys.readouterr().out.count("No space left on device") == 2


def test_interrupt_ends_the_suite(job, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    job(WORK, name="91_one")
    job(WORK, name="92_two")
    monkeypatch.setattr("workbench.batch.execute.execute_notebook", interrupted)
    assert runner.run(write_suite(tmp_path, "runs: [{notebook: one}, {notebook: two}]")) == 8
    assert len(list((paths.reports() / "runs").iterdir())) == 1


def test_run_that_ends_well_is_whole_until_a_file_changes(job):
    run = plan.resolve(job(WORK, "result.save()"))
    assert not is_whole(run.directory)
    assert execute(run).status == "succeeded"
    assert is_whole(run.directory)
    record = Result.read_record(run.directory)
    assert record.run_id == run.run_id
    assert state.read(run.directory)["status"] == "succeeded"
    assert not list(run.directory.glob("*draft*"))
    (run.directory / "items.parquet").write_bytes(b"cut short")
    assert not is_whole(run.directory)


def test_cell_that_raises_leaves_its_page_and_the_finished_cells(job):
    run = plan.resolve(job("print('before it broke')", "1 / 0", "print('never')"))
    outcome = execute(run)
    assert (outcome.status, outcome.exit_code) == ("failed", 5)
    assert "ZeroDivisionError" in outcome.message
    assert "before it broke" in page_of(run)
    assert "ZeroDivisionError" in page_of(run)
    assert not is_whole(run.directory)
    assert "failed" in (paths.reports() / "index.html").read_text()


def test_error_of_ours_keeps_its_exit_code(job, tmp_path):
    bad = tmp_path / "bad"
    bad.mkdir()
    for split in ("train", "validation", "test"):
        (bad / f"{split}.txt").write_text("Ada B-PER\nruns\n")
    outcome = execute(plan.resolve(job(WORK, "result.save()", dataset=str(bad))))
    assert outcome.exit_code == 3
    assert f"{bad}/train.txt:2: 1 columns" in outcome.message


def test_killed_kernel_is_said_to_be_killed(job):
    run = plan.resolve(job("print('alive')", "import os; os.kill(os.getpid(), 9)", "print('no')"))
    outcome = execute(run)
    assert (outcome.status, outcome.exit_code) == ("killed", 7)
    assert state.read(run.directory)["status"] == "killed"
    assert "alive" in page_of(run)
    assert not is_whole(run.directory)


def test_cell_over_its_time_is_stopped(job):
    began = time.monotonic()
    outcome = execute(plan.resolve(job("while True: pass", timeout_s=2)))
    assert (outcome.status, outcome.exit_code) == ("timeout", 6)
    assert time.monotonic() - began < 40


def test_notebook_without_a_result_has_failed(job):
    outcome = execute(plan.resolve(job(WORK)))
    assert outcome.exit_code == 5
    assert "without a result" in outcome.message


def test_failed_run_starts_again_from_nothing(job):
    run = plan.resolve(job("import os; assert os.environ.get('LET_IT')", WORK, "result.save()"))
    assert execute(run).status == "failed"
    (run.directory / "left-over.txt").write_text("old")
    os.environ["LET_IT"] = "yes"
    try:
        assert execute(run).status == "succeeded"
    finally:
        del os.environ["LET_IT"]
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
    assert runner.run(path) == 5
    said = capsys.readouterr().out
    assert "ZeroDivisionError" in said
    assert "test/entity_f1 0.667" in said
    assert said.rstrip().endswith("index.html")

    assert runner.run(path) == 5
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
        runner.run(write_suite(tmp_path, text))
    assert not reports.exists()


def test_every_suite_of_the_project_can_be_read():
    for path in paths.SUITES.glob("*.yaml"):
        assert suite.read(path.stem)


def test_interrupt_ends_kernel_and_run(reports, tmp_path):
    data = tmp_path / "many.conll"
    data.write_text("-DOCSTART- O\n\nAda B-PER\n\n" * 400 + "\n".join(
        f"-DOCSTART- O\n\nword{number} B-PER\n" for number in range(3000)))  # fmt: skip
    # A shell starts its background jobs with SIGINT ignored, and children inherit that.
    code = (
        "import signal, sys; from workbench.cli import main;"
        "signal.signal(signal.SIGINT, signal.default_int_handler); sys.exit(main(sys.argv[1:]))"
    )
    settings = ["--set", f"dataset={data}", "--set", "epochs=100"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", "ner", *settings],
        cwd=paths.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not list(reports.glob("runs/*/metrics.jsonl")):
            time.sleep(0.2)
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 8
    (directory,) = (reports / "runs").iterdir()
    assert state.read(directory)["status"] == "interrupted"
    _, left = psutil.wait_procs(children, timeout=10)
    assert not left
    assert json.loads((directory / "params.json").read_text())["epochs"] == 100
