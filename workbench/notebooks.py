"""The project's notebooks: find them, read their task and parameters, keep their files tidy.

`python -m workbench.notebooks` rewrites every parameters cell from its task's Config and strips
outputs; with `--check` it only says which notebooks would change, and exits 1 if any.
"""

import ast
import difflib
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from workbench import tasks
from workbench.core import paths
from workbench.core.config import Config
from workbench.core.errors import NotebookError, ParameterError, WorkbenchError

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
PARAMETERS = "parameters"
MAX_BYTES, MAX_NAME = 100 << 20, 200
"""Bytes of a notebook that are read, and characters of a wrong name that are shown."""


@dataclass(frozen=True)
class Notebook:
    """One notebook file and what it says of itself."""

    path: Path
    content: Any
    """The nbformat 4.5 node."""

    @property
    def name(self) -> str:
        """File name without its ending, such as `50_ner`."""
        return self.path.stem

    @property
    def code_cells(self) -> list[Any]:
        """Its code cells in order."""
        return [cell for cell in self.content.cells if cell.cell_type == "code"]

    @property
    def parameters_cell(self) -> Any:
        """The one cell with the tag `parameters`."""
        tagged = [c for c in self.code_cells if PARAMETERS in c.metadata.get("tags", [])]
        if len(tagged) != 1:
            raise NotebookError(
                f"{self.path} has {len(tagged)} cells with the tag {PARAMETERS!r}", expected="one"
            )
        return tagged[0]

    @property
    def parameters(self) -> dict[str, Any]:
        """Names and values of the parameters cell; ParameterError where they are no literals."""
        try:
            nodes = ast.parse(self.parameters_cell.source).body
            return {ast.unparse(node.targets[0]): ast.literal_eval(node.value) for node in nodes}
        except (
            SyntaxError, ValueError, AttributeError, TypeError, RecursionError, MemoryError,
        ) as error:  # fmt: skip
            raise ParameterError(
                f"the parameters cell of {self.path} can't be read: {error}",
                expected="lines of name = value, the values plain literals",
            ) from None

    @property
    def smoke(self) -> dict[str, object]:
        """Parameters with which its task runs in seconds, to see that it works here."""
        found: dict[str, object] = tasks.find(self.config.task).SMOKE
        return found

    @property
    def config(self) -> type[Config]:
        """Config class of the task that the notebook starts."""
        unread = 0
        for cell in self.code_cells:
            try:
                nodes = list(ast.walk(ast.parse(_python(cell.source))))
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                unread += 1  # it fails when it is run, at the latest
                continue
            for node in nodes:
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "wb.start":
                    return tasks.find(self._task(node)).Config
        cells = f"; {unread} of its cells can't be read as Python" if unread else ""
        raise NotebookError(
            f"{self.path} starts no task{cells}",
            expected='a cell with: cfg = wb.start("<task>", globals())',
        )

    def configured(self, changes: Mapping[str, Any]) -> Config:
        """The checked parameters of its cell, with some values changed."""
        return tasks.check_data(self.config.check({**self.parameters, **changes}))

    def _task(self, call: ast.Call) -> str:
        """The task's name in a call of `wb.start`."""
        first = call.args[0] if call.args else None
        if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
            raise NotebookError(
                f"{self.path}: {ast.unparse(call)[:80]} names no task",
                expected='wb.start("<task>", globals()), the name as a literal',
            )
        return first.value

    @property
    def code_sha256(self) -> str:
        """Hash over the source of the code cells: prose and outputs don't count."""
        return hashlib.sha256("\0".join(c.source for c in self.code_cells).encode()).hexdigest()


def every() -> list[Path]:
    """All notebooks of the project, in order."""
    return sorted(paths.NOTEBOOKS.glob("*.ipynb"))


def find(name: str) -> Notebook:
    """The notebook of that name, with or without its number: `50_ner` or `ner`."""
    known = every()
    found = [path for path in known if name in (path.name, path.stem, _short(path))]
    if len(found) > 1:
        exact = [path for path in found if name == path.name]
        if not exact:
            raise ParameterError(
                f"{name!r} is the name of {len(found)} notebooks",
                expected=f"one of {', '.join(path.name for path in found)}",
                do="give the whole file name, or rename one of them",
            )
        found = exact
    if not found:
        short = [_short(path) for path in known]
        near = difflib.get_close_matches(name[:MAX_NAME], [*short, *(p.stem for p in known)], n=1)
        raise ParameterError(
            f"unknown notebook {name[:MAX_NAME]!r}",
            expected=f"one of {', '.join(short)}",
            do=f"did you mean {near[0]!r}?" if near else "",
        )
    return read(found[0])


def _short(path: Path) -> str:
    """A notebook's name without its number."""
    return path.stem.split("_", 1)[-1]


def read(path: Path) -> Notebook:
    """Read one notebook file; NotebookError where it is no whole notebook."""
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ValueError(f"it has {size:,} bytes, more than {MAX_BYTES:,}")
        content: Any = nbformat.read(path, as_version=4)
        nbformat.validate(content)
    except Exception as error:  # noqa: BLE001  nbformat's errors have no class in common
        why = str(error).strip().partition("\n")[0] or type(error).__name__
        raise NotebookError(
            f"{path} can't be read as a notebook: {why[:300]}",
            expected="a whole file of Jupyter's format 4",
            do="open it in JupyterLab, or take it back from version control",
        ) from None
    return Notebook(path, content)


def _python(source: str) -> str:
    """A cell as Python: IPython's own syntax, such as ?name, !command or %magic, as calls."""
    try:
        ast.parse(source)
    except SyntaxError:
        from IPython.core.inputtransformer2 import TransformerManager

        return str(TransformerManager().transform_cell(source))
    return source


def parameters_source(config: type[Config]) -> str:
    """Source of a parameters cell: every field with its default, its meaning as a comment."""
    inherited = Config.model_fields
    fields = sorted(config.model_fields.items(), key=lambda field: field[0] in inherited)
    return "\n".join(
        f"{name} = {_literal(field.default)}  # {field.description}" for name, field in fields
    )


def _literal(value: object) -> str:
    """A Python literal as the formatter would write it."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def tidy(notebook: Notebook) -> str:
    """The file's text as it should be: parameters from the class, no outputs, one kernel."""
    notebook.parameters_cell.source = parameters_source(notebook.config)
    notebook.content.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    for number, cell in enumerate(notebook.content.cells):
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        cell.id = f"cell-{number:02d}"
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.content.nbformat_minor = 5
    return nbformat.writes(notebook.content, indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Tidy all notebooks, or with `--check` name those that are not tidy; return an exit code."""
    changed = []
    for path in every():
        before = path.read_text(encoding="utf-8")
        try:
            after = tidy(read(path))
        except WorkbenchError as error:
            print(f"error: {path.name}: {error}", file=sys.stderr)
            return error.exit_code
        if after != before:
            changed.append(path.name)
            if "--check" not in arguments:
                path.write_text(after, encoding="utf-8")
    if changed and "--check" in arguments:
        print(f"not tidy: {', '.join(changed)}; do: make fmt", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
