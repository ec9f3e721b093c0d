"""Suites and plans: what a file asks for, and how each of its runs stands."""

import shutil
import time

import pytest

from workbench import notebooks, tasks
from workbench.batch import plan, plan_status, speed, suite
from workbench.core import paths
from workbench.core.errors import ParameterError
from workbench.core.files import write_json
from workbench.record.result import Cost, Result


@pytest.fixture
def write(tmp_path):
    """Write a suite, and give its path."""

    def written(text: str) -> str:
        path = tmp_path / "suite.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return written


STUDY = """\
runs:
  - notebook: ner
    parameters: {dataset: tiny_ner}
    grid:
      epochs: [1, 2, 3]
    seeds: [0, 1, 2]
"""


def test_grid_cases_and_seeds_multiply_and_equal_runs_are_one(write):
    text = """\
runs:
  - notebook: ner
    parameters: {dataset: tiny_ner}
    cases: [{epochs: 1, learning_rate: 0.001}, {epochs: 2, learning_rate: 1.0e-4}]
    grid: {extras: [casing, ""], window_tokens: [32, 64]}
    seeds: [3, 5]
  - notebook: ner
    parameters: {dataset: tiny_ner, epochs: 1, learning_rate: 0.001, window_tokens: 32, seed: 3}
    grid: {extras: [casing]}
"""
    jobs = suite.read(write(text))
    names = ("epochs", "learning_rate", "extras", "window_tokens", "seed")
    found = [tuple(getattr(job.config, name) for name in names) for job in jobs]
    assert len(found) == len(set(found)) == 2 * 2 * 2 * 2
    assert found[:3] == [
        (1, 0.001, "casing", 32, 3), (1, 0.001, "casing", 32, 5), (1, 0.001, "casing", 64, 3)
    ]  # fmt: skip
    assert all(job.config.dataset == "tiny_ner" for job in jobs)


@pytest.mark.fault(18, "broken JSON lines and suites", "exit 2 or 3, with the line in suites")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("runs:\n- notebook: ner\n  grid: {sede: [1]}", ":2: run 1: unknown parameter 'sede'"),
        ("runs:\n- notebook: ner\n  grid: {seed: []}", ":3: runs.0.grid.seed: List should have"),
        ("runs:\n- notebook: ner\n  grid: {seed: 3}", ":3: runs.0.grid.seed: Input should be"),
        ("runs:\n- notebook: ner\n  seeds: [1]\n  grid: {seed: [1]}", "seed given twice"),
        ("runs:\n- notebook: ner\n  seeds: 3", ":3: runs.0.seeds: Input should be a valid list"),
        ("runs:\n- notebook: ner\n  parameters: {epochs: [1]}", ":3: runs.0.parameters.epochs"),
        ("runs:\n- notebook: ner\n\n- notebok: ner", ":4: runs.1.notebook: Field required"),
        ("runs:\n- notebook: ner\n  notebook: finance", ":3: 'notebook' is there twice"),
        ("runs:\n- notebook: ner\n  parameters: {learning_rate: 1e-4}", "write 1.0e-4"),
        ("runs:\n- notebook: ner\n  timeout_s: 0", ":3: runs.0.timeout_s: Input should be greater"),
        ("runs:\n- notebook: ner\n  grid: {seed: [1}", ":3 is not YAML"),
        ("runs:\n- notebook: ner\n  x: !!python/object/apply:os.system ['true']", ":3 is not YAML"),
        ("", "Input should be a valid dictionary"),
        ("runs: [" * 5000, "is not YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(write, text, says):
    with pytest.raises(ParameterError) as caught:
        suite.read(write(text))
    assert says in str(caught.value)


@pytest.mark.fault(32, "YAML bomb, Python object, 10 MB suite", "exit 2 under 1 s")
def test_bombs_and_giants_are_refused_at_once(write, within, record_property):
    longest = 0.0
    laughs = ["a0: &a0 [x, x, x]"]
    laughs += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    merged = ["b0: &b0 {x: 1}"]
    merged += [f"b{n}: &b{n} {{<<: [{', '.join([f'*b{n - 1}'] * 9)}]}}" for n in range(1, 10)]
    values = ", ".join(map(str, range(1, 100)))
    names = ("epochs", "batch_tokens", "window_tokens", "seed")
    grown = "runs:\n- notebook: ner\n  grid:" + "".join(f"\n    {n}: [{values}]" for n in names)
    for text in ("\n".join(laughs), "\n".join(merged), "runs: [" + "x, " * 4_000_000, grown):
        path = write(text)
        began = time.monotonic()
        with pytest.raises(ParameterError):
            suite.read(path)
        longest = max(longest, time.monotonic() - began)
        assert longest < 30, "grows without end"
    record_property("seen", f"exit 2 after {within(longest, 1)} at most")


def test_smoke_suite_is_every_notebook_with_the_overrides_of_its_task():
    jobs = suite.read("smoke")
    assert [job.notebook.path for job in jobs] == notebooks.every()
    for job in jobs:
        task = tasks.TASKS[job.config.task]
        assert job.config == task.Config.check(job.notebook.parameters | task.SMOKE)


def finish(job: plan.Job, seconds: float = 60.0) -> plan.Run:
    """Leave a run directory as a run that succeeded does."""
    run = plan.resolve(job)
    run.directory.mkdir(parents=True)
    facts = {"notebook": job.notebook.name, "started": "2026-01-01T00:00:00+00:00"}
    facts |= {"status": "succeeded", "seconds": seconds, "identity": run.identity}
    write_json(run.directory / "state.json", facts)
    cost = Cost(seconds=seconds, memory_mb={}, device="cpu", precision="none")
    record = Result(
        task=job.config.task, parameters={}, sources={}, metrics={}, headline=(), cost=cost,
        environment={},
    )  # fmt: skip
    write_json(run.directory / "result.json", record.model_dump(mode="json"))
    return run


def stand(path: str) -> list[tuple[str, str, str]]:
    return [
        (found.job.label, found.status, found.why) for found in plan_status.judge(suite.read(path))
    ]


def test_plan_names_exactly_what_to_do_and_why(write, reports):
    path = write(STUDY)
    assert {status for _, status, _ in stand(path)} == {"new"}
    for job in suite.read(path):
        finish(job)
    assert {status for _, status, _ in stand(path)} == {"done"}

    changed = STUDY.replace("[1, 2, 3]", "[1, 2, 4]").replace("seeds: [0, 1, 2]", "seeds: [0, 1]")
    found = plan_status.judge(suite.read(write(changed)))
    assert [(x.job.config.epochs, x.job.config.seed, x.status) for x in found] == [
        (1, 0, "done"), (1, 1, "done"), (2, 0, "done"), (2, 1, "done"),
        (4, 0, "stale"), (4, 1, "stale"),
    ]  # fmt: skip
    assert [x.why for x in found[4:]] == ["parameters (epochs 3 -> 4) changed"] * 2
    said = plan_status.table(found)
    assert said.endswith("6 runs: 4 done, 2 stale, about 2 min 0 s one after another")


SMALL_STUDY = """
runs:
  - notebook: ner
    parameters: {dataset: tiny_ner, epochs: 1}
    grid: {learning_rate: [0.0001, 0.0002, 0.0004]}
    seeds: [0, 1, 2]
"""


@pytest.mark.long
def test_plan_of_a_study_that_ran_names_exactly_what_to_do(write, reports, workbench):
    path = write(SMALL_STUDY)
    done = workbench("run-all", path, "--jobs", "2")
    assert done.returncode == 0, done.stderr
    assert "9 of 9 runs executed" in done.stdout
    assert workbench("plan", path).stdout.endswith("9 runs: 9 done\n")

    changed = SMALL_STUDY.replace("[0, 1, 2]", "[0, 1]").replace("0.0004]", "0.0008]")
    found = stand(write(changed))
    assert [status for _, status, _ in found] == ["done"] * 4 + ["stale"] * 2
    assert {why for *_, why in found[4:]} == {"parameters (learning_rate 0.0004 -> 0.0008) changed"}
    done = workbench("run-all", path)
    assert "2 of 6 runs executed, 4 were done before" in done.stdout


def test_plan_says_which_part_of_a_run_changed(write, reports, monkeypatch, tmp_path):
    path = write("runs: [{notebook: ner, parameters: {dataset: tiny_ner}}]")
    finish(suite.read(path)[0], seconds=7)
    monkeypatch.setattr(plan, "_package_sha256", lambda _: "another package")
    assert [why for _, _, why in stand(path)] == ["package changed"]
    monkeypatch.setattr(plan, "_lock_sha256", lambda: "another lock")
    assert [why for _, _, why in stand(path)] == ["package and environment changed"]


@pytest.mark.parametrize(
    ("file", "stale"),
    [
        ("tasks/ner/transfer.py", True),
        ("tasks/ner/config.py", True),
        ("methods/tag_scores.py", True),
        ("methods/prompts.yaml", True),
        ("record/statistics.py", True),
        ("core/machine.py", True),
        ("flow.py", True),
        ("blocks.py", True),
        ("tasks/ner/figures.py", False),
        ("tasks/ner/tables.py", False),
        ("tasks/finance/verdict.py", False),
        ("tasks/finance/market_words.yaml", False),
        ("display/canvas.py", False),
        ("display/tables.css", False),
        ("record/comparison/marks.py", False),
        ("report/page.py", False),
        ("batch/runner.py", False),
        ("core/assets.yaml", False),
        ("cli.py", False),
    ],
)
def test_what_a_file_of_the_package_makes_stale(write, reports, monkeypatch, tmp_path, file, stale):
    copy = tmp_path / "workbench"
    shutil.copytree(paths.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(paths, "PACKAGE", copy)
    plan._package_sha256.cache_clear()
    path = write("runs: [{notebook: ner, parameters: {dataset: tiny_ner}}]")
    finish(suite.read(path)[0])
    with (copy / file).open("a") as changed:
        changed.write("# another line")
    plan._package_sha256.cache_clear()
    ((_, status, _),) = stand(path)
    assert status == ("stale" if stale else "done")
    plan._package_sha256.cache_clear()


def test_limit_of_a_cell_grows_with_what_the_notebooks_runs_took(write, reports):
    path = write("runs: [{notebook: ner, parameters: {dataset: tiny_ner}, seeds: [0, 1]}]")
    first, second = suite.read(path)
    assert plan_status.judge([first])[0].run.job.timeout_s == plan.DEFAULT_TIMEOUT_S
    finish(first, seconds=100)
    assert plan_status.judge([second])[0].run.job.timeout_s == plan.DEFAULT_TIMEOUT_S
    (found,) = plan_status.judge(suite.read(write("runs: [{notebook: template}]")))
    assert found.run.job.timeout_s == plan.DEFAULT_TIMEOUT_S
    finish(suite.read(write("runs: [{notebook: ner, seeds: [9]}]"))[0], seconds=2000)
    assert plan_status.judge([second])[0].run.job.timeout_s == plan_status.SLACK * 2000
    own = suite.read(write("runs: [{notebook: ner, timeout_s: 7}]"))
    assert plan_status.judge(own)[0].run.job.timeout_s == 7


def test_plan_where_nothing_ran_yet_estimates_the_default_suite(write, reports, monkeypatch):
    monkeypatch.setattr(speed, "gflops", lambda: speed.REFERENCE_GFLOPS / 3)
    jobs = suite.read(write("runs: [{notebook: template}, {notebook: template, seeds: [1]}]"))
    found = plan_status.judge(jobs)
    assert [each.seconds for each in found] == [pytest.approx(30.0), None]
    said = plan_status.table(found)
    assert "~30.0 s" in said
    assert "about 30.0 s one after another, 1 of unknown time" in said
    assert said.endswith(plan_status.ESTIMATED)
    finish(jobs[0], seconds=4)
    found = plan_status.judge(jobs)
    assert [each.seconds for each in found][1] == 4
    assert plan_status.ESTIMATED not in plan_status.table(found)


def test_estimates_are_of_the_runs_of_the_default_suite():
    assert {speed.key(job) for job in suite.read("default")} == set(speed.REFERENCE_S)


def test_test_of_this_machine_is_short_and_says_something():
    began = time.monotonic()
    rate = speed.gflops()
    assert rate is None or rate > 0.1
    assert time.monotonic() - began < 60
