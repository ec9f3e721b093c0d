"""The index: every run is told as it is, its numbers are those of `compare`, nothing can run."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import nbformat
import numpy as np
import pandas
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_notebook

from workbench.batch import runner
from workbench.core import paths
from workbench.record import comparison, state
from workbench.record.iob import to_iob2
from workbench.record.result import ITEM_COLUMNS, RESULT, Cost, Metric, Result
from workbench.report import estimates, index, leaderboard, pairs, planned, progress, rows, verified

CHROMIUM, NODE = shutil.which("chromium"), shutil.which("node")
SPEC = importlib.util.spec_from_file_location(
    "index_page", paths.ROOT / "benchmarks" / "index_page.py"
)
made_up = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(made_up)
STEAL = "<img src=x onerror=steal()></script><script>steal()</script>"


def metric(value=0.5, unit="fraction", width=0.1):
    ends = {"low": value - width, "high": value + width} if width else {}
    return Metric(value=value, **ends, n=10, unit=unit, how="bootstrap over 30 documents")


def record(value=0.5, **changes):
    fields = {
        "task": "template", "notebook": "50_ner", "status": "succeeded", "sources": {},
        "parameters": {"seed": 0}, "metrics": {"test/entity_f1": metric(value)},
        "headline": ("test/entity_f1",), "environment": {"python": "3", "packages": {}},
        "cost": Cost(seconds=61, memory_mb={"resident": 10}, device="cpu", precision="float32"),
    }  # fmt: skip
    return Result(**(fields | changes))


def items(right, clusters=None, **changes):
    """Items with one label each, some of them right."""
    n = len(right)
    columns = {
        "item": [f"test/{place}" for place in range(n)], "split": "test", "method": "own",
        "cluster": [str(each) for each in (clusters if clusters is not None else range(n))],
        "input": [[f"text {place}"] for place in range(n)], "gold": [["calm"]] * n,
        "predicted": [["calm"] if each else ["glad"] for each in right], "loss": np.ones(n),
    }  # fmt: skip
    return pandas.DataFrame(columns | changes, columns=ITEM_COLUMNS)


def save(reports, name, result, frame=None):
    if frame is not None:
        result = result.with_details(directory=None, items=frame, history=[])
    return result.save(reports / "runs" / name)


def begun(reports, name, **facts):
    folder = reports / "runs" / name
    folder.mkdir(parents=True)
    state.write(folder, **({"notebook": "50_ner", "task": "ner"} | facts))
    return folder


def test_a_running_run_whose_files_are_pipes_keeps_no_index_waiting(reports):
    folder = begun(reports, "50-ner-0", status="running")
    for name in ("metrics.jsonl", "notebook.ipynb"):
        os.mkfifo(folder / name)
    assert progress.read(folder) == progress.Progress()


def soup(reports):
    return BeautifulSoup(index.write(reports).read_text(encoding="utf-8"), "html.parser")


def shown(reports):
    """Run -> the words of its row in the list of every run."""
    found = soup(reports).select("#runs tbody tr")
    return {row["data-run"]: " ".join(row.get_text(" ").split()) for row in found}


def dom(page: Path, fragment: str = "") -> BeautifulSoup:
    """What Chromium makes of a page."""
    if not CHROMIUM:
        pytest.skip("needs chromium; ends where it is installed")
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [
                CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu",
                "--disable-background-networking", f"--user-data-dir={profile}", "--dump-dom",
                f"{page.as_uri()}{fragment}",
            ],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
    return BeautifulSoup(done.stdout, "html.parser")


def part(page, name):
    found = page.select_one(f'[data-part="{name}"]')
    return found and found.get_text().strip()


def test_every_run_is_shown_as_it_is(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        save(tmp_path, name, record(parameters={"seed": seed, "same": 1}))
    begun(tmp_path, "c", status="failed", message="code cell 3 (x): DataError: broke")
    begun(tmp_path, "d", status="running", notebook="<b>x</b>")
    (tmp_path / "runs" / "e").mkdir()
    (tmp_path / "runs" / "e" / RESULT).write_text("{")
    save(tmp_path, "f", record())
    (tmp_path / "runs" / "f" / "metrics.jsonl").write_text("changed")
    begun(tmp_path, "g", status="succeeded")
    found = shown(tmp_path)
    assert set(found) == set("abcdefg")
    assert "0.500 [0.400, 0.600]" in found["a"]
    assert "seed=1" in found["b"]
    assert "same" not in found["b"], "what all have tells nothing"
    assert "interrupted" in found["d"]
    assert "damaged" in found["e"]
    assert "damaged" in found["f"]
    assert "0.500" not in found["f"], "no number whose files are not as its record says"
    assert "interrupted" in found["g"]
    page = soup(tmp_path)
    told = [row.get_text(" ") for row in page.select("#open tbody tr")]
    assert len(told) == 5
    assert "DataError: broke" in "".join(told)
    order = [row.find(class_="chip").get_text() for row in page.select("#open tbody tr")]
    assert order == ["failed", "damaged", "damaged", "interrupted", "interrupted"]
    assert index.refresh(tmp_path).exists(), "a damaged record stops no other page"


def test_home_is_not_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    for name, place in (("a", "data"), ("b", "other")):
        parameters = {"dataset": f"/home/somebody/{place}"}
        sources = {"dataset": {"name": f"/home/somebody/{place}", "fingerprint": "0" * 64}}
        save(tmp_path, name, record(parameters=parameters, sources=sources))
    begun(tmp_path, "c", status="failed", message="DataError: no rows in /home/somebody/x.csv")
    why = "no such file: /home/somebody/gone.csv"
    missing = plan(label="ner dataset=/home/somebody/gone.csv", status="impossible", why=why)
    planned.write(tmp_path, "/home/somebody/mine.yaml", [missing])
    made = index.write(tmp_path).read_text(encoding="utf-8")
    for told in ("~/data", "~/other", "no rows in ~/x.csv", "no such file: ~/gone.csv"):
        assert told in made
    assert "/home/somebody" not in made


def test_index_of_nothing_says_how_to_start(tmp_path):
    assert "make run-all" in index.write(tmp_path).read_text()


def test_a_running_run_is_ahead_of_those_that_are_done(tmp_path):
    save(tmp_path, "a", record())
    with state.held(tmp_path / "runs" / "b"):
        state.write(tmp_path / "runs" / "b", status="running", started="2026-11-25T00:00:00")
        assert [row.get_text() for row in soup(tmp_path).select("#open .chip")] == ["running"]
        assert "running" in shown(tmp_path)["b"]


# --- Verified ---


def test_a_verdict_is_kept_only_while_all_files_stay_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(verified, "FRESH_NS", -1)
    directory = save(tmp_path, "a", record(), items([1] * 20))
    looked = []
    whole = verified.is_whole
    monkeypatch.setattr(verified, "is_whole", lambda each: looked.append(each) or whole(each))
    for _ in range(3):
        assert "succeeded" in shown(tmp_path)["a"]
    assert looked == [directory], "verified once"
    file = directory / "items.parquet"
    before = file.stat()
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"x")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "damaged" in shown(tmp_path)["a"], "same size, and the time was set back"
    file.write_bytes(content)
    assert "succeeded" in shown(tmp_path)["a"]
    state.write(directory, status="succeeded")
    looked.clear()
    shown(tmp_path)
    assert not looked, "state is no part of a verified run"


def test_no_verdict_is_kept_of_files_that_have_just_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(verified, "FRESH_NS", 10**15)
    save(tmp_path, "a", record())
    shown(tmp_path)
    assert not (tmp_path / verified.KEPT).exists()


@pytest.mark.parametrize("harm", [b"", b"{", b"\xff\x00", None])
def test_a_damaged_cache_is_ignored(tmp_path, monkeypatch, harm):
    monkeypatch.setattr(verified, "FRESH_NS", -1)
    directory = save(tmp_path, "a", record())
    shown(tmp_path)
    kept = tmp_path / verified.KEPT
    # Without harm in form: the wrong verdict of a whole run, under the old digest.
    forged = kept.read_bytes().replace(b'"whole":true', b'"whole":false')
    kept.write_bytes(forged if harm is None else harm)
    assert "succeeded" in shown(tmp_path)["a"]
    (directory / "metrics.jsonl").write_text("changed")
    assert "damaged" in shown(tmp_path)["a"]
    assert json.loads(kept.read_bytes().partition(b"\n")[2])["runs"]["a"]["whole"] is False


# --- Leaderboard ---


def seeds(reports, values, start=0, **parameters):
    for seed, value in enumerate(values, start):
        name = f"{len(list(reports.glob('runs/*'))):03}"
        save(reports, name, record(value, parameters={"seed": seed, **parameters}))


def board(reports):
    found = leaderboard.leaderboards(rows.read(reports, []))
    assert len(found) == 1
    return found[0]


def test_seeds_of_a_setting_are_one_row_with_mean_sd_and_a_dot_each(tmp_path):
    seeds(tmp_path, [0.80, 0.82, 0.87], epochs=1)
    seeds(tmp_path, [0.90], epochs=2)
    found = board(tmp_path)
    assert found.facts == ["epochs"]
    assert [setting.facts["epochs"] for setting in found.settings] == [2, 1], "the best on top"
    single, several = (setting.scores["test/entity_f1"] for setting in found.settings)
    assert several.mean == pytest.approx(0.83)
    assert several.sd == pytest.approx(np.std([0.80, 0.82, 0.87], ddof=1))
    assert several.strip.count("h.01") == 3
    assert "range" not in several.strip
    assert single.sd is None
    assert "range" in single.strip
    cells = [
        " ".join(cell.get_text().split()) for cell in soup(tmp_path).select(".leaderboard td.score")
    ]
    assert cells == ["0.900 [0.800, 1.000]", "0.830 sd 0.036"]
    table = soup(tmp_path).select_one(".leaderboard table")
    assert "3 seeds" in table.get_text()
    links = [text for text in table.get_text(" ").split() if text == "seed"]
    assert len(links) == 4, "each run of a row is named"


def test_a_dot_lies_where_its_value_is_on_the_axis_of_the_column(tmp_path):
    seeds(tmp_path, [0.2, 0.8])
    found = board(tmp_path)
    column = found.columns[0]
    places = re.findall(r"M([\d.]+) 9h", found.settings[0].scores[column.name].strip)
    share = [(float(place) - 7) / 136 for place in places]
    assert column.low <= 0.1
    assert column.high >= 0.9, "the axis holds every interval"
    expected = [(value - column.low) / (column.high - column.low) for value in (0.2, 0.8)]
    assert share == pytest.approx(expected, abs=0.001)


def test_less_loss_is_on_top(tmp_path):
    for name, value in (("a", 2.0), ("b", 1.0)):
        bits = {"wiki/bits_per_byte": metric(value, "bits per byte")}
        save(tmp_path, name, record(metrics=bits, headline=tuple(bits), parameters={"x": name}))
    found = board(tmp_path)
    assert [setting.facts["x"] for setting in found.settings] == ["b", "a"]
    assert "less is better" in soup(tmp_path).select_one(".leaderboard").get_text()


def test_of_runs_with_the_same_seed_the_newest_counts_and_that_is_said(tmp_path):
    for name, started, value in (("a", "2026-11-01", 0.1), ("b", "2026-11-02", 0.7)):
        save(tmp_path, name, record(value, started=started))
    setting = board(tmp_path).settings[0]
    assert [row.run_id for row in setting.runs] == ["b"]
    assert setting.scores["test/entity_f1"].mean == 0.7
    assert "1 earlier of the same seeds left out" in soup(tmp_path).get_text(" ")


def test_newest_is_by_time_and_not_by_the_text_of_it(tmp_path):
    moments = (("a", "2026-10-25T02:50:00+02:00", 0.1), ("b", "2026-10-25T02:10:00+01:00", 0.7))
    for name, started, value in moments:
        save(tmp_path, name, record(value, started=started))
    assert board(tmp_path).settings[0].scores["test/entity_f1"].mean == 0.7


def test_seeds_that_were_lost_and_versions_that_mix_are_said(tmp_path):
    for seed, package in enumerate("aab"):
        folder = save(tmp_path, str(seed), record(parameters={"seed": seed, "epochs": 1}))
        identity = {"package": package * 64, "parameters": {}}
        state.write(folder, status="succeeded", identity=identity)
    lost = begun(tmp_path, "3", status="failed", notebook="50_ner")
    (lost / "params.json").write_text(json.dumps({"seed": 3, "epochs": 1}))
    found = board(tmp_path).settings[0]
    assert (len(found.runs), found.lost, found.versions) == (3, 1, 2)
    said = soup(tmp_path).select_one(".leaderboard").get_text(" ")
    assert "1 did not end well" in said
    assert "of 2 versions of the code" in said


def test_a_parameter_that_only_some_have_tells_settings_apart(tmp_path):
    save(tmp_path, "a", record(0.4))
    save(tmp_path, "b", record(0.6, parameters={"seed": 0, "casing": True}))
    found = board(tmp_path)
    assert found.facts == ["casing"]
    assert len(found.settings) == 2


def test_data_of_one_name_and_other_content_has_its_own_board(tmp_path):
    for name, content in (("a", "1" * 64), ("b", "2" * 64)):
        data = {"name": "mine", "fingerprint": content}
        save(tmp_path, name, record(sources={"dataset": data}))
    found = leaderboard.leaderboards(rows.read(tmp_path, []))
    assert [each.data for each in found] == ["mine (11111111)", "mine (22222222)"]


def test_different_tests_are_no_settings_of_one(tmp_path):
    for name, (distractors, value) in enumerate([("near", 0.4), ("random", 0.7), ("random", 0.6)]):
        made = {"distractors": distractors, "shots": name}
        test = {"distractors": distractors, "choices": 4}
        save(tmp_path, str(name), record(value, parameters={"seed": 0} | made, test=test))
    found = leaderboard.leaderboards(rows.read(tmp_path, []))
    assert [each.test for each in found] == [{"distractors": "near"}, {"distractors": "random"}]
    assert [len(each.settings) for each in found] == [1, 2]
    page = soup(tmp_path)
    heads = [" ".join(head.get_text().split()) for head in page.select(".leaderboard h3")]
    assert [head.endswith(f"distractors {each}") for head, each in
            zip(heads, ("near", "random"), strict=True)] == [True, True]  # fmt: skip
    assert "order of their scores on the test items" in page.select_one("#leaderboards").get_text()


def test_old_records_that_name_no_test_have_a_board_that_says_so(tmp_path):
    save(tmp_path, "a", record(0.4, parameters={"seed": 0, "x": 1}))
    save(tmp_path, "b", record(0.5, parameters={"seed": 0, "x": 2}))
    save(tmp_path, "c", record(0.6, test={}))
    found = leaderboard.leaderboards(rows.read(tmp_path, []))
    assert sorted((each.test is None, len(each.settings)) for each in found) == [
        (False, 1), (True, 2),
    ]  # fmt: skip
    assert "rows may be of different tests" in soup(tmp_path).select_one("#leaderboards").get_text()


def test_only_good_runs_are_on_the_leaderboard(tmp_path):
    save(tmp_path, "a", record(0.9))
    (tmp_path / "runs" / "a" / "metrics.jsonl").write_text("changed")
    save(tmp_path, "b", record(0.3))
    assert [row.run_id for row in board(tmp_path).settings[0].runs] == ["b"]


def compared_with(value, **others):
    """A record with methods beside its own, each with its value and a paired difference."""
    how = "bootstrap over 30 documents"
    return record(value, method="own way",
        baselines={name: {"test/entity_f1": metric(of)} for name, of in others.items()},
        comparisons={name: {"test/entity_f1": Metric(
            value=value - of, low=value - of - 0.02, high=value - of + 0.02, n=10, how=how, p=0.001,
        )} for name, of in others.items()})  # fmt: skip


def test_a_row_names_its_method_and_the_difference_from_the_best_other(tmp_path):
    save(tmp_path, "a", compared_with(0.7, lexicon=0.4, neighbours=0.6))
    row = soup(tmp_path).select_one(".leaderboard tbody tr")
    assert row.th.get_text(" ").split()[:2] == ["own", "way"]
    told = " ".join(row.select_one(".others").get_text(" ").split())
    assert told.startswith("+0.100 [+0.080, +0.120] better neighbours 0.600 all 2 others")
    assert [each.get_text().split()[0] for each in row.select(".others li")] == [
        "neighbours", "lexicon",
    ]  # fmt: skip


def test_over_seeds_the_best_other_is_the_best_on_average(tmp_path):
    numbers = [(0.70, 0.60, 0.10), (0.72, 0.50, 0.64), (0.71, 0.58, 0.12)]
    for seed, (own, steady, lucky) in enumerate(numbers):
        made = compared_with(own, steady=steady, lucky=lucky)
        save(tmp_path, str(seed), made.model_copy(update={"parameters": {"seed": seed}}))
    (setting,) = board(tmp_path).settings
    apart = [own - steady for own, steady, _ in numbers]
    assert [other.name for other in setting.others] == ["steady", "lucky"]
    assert setting.others[0].difference.mean == pytest.approx(np.mean(apart))
    assert setting.others[0].difference.sd == pytest.approx(np.std(apart, ddof=1))
    told = soup(tmp_path).select_one(".leaderboard .others").get_text(" ")
    assert "better" not in told, "a spread between seeds is no verdict"


def test_a_method_that_the_record_does_not_compare_has_a_difference_without_interval(tmp_path):
    lexicon = {"lexicon": {"test/entity_f1": metric(0.3)}}
    save(tmp_path, "a", record(0.5, baselines=lexicon))
    told = " ".join(soup(tmp_path).select_one(".leaderboard .others").get_text(" ").split())
    assert told == "+0.200 no interval lexicon 0.300"


def test_numbers_of_one_name_and_other_units_have_columns_of_their_own(tmp_path):
    for name, unit in (("a", "nats"), ("b", "bits per byte")):
        loss = {"test/loss": metric(1.0, unit)}
        save(tmp_path, name, record(metrics=loss, headline=tuple(loss), parameters={"x": name}))
    found = board(tmp_path)
    names = {column.name for column in found.columns}
    assert names == {"test/loss (bits per byte)", "test/loss (nats)"}
    assert all(len(setting.scores) == 1 for setting in found.settings)


# --- Running ---


def running(reports, name, minutes=2.0, **facts):
    """A run's directory as it is on its way, with a notebook of three cells, the second at work."""
    began = (datetime.now().astimezone() - timedelta(minutes=minutes)).isoformat()
    folder = begun(reports, name, status="running", started=began, **facts)
    code = [new_code_cell("a = 1", execution_count=1), new_code_cell("wb.run()"), new_code_cell("")]
    code[1].metadata["papermill"] = {"start_time": began}
    nbformat.write(new_notebook(cells=code), folder / "notebook.ipynb")
    return folder


def why(reports, name):
    row = soup(reports).select_one(f'#open tr[data-run="{name}"]')
    return row.select_one(".chip").get_text(), row.select_one(".why").get_text()


def test_a_running_run_says_where_it_is_and_how_long_it_may_take(tmp_path):
    cost = record().cost.model_copy(update={"seconds": 300})
    save(tmp_path, "a", record(cost=cost, parameters={"seed": 1, "x": 2}))
    folder = running(tmp_path, "b")
    (folder / "params.json").write_text('{"seed": 0, "x": 2}')
    with state.held(folder):
        status, told = why(tmp_path, "b")
        assert status == "running"
        assert re.fullmatch(
            r"code cell 2 of 3, running for 2 min \d s, about (3 min 0|2 min 5\d) s left", told
        )
        report = {"epoch": 2, "epochs": 3, "step": 10, "steps": 40, "seconds_left": 240.0}
        lines = [json.dumps({"method": "LoRA", "event": "step"} | report), '{"torn']
        (folder / "metrics.jsonl").write_text("\n".join(lines))
        told = why(tmp_path, "b")[1]
        assert "LoRA: epoch 2 of 3, step 10 of 40, running for 2 min" in told
        assert told.endswith("at least 4 min 0 s left"), "its training alone needs more"
    assert why(tmp_path, "b") == ("interrupted", rows.GONE)


def test_a_run_whose_process_was_killed_does_not_say_running(tmp_path):
    folder = running(tmp_path, "a")
    hold = (
        f"from pathlib import Path; from workbench.record import state; import time\n"
        f"with state.held(Path({str(folder)!r})): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"held\n"
        assert why(tmp_path, "a")[0] == "running"
    finally:
        process.kill()
        process.communicate()
    assert why(tmp_path, "a") == ("interrupted", rows.GONE)


def test_a_suite_tells_the_index_how_far_its_run_is(reports, tmp_path, monkeypatch):
    told, write = [], index.write

    def listen(folder: Path) -> Path:
        page = BeautifulSoup(write(folder).read_text(encoding="utf-8"), "html.parser")
        told.extend(row.get_text(" ") for row in page.select('#open tr[data-status="running"]'))
        return folder

    suite = tmp_path / "mine.yaml"
    suite.write_text("runs:\n  - notebook: template\n    smoke: true\n")
    monkeypatch.setattr(runner, "INDEX_EVERY_S", 0.1)
    monkeypatch.setattr(index, "write", listen)
    assert runner.run_suite(str(suite)) == 0
    assert any("running for" in each for each in told)


def test_a_time_of_another_machine_is_scaled_by_what_ran_here(tmp_path):
    made = [
        plan(run_id="a", seconds=100.0, estimated=True),
        plan(run_id="b", seconds=50.0, estimated=True, notebook="30_prompting"),
        plan(run_id="c", seconds=50.0, notebook="40_finance"),
    ]
    planned.write(tmp_path, "s", made)
    cost = record().cost.model_copy(update={"seconds": 300})
    save(tmp_path, "a", record(cost=cost))
    plans = planned.read(tmp_path)
    found = estimates.estimated(rows.read(tmp_path, plans), plans)
    assert {row.run_id: row.expected for row in found} == {"a": None, "b": 150.0, "c": 50.0}


# --- Planned ---


def plan(**changes):
    fields = {
        "run_id": "50-ner-1", "label": "50_ner epochs=3", "notebook": "50_ner", "task": "ner",
        "status": "new", "why": "never ran", "seconds": 90.0,
    }  # fmt: skip
    return planned.Planned(**(fields | changes))


def test_what_is_planned_is_listed_until_it_ran(tmp_path):
    impossible = {"status": "impossible", "why": "unknown data set 'x'", "run_id": ""}
    runs = [
        plan(),
        plan(run_id="50-ner-2", status="stale", why="package changed", seconds=None),
        plan(run_id="50-ner-3"),
        plan(run_id="50-ner-4", status="done", why="same notebook"),
        plan(**impossible, label="50_ner dataset=x"),
        plan(**impossible, label="50_ner dataset=y"),
    ]
    planned.write(tmp_path, "/elsewhere/My Suite.yaml", runs)
    save(tmp_path, "50-ner-3", record())
    page = soup(tmp_path)
    told = [" ".join(row.get_text(" ").split()) for row in page.select("#open tbody tr")]
    assert len(told) == 5
    assert told[0].startswith("impossible 50_ner dataset=x")
    assert "unknown data set 'x'" in told[0]
    assert "stale" in told[2]
    assert "package changed" in told[2]
    assert "planned 50_ner epochs=3" in told[3]
    assert "in suite My Suite; never ran" in told[3]
    assert "directory is gone" in told[4]
    head = " ".join(page.select_one("header").get_text(" ").split())
    assert "Suite My Suite" in head
    assert "1 of 6 done" in head
    assert "Still to run: about 4 min 1 s one after another" in head, (
        "two as planned, one as 50-ner-3"
    )


def test_a_suite_leaves_its_plan_and_why_a_run_is_impossible(reports, tmp_path):
    suite = tmp_path / "mine.yaml"
    suite.write_text("runs:\n  - notebook: template\n    parameters: {dataset: nothing}\n")
    assert runner.run_suite(str(suite)) == 2
    (kept,) = planned.read(reports)
    assert (kept.suite, kept.runs[0].label) == ("mine", "00_template dataset=nothing")
    row = soup(reports).select_one("#open tbody tr").get_text(" ")
    assert row.split()[:3] == ["impossible", "00_template", "dataset=nothing"]
    assert "unknown" in row


def test_each_suite_has_its_last_plan_and_a_torn_one_is_left_out(tmp_path):
    planned.write(tmp_path, "one", [plan()])
    planned.write(tmp_path, "two", [plan(run_id="50-ner-2")])
    planned.write(tmp_path, "one", [plan(run_id="50-ner-3")])
    (tmp_path / planned.FOLDER / "torn.json").write_text('{"suite": "x"')
    told = soup(tmp_path).select_one("#open").get_text()
    assert [name for name in ("50-ner-1", "50-ner-2", "50-ner-3") if name in told] == [
        "50-ner-2", "50-ner-3",
    ]  # fmt: skip


# --- Two runs ---


def compared(reports, a, b, page=None):
    found = comparison.compare(*(Result.read(reports / "runs" / name) for name in (a, b)))
    return found, dom(page or index.write(reports), f"#compare={a},{b}")


def same_numbers(found, page):
    accuracy = next(iter(found.measures.values()))
    assert part(page, "a") == str(accuracy.a)
    assert part(page, "b") == str(accuracy.b)
    assert part(page, "difference") == f"{accuracy.difference:+}"
    alike = found.counts["only_a"] + found.counts["only_b"] == 0
    said = "same items right" if alike else accuracy.verdict.split()[-1]
    assert said in part(page, "verdict")
    if accuracy.detectable is None:
        assert part(page, "detectable") is None
    else:
        assert f"difference of {accuracy.detectable:.3f} would" in part(page, "detectable")
    for name, number in found.counts.items():
        assert part(page, name) == f"{number:,}"
    for side in ("only_a", "only_b"):
        told = page.select(f'[data-part="examples_{side}"] li')
        for row, example in zip(told, found.examples[side], strict=True):
            assert example.item in row.get_text()
            assert " ".join(example.input) in row.get_text()


def in_node(reports, *names):
    """What the page's script makes of runs, and what `compare` does."""
    if not NODE:
        pytest.skip("needs node; ends where it is installed")
    page = BeautifulSoup(index.write(reports).read_text(encoding="utf-8"), "html.parser")
    data = reports / "pairs.json"
    data.write_text(page.select_one("#pair-data").string, encoding="utf-8")
    script = paths.PACKAGE / "report" / "templates" / "statistics.js"
    program = Path(__file__).with_name("compare_in_node.js")
    done = subprocess.run(
        [NODE, str(program), str(script), str(data), *names],
        capture_output=True,
        text=True,
        check=True,
    )
    read = [Result.read(reports / "runs" / name) for name in names]
    found = comparison.compare(*read) if len(read) == 2 else comparison.several(read)
    return found, json.loads(done.stdout)


def same_as_compare(found, told):
    name, measure = next(iter(found.measures.items()))
    assert (told["measure"], told["n"]) == (name, measure.a.n)
    for side in ("a", "b", "difference"):
        metric = getattr(measure, side)
        assert told[side]["value"] == pytest.approx(metric.value, abs=1e-9)
        assert told[side]["how"] == metric.how
        for end in ("low", "high"):
            expected = getattr(metric, end)
            assert told[side].get(end) == (expected and pytest.approx(expected, abs=1e-9))
    assert (told["verdict"], told["borderline"]) == (measure.verdict, measure.borderline)
    assert told["detectable"] == (measure.detectable and pytest.approx(measure.detectable))
    if found.counts:
        assert told["counts"] == found.counts


SHARES = [
    (1500, 231, (0.60, 0.66)),
    (3453, 3453, (0.80, 0.802)),
    (160, 16, (0.5, 0.5)),
    (16, 16, (0.4, 0.9)),
    (90, 9, (0.2, 0.9)),
    (200, 200, (1.0, 0.985)),
    (200, 40, (0.0, 1.0)),
    (200, 200, (1.0, 1.0)),
]


@pytest.mark.parametrize(("n", "clusters", "right"), SHARES)
def test_the_script_has_the_numbers_of_compare(tmp_path, n, clusters, right):
    chance = np.random.default_rng(n)
    places = chance.integers(0, clusters, n)
    places[:clusters] = range(clusters)
    for name, share in zip("ab", right, strict=True):
        save(tmp_path, name, record(), items(chance.random(n) < share, places))
    same_as_compare(*in_node(tmp_path, "a", "b"))


@pytest.mark.parametrize("right", [
    (0.6, 0.66, 0.62, 0.5, 0.605), (0.9, 0.9, 0.95, 0.97), (1.0, 1.0, 0.98), (0.5, 0.502, 0.99),
])  # fmt: skip
def test_the_script_compares_several_runs_as_the_command_does(tmp_path, right):
    chance = np.random.default_rng(len(right))
    names = [f"r{place}" for place in range(len(right))]
    for name, share in zip(names, right, strict=True):
        save(tmp_path, name, record(), items(chance.random(600) < share, np.arange(600) // 5))
    found, told = in_node(tmp_path, *names)
    assert told["measure"] == found.measure == "accuracy"
    assert told["correction"] == found.correction
    said = [(each["verdict"], each["borderline"]) for each in told["said"]]
    assert said == [(each.verdict, each.borderline) for each in found.others]
    for number, apart, each in zip(
        told["numbers"][1:], told["differences"], found.others, strict=True
    ):
        for shown, metric in ((number, each.measure.b), (apart, each.measure.difference)):
            for end in ("value", "low", "high"):
                expected = getattr(metric, end)
                assert shown.get(end) == (expected and pytest.approx(expected, abs=1e-9))
        expected = each.measure.difference.p
        assert apart.get("p") == (expected and pytest.approx(expected, rel=1e-9))


@pytest.mark.parametrize("documents", [60, 12, 5])
def test_the_script_compares_taggers_by_entity_f1(tmp_path, documents):
    chance = np.random.default_rng(documents)
    tags = ("O", "O", "B-PER", "I-PER", "B-LOC")
    gold = [to_iob2(chance.choice(tags, 6).tolist())[0] for _ in range(120)]
    for name, share in zip("ab", (0.8, 0.85), strict=True):
        said = [
            [tag if chance.random() < share else str(chance.choice(tags)) for tag in row]
            for row in gold
        ]
        frame = items([1] * 120, np.arange(120) % documents, gold=gold, predicted=said)
        changes = {"main_measure": "entity_f1", "right": "a sentence with every tag right"}
        save(tmp_path, name, record(**changes), frame)
    found, told = in_node(tmp_path, "a", "b")
    assert next(iter(found.measures)) == "entity_f1"
    assert found.measures["entity_f1"].a.value < 1
    same_as_compare(found, told)
    assert "entity F1" in told["words"]


def test_the_script_compares_decoders_by_bits_per_byte(tmp_path):
    chance = np.random.default_rng(0)
    texts = [["é" * int(size)] for size in chance.integers(20, 90, 60)]
    for name, nats in (("a", 40.0), ("b", 30.0)):
        frame = items([1] * 60, input=texts, loss=chance.normal(nats, 3, 60))
        save(tmp_path, name, record(main_measure="bits_per_byte"), frame)
    found, told = in_node(tmp_path, "a", "b")
    same_as_compare(found, told)
    assert told["words"] == "B is better: fewer bits per byte"


@pytest.mark.parametrize(("n", "clusters", "right"), SHARES)
def test_the_page_has_the_numbers_of_compare(tmp_path, n, clusters, right):
    chance = np.random.default_rng(n)
    places = chance.integers(0, clusters, n)
    places[:clusters] = range(clusters)
    for name, share in zip("ab", right, strict=True):
        parameters = {"seed": 0, "epochs": name, "same": 1}
        save(tmp_path, name, record(parameters=parameters), items(chance.random(n) < share, places))
    found, page = compared(tmp_path, "a", "b")
    same_numbers(found, page)
    told = part(page, "parameters")
    assert 'epochs"a""b"' in told.replace(" ", "")
    assert "same" not in told
    assert "seed" not in told
    assert "workbench compare a b" in page.get_text()
    few = page.select_one("#found").get_text()
    assert ("No interval: only 9 clusters" in few) == (clusters == 9)


def test_ties_of_rounding_fall_as_in_python(tmp_path):
    """5 of 16 are .3125 and 7 are .4375: exactly between two numbers of three digits."""
    for name, right in (("a", 5), ("b", 7)):
        save(tmp_path, name, record(), items([True] * right + [False] * (16 - right)))
    found, page = compared(tmp_path, "a", "b")
    assert part(page, "a").startswith("0.312 ")
    assert part(page, "b").startswith("0.438 ")
    same_numbers(found, page)


def test_made_up_runs_of_every_task_are_compared_alike(tmp_path):
    whole = made_up.make(tmp_path, 20, notebook_bytes=10)
    page = index.write(tmp_path)
    for start in range(0, 20, 5):
        same_numbers(*compared(tmp_path, *whole[start : start + 2], page=page))


def in_turn(page: Path, *scripts: str) -> list[BeautifulSoup]:
    """The page as it is after each script, the one after the other, in one browser."""
    keep = "states.push(document.documentElement.outerHTML);"
    steps = "".join(f"{{ {script} }} {keep} " for script in scripts)
    end = "document.body.append(make('pre', { id: 'states' }, JSON.stringify(states)));"
    found = acted(page, f"const states = []; {steps} {end}").select_one("#states")
    return [BeautifulSoup(state, "html.parser") for state in json.loads(found.get_text())]


def acted(page: Path, script: str) -> BeautifulSoup:
    """The page after a script of the test's, on a copy whose policy lets that run."""
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text(encoding="utf-8"))
    copy = page.with_name("acted.html")
    copy.write_text(text.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    return dom(copy)


def ids(page, where):
    return [row["data-run"] for row in page.select(where) if not row.has_attr("hidden")]


def test_rows_are_sorted_and_filtered_in_the_browser(tmp_path):
    for name, seconds, epochs in (("a", 100, 2), ("b", 9, 10), ("c", 20, 3)):
        cost = record().cost.model_copy(update={"seconds": seconds})
        save(tmp_path, name, record(cost=cost, parameters={"epochs": epochs}))
    begun(tmp_path, "d", status="failed", message="broke")
    planned.write(tmp_path, "s", [plan()])
    page = index.write(tmp_path)
    assert dom(page).select_one("#shown").get_text() == "5 of 5 runs"
    click = "document.querySelectorAll('#runs th button')[3].click();"
    by_epochs = "document.querySelectorAll('.leaderboard th button')[1].click();"
    typed = (("words", "EPOCHS=10"), ("status", "failed"), ("status", "planned"), ("task", "ner"))
    filters = (f"at('{field}').value = '{value}'; filter();" for field, value in typed)
    none = "for (const field of ['words', 'status', 'task']) at(field).value = '';"
    up, down, ranked, *found = in_turn(
        page, click, click, by_epochs, *(none + do for do in filters)
    )
    assert ids(up, "#runs tbody tr") == ["b", "c", "a", "d"], "no time stays last"
    assert up.select("#runs th")[3]["aria-sort"] == "ascending"
    assert ids(down, "#runs tbody tr") == ["a", "c", "b", "d"]
    cells = ranked.select(".leaderboard .fact")
    assert [cell.get_text() for cell in cells] == ["2", "3", "10"], "numbers as numbers"

    of_words, failed, ahead, of_task = found
    assert ids(of_words, "#runs tbody tr") == ["b"]
    assert of_words.select_one("#shown").get_text() == "1 of 5 runs"
    assert of_words.select_one("#open .empty").get_text() == "Nothing here fits the filter."
    assert ids(of_words, ".leaderboard tbody tr") == ["b"], "the filter reaches the leaderboard"
    assert ids(failed, "#runs tbody tr") == ["d"]
    assert failed.select_one(".leaderboard").has_attr("hidden")
    assert failed.select_one("#leaderboards > .empty")
    assert ahead.select_one("#shown").get_text() == "1 of 5 runs"
    assert ids(of_task, "#runs tbody tr") == ["d"]


def test_runs_are_taken_from_the_list_and_let_go(tmp_path):
    for name in "ab":
        save(tmp_path, name, record(parameters={"epochs": name}), items([1, 0] * 20))
    page = index.write(tmp_path)
    take = "const press = (id) => document.querySelector(`[data-run=${id}] .take`).click();"
    found = acted(page, f"{take} press('b'); press('a');")
    assert part(found, "verdict") == "A and B have the same items right"
    pressed = {row["data-run"]: row.button.get_text() for row in found.select("#runs tbody tr")}
    assert pressed == {"b": "is A", "a": "is B"}
    found = acted(page, f"{take} press('b'); press('a'); press('b');")
    assert part(found, "verdict") is None
    assert "One run is taken" in found.select_one("#told").get_text()
    assert not found.select_one("#tray").has_attr("hidden")


def test_runs_over_other_items_are_not_compared_and_the_command_is_named(tmp_path):
    for name, n in (("a", 20), ("b", 30), ("c", 20), ("d", 30)):
        save(tmp_path, name, record(), items([1] * n))
    page = dom(index.write(tmp_path), "#compare=a,b")
    assert "not all items, groups and labels" in part(page, "obstacle")
    assert part(page, "verdict") is None
    assert "workbench compare a b" in page.get_text()


def test_beyond_the_budget_the_newest_runs_are_kept_and_the_rest_is_named(tmp_path):
    for day in range(1, 7):
        save(tmp_path, f"r{day}", record(started=f"2026-11-0{day}"), items([1] * 800))
    found = rows.read(tmp_path, [])
    whole = pairs.embedded(tmp_path, found)
    assert set(whole["runs"]) == {f"r{day}" for day in range(1, 7)}
    (group,) = whole["groups"].values()
    size = len(json.dumps(group)) + 3 * (len(json.dumps(whole["runs"]["r1"])) + len("r1"))
    cut = pairs.embedded(tmp_path, found, budget=size)
    assert set(cut["runs"]) == {"r4", "r5", "r6"}
    assert cut["left_out"]["r1"] == "this page holds no more runs for comparison"
    assert pairs.embedded(tmp_path, found, budget=0)["runs"] == {}


def test_why_a_run_can_not_be_compared_is_said(tmp_path):
    save(tmp_path, "a", record())
    save(tmp_path, "b", record(), items([1] * 20))
    twice = items([1] * 20, item=["test/0"] * 20)
    save(tmp_path, "c", record(), twice)
    begun(tmp_path, "d", status="failed")
    found = pairs.embedded(tmp_path, rows.read(tmp_path, []))
    assert found["left_out"] == {
        "a": "it kept no items",
        "b": pairs.ALONE,
        "c": "an item is there more than once",
        "d": "it has not ended well",
    }
    page = dom(index.write(tmp_path), "#compare=a,d")
    assert "of a, it kept no items" in part(page, "obstacle")


# --- Untrusted text ---


def test_text_from_anywhere_can_not_run(tmp_path):
    steal = STEAL.replace("/", "\u2215")
    frame = items(
        [1, 0] * 10, item=[f"test/{place}{STEAL}" for place in range(20)], method=STEAL,
        split=STEAL, input=[[STEAL]] * 20, gold=[[STEAL]] * 20,
        predicted=[[STEAL], ["x"]] * 10,
    )  # fmt: skip
    for name in (f"a{steal}", f"b{steal}"):
        frame["predicted"] = frame["predicted"].iloc[::-1].to_list()
        source = {"name": STEAL, "fingerprint": STEAL}
        save(tmp_path, name, record(
            parameters={STEAL: f"{STEAL}{name}", "seed": STEAL}, task=STEAL, notebook=STEAL,
            method=STEAL, sources={"dataset": source, f"model{STEAL}": source},
            metrics={STEAL: metric()}, headline=(STEAL,), started=STEAL,
        ), frame)  # fmt: skip
    begun(tmp_path, f"c{steal}", status=STEAL, message=STEAL, notebook=STEAL, started=STEAL)
    planned.write(tmp_path, STEAL, [plan(run_id=STEAL, label=STEAL, why=STEAL, status=STEAL)])
    page, page_templates = index.write(tmp_path), paths.PACKAGE / "report" / "templates"
    asked = "#compare=" + ",".join(
        "".join(f"%{byte:02x}" for byte in name.encode()) for name in (f"a{steal}", f"b{steal}")
    )
    for found in (BeautifulSoup(page.read_text(), "html.parser"), dom(page, asked)):
        own = {each.read_text() for each in page_templates.glob("*.js")}
        scripts = [each.get_text() for each in found.find_all("script") if not each.get("type")]
        assert scripts
        assert set(scripts) <= own
        assert not found.find_all(["img", "iframe", "object", "embed", "base"])
        for tag in found.find_all(True):
            assert not [name for name in tag.attrs if name.startswith("on")], tag
            assert not tag.get("src"), tag
            assert tag.get("href", "#").startswith(("runs/", "#", "data:,")), tag
        for data in found.find_all("script", type="application/json"):
            assert json.loads(data.get_text()), "the data ends where its element does"
    assert STEAL in part(found, "parameters")
    assert STEAL in found.select_one('[data-part="examples_only_a"]').get_text()
    assert "default-src 'none'" in page.read_text()


def test_half_a_character_stops_no_page(tmp_path):
    save(tmp_path, "a", record())
    (tmp_path / "runs" / "b").mkdir()
    (tmp_path / "runs" / "b" / "params.json").write_text('{"name": "\\ud800"}')
    assert "b" in shown(tmp_path)


def test_the_page_asks_for_nothing(tmp_path):
    save(tmp_path, "a", record())
    begun(tmp_path, "b", status="failed", message="see https://example.org/a.png")
    text = index.write(tmp_path).read_text()
    assert "example.org" in text
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", text)
    for path in (paths.PACKAGE / "report/templates").glob("*.js"):
        script = path.read_text()
        assert not re.search(r"(inner|outer|insertAdjacent)HTML|\beval\b|fetch\(|XMLHttp", script)


ODD = ["[]", "null", "3", '{"a": NaN}', '{"status": ["x"], "started": 5, "seconds": "9"}']


@pytest.mark.parametrize("name", ["params.json", "state.json", "notebook.ipynb", RESULT])
@pytest.mark.parametrize("odd", ODD)
def test_one_odd_file_stops_no_page(tmp_path, name, odd):
    save(tmp_path, "a", record())
    folder = begun(tmp_path, "b", status="failed", message="broke")
    (folder / name).write_text(odd)
    assert set(shown(tmp_path)) == {"a", "b"}
    data = soup(tmp_path).select_one("#run-data").get_text()
    json.loads(data, parse_constant=lambda found: pytest.fail(f"{found} is no JSON"))
    index.refresh(tmp_path)
    page = folder / "report.html"
    assert not page.exists() or "default-src 'none'" in page.read_text()


def test_a_folder_of_some_program_is_no_run(tmp_path):
    save(tmp_path, "a", record())
    (tmp_path / "runs" / ".ipynb_checkpoints").mkdir()
    assert set(shown(tmp_path)) == {"a"}
