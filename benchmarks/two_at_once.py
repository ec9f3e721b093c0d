"""A suite's runs one after another and two at once: `run-all --jobs 1` beside `--jobs 2`.

Three kinds of work: notebooks that do next to nothing, small runs, and training, whose matrix
products take every core already when a run is alone. Forked kernels on both sides. The time of a
suite of two is taken from that of a longer one, so that what a suite costs once is in neither; in
turn, medians of all. The last line is JSON.
"""

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from workbench import tasks
from workbench.batch import runner
from workbench.record.result import RESULT

SMOKE = tasks.TASKS["ner"].SMOKE
WORK: dict[str, dict[str, Any]] = {
    "notebook": {"notebook": "template"},
    "small": {"notebook": "ner", "parameters": {**SMOKE, "epochs": 8}},
    "training": {"notebook": "ner", "parameters": {**SMOKE, "epochs": 60}},
}
FEWEST = 2
"""Runs of the shorter suite, which has all that a suite costs once."""


def seconds(folder: Path, kind: str, jobs: int, runs: int) -> float:
    """Wall time of a suite of so many runs of the kind, seeds 0, 1, ..."""
    os.environ["WORKBENCH_REPORTS"] = str(folder)
    folder.mkdir(parents=True)
    suite = folder / "suite.yaml"
    suite.write_text(yaml.safe_dump({"runs": [WORK[kind] | {"seeds": list(range(runs))}]}))
    began = time.monotonic()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        runner.run_suite(str(suite), jobs)
    taken = time.monotonic() - began
    if (done := len(list(folder.glob(f"runs/*/{RESULT}")))) != runs:
        sys.exit(f"{runs - done} of {runs} runs failed")
    return taken


def main() -> None:
    """Measure, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--runs", type=int, default=8, help="more than two, in the longer suite")
    parser.add_argument("--kinds", nargs="+", default=list(WORK), choices=list(WORK))
    options = parser.parse_args()
    report: dict[str, Any] = {"cores": os.cpu_count(), "runs": options.runs}
    load = os.getloadavg()[0]
    print(f"{'seconds a run more':<20}{'--jobs 1':>10}{'--jobs 2':>10}{'times':>8}")
    with tempfile.TemporaryDirectory() as name:
        for kind in options.kinds:
            found: dict[int, list[float]] = {1: [], 2: []}
            for turn in range(options.repetitions):
                for jobs, times in found.items():
                    folder = Path(name) / kind / f"{turn}-{jobs}"
                    few = seconds(folder / "few", kind, jobs, FEWEST)
                    many = seconds(folder / "many", kind, jobs, FEWEST + options.runs)
                    times.append((many - few) / options.runs)
            one, two = (median(times) for times in found.values())
            print(f"{kind:<20}{one:10.2f}{two:10.2f}{one / two:8.2f}")
            report[kind] = {"jobs_1": found[1], "jobs_2": found[2], "ratio": one / two}
    report["load_before_and_after"] = [load, os.getloadavg()[0]]
    print(json.dumps(report))


if __name__ == "__main__":
    main()
