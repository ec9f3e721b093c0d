"""Scores of running text: bits per byte, right next tokens, tokens per word, and baselines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, takewhile
from typing import Any

import numpy as np
import pandas

from workbench.data.corpus import Corpus
from workbench.models.causal_lm import CausalLM
from workbench.models.encoder import Encoder
from workbench.record.draws import Counts
from workbench.record.result import ITEM_COLUMNS, DataIssue, Metric
from workbench.record.statistics import Statistic, measure
from workbench.tasks.pretraining import surprisal
from workbench.tasks.pretraining.compressors import Ngrams, lzma_bits
from workbench.tasks.pretraining.passages import SEPARATOR
from workbench.tasks.pretraining.surprisal import Document, Scored

UNIFORM, LZMA, NGRAM = "uniform", "lzma", "n-gram"
SPANS = 5
GIVEN_BYTES = 64 << 20
"""Most bytes that compressors are given: n-grams take tens of bytes of memory for each."""


@dataclass(frozen=True)
class Domain:
    """A corpus and its D passages: scored, and split by both tokenizers."""

    name: str
    corpus: Corpus
    documents: list[Document]
    scored: list[Scored]
    encoder_ids: list[list[int]]
    """Ids of the encoder's tokens of the same text."""
    used: int
    """Documents that the passages come from, at the beginning of the corpus."""

    @property
    def bytes(self) -> Counts:
        """UTF-8 bytes of each passage [D]."""
        return np.array([len(document.text.encode()) for document in self.documents], np.float64)

    @property
    def tokens(self) -> Counts:
        """Scored tokens [D]."""
        return np.array([len(document.ids) for document in self.documents], np.float64)

    @cached_property
    def rest(self) -> str:
        """The first documents that no passage touches: what compressors are given.

        As many as there are, or as fit in GIVEN_BYTES of UTF-8, each with a separator behind it.
        """
        documents = self.corpus.documents[self.used :]
        sizes = accumulate(len((text + SEPARATOR).encode()) for text in documents)
        kept = sum(1 for _ in takewhile(lambda size: size <= GIVEN_BYTES, sizes))
        return "".join(text + SEPARATOR for text in documents[:kept])

    @cached_property
    def ngram_nats(self) -> Counts:
        """Nats of each passage [D] under an n-gram model of the rest of the corpus."""
        model = Ngrams(self.rest.encode())
        texts = [document.text.encode() for document in self.documents]
        return np.array([model.nats(text, SEPARATOR.encode()).sum() for text in texts])

    @property
    def size(self) -> dict[str, int]:
        """Bytes and tokens of all passages, their documents, and bytes of `rest`."""
        return {
            "bytes": int(self.bytes.sum()),
            "tokens": int(self.tokens.sum()),
            "documents": self.used,
            "given": len(self.rest.encode()),
        }


def ratio(sums: Counts) -> Counts:
    """First over second of the last axis; NaN over nothing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[..., 0] / sums[..., 1]


def _excess(sums: Counts) -> Counts:
    """How much larger first over third is than second over third."""
    return ratio(sums[..., [0, 2]]) - ratio(sums[..., [1, 2]])


def _measure(columns: Sequence[Counts], unit: str, statistic: Statistic = ratio) -> Metric:
    counts = np.stack(columns, axis=1)
    metric = measure(counts, statistic, n=len(counts), clusters="passages", unit=unit)
    if metric is None:
        raise RuntimeError(f"{unit} of no text")
    return metric


def metrics(domain: Domain) -> dict[str, Metric]:
    """What the decoder and its tokenizer make of a domain."""
    bits = _nats(domain) / math.log(2)
    pairs = zip(domain.documents, domain.scored, strict=True)
    right = np.array([np.sum(np.equal(document.ids, scored.best)) for document, scored in pairs])
    name = domain.name
    return {
        f"{name}/bits_per_byte": _measure([bits, domain.bytes], "bits per byte"),
        f"{name}/next_token_accuracy": _measure([right, domain.tokens], "fraction"),
        f"{name}/tokens_per_word": _measure([domain.tokens, _words(domain)], "tokens per word"),
    }


def baselines(domain: Domain, vocabulary: int, encoder: str) -> dict[str, dict[str, Metric]]:
    """Bits per byte of guessing evenly, lzma and n-grams; the encoder's tokens per word."""
    bits = f"{domain.name}/bits_per_byte"
    even = domain.tokens * math.log2(vocabulary)
    joined = SEPARATOR.join(document.text for document in domain.documents).encode()
    compressed = Metric(
        value=lzma_bits(joined, domain.rest.encode()) / len(joined),
        n=len(domain.documents),
        unit="bits per byte",
        how="no interval: one compressed stream of all the text",
    )
    ngrams = _measure([domain.ngram_nats / math.log(2), domain.bytes], "bits per byte")
    counts = [_encoder_tokens(domain), _words(domain)]
    return {
        UNIFORM: {bits: _measure([even, domain.bytes], "bits per byte")},
        LZMA: {bits: compressed},
        NGRAM: {bits: ngrams},
        encoder: {f"{domain.name}/tokens_per_word": _measure(counts, "tokens per word")},
    }


def comparisons(domain: Domain, encoder: str) -> dict[str, dict[str, Metric]]:
    """The decoder minus the n-gram model in bits, minus the encoder in tokens, on the same text."""
    bits = [_nats(domain) / math.log(2), domain.ngram_nats / math.log(2), domain.bytes]
    tokens = [domain.tokens, _encoder_tokens(domain), _words(domain)]
    return {
        NGRAM: {f"{domain.name}/bits_per_byte": _measure(bits, "bits per byte", _excess)},
        encoder: {f"{domain.name}/tokens_per_word": _measure(tokens, "tokens per word", _excess)},
    }


def _nats(domain: Domain) -> Counts:
    """Nats of each passage [D] under the decoder."""
    return np.array([scored.nats.sum() for scored in domain.scored])


def _words(domain: Domain) -> Counts:
    """Words between white space [D]; at least one in a passage."""
    return np.array([len(document.text.split()) or 1 for document in domain.documents], np.float64)


def _encoder_tokens(domain: Domain) -> Counts:
    return np.array([len(tokens) for tokens in domain.encoder_ids], np.float64)


def data_issues(domain: Domain, model: CausalLM, encoder: Encoder) -> dict[str, DataIssue]:
    """What of the corpus was not scored, and what the tokenizers could not keep."""
    name, documents = domain.name, domain.documents
    whole = len(domain.corpus.documents)
    read = sum(len(text.encode()) for text in domain.corpus.documents[: domain.used])
    unknown = sum(ids.count(encoder.tokenizer.unk_token_id) for ids in domain.encoder_ids)
    found = {
        "unread": DataIssue(
            count=whole - domain.used,
            of=whole,
            note="documents not scored; lzma and the n-gram model are given the first "
            f"{GIVEN_BYTES >> 20} MiB of them",
        ),
        "cut": DataIssue(
            count=max(0, read - int(domain.bytes.sum())),
            of=read,
            note="bytes of the other documents that stand behind their passage, not scored",
        ),
        "inexact": DataIssue(
            count=sum(not surprisal.is_exact(model, document) for document in documents),
            of=len(documents),
            note="passages whose tokens don't decode to their text, so bits per byte are too few",
        ),
        "unknown": DataIssue(
            count=unknown,
            of=int(_encoder_tokens(domain).sum()),
            note=f"tokens that {encoder.source.name}'s tokenizer doesn't know",
        ),
    }
    return {
        f"{name}/{key}": issue.model_copy(update={"note": f"{name}: {issue.note}"})
        for key, issue in (domain.corpus.data_issues | found).items()
    }


def spans(domain: Domain) -> list[dict[str, Any]]:
    """The most surprising words in a row of a document, of the five most surprising documents."""
    found: list[dict[str, Any] | None] = []
    for document, scored in zip(domain.documents, domain.scored, strict=True):
        words = surprisal.word_bits(document, scored)
        found += map(surprisal.surprising_span, surprisal.by_document(document, words))
    kept = sorted((span for span in found if span), key=lambda span: span["bits"], reverse=True)
    return [{"domain": domain.name} | span for span in kept[:SPANS]]


def items(domain: Domain, model: CausalLM) -> pandas.DataFrame:
    """One row for each passage and method, with its nats in all as `loss`.

    A passage has no label, so its own key stands for both gold and answer, whatever the tokenizer.
    """
    keys = [document.key for document in domain.documents]
    rows = [
        (f"{domain.name}/{key}", domain.name, method, key, [document.text], [key], [key], nats)
        for method, column in ((model.source.name, _nats(domain)), (NGRAM, domain.ngram_nats))
        for key, document, nats in zip(keys, domain.documents, column.tolist(), strict=True)
    ]
    return pandas.DataFrame(rows, columns=list(ITEM_COLUMNS))
