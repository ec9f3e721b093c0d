"""Searches: what is tried, what is kept of it, and that a search cut off loses nothing."""

import json
import multiprocessing
import shutil
import signal
import time
from types import SimpleNamespace

import nbformat
import optuna
import pytest
from optuna.trial import TrialState, create_trial

from workbench import notebooks
from workbench.batch import child, search, server, tune
from workbench.batch.execute import Outcome
from workbench.core import paths
from workbench.core.errors import InterruptedRunError, MachineError, NotebookError, ParameterError
from workbench.methods.learners import FULL
from workbench.record import state
from workbench.record.result import CHECKPOINTS, HISTORY, Result, is_whole
from workbench.tasks.fine_tuning import run as fine_tuning


@pytest.fixture
def write(tmp_path, tiny_bert):
    """Write a search over a tiny encoder, and give its path."""

    def written(space: str, **more: object) -> str:
        fixed = {"dataset": "tiny_ner", "model": str(tiny_bert), "transfer": "", "epochs": 1}
        fixed = {name: value for name, value in fixed.items() if f"{name}:" not in space}
        head = {"notebook": "ner", "metric": "validation/entity_f1", "trials": 2}
        lines = [f"{name}: {json.dumps(value)}" for name, value in (head | more).items()]
        lines += [f"parameters: {json.dumps(fixed)}", "space:", *space.splitlines()]
        path = tmp_path / "mine.yaml"
        path.write_text("\n".join(lines), encoding="utf-8")
        return str(path)

    return written


class Forked(child.Child):
    """A process at one run, forked from the server."""

    @classmethod
    def start(cls, run, environment):
        return super().start(run, environment, server.start(environment))


@pytest.fixture(autouse=True)
def forked(monkeypatch):
    """Trials are forked, which is a matter of seconds each."""
    monkeypatch.setattr(tune, "Child", Forked)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder of the one notebook that is tried: that of entities, without figures."""
    content = nbformat.read(notebooks.find("ner").path, as_version=4)
    content.cells = [cell for cell in content.cells if "wb.figures" not in cell.source]
    place = tmp_path / "notebooks"
    place.mkdir()
    nbformat.write(content, place / "50_ner.ipynb")
    monkeypatch.setattr(paths, "NOTEBOOKS", place)
    return place


@pytest.fixture
def start(start_forked, folder):
    """Start a search in a process of its own."""
    return lambda path: start_forked(
        "tune", path, before=f"paths.NOTEBOOKS = Path({str(folder)!r})"
    )


RATES = "  learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}\n  epochs: [1, 2]"


def journal(reports):
    """The study kept in a reports folder."""
    (path,) = reports.glob("searches/*/journal.log")
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    return optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(backend))


def test_trials_are_runs_and_a_search_goes_on_where_it_was(write, reports, capsys):
    path = write(RATES)
    assert tune.tune(path) == 0
    first = capsys.readouterr().out
    trials = journal(reports).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2
    assert trials[0].params == {"learning_rate": 0.0004, "epochs": 2}, "the notebook's own first"
    for trial in trials:
        folder = reports / "runs" / trial.user_attrs["run_id"]
        assert is_whole(folder)
        record = Result.read_record(folder)
        assert record.metrics["validation/entity_f1"].value == trial.value
        assert {name: record.parameters[name] for name in trial.params} == trial.params
    assert "2 finished, 0 stopped early, 0 failed" in first
    assert "its test/entity_f1, which chose nothing: " in first

    assert tune.tune(path, trials=3) == 0
    second = capsys.readouterr().out
    assert [line[:7] for line in second.splitlines() if line.startswith("trial ")] == ["trial 3"]
    values = [line.split()[0] for line in second.splitlines() if "  ner-" in line]
    assert values == sorted(values, reverse=True)
    assert len({str(trial.params) for trial in journal(reports).trials}) == 3

    assert tune.tune(path) == 0, "nothing left to do"
    assert "trial " not in capsys.readouterr().out


def test_killed_search_takes_its_run_back_and_tries_it_again(
    write, reports, start, until_training, capsys
):
    path = write("  epochs: [40]", trials=1)
    process = start(path)
    started = until_training(process, 1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for each in started:
        each.wait(30)
    (cut,) = journal(reports).trials
    assert cut.state == TrialState.RUNNING
    assert state.read(reports / "runs" / cut.user_attrs["run_id"])["status"] == "interrupted"
    assert tune.tune(path) == 0
    assert "1 finished, 0 stopped early, 0 failed" in capsys.readouterr().out
    before, again = journal(reports).trials
    assert (before.state, again.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert before.params == again.params
    assert not process.family()


def test_run_below_the_median_of_the_others_is_stopped(write, reports, monkeypatch, capsys):
    monkeypatch.setattr(tune, "POLL_S", 0.05)
    path = write("  epochs: [100]\n  learning_rate: {low: 1.0e-9, high: 2.0e-9}", trials=5)
    stem, found = search.read(path)
    study = tune._Study(stem, found)
    for number in range(4):
        values = {"epochs": 100, "learning_rate": 1e-9 + number * 1e-11}
        study.study.add_trial(
            create_trial(
                value=0.99,
                params=values,
                distributions=study.space,
                intermediate_values=dict.fromkeys(range(1, 100), 0.99),
                user_attrs={"run_id": f"none-{number}", "score": "0.990", "test": ""},
            )
        )
    study.go_on(5)
    last = study.study.trials[-1]
    assert last.state == TrialState.PRUNED
    assert 0 < len(last.intermediate_values) < 99
    folder = reports / "runs" / last.user_attrs["run_id"]
    assert "stopped by the search mine-" in state.read(folder)["message"]
    assert not (folder / CHECKPOINTS).exists()
    assert "stopped after" in capsys.readouterr().out


def test_a_setting_is_tried_once_and_an_empty_space_is_left(write, reports, capsys):
    assert tune.tune(write("  epochs: [1]", trials=4)) == 0
    out = capsys.readouterr().out
    assert out.count("trial ") == 1
    assert "the space is small" in out
    assert len(list(reports.glob("runs/*/result.json"))) == 1


def test_runs_that_all_fail_end_the_search_with_their_reason(write, reports, tmp_path, monkeypatch):
    monkeypatch.setattr(tune, "IN_VAIN", 1)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{}")
    (broken / "model.safetensors").write_text("no weights")
    with pytest.raises(NotebookError, match="the first 1 runs failed: code cell"):
        tune.tune(write(f'  model: ["{broken}"]'))


def test_run_done_by_another_command_is_not_done_again(write, reports, monkeypatch, capsys):
    path = write("  epochs: [2]", trials=1)
    assert tune.tune(path) == 0
    shutil.rmtree(reports / "searches")
    monkeypatch.setattr(tune.Child, "start", None)
    assert tune.tune(path) == 0
    (trial,) = journal(reports).trials
    assert list(trial.intermediate_values) == [50], "its epochs count for the others"


@pytest.mark.parametrize("error", [MachineError, InterruptedRunError])
def test_end_that_says_nothing_of_a_setting_is_tried_again(write, reports, monkeypatch, error):
    path = write("  epochs: [1]", trials=1)
    ended = Outcome("failed", error.exit_code, "the disk is full", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(tune._Study, "_run", lambda *_: (ended, False))
        with pytest.raises(error, match="the disk is full(.|\n)*it goes on"):
            tune.tune(path)
    assert tune.tune(path) == 0
    states = [trial.state for trial in journal(reports).trials]
    assert states == [TrialState.FAIL, TrialState.COMPLETE]


def test_error_of_the_study_ends_the_run_on_its_way(write, reports, monkeypatch):
    monkeypatch.setattr(tune, "POLL_S", 0.05)

    def broken(_study, _trial, run, *_):
        if (run.directory / HISTORY).exists():  # the run is on its way
            raise RuntimeError("no journal")
        return 0

    monkeypatch.setattr(tune._Study, "_report", broken)
    with pytest.raises(RuntimeError, match="no journal"):
        tune.tune(write("  epochs: [100]", trials=1))
    assert not multiprocessing.active_children()


def test_only_scores_of_the_deciding_training_are_looked_at(tmp_path, write):
    lines = [
        {"event": "epoch", "method": method, "epoch": epoch, "epochs": 4, "score": score}
        for method, score in (("BitFit", 0.1), (FULL, 0.7))
        for epoch in (1, 2, 3, 4)
    ]
    (tmp_path / HISTORY).write_text("\n".join(map(json.dumps, lines)) + '\n{"event": "ep')
    run = SimpleNamespace(directory=tmp_path)
    assert tune._scores(run, FULL, since=0) == [(25, 0.7), (50, 0.7), (75, 0.7)]
    assert tune._scores(run, FULL, since=time.time() + 9) == []


def test_trainings_that_decide_are_those_of_the_tasks():
    assert set(fine_tuning.Config.validation.values()) == {FULL}


def test_lower_is_better_where_that_is_asked(write, reports):
    path = write("  learning_rate: [0.0001, 0.01]", direction="minimize")
    assert tune.tune(path) == 0
    values = [trial.value for trial in tune._Study(*search.read(path)).done()]
    assert values == sorted(values)


@pytest.mark.fault(18, "searches that can't be", "exit 2, with the line")
@pytest.mark.parametrize(
    ("space", "more", "says"),
    [
        (
            "  epochs: [1]",
            {"metric": "test/entity_f1"},
            "mine.yaml:2: .*(.|\n)*choose by validation",
        ),
        ("  epochs: [1]", {"metric": "validation/x"}, "expected: one of validation/entity_f1"),
        ('  model: [minilm, "./typo"]', {}, "typo"),
        ("  epochs: {low: 3, high: 1}", {}, "mine.yaml:6: .*low below high"),
        ("  learning_rate: {low: 0.0, high: 0.1, log: true}", {}, "above 0 where log"),
        ("  epochs: [1, 0]", {}, "mine.yaml:6: epochs=0"),
        ("  epochs: [one]", {}, "epochs='one'"),
        ("  learning_rate: [1e-4]", {}, "write 1.0e-4"),
        ("  beauty: [1]", {}, "mine.yaml:6: unknown parameter 'beauty'"),
        ("  transfer: [x]\n  epochs: []", {}, "at least 1 item"),
        ("  epochs: [1]", {"trials": 0}, "greater than 0"),
        ("  epochs: [1]", {"notebook": "poetry"}, "poetry"),
        ("  epochs: [1]", {"more": 1}, "more: Extra inputs"),
    ],
)
def test_wrong_search_is_refused_before_anything_runs(write, reports, space, more, says):
    with pytest.raises(ParameterError, match=says):
        tune.tune(write(space, **more))
    assert not reports.exists()


def test_a_search_is_of_one_process_at_a_time(write, reports):
    path = write("  epochs: [1]")
    with (
        state.held(tune._Study(*search.read(path)).folder),
        pytest.raises(InterruptedRunError, match="mine-.* is already running"),
    ):
        tune.tune(path)


def test_fewer_than_one_trial_is_refused(write, reports):
    with pytest.raises(ParameterError, match="1 or more"):
        tune.tune(write("  epochs: [1]"), trials=0)
    assert not reports.exists()


def test_parameter_both_fixed_and_varied_is_refused(write, tmp_path):
    path = write("  epochs: [1]")
    text = (tmp_path / "mine.yaml").read_text().replace('"transfer": ""', '"epochs": 2')
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ParameterError, match="epochs is in parameters too"):
        search.read(path)


def test_every_search_of_the_project_can_be_read():
    names = [path.stem for path in paths.SEARCHES.glob("*.yaml")]
    assert names
    for name in names:
        assert search.read(name)[0] == name


def test_interrupted_search_ends_all_it_started(write, reports, start, until_training):
    process = start(write("  epochs: [100]", trials=1))
    started = until_training(process, 1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 8
    for each in started:
        each.wait(30)
    assert not process.family()
