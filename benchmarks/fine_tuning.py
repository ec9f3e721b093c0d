"""Fine-tuning for named entities: the workbench beside transformers' Trainer, in one run.

All learn the same sentences for the same epochs from the same weights, and tag the same test
sentences. The peers are `Trainer` as `run_ner.py` calls it: sentences padded to the longest of
their batch, a word read at its first piece, everything else at its default; and the same with
batches of like length and bfloat16. Speed is subword tokens of the training text a second of
training, special tokens and padding not counted, so that it is the same text for all. Tags of all
are decoded to the best valid sequence, which favours the peers. The last line is JSON.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import (
    AutoModelForTokenClassification,
    DataCollatorForTokenClassification,
    Trainer,
    TrainingArguments,
)

from workbench import flow
from workbench.core import machine
from workbench.data.ner import NerData
from workbench.models.encoder import Encoder
from workbench.record import iob
from workbench.record import metrics as m
from workbench.record.result import Metric
from workbench.record.statistics import measure
from workbench.tasks.ner import run as ner

IGNORED = -100
"""Label of what is no first piece, which the loss leaves out."""
PEERS: dict[str, dict[str, Any]] = {
    "Trainer, defaults": {},
    "Trainer, lengths grouped, bfloat16": {
        "train_sampling_strategy": "group_by_length",
        "bf16": True,
    },
}


@dataclass(frozen=True)
class Outcome:
    """One way of training: seconds of it, and the tags of each test sentence."""

    seconds: float
    tags: Sequence[Sequence[str]]


def ours(config: ner.Config, data: NerData) -> Outcome:
    """Train and tag as the notebook does."""
    result = flow.run(config, ner.load_model(config), data)
    return Outcome(result.cost.train_seconds, [list(tags) for tags in result.items["predicted"]])


def peer(config: ner.Config, data: NerData, encoder: Encoder, **options: Any) -> Outcome:
    """Train and tag as `run_ner.py` of transformers does."""
    rows = {name: _encode(data, name, encoder) for name in ("train", "test")}
    model = AutoModelForTokenClassification.from_pretrained(
        encoder.source.path, num_labels=len(data.labels), dtype=torch.float32
    )
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            num_train_epochs=config.epochs,
            seed=config.seed,
            save_strategy="no",
            use_cpu=encoder.device.type == "cpu",
            **options,
        )
        trainer = Trainer(
            model,
            arguments,
            train_dataset=rows["train"],
            data_collator=DataCollatorForTokenClassification(encoder.tokenizer),
        )
        began = time.monotonic()
        trainer.train()
        seconds = time.monotonic() - began
        # With lengths grouped it would read, and return, the test sentences in another order.
        arguments.train_sampling_strategy = "sequential"
        answer = trainer.predict(rows["test"])
    tags = []
    for scores, seen, labels in zip(
        answer.predictions, answer.label_ids, rows["test"]["labels"], strict=True
    ):
        assert list(seen[: len(labels)]) == labels, "the peer's answers are in another order"
        first = np.array(labels) != IGNORED
        tags.append(iob.decode(scores[: len(labels)][first].astype(np.float64), data.labels))
    if list(map(len, tags)) != list(map(len, data.splits["test"]["ner_tags"])):
        raise SystemExit("a test word has no piece of its own: the peer can't be scored")
    return Outcome(seconds, tags)


def _encode(data: NerData, split: str, encoder: Encoder) -> Dataset:
    """Sentences as token ids, with the tag of each word at its first piece."""
    words, tags = list(data.splits[split]["tokens"]), list(data.splits[split]["ner_tags"])
    encoded = encoder.tokenizer(words, is_split_into_words=True, truncation=True)
    labels = []
    for index, sentence in enumerate(tags):
        places = encoded.word_ids(index)
        first = [
            word is not None and word != before
            for before, word in zip([None, *places], places, strict=False)
        ]
        row = zip(places, first, strict=True)
        labels.append([data.labels.index(sentence[p]) if new else IGNORED for p, new in row])
    return Dataset.from_dict({**encoded, "labels": labels})


def f1_over(data: NerData, ours: Outcome, theirs: Outcome) -> tuple[Metric, Metric]:
    """Entity F1 of a peer, and ours minus it over the same draws of test documents."""
    rows = data.splits["test"]
    counts = np.stack(
        [
            m.entity_counts(list(rows["ner_tags"]), way.tags, rows["document"], data.types).sum(1)
            for way in (theirs, ours)
        ],
        axis=1,
    )
    statistics = (
        lambda sums: m.f1(sums[:, 0]),
        lambda sums: m.f1(sums[:, 1]) - m.f1(sums[:, 0]),
    )
    entities = int(counts[:, 0, 2].sum())
    found = [measure(counts, s, n=entities, clusters="documents") for s in statistics]
    assert found[0] is not None
    assert found[1] is not None
    return found[0], found[1]


def peak_flops(dtype: torch.dtype, place: torch.device) -> float:
    """Floating-point operations a second of a large square matrix product, the best of ten."""
    size = 8192 if place.type == "cuda" else 2048
    factor = torch.randn(size, size, dtype=dtype, device=place)
    best = 0.0
    for _ in range(10):
        began = time.monotonic()
        float((factor @ factor)[0, 0])
        best = max(best, 2 * size**3 / (time.monotonic() - began))
    return best


def options() -> dict[str, Any]:
    """What the command line asks for, by parameter of the task."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", default="conll2003")
    parser.add_argument("--epochs", type=int, default=ner.Config.model_fields["epochs"].default)
    parser.add_argument("--seed", type=int, default=0)
    return vars(parser.parse_args())


def main() -> None:
    """Measure, print the table and the JSON line."""
    load = os.getloadavg()[0]
    # The extras of reading would help our score and cost no training time.
    config = ner.Config.check(options() | {"extras": "casing", "transfer": ""})
    data, encoder = ner.load_data(config), ner.load_model(config)
    place = encoder.device
    train = data.splits["train"]
    segments = encoder.segments(list(train["tokens"]), list(train["document"]))
    tokens = config.epochs * sum(segment.length for segment in segments)
    body = sum(p.numel() for n, p in encoder.network.named_parameters() if "embeddings" not in n)
    dtype = machine.precision(config.precision, place)
    peak = peak_flops(dtype, place)

    mine = ours(config, data)
    speed = tokens / mine.seconds
    report: dict[str, Any] = {
        "dataset": config.dataset,
        "epochs": config.epochs,
        "tokens_per_s": speed,
        "peak_flops": peak,
        "utilisation": 6 * body * speed / peak,
    }
    table = [f"{'':<36}{'s':>6}{'tokens/s':>10}{'ratio':>7}  entity F1, and ours minus it"]
    table.append(f"{'workbench':<36}{mine.seconds:6.0f}{speed:10,.0f}")
    for name, extra in PEERS.items():
        found = peer(config, data, encoder, **extra)
        f1, difference = f1_over(data, mine, found)
        ratio = found.seconds / mine.seconds
        report[name] = {
            "tokens_per_s": tokens / found.seconds,
            "ratio": ratio,
            "entity_f1": f1.model_dump(),
            "difference": difference.model_dump(),
        }
        table.append(
            f"{name:<36}{found.seconds:6.0f}{tokens / found.seconds:10,.0f}{ratio:7.2f}"
            f"  {f1}, {difference:+}"
        )
    print("\n".join(table))
    print(
        f"utilisation {report['utilisation']:.0%}: 6 operations for each weight of the layers and "
        f"piece, of {peak / 1e9:,.0f} GFLOP/s that a large {dtype} product reaches"
    )
    report["load_before_and_after"] = [load, os.getloadavg()[0]]
    print(json.dumps(report))


if __name__ == "__main__":
    main()
