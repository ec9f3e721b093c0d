"""Every notebook: thin, stripped, its parameters those of its class, and it runs."""

import ast
import json
import os
import re
import shutil
from functools import cache
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbclient import NotebookClient

from workbench import notebooks
from workbench.batch import child, forked, plan, server
from workbench.batch.execute import Outcome
from workbench.core import paths
from workbench.record.result import Result
from workbench.report import cells

MAX_LINES, MAX_CELL = 120, 25
NAMES = [path.stem for path in notebooks.every()]


def test_there_are_notebooks():
    assert "00_template" in NAMES
    assert "50_ner" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_thin_and_stripped(name):
    notebook = notebooks.find(name)
    lines = [len(cell.source.splitlines()) for cell in notebook.code_cells]
    assert sum(lines) <= MAX_LINES
    assert max(lines) <= MAX_CELL
    for cell in notebook.code_cells:
        assert not cell.outputs
        assert cell.execution_count is None
        kinds = {type(node) for node in ast.walk(ast.parse(cell.source))}
        assert not kinds & {ast.ClassDef, ast.FunctionDef}
    assert notebook.content.metadata.kernelspec.name == "python3"
    text = notebook.path.read_text(encoding="utf-8")
    assert notebooks.tidy(notebook) == text, "do: make fmt"
    assert name == name.lower()


@pytest.mark.parametrize("name", NAMES)
def test_settings_that_the_prose_advises_are_possible(name):
    notebook = notebooks.find(name)
    prose = [cell.source for cell in notebook.content.cells if cell.cell_type == "markdown"]
    advised = dict(re.findall(r"`(\w+) = ([^`]+)`", "\n".join(prose)))
    values = {key: ast.literal_eval(value) for key, value in advised.items()}
    assert notebook.config.check(values)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_cell_repeats_the_class(name):
    notebook = notebooks.find(name)
    found = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(notebook.parameters_cell.source).body
    }
    assert found == {key: field.default for key, field in notebook.config.model_fields.items()}
    assert all(len(line) <= 100 for line in notebook.parameters_cell.source.splitlines())


@pytest.fixture(scope="session")
def overrides(tiny_bert, tiny_decoder_folder, tmp_path_factory):
    """A notebook's smoke overrides, with tiny models of fixed weights in place of real ones."""
    own = tmp_path_factory.mktemp("own") / "sentences"
    shutil.copytree(paths.FIXTURES / "tiny_ner", own)
    tiny = {"minilm": str(tiny_bert), "smollm2": str(tiny_decoder_folder)}

    def found(name: str) -> dict:
        notebook = notebooks.find(name)
        defaults = {key: field.default for key, field in notebook.config.model_fields.items()}
        small = {"attention_layer": 1} if "attention_layer" in defaults else {}
        if not notebook.smoke:  # a folder of one's own in place of the default's name
            small["dataset"] = str(own)
        named = [key for key in notebook.config.sources if defaults.get(key) in tiny]
        return notebook.smoke | small | {key: tiny[defaults[key]] for key in named}

    return found


@pytest.fixture(scope="session")
def batch_run(tmp_path_factory, overrides):
    """Run a notebook in batch, small, when first asked for it."""
    folder = tmp_path_factory.mktemp("batch") / "reports"

    @cache
    def once(name: str) -> tuple[Outcome, Path]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("WORKBENCH_REPORTS", str(folder))
            job = plan.make_job(notebooks.find(name), overrides(name), timeout_s=300)
            run = plan.resolve(job)
            processes = server.start(os.environ)
            return child.Child.start(run, dict(os.environ), processes).outcome(), run.directory

    return once


@pytest.mark.parametrize("name", NAMES)
def test_notebook_runs_in_batch_and_leaves_a_whole_run(name, batch_run):
    outcome, directory = batch_run(name)
    assert outcome.exit_code == 0, outcome.message
    record = Result.read(directory)
    assert record.status == "succeeded"
    assert record.run_id == directory.name
    assert not record.items.duplicated(["item", "method"]).any()
    assert not record.method or record.method in set(record.items["method"])
    for metric in record.metrics.values():
        assert metric.n > 0
        assert metric.low is None or metric.low <= metric.value <= metric.high
    assert set(record.headline) <= set(record.metrics)
    assert record.baselines or name == "00_template"
    assert {"notebook.ipynb", "items.parquet", "run.log", "params.json"} <= set(record.artefacts)
    executed = (directory / "notebook.ipynb").read_text(encoding="utf-8")
    assert str(paths.ROOT) not in json.dumps(json.loads(executed)["metadata"])


DEFAULTS = re.compile(
    r"CoNLL-|\b19\d\d\b|\bnews\b|Reuters|tweet|\bbrand|crowd worker|S&P|NASDAQ|\bfilm|movie|"
    r"volunteer|English|Chinese|German|\bhome|Wikipedia|MiniLM|SmolLM|E5\b|\d million|invented",
    re.IGNORECASE,
)
"""Words that are true of some notebook's default model or data, and of few others."""
OPTIONS = ("Parameters", "What to try next")
"""Sections that name what could be used instead."""


def said_of_defaults(html: str) -> list[str]:
    """What a page says in its own words of the data or model that a notebook has by default."""
    soup = BeautifulSoup(html, "html.parser")
    for heading in soup.select("main h2"):
        if heading.get_text().removesuffix("¶") in OPTIONS:
            for sibling in heading.find_next_siblings():
                sibling.decompose()
    facts = "dl, .facts > summary"  # what the record says of the run
    for quoted in soup.select(f"main :is({facts}, code, pre, .wb-sentences, .wb-text)"):
        quoted.decompose()
    text = " ".join(soup.find("main").get_text(" ").split())
    return [text[max(0, m.start() - 60) : m.end() + 40] for m in DEFAULTS.finditer(text)]


@pytest.mark.parametrize("name", NAMES)
def test_page_on_other_data_and_models_says_nothing_of_the_defaults(name, batch_run):
    _, directory = batch_run(name)
    assert not said_of_defaults((directory / "report.html").read_text(encoding="utf-8"))


def test_page_says_of_the_defaults_what_is_true_of_them_alone(batch_run):
    _, directory = batch_run("50_ner")
    given = Result.read_record(directory).parameters
    path = directory / "notebook.ipynb"
    own, default = (
        cells.read(path, "succeeded", parameters).body
        for parameters in (given, given | {"dataset": "conll2003"})
    )
    assert "News of 1996" not in own
    assert "news of 1996 from one agency" in default
    content = nbformat.read(path, as_version=4)
    content.cells[0].source += "\n\nThe sentences are news of 1996."
    (directory / "false.ipynb").write_text(nbformat.writes(content), encoding="utf-8")
    shown = cells.read(directory / "false.ipynb", "succeeded", given).body
    assert said_of_defaults(f"<main>{shown}</main>") != said_of_defaults(f"<main>{own}</main>")


def run_by_hand(content, environment, log):
    """As in JupyterLab: a kernel, the cells from top to bottom, no papermill."""
    forked.prepare()
    os.environ.update(environment)
    client = NotebookClient(
        content, kernel_name="python3", kernel_manager_class=forked.Manager, timeout=300,
        resources={"metadata": {"path": str(paths.NOTEBOOKS)}},
    )  # fmt: skip
    with log.open("w") as said:
        client.execute(stderr=said)


@pytest.mark.parametrize("name", NAMES)
def test_notebook_gives_the_same_numbers_by_hand(name, batch_run, overrides, reports, tmp_path):
    content = nbformat.read(notebooks.find(name).path, as_version=4)
    for cell in content.cells:
        if "parameters" in cell.metadata.get("tags", []):
            changes = (f"{key} = {value!r}" for key, value in overrides(name).items())
            cell.source = "\n".join([cell.source, *changes])
    processes = server.start(os.environ)
    arguments = content, dict(os.environ), tmp_path / "kernel.log"
    process = processes.Process(target=run_by_hand, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == 0, "what it raised is printed above"
    (directory,) = (reports / "runs").iterdir()
    by_hand, in_batch = Result.read(directory), Result.read(batch_run(name)[1])
    assert by_hand.status == "interactive"
    assert by_hand.metrics == in_batch.metrics
    assert by_hand.items.equals(in_batch.items)


def test_a_notebook_of_no_known_task_is_one_clear_error(tmp_path, monkeypatch, capsys):
    text = notebooks.find("template").path.read_text(encoding="utf-8")
    (tmp_path / "60_mine.ipynb").write_text(text.replace("template", "mine"), encoding="utf-8")
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path)
    assert notebooks.main(["--check"]) == 2
    assert "60_mine.ipynb: unknown task 'mine'\nexpected: one of " in capsys.readouterr().err
