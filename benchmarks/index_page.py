"""How long the index takes over many runs: to write, to write again, and to be seen in Chromium.

The runs are made up in a temporary folder, but they are valid: records, items and files as tasks
and the supervisor write them, with settings, seeds, failures and a plan. The last line is JSON.
"""

import argparse
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas

from workbench.core.files import write_json
from workbench.record import state
from workbench.record.result import ITEM_COLUMNS, Cost, Metric, Result
from workbench.report import index, planned

NER, CLASSES = ("test/entity_f1", "test/token_accuracy"), ("test/accuracy", "test/macro_f1")
TASKS = {
    # task: notebook, data set, items, clusters, labels an item, method, headline
    "ner": ("50_ner", "conll2003", 3453, 231, 13, "fine-tuned", NER),
    "fine_tuning": ("20_fine_tuning", "brand_tweets", 1500, 1500, 1, "full fine-tuning", CLASSES),
    "prompting": ("30_prompting", "brand_tweets", 200, 200, 1, "4 shots", CLASSES),
    "finance": ("40_finance", "sp500", 3962, 199, 1, "fine-tuned encoder", ("test/mcc",)),
}
WORDS = "rain over the harbour delayed three ferries while traders waited for new prices".split()
RATES, EPOCHS, MODELS = (0.0001, 0.0002, 0.0004, 0.001), (1, 2, 4, 8), ("minilm", "bert", "e5")
SEEDS = range(5)
OTHERS = ("TF-IDF + logistic regression", "nearest neighbours", "majority")
START = datetime.fromisoformat("2026-11-01T08:00:00+00:00")
MESSAGE = (
    "code cell 3 (data = wb.load_data(cfg)): DataError: train.conll:57: 3 columns\n"
    "expected: 4 columns\ndo: fix the line, or leave it out"
)


def items(task: str) -> pandas.DataFrame:
    """Items of a task without predictions: the same for all its runs."""
    _, _, n, clusters, labels, method, _ = TASKS[task]
    chance = np.random.default_rng(len(task))
    names = ("O", "B-PER", "B-LOC") if labels > 1 else ("negative", "neutral", "positive")
    gold = chance.choice(names, (n, labels)).tolist()
    spoken = chance.choice(WORDS, (n, 13)).tolist()
    columns = (
        [f"test/{place}" for place in range(n)], ["test"] * n, [method] * n,
        [str(place * clusters // n) for place in range(n)],
        spoken if labels > 1 else [[" ".join(words)] for words in spoken],
        gold, gold, chance.gamma(2, 0.5, n),
    )  # fmt: skip
    return pandas.DataFrame(dict(zip(ITEM_COLUMNS, columns, strict=True)))


def settings() -> Iterator[tuple[str, dict]]:
    """Tasks with parameters, seeds changing fastest, without end."""
    for rank in itertools.count(1):
        for axes in itertools.product(RATES, EPOCHS, MODELS, TASKS, SEEDS):
            rate, epochs, model, task, seed = axes
            yield task, {
                "seed": seed, "model": model, "dataset": TASKS[task][1], "epochs": epochs,
                "learning_rate": rate, "lora_rank": 8 * rank, "max_tokens": 128,
                "precision": "auto",
            }  # fmt: skip


def record(task: str, parameters: dict, share: float, chance: np.random.Generator) -> Result:
    """A record whose numbers lie about `share`."""
    notebook, dataset, n, clusters, _, method, headline = TASKS[task]
    values = {name: share - 0.05 * place for place, name in enumerate(headline)}
    how = f"percentile bootstrap over {clusters:,} clusters, 2,000 resamples"
    sources = {
        kind: {"name": name, "fingerprint": f"{name:0<64}", "about": "", "license": "", "terms": ""}
        for kind, name in (("model", parameters["model"]), ("dataset", dataset))
    }
    cost = Cost(
        seconds=chance.uniform(20, 400), train_seconds=chance.uniform(10, 300),
        memory_mb={"resident": chance.uniform(800, 3000)}, trained_tokens=90_000, device="cpu",
        precision="bfloat16",
    )  # fmt: skip
    metrics = {
        name: Metric(value=value, low=value - 0.02, high=value + 0.02, n=n, how=how)
        for name, value in values.items()
    }
    others = {other: share - 0.1 * place for place, other in enumerate(OTHERS, 1)}
    return Result(
        notebook=notebook, task=task, status="succeeded", parameters=parameters, method=method,
        headline=headline, cost=cost, environment={"python": "3.12", "packages": {}},
        sources=sources,
        metrics=metrics,
        baselines={
            other: {headline[0]: metrics[headline[0]].model_copy(update={"value": value})}
            for other, value in others.items()
        },
        comparisons={
            other: {headline[0]: Metric(
                value=share - value, low=share - value - 0.03, high=share - value + 0.03, n=n,
                how=how, p=0.001,
            )}
            for other, value in others.items()
        },
    )  # fmt: skip


def make(reports: Path, number: int, *, seed: int = 0, notebook_bytes: int = 400_000) -> list[str]:
    """Make run directories below `reports`, each 25th failed, and a plan; return the whole ones."""
    chance, whole, plan = np.random.default_rng(seed), [], []
    frames = {task: items(task) for task in TASKS}
    reports.mkdir(parents=True, exist_ok=True)
    (reports / "notebook").write_bytes(b"x" * notebook_bytes)
    for place, (task, parameters) in zip(range(number), settings(), strict=False):
        notebook = TASKS[task][0]
        directory = reports / "runs" / f"{notebook.replace('_', '-')}-{place:012x}"
        directory.mkdir(parents=True)
        os.link(reports / "notebook", directory / "notebook.ipynb")
        started = (START + timedelta(minutes=3 * place)).isoformat()
        facts = {"notebook": notebook, "task": task, "started": started}
        label = " ".join([notebook, *(f"{name}={value}" for name, value in parameters.items())])
        plan.append(planned.Planned(
            run_id=directory.name, label=label, notebook=notebook, task=task, status="new",
            why="never ran", seconds=200.0,
        ))  # fmt: skip
        write_json(directory / "params.json", parameters)
        if place % 25 == 24:
            state.write(directory, status="failed", message=MESSAGE, seconds=8.0, **facts)
            continue
        whole.append(directory.name)
        share = 0.6 + 0.05 * np.log2(parameters["epochs"]) + chance.normal(0, 0.01)
        found = record(task, parameters, share, chance).model_copy(update={"started": started})
        gold = frames[task]["gold"]
        right = chance.random(len(gold)) < share
        answer = [
            each if kept else ["other"] * len(each) for each, kept in zip(gold, right, strict=True)
        ]
        rows = frames[task].assign(predicted=answer)
        (directory / "report.html").write_text("<p>a page</p>", encoding="utf-8")
        state.write(directory, status="succeeded", message="", **facts)
        with contextlib.redirect_stdout(None):
            found.with_details(directory=None, items=rows, history=[]).save(directory)
    ahead = [each.model_copy(update={"run_id": f"{each.run_id}-next"}) for each in plan[-6:]]
    planned.write(reports, "default", [*plan, *ahead])
    return whole


def first_paint_ms(page: Path) -> float:
    """When Chromium first shows something of the page, in milliseconds after it began to load.

    Asked through the pipe of its developer tools, which no policy of the page concerns.
    """
    here, there = os.pipe(), os.pipe()
    browser = shutil.which("chromium")
    assert browser, "chromium is not installed"
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
            "--disable-background-networking", f"--user-data-dir={profile}", page.as_uri(),
        ]  # fmt: skip
        text = 'exec "$@" 3<&"$0" 4>&"$NAME"'
        process = subprocess.Popen(
            ["bash", "-c", text, str(here[0]), *command],
            env=os.environ | {"NAME": str(there[1])}, pass_fds=(here[0], there[1]),
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(here[0])
        os.close(there[1])
        try:
            return _ask(here[1], there[0])
        finally:
            process.terminate()
            process.wait(20)
            os.close(here[1])
            os.close(there[0])


def _ask(write: int, read: int) -> float:
    """Attach to the page and wait for its first contentful paint."""
    numbers = itertools.count(1)

    def call(method: str, **message: object) -> dict:
        asked = next(numbers)
        os.write(write, json.dumps({"id": asked, "method": method, **message}).encode() + b"\0")
        while True:
            text = b""
            while not text.endswith(b"\0"):
                if not (more := os.read(read, 1)):
                    raise ConnectionError("chromium ended")
                text += more
            answer = json.loads(text[:-1])
            if answer.get("id") == asked:
                return answer["result"]

    for _ in range(200):
        targets = call("Target.getTargets")["targetInfos"]
        if pages := [each["targetId"] for each in targets if each["url"].startswith("file:")]:
            break
        time.sleep(0.05)
    session = call("Target.attachToTarget", params={"targetId": pages[0], "flatten": True})
    asked = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1"
    for _ in range(400):
        found = call(
            "Runtime.evaluate", params={"expression": asked}, sessionId=session["sessionId"]
        )
        if (value := found["result"]["value"]) >= 0:
            return float(value)
        time.sleep(0.05)
    raise TimeoutError("no paint within 20 s")


def main() -> None:
    """Print a table and, last, one JSON object."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=2000)
    arguments.add_argument("--keep", type=Path, help="make the runs there and keep them")
    given = arguments.parse_args()
    with contextlib.ExitStack() as stack:
        folder = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if not (folder / "runs").exists():
            make(folder, given.runs)
            time.sleep(2)  # of files that have just changed no verdict is kept
        (folder / ".index-cache.json").unlink(missing_ok=True)
        seconds = []
        for _ in range(2):
            began = time.monotonic()
            page = index.write(folder)
            seconds.append(round(time.monotonic() - began, 2))
        paints = [round(first_paint_ms(page)) for _ in range(3)] if shutil.which("chromium") else []
        found = {
            "benchmark": "index_page",
            "runs": given.runs,
            "first_build_s": seconds[0],
            "next_build_s": seconds[1],
            "page_bytes": page.stat().st_size,
            "first_paint_ms": sorted(paints)[1] if paints else None,
        }
    print(f"{'runs':>8}{'first build':>14}{'next build':>14}{'page':>12}{'first paint':>14}")
    shown = f"{found['first_paint_ms']:,} ms" if paints else "no chromium"
    size = f"{found['page_bytes'] / 1e6:.2f} MB"
    print(f"{given.runs:>8,}{seconds[0]:>12} s{seconds[1]:>12} s{size:>12}{shown:>14}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
