"""Arrows between modules, and budgets: what keeps the package small enough to read."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from statistics import median

import pytest

from workbench import data, tasks
from workbench.core import paths

MODULES = sorted(path for path in paths.PACKAGE.rglob("*.py"))
# Floor -> the floors it stands on, besides its own modules. An arrow counts wherever an import
# stands: at the top, for type checking only, or inside a function.
FLOORS = {
    "core": set(),
    "record": {"core"},
    "data": {"core", "record"},
    "models": {"core", "record"},
    "training": {"core", "record"},
    "decoding": {"core", "models"},
    "methods": {"core", "record", "data", "models", "training", "decoding"},
    "display": {"core", "record"},
    "tasks": {"core", "record", "data", "models", "training", "decoding", "methods"},
    "report": {"core", "record"},
    "batch": {"core", "record", "report", "notebooks"},
    "blocks": {"core", "record", "data", "models", "training", "decoding", "methods"},
    "finished": {"core", "record", "methods"},
    "facade": {"core", "record"},
    "figures": {"facade"},
    "tables": {"facade"},
    "flow": {"core", "record", "tasks"},
    "notebooks": {"core", "tasks"},
    "lab": {"core", "notebooks"},
    "cli": {"batch", "core", "data", "lab", "methods", "notebooks", "record", "report"},
    "__main__": {"cli"},
    "__init__": {"blocks", "core", "figures", "finished", "flow", "methods", "record", "tables"},
}
SHOWN = {"core", "record", "display"}
"""What figures and tables of a task stand on."""
MAX_MODULE, MAX_FUNCTION, MAX_MEDIAN, MAX_PARAMETERS = 300, 50, 15, 12
POLICY = "OMP_WAIT_POLICY"
LONGER = {
    # name: reason why it may exceed a budget
    "contest.Config": "a table of one's own needs two columns named, and its repeats dropped",
    "fine_tuning.Config": "a table of one's own needs two columns named, and slices of it",
    "ner.Config": "how many labels a language needs is asked by training on a part",
    "finance.Config": "prices of one's own need two columns and the order of dates named",
    "language_transfer.Config": "two languages, their columns, and their translations are named",
    "prompting.Config": "a table of one's own needs two columns named, and wordings for it",
}


def part(name: str) -> str:
    """Floor or top-level module that a dotted name belongs to."""
    return name.split(".")[1] if "." in name else "__init__"


def room(name: str) -> str:
    """Task that a dotted name belongs to; "" for none."""
    words = name.split(".")
    return words[2] if words[1:2] == ["tasks"] and len(words) > 2 else ""


def dotted(path: Path) -> str:
    """Name under which a file is imported."""
    words = ("workbench", *path.relative_to(paths.PACKAGE).with_suffix("").parts)
    return ".".join(words).removesuffix(".__init__")


def imports(source: str, known: Collection[str]) -> set[str]:
    """Modules of the package that a source imports, wherever the import stands."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in known else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] == "workbench"}


def package() -> dict[str, set[str]]:
    """Module -> the modules it imports."""
    files = {dotted(path): path for path in MODULES}
    return {
        name: imports(path.read_text(encoding="utf-8"), files) - {name}
        for name, path in files.items()
    }


def shown(name: str) -> bool:
    """Whether a module is of figures or tables."""
    return name.endswith(("figures", "tables"))


def wrong(graph: Mapping[str, Collection[str]]) -> list[str]:
    """Imports that no arrow of the design allows, in words."""
    found = []
    for name, imported in graph.items():
        mine, own = part(name), room(name)
        shows = bool(own) and shown(name)
        for other in imported:
            theirs = part(other)
            allowed = theirs == mine or theirs in (SHOWN if shows else FLOORS[mine])
            elsewhere = bool(own and room(other) and room(other) != own)
            # Run ids leave figures and tables out, so nothing that makes numbers may need them.
            mixed = bool(own and room(other) == own and shows != shown(other))
            if elsewhere or mixed or not allowed:
                found.append(f"{name} imports {other}")
    return sorted(found)


def cycles(graph: Mapping[str, Collection[str]]) -> set[str]:
    """Modules that lie on a cycle of imports, or behind one."""
    left = {name: set(imported) & set(graph) for name, imported in graph.items()}
    while free := {name for name, imported in left.items() if not imported}:
        left = {name: imported - free for name, imported in left.items() if name not in free}
    return set(left)


def test_no_arrow_leads_up_and_no_task_knows_another():
    assert wrong(package()) == []


def test_no_imports_go_round():
    assert cycles(package()) == set()


@pytest.mark.parametrize(
    "source",
    [
        "from workbench.tasks import ner",
        "from workbench.tasks.ner import run",
        "from workbench.tasks.ner.run import run",
        "import workbench.tasks.ner.run",
        "def late():\n    from workbench.tasks.ner import run",
        "if TYPE_CHECKING:\n    from workbench.tasks.ner import run",
    ],
)
def test_an_import_counts_wherever_it_stands(source):
    known = {"workbench.tasks.ner", "workbench.tasks.ner.run"}
    (name,) = imports(source, known)
    assert wrong({"workbench.methods.asking": {name}, name: set()})
    assert cycles({"workbench.methods.asking": {name}, name: {"workbench.methods.asking"}})


def test_what_the_design_forbids_is_found():
    finance, ner = "workbench.tasks.finance", "workbench.tasks.ner"
    bad = {
        "workbench.core.paths": {"workbench.record.result"},
        f"{finance}.run": {f"{ner}.config", f"{finance}.config", "workbench.methods.shots"},
        f"{finance}.figures": {f"{finance}.verdict", "workbench.methods.shots"},
        f"{ner}.run": {f"{ner}.tables"},
        "workbench.report.page": {f"{ner}.config"},
    }
    assert wrong(bad) == [
        "workbench.core.paths imports workbench.record.result",
        f"workbench.report.page imports {ner}.config",
        f"{finance}.figures imports workbench.methods.shots",
        f"{finance}.figures imports {finance}.verdict",
        f"{finance}.run imports {ner}.config",
        f"{ner}.run imports {ner}.tables",
    ]


def test_floors_are_those_that_exist():
    assert set(FLOORS) == {part(dotted(path)) for path in MODULES}


def test_only_batch_imports_papermill():
    users = {
        part(dotted(path))
        for path in MODULES
        if re.search(r"(?m)^\s*(from|import) papermill", path.read_text())
    }
    assert users == {"batch"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(paths.PACKAGE)))
def test_module_has_docstring_and_keeps_its_budget(path):
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)) or not text, "an empty __init__.py needs none"
    assert len(text.splitlines()) <= MAX_MODULE or path.name in LONGER
    assert path.stem not in {"utils", "helpers", "common", "misc"}


def test_functions_keep_their_budget():
    lengths = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                lengths[f"{path.relative_to(paths.PACKAGE)}:{node.lineno} {node.name}"] = (
                    node.end_lineno - node.lineno + 1
                )
    too_long = {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION}
    assert set(too_long) <= set(LONGER), too_long
    assert median(lengths.values()) <= MAX_MEDIAN


def test_public_face_is_small_and_complete():
    import workbench

    assert len(workbench.__all__) <= 20
    assert workbench.__all__ == sorted(workbench.__all__)
    for name in workbench.__all__:
        assert getattr(workbench, name) is not None


@pytest.mark.parametrize("names", ["workbench", "workbench.cli", "workbench.batch.plan"])
def test_plans_and_command_line_load_no_torch(names):
    code = f"import sys, {names}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(("given", "expected"), [({}, "passive"), ({POLICY: "active"}, "active")])
def test_threads_wait_asleep_unless_the_user_says_otherwise(given, expected):
    code = f"import os, sys, workbench; print(os.environ[{POLICY!r}], 'torch' in sys.modules)"
    own = {name: value for name, value in os.environ.items() if name != POLICY}
    done = subprocess.run(
        [sys.executable, "-c", code], env=own | given, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [expected, "False"], "torch reads it when it is loaded"


def test_tasks_are_the_folders_and_say_what_comparisons_need():
    folders = {path.parent.name for path in (paths.PACKAGE / "tasks").glob("*/*.py")}
    assert set(tasks.TASKS) == folders
    for name, module in tasks.TASKS.items():
        assert module.Config.task == name
        module.Config.check(module.SMOKE)
        assert all(field.description for field in module.Config.model_fields.values())
        few = len(module.Config.model_fields) <= MAX_PARAMETERS
        assert few != (f"{name}.Config" in LONGER), "an exception that excuses nothing goes"
        said = {"right", "main_measure"} & vars(module.Config).keys()
        assert said, f"{name} doesn't say what is right of an item, or its main measure"
        run = tasks.load(name)
        assert all(callable(getattr(run, call)) for call in ("load_data", "load_model", "run"))


def test_data_sets_are_those_that_names_know():
    from workbench.core import sources

    assert set(data.DATASETS) == set(sources.known("dataset"))


def test_no_file_carries_outputs_or_weight():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=paths.ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in filter(None, listed):
        path = paths.ROOT / name
        if path.exists():
            assert path.stat().st_size <= 250_000, name
            assert name == name.lower() or path.suffix in {".md", ""}, name
