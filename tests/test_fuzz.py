"""Hostile words in every argument and every suite's field: refused in words, with a code of 2 to 9.

No kernel starts here: each value is wrong for its place, or a plan is made of it at most.
"""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from workbench import cli, notebooks
from workbench.batch import plan, suite
from workbench.core import paths
from workbench.core.config import Config
from workbench.core.errors import NotebookError, ParameterError

HOSTILE = (
    "", " ", ".", "..", "/", "/dev/null", "/proc/self/mem", "~nouser/x", "~", "x" * 5000,
    "\ud800", "\udcff", "\u202e", "\x1b[2J", "-", "*", "{x.__class__}", "../../etc/passwd",
    "hf:", "hf:/", "hf:a/b@", "hf:a/b/c", "нет", "a,b,,", "%s%n", "9" * 5000, "nan", "inf", "1e999",
)  # fmt: skip
THERE = {".", "..", "~", "/proc/self/mem", "/dev/null", "../../etc/passwd"}
"""Files and folders that are there, or may be: a run reads them, and refuses them then."""
ARGUMENTS = (
    ("run", "{}"), ("run", "template", "--set", "{}"), ("run", "template", "--set", "{}=1"),
    ("run", "template", "--set", "dataset={}"), ("run", "template", "--set", "seed={}"),
    ("run", "ner", "--set", "model={}"), ("run", "template", "--processes", "{}"),
    ("run-all", "{}"), ("run-all", "x", "--jobs", "{}"), ("run-all", "x", "--engine", "{}"),
    ("run-all", "x", "--address", "{}"), ("plan", "{}"), ("compare", "{}", "x"),
    ("compare", "x", "{}"), ("compare", "x", "y", "--method", "{}"), ("predict", "{}", "/dev/null"),
    ("predict", "x", "{}"), ("predict", "x", "/dev/null", "--column", "{}"), ("prompts", "{}"),
    ("prompts", "x", "{}"), ("tune", "{}"), ("tune", "x", "--trials", "{}"), ("params", "{}"),
    ("fetch", "{}"), ("lab", "--port", "{}"), ("{}",),
)  # fmt: skip
YAML = (
    "", "null", "~", "true", "[]", "{}", "[[]]", "{a: {b: c}}", ".inf", "-.inf", ".nan", "1e999",
    "-1", "0", "1.5", "1" + "0" * 400, "9" * 5000, '"\\0"', '"\\ud800"', '"\\udfff"', "2026-01-01",
    "2026-99-99", "!!timestamp x", "!!int x", '!!int ""', "!!float x", "!!bool x", "!!binary x",
    "!!set {a, b}", "!!omap [a]", "!!python/name:os.system", "*nothing", "&a [*a]", "? [a, b]",
    "{? [a, b] : c}", "{? {a: b} : c}", "{[a]: b, [a]: b}", "{1: 2}", "{null: 1}", "{<<: 3}",
    "~nouser/x", "x" * 5000, "../../etc/passwd", "[~nouser/x]", "[.nan]", "[[1]]", '["\\0"]',
    "{dataset: ~nouser/x}", '{dataset: "\\0"}', "{dataset: [x]}", "{seed: .nan}", "{seed: 1e400}",
    "{dataset: [~nouser/x]}", '{dataset: ["\\0"]}', "{seed: [.inf]}", "[{seed: .inf}]", "'",
    "{" + "a" * 5000 + ": 1}", "[" * 50 + "]" * 50, "=", "0b", "0x", "1:99:99", "|", ">",
)  # fmt: skip


@pytest.fixture
def refused(capsys, reports):
    """Call the command line; its code is one for users and there is no trace."""

    def call(*arguments, codes=range(2, 10)):
        try:
            code = cli.main([*arguments])
            longest = 4000
        except SystemExit as ended:  # argparse's
            code, longest = ended.code, 20_000
        said = "".join(capsys.readouterr())
        assert code in codes, (arguments, code, said)
        assert "Traceback" not in said
        assert code == 0 or said.strip()
        assert len(said) < longest
        assert not (reports / "runs").exists()

    return call


@pytest.mark.fault(42, "hostile arguments and suites", "exit 2 to 9 in a few words, no trace")
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=" ".join)
def test_hostile_argument_is_refused(refused, arguments):
    for value in HOSTILE:
        if value in THERE and ("dataset={}" in arguments or "model={}" in arguments):
            continue
        refused(*(each.replace("{}", value) for each in arguments))


@pytest.mark.fault(42, "hostile arguments and suites", "exit 2 to 9 in a few words, no trace")
@pytest.mark.parametrize("field", suite.Entry.model_fields)
def test_hostile_field_of_a_suite_is_refused(refused, tmp_path, field):
    path = tmp_path / "suite.yaml"
    for value in YAML:
        notebook = "" if field == "notebook" else "notebook: template, "
        text = f"runs:\n- {{{notebook}{field}: {value}}}\n"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        refused("plan", str(path), codes=range(10) if allowed(field, value) else range(2, 10))


def allowed(field, value):
    """Whether a value may be right where it stands: nothing, or a number that is one."""
    if field == "smoke":
        return value in {"true", "yes", "on"}
    return value in {"", "null", "~", "{}", "0", "1.5", "[]"} and field != "notebook"


@pytest.mark.parametrize("text", [*YAML, "[" * 500_000, "{a: " * 250_000, "- " * 400_000])
def test_hostile_suite_is_refused(refused, tmp_path, text):
    path = tmp_path / "suite.yaml"
    for form in ("{}", "runs: {}", "runs: [{}]", "{}: 1"):
        path.write_bytes(form.replace("{}", text).encode("utf-8", "surrogatepass"))
        refused("plan", str(path))
    refused("tune", str(path))


PARAMETERS = notebooks.parameters_source(notebooks.tasks.TASKS["template"].Config)
START = 'import workbench as wb\n\ncfg = wb.start("template", globals())'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    made = tmp_path / "notebooks"
    made.mkdir()
    monkeypatch.setattr(paths, "NOTEBOOKS", made)
    return made


def write(path, *cells, parameters=PARAMETERS):
    first = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    content = new_notebook(cells=[first, *map(new_code_cell, cells)])
    nbformat.write(content, path)
    return path


@pytest.mark.parametrize(
    "cell",
    ["?len", "len??", "if True:\n    !ls", "files = !ls", "%%bash\nls", "%time 1\n%matplotlib",
     "!ls", "x = (", "\t", "def", "(" * 500, "1" * 5000],
)  # fmt: skip
def test_cell_in_ipythons_own_syntax_hides_no_task(folder, cell):
    notebook = notebooks.read(write(folder / "90_x.ipynb", cell, f"{START}\n"))
    assert notebook.config.task == "template"
    if "=" not in cell and cell not in {"def", "(" * 500, "1" * 5000}:
        both = notebooks.read(write(folder / "91_x.ipynb", f"{START}\n{cell}"))
        assert both.config.task == "template"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"cells": [{"cell', '{"cells": 3}', '{"nbformat": 4}', "\ud800",
     '{"cells": [3], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
     '{"cells": [{"cell_type": "code"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
     '{"cells": [], "metadata": {}, "nbformat": 99, "nbformat_minor": 5}', "[" * 100_000],
)  # fmt: skip
def test_torn_notebook_is_refused(refused, folder, text):
    (folder / "90_torn.ipynb").write_bytes(text.encode("utf-8", "surrogatepass"))
    refused("run", "torn", codes={5})
    refused("params", "torn", codes={5})
    with pytest.raises(NotebookError, match="90_torn.ipynb"):
        notebooks.find("torn")


@pytest.mark.parametrize(
    ("cells", "code"),
    [(["wb.start()"], 5), (["wb.start(3)"], 5), (['wb.start("nothing")'], 2), (["wb.start(x)"], 5),
     ([], 5), (["x = ("], 5)],
)  # fmt: skip
def test_notebook_that_starts_no_task_is_refused(refused, folder, cells, code):
    write(folder / "90_none.ipynb", *cells)
    refused("run", "none", codes={code})


@pytest.mark.parametrize(
    "parameters", ["x = (", "x: int = 3", "seed = 1 + x", "x += 1", "seed=[{}]"]
)
def test_parameters_cell_that_is_none_is_refused(refused, folder, parameters):
    write(folder / "90_odd.ipynb", START, parameters=parameters)
    refused("run", "odd", codes={2})


def test_two_notebooks_of_one_short_name_are_refused_and_both_named(folder):
    for name in ("00_template", "95_template", "template"):
        write(folder / f"{name}.ipynb", START)
    with pytest.raises(ParameterError, match=r"00_template\.ipynb, 95_template\.ipynb"):
        notebooks.find("template")
    for name in ("95_template", "95_template.ipynb", "template.ipynb"):
        assert notebooks.find(name).path.stem == name.removesuffix(".ipynb")


@pytest.mark.parametrize("name", ["ноутбук", "90_メモ", "x" * 200, "---"])
def test_run_id_is_a_name_for_any_notebook(folder, name):
    write(folder / f"{name}.ipynb", START)
    run = plan.resolve(plan.make_job(notebooks.find(name), {}))
    assert run.run_id[0].isalnum()
    assert len(run.run_id) < 100


@pytest.mark.parametrize("value", ["\0", "a\ud800"])
def test_text_that_no_file_can_hold_is_no_parameter(value):
    class Some(Config):
        task = "some"
        text: str = ""
        """Some text."""

    for check in (Some.check, Some.parse):
        with pytest.raises(ParameterError, match="holds a NUL or half a character"):
            check({"text": value})


def test_relative_folders_are_those_of_the_shell_everywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_RAW", "raw")
    monkeypatch.setenv("WORKBENCH_REPORTS", "~nouser/r")
    monkeypatch.setenv("WORKBENCH_DATA", "one:/two")
    monkeypatch.setenv("HF_HOME", "../hub")
    assert paths.raw() == paths.ROOT / "raw"  # as in a kernel that Jupyter has started
    assert cli.main(["params", "template"]) == 0
    monkeypatch.chdir(paths.NOTEBOOKS)
    assert paths.raw() == tmp_path / "raw"
    assert paths.reports() == tmp_path / "~nouser" / "r"
    assert list(map(str, paths.own_data())) == [str(tmp_path / "one"), "/two"]
    assert json.dumps(paths.os.environ["HF_HOME"]) == json.dumps(str(tmp_path.parent / "hub"))
