"""What each extra of the tagger is worth: runs with it beside runs without, over the same seeds.

Reads the finished runs of `make run-all SUITE=ner_extras`, or any other named-entity runs of the
same data and version, and compares each setting with the default on the test sentences: mean and
standard deviation of entity F1 over the seeds, and the paired difference of the means over draws of
documents. The interval says how far the choice of test documents matters; the differences seed by
seed say how far that of the seed does. Seconds are of the whole run; two runs at once slow each
other. With `--cost` nothing is read: each setting of the suite trains on the first sentences and
tags some, in turn and several times, and what it takes beside the default is printed.
The last line is JSON.
"""

import argparse
import dataclasses
import json
import time
from collections import defaultdict
from typing import Any

import numpy as np
import yaml

from workbench.core import machine, paths
from workbench.data import ner as ner_data
from workbench.methods import taggers as ner_tagger
from workbench.models.encoder import TokenClassifier
from workbench.record import metrics as m
from workbench.record.draws import Counts
from workbench.record.result import Metric, Result
from workbench.record.runs import read
from workbench.record.statistics import measure
from workbench.tasks.ner import run as ner
from workbench.tasks.ner.config import Config
from workbench.training import Log

ROUNDS, SENTENCES = 3, {"train": 1000, "validation": 100, "test": 600}
"""What a cost is measured by: how often, and on how many first sentences."""
FREE = ("seed", "transfer")
"""Parameters that make no other setting."""
Setting = dict[int, Result]
"""Seed -> run."""


def settings(dataset: str) -> dict[str, Setting]:
    """Finished runs by what is set otherwise than by default, the newest of each seed."""
    grouped: dict[str, Setting] = defaultdict(dict)
    records = [
        (record.started, folder.parent.name, record)
        for folder in (paths.reports() / "runs").glob("*/result.json")
        if (record := Result.read_record(folder.parent)).task == "ner"
        and record.parameters["dataset"] == dataset
        and set(record.parameters) == set(Config.model_fields)
    ]
    for _, name, record in sorted(records, key=lambda row: row[0]):
        grouped[_name(record.parameters)][record.parameters["seed"]] = read(name)
    return dict(sorted(grouped.items()))


def _name(parameters: dict[str, Any]) -> str:
    default = {name: field.default for name, field in Config.model_fields.items()}
    changed = [
        f"{name}={value}"
        for name, value in parameters.items()
        if name not in FREE and value != default[name]
    ]
    return "; ".join(changed) or "default"


def entities(run: Result) -> Counts:
    """Correct, predicted and gold entities of each test document [documents, 3]."""
    tags = [[list(row) for row in run.items[side]] for side in ("gold", "predicted")]
    kinds = sorted({tag[2:] for rows in tags for row in rows for tag in row} - {""})
    return m.entity_counts(*tags, list(run.items["cluster"]), kinds).sum(axis=1)


def difference(one: Setting, base: Setting) -> Metric | None:
    """Mean entity F1 over the seeds of both, one minus base, over draws of documents."""
    seeds = sorted(set(one) & set(base))
    counts = np.stack(
        [np.stack([entities(side[seed]) for seed in seeds], axis=1) for side in (one, base)], axis=1
    )
    return measure(
        counts,
        lambda sums: np.subtract(*np.moveaxis(m.f1(sums).mean(axis=-1), -1, 0)),
        n=int(counts[:, 0, 0, 2].sum()),
        clusters="documents",
    )


def row(setting: Setting, base: Setting) -> dict[str, Any]:
    """Scores, difference and cost of a setting."""
    found: dict[str, Any] = {"seeds": sorted(setting)}
    for split in ("validation", "test"):
        values = [run.metrics[f"{split}/entity_f1"].value for run in setting.values()]
        found[split] = float(np.mean(values))
        found[f"{split}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    found["seconds"] = float(np.mean([run.cost.seconds for run in setting.values()]))
    shared = sorted(set(setting) & set(base))
    if setting is not base and shared:
        metric = difference(setting, base)
        scores = [
            [side[s].metrics["test/entity_f1"].value for s in shared] for side in (setting, base)
        ]
        found["difference"] = metric.model_dump() if metric else None
        found["by_seed"] = np.subtract(*scores).tolist()
    return found


def cost(dataset: str, extras: str) -> tuple[float, float]:
    """Seconds to train an epoch on the first sentences, and to tag some."""
    config = Config(dataset=dataset, extras=extras, transfer="", epochs=1)
    whole = ner_data.load(dataset)
    splits = {name: whole.splits[name].select(range(size)) for name, size in SENTENCES.items()}
    data = dataclasses.replace(whole, splits=type(whole.splits)(splits))
    machine.seed(0)
    model = ner.load_model(config)
    tagger = TokenClassifier(model, data.labels)
    fit, _ = ner_tagger.train(config, tagger, data, Log(None))
    began = time.monotonic()
    ner_tagger.predict(tagger, data, "test", config)
    return fit.seconds, time.monotonic() - began


def costs(dataset: str) -> None:
    """Print what each setting of the suite takes beside its first, the default."""
    suite = yaml.safe_load((paths.SUITES / "ner_extras.yaml").read_text(encoding="utf-8"))
    extras = suite["runs"][0]["grid"]["extras"]
    cost(dataset, extras[0])  # what is slow the first time
    # The default begins and ends each round; beside the mean of both, it shows what is noise.
    turns = [*extras, extras[0]]
    taken = np.array([[cost(dataset, each) for each in turns] for _ in range(ROUNDS)])
    ratios = taken / taken[:, [0, -1]].mean(axis=1, keepdims=True)
    middle, low, high = np.median(ratios, axis=0), ratios.min(axis=0), ratios.max(axis=0)
    width = max(map(len, extras)) + 2
    print(f"{'times the default, of ' + str(ROUNDS):<{width}}{'training':<20}tagging")
    for row, name in enumerate(extras):
        texts = [
            f"{middle[row, part]:.2f} [{low[row, part]:.2f}, {high[row, part]:.2f}]"
            for part in (0, 1)
        ]
        print(f"{name:<{width}}{texts[0]:<20}{texts[1]}")
    print(json.dumps(dict(zip(extras, np.median(taken, axis=0)[:-1].tolist(), strict=True))))


def main() -> None:
    """Print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", default="conll2003")
    parser.add_argument("--base", default="default", help="the setting to compare with")
    parser.add_argument("--cost", action="store_true", help="measure what each setting takes")
    options = parser.parse_args()
    if options.cost:
        costs(options.dataset)
        return
    found = settings(options.dataset)
    if options.base not in found:
        raise SystemExit(f"no runs of {options.base!r}; there are: {', '.join(found) or 'none'}")
    base = found[options.base]
    table = {name: row(setting, base) for name, setting in found.items()}
    width = max(map(len, table)) + 2
    print(f"{'':<{width}}seeds  validation        test                 s  test minus base, by seed")
    for name, values in table.items():
        scores = [
            f"{values[split]:.4f}" + (f" ±{sd:.4f}" if (sd := values[f"{split}_sd"]) else " " * 8)
            for split in ("validation", "test")
        ]
        text = f"{name:<{width}}{len(values['seeds']):>5}  {'  '.join(scores)}"
        text += f"  {values['seconds']:5.0f}"
        if values.get("difference"):
            by_seed = ", ".join(f"{value:+.4f}" for value in values["by_seed"])
            text += f"  {Metric(**values['difference']):+} ({by_seed})"
        print(text)
    print(json.dumps(table))


if __name__ == "__main__":
    main()
