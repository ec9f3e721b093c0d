"""Arrows between modules, and budgets: what keeps the package small enough to read."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

from workbench import data, tasks
from workbench.core import paths

MODULES = sorted(path for path in paths.PACKAGE.rglob("*.py"))
BASE = {"errors", "files", "paths", "workbench"}
# Module or folder -> what it may import from the package, besides itself and BASE.
ARROWS = {
    "artefacts": set(),
    "assets": set(),
    "bootstrap": set(),
    "environment": {"bootstrap"},
    "iob": set(),
    "intervals": set(),
    "statistics": {"intervals", "metric"},
    "comparison": {"f1", "intervals", "metric", "result", "statistics"},
    "runs": {"artefacts", "result"},
    "config": set(),
    "metric": set(),
    "result": {"artefacts", "metric"},
    "state": {"result"},
    "machine": {"ranks"},
    "ranks": set(),
    "sources": {"assets"},
    "f1": {"metric", "statistics"},
    "metrics": {"f1", "iob", "statistics"},
    "data": {"iob", "result", "sources"},
    "models": {"iob", "machine", "sources"},
    "training": {"machine", "ranks", "result"},
    "scoring": {"machine", "models"},
    "generation": {"machine", "models", "scoring"},
    "tasks": {
        "config", "data", "f1", "generation", "iob", "machine", "metrics", "models", "result",
        "scoring", "sources", "statistics", "training", "yaml_file",
    },
    "figures": {"iob", "result", "statistics"},
    "tables": {"iob", "result", "statistics"},
    "flow": {"config", "machine", "result", "tasks"},
    "notebooks": {"config", "tasks"},
    "report": {"comparison", "result", "state"},
    "batch": {
        "assets", "config", "machine", "notebooks", "ranks", "report", "result", "sources", "state",
        "yaml_file",
    },
    "yaml_file": set(),
    "cli": {
        "assets", "batch", "comparison", "config", "data", "notebooks", "ranks", "report", "result",
        "runs", "tasks",
    },
    "__main__": {"cli"},
    "__init__": {"config", "figures", "flow", "result", "tables"},
}  # fmt: skip
MAX_MODULE, MAX_FUNCTION, MAX_MEDIAN, MAX_PARAMETERS = 300, 50, 15, 12
LONGER = {
    # name: reason why it may exceed a budget
    "fine_tuning.Config": "a table of one's own needs two columns named, and slices of it",
    "finance.Config": "prices of one's own need two columns and the order of dates named",
    "prompting.Config": "a table of one's own needs two columns named, and wordings for it",
}


def part(path: Path) -> str:
    """Top-level module or folder that a file belongs to."""
    return path.relative_to(paths.PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Parts of the package that a module imports, at the top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            words = node.module.split(".")
            if words[0] == "workbench":
                found |= {words[1]} if len(words) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("workbench.")}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(paths.PACKAGE)))
def test_module_imports_only_along_the_arrows(path):
    extra = imports(path) - ARROWS.get(part(path), set()) - BASE - {part(path)}
    assert not extra, f"{path.name} imports {extra}; an arrow that design does not have"


def test_arrows_name_only_parts_that_exist():
    assert set(ARROWS) == {part(path) for path in MODULES} - BASE


def test_only_batch_imports_papermill():
    users = {
        part(path)
        for path in MODULES
        if re.search(r"(?m)^\s*(from|import) papermill", path.read_text())
    }
    assert users == {"batch"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(paths.PACKAGE)))
def test_module_has_docstring_and_keeps_its_budget(path):
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
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

    assert len(workbench.__all__) <= 15
    assert workbench.__all__ == sorted(workbench.__all__)
    for name in workbench.__all__:
        assert getattr(workbench, name) is not None


@pytest.mark.parametrize("names", ["workbench", "workbench.cli", "workbench.batch.plan"])
def test_plans_and_command_line_load_no_torch(names):
    code = f"import sys, {names}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_registries_agree_with_files_and_classes():
    files = {path.stem for path in (paths.PACKAGE / "tasks").glob("*.py")}
    assert set(tasks.TASKS) == {name for name in files if hasattr(tasks.TASKS.get(name), "Config")}
    for name, module in tasks.TASKS.items():
        assert module.Config.task == name
        module.Config.check(module.SMOKE)
        assert all(field.description for field in module.Config.model_fields.values())
        few = len(module.Config.model_fields) <= MAX_PARAMETERS
        assert few or f"{name}.Config" in LONGER

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
