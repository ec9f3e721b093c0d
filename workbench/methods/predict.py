"""What a run's model says of new text: entities with places, or a label for each text.

A long text is read in windows; a classifier reads sixteen of them, and says where it cut more.
"""

import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core import machine
from workbench.core.config import names
from workbench.core.errors import ParameterError
from workbench.data.words import words as cut
from workbench.methods import classifiers, export
from workbench.methods.classifiers import Reading
from workbench.methods.tagging import tag_scores
from workbench.models.encoder import TokenClassifier
from workbench.models.text_classifier import TextClassifier
from workbench.record import iob
from workbench.record.result import Result

Places = Sequence[tuple[int, int]]
"""Start and end of each word of a text, in characters, the end not included."""


def predict(
    directory: Path,
    texts: Sequence[str],
    *,
    consecutive: bool = True,
    words: Sequence[Sequence[str]] | None = None,
    documents: Sequence[int] | None = None,
) -> Iterator[dict[str, Any]]:
    """What the model kept in a run's directory says of each text, in order.

    Of a tagger: `entities`, each with `start` and `end` (characters, end not included), `type`,
    `text` and `probability`, the least of its words'. Raw text is cut into words by
    `workbench.data.words`; words that are given are taken as they are, joined by spaces in
    `texts`, and come back as `words` with their IOB2 `tags`. Consecutive texts are one document,
    until one without a word ends it: its sentences are each other's context. `documents` are the
    numbers of other documents.
    Of a classifier: `label` and `probabilities`; None of a text without any word token. Raises
    ParameterError for a run that kept no model, IntegrityError for a damaged one.
    """
    record = Result.read_record(directory)
    files = record.tables.get("model_files")
    if not files:
        raise ParameterError(
            f"the run {record.run_id!r} kept no model",
            expected="a run of ner or fine_tuning",
            do="run it again with --force, and not with WORKBENCH_MODELS=none",
        )
    model, settings = export.load(directory / export.FOLDER, files)
    model.to(machine.device())
    return answer(model, settings, texts, consecutive=consecutive, words=words, documents=documents)


def answer(
    model: TokenClassifier | TextClassifier,
    settings: Mapping[str, Any],
    texts: Sequence[str],
    *,
    consecutive: bool = False,
    words: Sequence[Sequence[str]] | None = None,
    documents: Sequence[int] | None = None,
) -> Iterator[dict[str, Any]]:
    """What a fitted model says of each text, as `predict` does for one that a run kept.

    `settings` are those it was kept with, and the run's `precision`.
    """
    if isinstance(model, TextClassifier):
        return _labels(model, texts, settings)
    places = [_joined(given) for given in words] if words else [cut(text) for text in texts]
    full = [row for row, found in enumerate(places) if found]
    if documents is not None:
        numbers = [documents[row] for row in full]
    else:
        numbers = _documents(places) if consecutive else full
    tagged = _tagged(model, texts, places, settings, numbers)
    return _with_words(tagged, words) if words else (answer for _, answer in tagged)


def _joined(words: Sequence[str]) -> list[tuple[int, int]]:
    """The places of words in the text that they make, joined by spaces."""
    ends = list(itertools.accumulate((len(word) + 1 for word in words), initial=0))
    return [(end, end + len(word)) for end, word in zip(ends, words, strict=False)]


def _with_words(
    tagged: Iterator[tuple[list[str], dict[str, Any]]], words: Sequence[Sequence[str]]
) -> Iterator[dict[str, Any]]:
    for given, (tags, answer) in zip(words, tagged, strict=True):
        yield {"text": answer["text"], "words": list(given), "tags": tags, **answer}


def _tagged(
    model: TokenClassifier,
    texts: Sequence[str],
    places: Sequence[Places],
    settings: Mapping[str, Any],
    documents: Sequence[int],
) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """IOB2 tags of each text, and what is answered; `documents` of the texts that have words."""
    full = [row for row, found in enumerate(places) if found]
    scores = tag_scores(
        model,
        [[texts[row][start:end] for start, end in places[row]] for row in full],
        documents,
        window_tokens=settings["window_tokens"],
        dtype=machine.precision(settings.get("precision", "auto"), model.encoder.device),
        extras=names(settings.get("extras", "")),
    )
    by_row = dict(zip(full, scores, strict=True))
    for row, text in enumerate(texts):
        tags = iob.decode(by_row[row], model.labels) if row in by_row else []
        entities = _spans(model.labels, text, places[row], tags, by_row[row]) if tags else []
        yield tags, {"text": text, "entities": entities}


def _documents(places: Sequence[Places]) -> list[int]:
    """The document of each text that has words, from 0: texts without any lie between them."""
    ends = itertools.accumulate(not words for words in places)
    return [ended for ended, words in zip(ends, places, strict=True) if words]


def _spans(
    labels: Sequence[str],
    text: str,
    places: Places,
    tags: Sequence[str],
    scores: NDArray[np.float32],
) -> list[dict[str, Any]]:
    chosen = np.exp([row[labels.index(tag)] for row, tag in zip(scores, tags, strict=True)])
    entities = []
    for kind, first, end in sorted(iob.spans(tags), key=lambda span: span[1]):
        start, stop = places[first][0], places[end - 1][1]
        place = {"start": start, "end": stop, "type": kind, "text": text[start:stop]}
        entities.append(place | {"probability": round(float(chosen[first:end].min()), 4)})
    return entities


def _labels(
    model: TextClassifier, texts: Sequence[str], settings: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The probabilities of a run, text by text; how many texts were cut goes to standard error."""
    dtype = machine.precision(settings.get("precision", "auto"), model.encoder.device)
    reading = Reading(settings["max_tokens"], dtype)
    _, windows = model.encoder.encode(texts, reading.max_tokens)
    if windows.cut:
        issue = classifiers.long_texts(model.encoder, texts, reading.max_tokens)["cut_texts"]
        print(issue.describe(), file=sys.stderr)
    found = classifiers.predict(model, texts, reading, progress=False)
    for text, tokens, row in zip(texts, windows.lengths, found, strict=True):
        if tokens == 2:  # the two special tokens alone
            yield {"text": text, "label": None, "probabilities": None}
            continue
        yield label_of(text, model.labels, row)


def label_of(text: str, labels: Sequence[str], row: NDArray[np.float64]) -> dict[str, Any]:
    """A text with its most probable label and the probability of each [L]."""
    named = zip(labels, row.round(4).tolist(), strict=True)
    return {"text": text, "label": labels[int(row.argmax())], "probabilities": dict(named)}
