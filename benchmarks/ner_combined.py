"""Taggers combined: the mean of their log-probabilities, word by word, and the best tags of that.

  python benchmarks/ner_combined.py RUN RUN ...
Each RUN is the directory of a run of `50_ner` on the same data that kept its model. Which of them
to combine, validation says; the test split is read once for it and for the best single run.
Differences are paired, over documents. The last line is JSON.
"""

import argparse
import json
from itertools import combinations
from pathlib import Path

import numpy as np

import workbench as wb
from workbench.core import machine
from workbench.core.config import names
from workbench.data import ner
from workbench.data.ner import NerData
from workbench.methods import export
from workbench.methods.tagging import Scores, tag_scores
from workbench.models.encoder import TokenClassifier
from workbench.record import iob
from workbench.record.metric import Metric
from workbench.record.result import Result

Tags = list[list[str]]


def scored(directory: Path, data: NerData, split: str) -> Scores:
    """Log-probabilities [words, labels] of a split by the model that a run kept."""
    model, settings = export.load(
        directory / export.FOLDER, Result.read_record(directory).tables["model_files"]
    )
    assert isinstance(model, TokenClassifier)
    assert model.labels == list(data.labels), f"{directory} has other labels"
    model.to(machine.device())
    rows = data.splits[split]
    return tag_scores(
        model,
        list(rows["tokens"]),
        list(rows["document"]),
        window_tokens=settings["window_tokens"],
        dtype=machine.precision("auto", model.encoder.device),
        extras=names(settings["extras"]),
        progress=f"{directory.name}: {split}",
    )


def decoded(read: list[Scores], data: NerData) -> Tags:
    """The best valid tags under the mean of several readings."""
    means = (np.mean(rows, axis=0) for rows in zip(*read, strict=True))
    return [iob.decode(mean, list(data.labels)) for mean in means]


def score(tags: Tags, data: NerData, split: str) -> Metric:
    """Entity F1, with its interval over documents."""
    rows = data.splits[split]
    gold = list(rows["ner_tags"])
    return wb.measure(gold, tags, clusters=list(rows["document"]))["entity_f1"]


def main() -> None:
    """Score every combination on validation, the best of them on the test split."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path)
    options = parser.parse_args()
    records = [Result.read_record(directory) for directory in options.runs]
    (dataset,) = {record.parameters["dataset"] for record in records}
    data = ner.load(dataset)
    read = [scored(directory, data, "validation") for directory in options.runs]
    found = {}
    for size in range(1, len(read) + 1):
        for chosen in combinations(range(len(read)), size):
            tags = decoded([read[place] for place in chosen], data)
            found[chosen] = score(tags, data, "validation")
            print(f"validation {found[chosen]}: {_named(chosen, records)}")
    best = max(found, key=lambda chosen: found[chosen].value)
    single = max((one for one in found if len(one) == 1), key=lambda one: found[one].value)
    tested = {place: scored(options.runs[place], data, "test") for place in {*best, *single}}
    ours, theirs = (decoded([tested[place] for place in chosen], data) for chosen in (best, single))
    report = {}
    for name, chosen, tags in (("single", single, theirs), ("combined", best, ours)):
        metric = score(tags, data, "test")
        print(f"test {metric}: {_named(chosen, records)}")
        report[name] = {"runs": _named(chosen, records), "f1": metric.value, "low": metric.low,
                        "high": metric.high, "validation": found[chosen].value}  # fmt: skip
    rows = data.splits["test"]
    gold, documents = list(rows["ner_tags"]), list(rows["document"])
    apart = wb.compare(gold, ours, theirs, clusters=documents)["entity_f1"]
    print(f"combined minus single: {apart:+}")
    print(json.dumps(report | {"difference": [apart.value, apart.low, apart.high]}))


def _named(chosen: tuple[int, ...], records: list[Result]) -> str:
    own = [records[place].parameters for place in chosen]
    return " + ".join(f"{each['model']} seed {each['seed']}" for each in own)


if __name__ == "__main__":
    main()
