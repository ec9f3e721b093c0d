"""Log-likelihoods of answers: the workbench beside lm-evaluation-harness, in one run.

The same decoder in float32 scores the same items: tweets after four labelled examples, with labels
of several tokens and of one, and the beginnings of Wikipedia paragraphs with four endings each, one
of them the right one. The peer is lm-eval's `hf` model from its package, with its cache of equal
contexts on, in an environment of its own, whose Python `--peer` names:

    python -m venv PEER && PEER/bin/pip install torch==2.13.0 "lm-eval[hf]" transformers==5.23.0
    python benchmarks/scoring.py --peer PEER/bin/python

Loading is not timed, tokenising is. Printed are items a second, how far any log-likelihood differs,
and on how many items the choice does; then the same of ours in bfloat16. The last line is JSON.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Item = tuple[str, list[str]]
"""A context and its continuations."""
SHOTS = 4
LONG = {"positive": "clearly rather positive", "neutral": "neither good nor bad",
        "negative": "clearly rather negative"}  # fmt: skip
CONTEXT_WORDS, ENDING_WORDS, ENDINGS = 60, 18, 4
PEER_BATCH = 16
"""Rows of a batch of the peer; ours takes 4,096 tokens, which is about as much."""


def tweets(count: int, words: dict[str, str]) -> list[Item]:
    """Test tweets after four examples, and a continuation a label."""
    from workbench.data import text

    data = text.load("brand_tweets")
    train = data.splits["train"]
    parts = [
        f"Tweet: {' '.join(row['text'].split())}\nSentiment: {words[row['label']]}\n\n"
        for row in train.select(range(SHOTS))
    ]
    answers = [f" {words[label]}" for label in data.labels]
    return [
        (f"{''.join(parts)}Tweet: {' '.join(tweet.split())}\nSentiment:", answers)
        for tweet in data.splits["test"]["text"][:count]
    ]


def endings(count: int) -> list[Item]:
    """Beginnings of paragraphs, each with its own ending and those of the three after it."""
    from workbench.data import corpus

    length = CONTEXT_WORDS + ENDING_WORDS
    rows = [
        words[:length]
        for document in corpus.load("wiki_sample").documents
        for paragraph in document.split("\n")
        if len(words := paragraph.split()) >= length
    ][:count]
    ends = [" " + " ".join(words[CONTEXT_WORDS:]) for words in rows]
    return [
        (" ".join(words[:CONTEXT_WORDS]), [ends[(n + k) % len(rows)] for k in range(ENDINGS)])
        for n, words in enumerate(rows)
    ]


def ours(model: Any, items: Sequence[Item], dtype: Any) -> tuple[float, list[list[float]]]:
    """Seconds, and log-likelihoods by item."""
    from workbench.decoding.score import log_likelihoods

    contexts, own = [context for context, _ in items], [answers for _, answers in items]
    began = time.monotonic()
    found = log_likelihoods(model, contexts, own, dtype=dtype)
    return time.monotonic() - began, found.sums.tolist()


def as_peer(folder: Path) -> None:
    """In the peer's environment: score `items.json` and write `answers.json`."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    tasks = json.loads((folder / "items.json").read_text(encoding="utf-8"))
    model = HFLM(
        pretrained=str(folder / "model"), dtype="float32", device="cpu", batch_size=PEER_BATCH
    )
    answers = {}
    for name, items in tasks.items():
        pairs = [(context, answer) for context, own in items for answer in own]
        requests = [
            Instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)
        ]
        began = time.monotonic()
        found = model.loglikelihood(requests, disable_tqdm=True)
        answers[name] = [time.monotonic() - began, [value for value, _ in found]]
    (folder / "answers.json").write_text(json.dumps(answers), encoding="utf-8")


def copy_for_peer(kept: Path, folder: Path) -> None:
    """The weights that the workbench read from GGUF and keeps, no longer called quantised."""
    folder.mkdir()
    for file in kept.iterdir():
        (folder / file.name).symlink_to(file)
    config = json.loads((kept / "config.json").read_text(encoding="utf-8"))
    config.pop("quantization_config", None)
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def choices(scores: Sequence[Sequence[float]]) -> list[int]:
    """The likeliest continuation of each item."""
    return [max(range(len(row)), key=row.__getitem__) for row in scores]


def compare(one: list[list[float]], other: list[list[float]]) -> dict[str, float]:
    """The largest difference, and on how many items the choices differ."""
    gaps = [abs(a - b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True)]
    return {
        "largest_difference": max(gaps),
        "other_choices": sum(a != b for a, b in zip(choices(one), choices(other), strict=True)),
    }


def main() -> None:
    """Measure, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer", required=True, help="Python of an environment with lm-eval")
    parser.add_argument("--items", type=int, default=200, help="of each task; default: 200")
    options = parser.parse_args()
    import torch

    from workbench.core import sources
    from workbench.models.causal_lm import CausalLM

    model = CausalLM(sources.resolve("smollm2", "model"))
    tasks = {
        "4 shots, labels of several tokens": tweets(options.items, LONG),
        "4 shots, labels of one token": tweets(options.items, {label: label for label in LONG}),
        "no shots, four long endings": endings(options.items),
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        copy_for_peer(Path(model.network.name_or_path), folder / "model")
        (folder / "items.json").write_text(json.dumps(tasks), encoding="utf-8")
        found = {name: ours(model, items, torch.float32) for name, items in tasks.items()}
        half = {name: ours(model, items, torch.bfloat16) for name, items in tasks.items()}
        subprocess.run([options.peer, __file__, "--as-peer", scratch], check=True)
        peer = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    report = {}
    print(f"{'items/s':<36}{'ours':>8}{'lm-eval':>9}{'ratio':>7}{'bfloat16':>10}  differences")
    for name, items in tasks.items():
        seconds, flat = peer[name]
        width = len(items[0][1])
        theirs = [flat[start : start + width] for start in range(0, len(flat), width)]
        row = {
            "items": len(items),
            "items_per_s": len(items) / found[name][0],
            "peer_items_per_s": len(items) / seconds,
            "ratio": seconds / found[name][0],
            "bfloat16_items_per_s": len(items) / half[name][0],
            "float32": compare(found[name][1], theirs),
            "bfloat16": compare(half[name][1], found[name][1]),
        }
        report[name] = row
        print(
            f"{name:<36}{row['items_per_s']:>8.2f}{row['peer_items_per_s']:>9.2f}"
            f"{row['ratio']:>7.1f}{row['bfloat16_items_per_s']:>10.2f}  "
            f"{row['float32']['largest_difference']:.1e} and {row['float32']['other_choices']} "
            f"choices; bfloat16 {row['bfloat16']['largest_difference']:.2f} and "
            f"{row['bfloat16']['other_choices']}"
        )
    print(json.dumps(report))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--as-peer"]:
        as_peer(Path(sys.argv[2]))
    else:
        main()
