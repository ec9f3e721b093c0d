"""What calibrating the scores of prompts gains: over tasks, templates and shots, in one run.

Each item of each task is scored once for every prompt (a template, zero-shot or with a draw of
labelled examples); all calibrations come from those scores, and only the noisy channel reads the
texts again. `batch` takes its reference from unlabelled validation texts, `batch on test` from the
test texts themselves, so an answer then depends on which others are asked about. `oracle` is no
method: the best offsets for the very test items, the bound of all but `channel`.

Tasks: the sentiment of tweets, the types of entities in news and in tweets, and whether a sentence
is from the news or from an encyclopedia (`sources`: sentences of whole documents, none of which has
sentences in two splits). Any other labelled data set goes by its name or path.

A gain is accuracy minus that of the scores as they are, on the same items through the same prompts;
the mean is over items and prompts, and over the tasks, each of which counts once. Its 95 % interval
is a percentile bootstrap: each of 2,000 resamples draws, in each task, items and, independent of
them, templates, both with replacement (Owen 2007, "The pigeonhole bootstrap"). Items of a document
are drawn together, and so are all prompts of a template, zero-shot and with examples. Tasks and
examples are not drawn, so the interval is for these; nor are the references of a calibration and
the offsets of the oracle found anew. Under ten texts or documents there is no interval. Spread is
the standard deviation of accuracy over prompts; the worst prompt is the worst as scored, and the
worst after each calibration, which may be another; over several tasks both are means.

    python benchmarks/calibration.py --items 200

The last line is JSON.
"""

import argparse
import json
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import channel
import numpy as np
import pandas
from numpy.typing import NDArray

from workbench.data import corpus, entities, text
from workbench.methods import calibration, prompt_scores, shots
from workbench.methods.classifiers import labelled
from workbench.models.causal_lm import CausalLM
from workbench.record.draws import RESAMPLES
from workbench.record.result import Metric
from workbench.record.statistics import LEVEL, MIN_CLUSTERS
from workbench.tasks.prompting import methods as prompt_methods
from workbench.tasks.prompting.config import Config

TASKS = ("brand_tweets", "conll2003", "wnut16", "sources")
SOURCES = {"news_sample": ("news", 2), "wiki_sample": ("encyclopedia", 6)}
"""Corpus -> its label, and most sentences of one document."""
SHARES = {"train": 0.1, "validation": 0.25, "test": 1.0}
"""Where each split of the documents ends."""
WORDS = range(8, 41)
"""Lengths of the sentences that are taken."""
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"])")
VARIANTS = (*prompt_scores.VARIANTS, channel.CHANNEL, prompt_scores.ORACLE)
AS_SCORED = "as scored"
Hits = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """One task in one condition: which prompts got which items right, by each variant."""

    task: str
    condition: str
    hits: Hits  # [templates, draws, items, variants]; NaN where a template has no channel form
    clusters: list[str]
    """What each item is drawn with."""
    n_labels: int

    @property
    def accuracies(self) -> Hits:
        """Accuracy of each prompt [prompts, variants]."""
        return self.hits.mean(axis=2).reshape(-1, self.hits.shape[-1])


def main() -> None:
    """Measure, print the tables and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tasks", default=",".join(TASKS), help="comma-separated")
    parser.add_argument("--items", type=int, default=200, help="of each task; default: 200")
    parser.add_argument("--templates", type=int, default=8, help="of each task; default: 8")
    parser.add_argument("--shots", type=int, default=4, help="0: zero-shot only; default: 4")
    parser.add_argument("--draws", type=int, default=1, help="of the examples; default: 1")
    parser.add_argument("--model", default="smollm2", help="decoder; default: smollm2")
    options = parser.parse_args()
    from workbench.core import machine, sources

    model = CausalLM(sources.resolve(options.model, "model")).to(machine.device())
    began = time.monotonic()
    measured: list[Measured] = []
    by_task = {}
    for task in options.tasks.split(","):
        found = measure(task, model, options)
        by_task |= {
            f"{task}, {one.condition}": show(f"{task}, {one.condition}", [one]) for one in found
        }
        measured += found
    over_all = {
        condition: show(
            f"all tasks, {condition}", [one for one in measured if one.condition == condition]
        )
        for condition in dict.fromkeys(one.condition for one in measured)
    }
    over_all["all prompts"] = show("all tasks, all prompts", measured)
    seconds = time.monotonic() - began
    print(f"{seconds:,.0f} s on {machine.device()}, {machine.precision('auto', model.device)}")
    report = {
        "options": vars(options),
        "by_task": by_task,
        "over_all": over_all,
        "seconds": seconds,
    }
    print(json.dumps(report))


def measure(task: str, model: CausalLM, options: argparse.Namespace) -> list[Measured]:
    """Score a task zero-shot and with examples, by all templates."""
    with tempfile.TemporaryDirectory() as scratch:
        data, where = load(task, Path(scratch))
        config = Config.check(
            {
                "dataset": where,
                "items": options.items,
                "shots": options.shots,
                "shot_seeds": options.draws,
            }
        )
        asked, _ = prompt_methods.ask(config, model, data, templates=options.templates)
    train = labelled(data, "train").first(config.train_texts)
    drawn = shots.draws(asked, train, config.kinds, seed=config.seed, seeds=config.shot_seeds)
    prompted, _ = prompt_methods.score(asked, drawn)
    turned = channel.score(asked, where, drawn, prompted)
    rows = data.splits["test"][: config.items]
    gold = np.array([data.labels.index(label) for label in rows["label"]])
    found = []
    for condition in dict.fromkeys(one.condition for one in prompted):
        own = [
            (one, likely)
            for one, likely in zip(prompted, turned, strict=True)
            if one.condition == condition
        ]
        templates = list(dict.fromkeys(one.template for one, _ in own))
        hits = [
            [right(one, likely, gold) for one, likely in own if one.template == name]
            for name in templates
        ]
        found.append(Measured(task, condition, np.array(hits), rows["cluster"], len(data.labels)))
    return found


def right(
    one: prompt_scores.Prompted, likely: calibration.Scores | None, gold: NDArray[np.int64]
) -> Hits:
    """Which items each of VARIANTS gets right through one prompt [items, variants].

    `likely` are the channel's scores [items, labels], None where the template has no such form: NaN
    then.
    """
    scores = {variant: one.scores(variant) for variant in one.variants}
    if likely is not None:
        scores[channel.CHANNEL] = likely
    scores[prompt_scores.ORACLE] = calibration.oracle(one.items, gold)
    nothing = np.full(len(gold), np.nan)
    columns = [
        scores[variant].argmax(axis=1) == gold if variant in scores else nothing
        for variant in VARIANTS
    ]
    return np.stack(columns, axis=1).astype(np.float64)


def load(task: str, scratch: Path) -> tuple[text.TextData, str]:
    """The data of a task, and the name or path by which its prompts are found."""
    if task != "sources":
        return entities.load(task) if entities.is_tagged(task) else text.load(task), task
    rows = [
        {"text": sentence, "label": label, "document": f"{name}/{number}", "split": split}
        for name, (label, most) in SOURCES.items()
        for number, split, sentences in _documents(name)
        for sentence in sentences[:: max(1, len(sentences) // most)][:most]
    ]
    frame = pandas.DataFrame(rows)
    for split, part in frame.groupby("split"):
        part.drop(columns="split").to_csv(scratch / f"{split}.csv", index=False)
    data = text.load(str(scratch), also=("document",))
    for split, found in data.splits.items():
        documents = found["document"]
        data.splits[split] = found.remove_columns("cluster").add_column("cluster", documents)
    return data, str(scratch)


def _documents(name: str) -> list[tuple[int, str, list[str]]]:
    """Number, split and sentences of each document; the order of a corpus is random and fixed."""
    documents = corpus.load(name).documents
    return [
        (
            number,
            next(split for split, end in SHARES.items() if number < end * len(documents)),
            [
                " ".join(sentence.split())
                for line in document.splitlines()
                for sentence in SENTENCE_END.split(line)
                if len(sentence.split()) in WORDS and sentence.rstrip().endswith((".", "!", "?"))
            ],
        )
        for number, document in enumerate(documents)
    ]


def gains(measured: Sequence[Measured]) -> list[Metric | None]:
    """Mean gain of each variant over the scores as they are; None where nothing has it."""
    drawn = np.stack([_drawn(one, seed) for seed, one in _seeded(measured)])
    values = np.stack([_mean_gain(one) for one in measured]).mean(axis=0)
    enough = min(len(set(one.clusters)) for one in measured) >= MIN_CLUSTERS
    prompts = sum(len(one.accuracies) for one in measured)
    items, _ = _sizes(measured)
    tail = (1 - LEVEL) / 2
    found: list[Metric | None] = []
    for value, samples in zip(values, drawn.mean(axis=0).T, strict=True):
        if np.isnan(value):
            found.append(None)
            continue
        low, high = np.nanquantile(samples, [tail, 1 - tail]) if enough else (None, None)
        how = f"bootstrap over items and templates, {RESAMPLES:,} resamples; {prompts:,} prompts"
        found.append(Metric(value=value, low=low, high=high, n=items, how=how))
    return found


def _sizes(measured: Sequence[Measured]) -> tuple[int, int]:
    """Items, and what they are drawn as; all conditions of a task have the same ones."""
    tasks = {one.task: one.clusters for one in measured}.values()
    return sum(map(len, tasks)), sum(len(set(clusters)) for clusters in tasks)


def _seeded(measured: Sequence[Measured]) -> list[tuple[int, Measured]]:
    """A seed a task: its conditions have the same items and templates, so the same draws."""
    tasks = list(dict.fromkeys(one.task for one in measured))
    return [(tasks.index(one.task), one) for one in measured]


def _mean_gain(one: Measured) -> Hits:
    """Mean gain of each variant over the prompts that have it; NaN where none does."""
    gain = (one.hits - one.hits[..., :1]).mean(axis=(1, 2))  # [templates, variants]
    with np.errstate(invalid="ignore"):
        return np.nansum(gain, axis=0) / (~np.isnan(gain)).sum(axis=0)


def _drawn(one: Measured, seed: int) -> Hits:
    """Mean gains [resamples, variants] over drawn clusters of items and drawn templates."""
    generator = np.random.default_rng(seed)
    places = {name: place for place, name in enumerate(dict.fromkeys(one.clusters))}
    member = np.zeros((len(places), len(one.clusters)))
    member[[places[name] for name in one.clusters], range(len(one.clusters))] = 1
    gain = (one.hits - one.hits[..., :1]).mean(axis=1)  # [templates, items, variants]
    items = _times(generator, len(places)) @ member  # [resamples, items]
    templates = _times(generator, len(gain))
    means = np.einsum("ri,tiv->rtv", items, gain) / items.sum(axis=1)[:, None, None]
    there = ~np.isnan(gain).any(axis=1)  # [templates, variants]
    with np.errstate(invalid="ignore"):
        return np.einsum("rt,rtv->rv", templates, np.nan_to_num(means)) / (templates @ there)


def _times(generator: np.random.Generator, count: int) -> Hits:
    """How often each of `count` is drawn [resamples, count]."""
    even = np.full(count, 1 / count)
    return generator.multinomial(count, even, size=RESAMPLES).astype(np.float64)


def summary(measured: Sequence[Measured]) -> dict[str, Any]:
    """Each variant's accuracy, gain, worst prompt and spread: means over what is measured."""
    accuracies = [one.accuracies for one in measured]
    found = {}
    for place, (variant, gain) in enumerate(zip(VARIANTS, gains(measured), strict=True)):
        if gain is None:
            continue
        own = [values[:, place][~np.isnan(values[:, place])] for values in accuracies]
        spreads = [values.std(ddof=1) for values in own if len(values) > 1]
        found[variant or AS_SCORED] = {
            "accuracy": float(np.mean([values.mean() for values in own])),
            "gain": gain.model_dump(mode="json"),
            "worst": float(np.mean([values.min() for values in own])),
            "spread": float(np.mean(spreads)) if spreads else None,
            "prompts": sum(map(len, own)),
        }
    return found


def show(title: str, measured: Sequence[Measured]) -> dict[str, Any]:
    """Print the summary as a table, and return it."""
    found = summary(measured)
    items, clusters = _sizes(measured)
    labels = f", {measured[0].n_labels} labels" if len(measured) == 1 else ""
    print(f"\n{title}: {items:,} items drawn as {clusters:,}{labels}")
    print(f"{'':<15}{'prompts':>8}{'accuracy':>10}{'worst':>8}{'spread':>8}  gain [95 %]")
    for variant, row in found.items():
        spread = "" if row["spread"] is None else f"{row['spread']:.3f}"
        gain = "" if variant == AS_SCORED else f"{Metric(**row['gain']):+}"
        print(
            f"{variant:<15}{row['prompts']:>8}{row['accuracy']:>10.3f}{row['worst']:>8.3f}"
            f"{spread:>8}  {gain}"
        )
    return found


if __name__ == "__main__":
    main()
