"""What a notebook costs besides its work: `run-all` with forked kernels beside papermill.

The notebook imports torch, transformers, datasets and evaluate and does the template's task, which
is next to nothing. Ours is all that `run-all` does for one notebook more: a process, a kernel, the
imports, the cells, records, page and index. The peer is `papermill.execute_notebook` in a process
that has imported papermill, with a new kernel each time: no page. Both in turn, medians of all.
The last line is JSON.
"""

import argparse
import contextlib
import io
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

import nbformat
import papermill
import yaml
from nbformat.v4 import new_code_cell, new_notebook

from workbench import notebooks
from workbench.batch import runner
from workbench.core import paths
from workbench.record.result import DRAFT, ITEMS, NOTEBOOK, PARAMETERS, RESULT

NAME = "90_fixed"
CELLS = (
    'import workbench as wb\n\ncfg = wb.start("template", globals())',
    "import datasets\nimport evaluate\nimport torch\nimport transformers",
    "data = wb.load_data(cfg)",
    "model = wb.load_model(cfg)",
    "result = wb.run(cfg, model, data)",
    "result.save();",
)


def write_notebook(folder: Path) -> None:
    """The notebook that both sides run."""
    first = notebooks.parameters_source(notebooks.tasks.TASKS["template"].Config)
    cells = [new_code_cell(first, metadata={"tags": ["parameters"]})]
    content = new_notebook(cells=cells + [new_code_cell(cell) for cell in CELLS])
    content.metadata.kernelspec = notebooks.KERNEL
    folder.mkdir()
    nbformat.write(content, folder / f"{NAME}.ipynb")


def taken(work: Callable[[], object]) -> tuple[float, float]:
    """Wall seconds of work, and processor seconds of this process and all that it waited for."""

    def spent() -> float:
        both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in both)

    began, before = time.monotonic(), spent()
    work()
    return time.monotonic() - began, spent() - before


def ours(folder: Path, count: int) -> tuple[float, float, list[float]]:
    """Run a suite of `count` notebooks: wall and processor seconds, and when each had ended."""
    os.environ["WORKBENCH_REPORTS"] = str(folder)
    suite = folder / "suite.yaml"
    folder.mkdir(parents=True)
    suite.write_text(yaml.safe_dump({"runs": [{"notebook": NAME, "seeds": list(range(count))}]}))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        wall, processor = taken(lambda: runner.run_suite(str(suite), 1))
    ended = sorted(path.stat().st_mtime for path in folder.glob(f"runs/*/{RESULT}"))
    if len(ended) != count:
        sys.exit(f"{count - len(ended)} of {count} runs failed")
    return wall, processor, ended


def peer(folder: Path, seed: int, *, command: bool) -> tuple[float, float]:
    """Run the notebook through papermill: wall and processor seconds."""
    folder.mkdir(parents=True)
    os.environ["WORKBENCH_RUN_DIRECTORY"] = str(folder)
    source, target = paths.NOTEBOOKS / f"{NAME}.ipynb", folder / NOTEBOOK
    try:
        if command:
            words = [sys.executable, "-m", "papermill", "--no-progress-bar", "--cwd", source.parent]
            words += ["-p", "seed", str(seed), source, target]
            return taken(lambda: subprocess.run(words, capture_output=True, check=True))
        return taken(
            lambda: papermill.execute_notebook(
                source, target, {"seed": seed}, progress_bar=False, cwd=source.parent
            )
        )
    finally:
        del os.environ["WORKBENCH_RUN_DIRECTORY"]


def outputs(directory: Path) -> list[object]:
    """What the cells gave, but for the directory that it was saved to."""
    return [
        (output.output_type, output.get("text", "").replace(str(directory), ""), output.get("data"))
        for cell in nbformat.read(directory / NOTEBOOK, as_version=4).cells
        for output in cell.get("outputs", [])
    ]


def equal(run: Path, other: Path) -> bool:
    """Whether outputs, items and metrics are the same."""
    record, draft = (json.loads(path.read_text()) for path in (run / RESULT, other / DRAFT))
    same = [record[part] == draft[part] for part in ("metrics", "data_issues", "parameters")]
    same += [(run / ITEMS).read_bytes() == (other / ITEMS).read_bytes()]
    for ours, theirs in itertools.zip_longest(outputs(run), outputs(other)):
        same.append(ours == theirs)
        if ours != theirs:
            print(f"differs: {ours!r:.2000}\nfrom {theirs!r:.2000}")
    return all(same)


def by_seed(folder: Path) -> dict[int, Path]:
    """Directories of a suite's runs."""
    return {
        json.loads((path / PARAMETERS).read_text())["seed"]: path for path in folder.glob("runs/*/")
    }


def measure(folder: Path, repetitions: int, count: int) -> dict[str, list[float]]:
    """Both sides in turn; lists of seconds."""
    found: dict[str, list[float]] = {}

    def add(**values: float) -> None:
        for name, value in values.items():
            found.setdefault(name, []).append(value)

    for turn in range(repetitions):
        base = folder / str(turn)
        # The fewest for which a server is started; what it costs is in both and cancels out.
        two, two_processor, _ = ours(base / "two", 2)
        many, many_processor, ended = ours(base / "many", count)
        for before, after in itertools.pairwise(ended):
            add(ours=after - before)
        add(two=two, suite=many, ours_processor=(many_processor - two_processor) / (count - 2))
        runs = by_seed(base / "many")
        for seed in range(2):
            wall, processor = peer(base / f"peer{seed}", seed, command=False)
            add(peer=wall, peer_processor=processor)
            add(equal=float(equal(runs[seed], base / f"peer{seed}")))
        add(command=peer(base / "command", 0, command=True)[0])
    return found


def main() -> None:
    """Measure, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--notebooks", type=int, default=8, help="in the suite of ours")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths.NOTEBOOKS = folder / "notebooks"
        write_notebook(paths.NOTEBOOKS)
        found = measure(folder, options.repetitions, options.notebooks)
    seconds = {key: median(values) for key, values in found.items()}
    rows = {
        "run-all, forked kernel: one notebook more": "ours",
        "  its processor time": "ours_processor",
        "run-all: a suite of two, with the server's start": "two",
        f"run-all: a suite of {options.notebooks}": "suite",
        "papermill.execute_notebook, new kernel": "peer",
        "  processor time of that": "peer_processor",
        "papermill as a command": "command",
    }
    for text, key in rows.items():
        low, high = min(found[key]), max(found[key])
        print(f"{text:<50} {seconds[key]:7.2f} s  [{low:.2f}, {high:.2f}], n = {len(found[key])}")
    report = {
        "ratio": seconds["peer"] / seconds["ours"],
        "ratio_of_processor_time": seconds["peer_processor"] / seconds["ours_processor"],
        "ratio_to_the_command": seconds["command"] / seconds["ours"],
        "ratio_of_the_suite": options.notebooks * seconds["peer"] / seconds["suite"],
        "outputs_equal": min(found["equal"]) == 1,
        "seconds": seconds,
        "notebooks": options.notebooks,
        "load_before_and_after": [load, os.getloadavg()[0]],
        "compared": "run-all with forked kernels; papermill.execute_notebook with a new kernel",
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
