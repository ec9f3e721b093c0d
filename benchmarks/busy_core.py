"""What a busy core beside it costs training and scoring, by how OpenMP's threads wait.

Threads that finish their part of a matrix product wait for the others: by spinning, which keeps
their core, or asleep (`OMP_WAIT_POLICY=passive`, GNU libgomp's GOMP_SPINCOUNT=0). Where another
process holds a core, one thread spins while the other waits for the core that it spins on. Each
setting runs a small `20_fine_tuning` and a small `31_multiple_choice`, quiet and beside a process
that computes without end, in turn; the times are those of the runs' records, without the start of
Python. The last line is JSON.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from workbench.record.result import RESULT

SETTINGS = {
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "spin 1,000": {"GOMP_SPINCOUNT": "1000"},
    "spin 10,000": {"GOMP_SPINCOUNT": "10000"},
    "libgomp's own (300,000)": {"GOMP_SPINCOUNT": "300000"},
}
"""GOMP_SPINCOUNT goes before the policy; 300,000 is what libgomp spins where nothing is set."""
WORK = {
    "training": ["fine_tuning", "train_texts=400", "test_texts=200", "epochs=1"],
    "scoring": ["multiple_choice", "items=60", "shots=0"],
}


def seconds(kind: str, environment: dict[str, str], limit_s: float) -> float | None:
    """Wall time of one run as its record has it; None where it took longer than the limit."""
    notebook, *settings = WORK[kind]
    command = [sys.executable, "-m", "workbench", "run", notebook]
    command += [word for setting in settings for word in ("--set", setting)]
    kept = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    with tempfile.TemporaryDirectory() as folder:
        own = {"WORKBENCH_REPORTS": folder, "WORKBENCH_MODELS": "none"}
        try:
            subprocess.run(
                command, env=kept | own | environment, check=True, capture_output=True,
                timeout=limit_s,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
        record = next(Path(folder).glob(f"runs/*/{RESULT}"))
        return float(json.loads(record.read_text())["cost"]["seconds"])


@contextlib.contextmanager
def busy_core() -> Iterator[None]:
    """Keep one core busy while the block runs."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Measure, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--kinds", nargs="+", default=list(WORK), choices=list(WORK))
    parser.add_argument("--limit", type=float, default=600, help="seconds after which a run ends")
    options = parser.parse_args()
    report: dict[str, Any] = {"cores": os.cpu_count(), "load_before": os.getloadavg()[0]}
    print(f"{'work':<10}{'setting':<26}{'quiet':>9}{'busy':>9}{'ratio':>8}")
    for kind in options.kinds:
        found: dict[str, dict[str, list[float]]] = {}
        for _ in range(options.repetitions):
            for name in options.settings:
                times = found.setdefault(name, {"quiet": [], "busy": []})
                quiet = seconds(kind, SETTINGS[name], options.limit)
                with busy_core():
                    busy = seconds(kind, SETTINGS[name], options.limit)
                times["quiet"].append(options.limit if quiet is None else quiet)
                times["busy"].append(options.limit if busy is None else busy)
        for name, times in found.items():
            quiet, busy = median(times["quiet"]), median(times["busy"])
            cut = "at least " if busy >= options.limit else ""
            print(f"{kind:<10}{name:<26}{quiet:8.1f}s{busy:8.1f}s{cut:>9}{busy / quiet:8.2f}")
        report[kind] = found
    print(json.dumps(report))


if __name__ == "__main__":
    main()
