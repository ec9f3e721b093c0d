"""Scores of running text: bits per byte, right next tokens, pieces per word, and baselines."""

import lzma
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas

from workbench.data.corpus import Corpus
from workbench.models.causal_lm import CausalLM
from workbench.models.encoder import Encoder
from workbench.result import ITEM_COLUMNS, Loss, Metric
from workbench.statistics import Counts, Statistic, measure
from workbench.tasks import surprisal
from workbench.tasks.surprisal import Document, Scored

UNIFORM, LZMA = "uniform", "lzma"
SPANS = 5


@dataclass(frozen=True)
class Domain:
    """A corpus and its D documents as read: cut, scored, and split by both tokenizers."""

    name: str
    corpus: Corpus
    documents: list[Document]
    scored: list[Scored]
    pieces: list[list[int]]
    """Ids of the encoder's pieces of the same text."""

    @property
    def bytes(self) -> Counts:
        """UTF-8 bytes of the scored text [D]."""
        return np.array([len(document.text.encode()) for document in self.documents], np.float64)

    @property
    def tokens(self) -> Counts:
        """Scored tokens [D]."""
        return np.array([len(document.ids) for document in self.documents], np.float64)

    @property
    def size(self) -> dict[str, int]:
        """Bytes and tokens of all documents."""
        return {"bytes": int(self.bytes.sum()), "tokens": int(self.tokens.sum())}


def ratio(sums: Counts) -> Counts:
    """First over second of the last axis; NaN over nothing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[..., 0] / sums[..., 1]


def _excess(sums: Counts) -> Counts:
    """How much larger first over third is than second over third."""
    return ratio(sums[..., [0, 2]]) - ratio(sums[..., [1, 2]])


def _measure(columns: Sequence[Counts], unit: str, statistic: Statistic = ratio) -> Metric:
    counts = np.stack(columns, axis=1)
    metric = measure(counts, statistic, n=len(counts), clusters="documents", unit=unit)
    if metric is None:
        raise RuntimeError(f"{unit} of no text")
    return metric


def metrics(domain: Domain) -> dict[str, Metric]:
    """What the decoder and its tokenizer make of a domain."""
    bits = np.array([scored.nats.sum() for scored in domain.scored]) / math.log(2)
    pairs = zip(domain.documents, domain.scored, strict=True)
    right = np.array([np.sum(np.equal(document.ids, scored.best)) for document, scored in pairs])
    name = domain.name
    return {
        f"{name}/bits_per_byte": _measure([bits, domain.bytes], "bits per byte"),
        f"{name}/next_token_accuracy": _measure([right, domain.tokens], "share"),
        f"{name}/pieces_per_word": _measure([domain.tokens, _words(domain)], "pieces per word"),
    }


def baselines(domain: Domain, vocabulary: int, encoder: str) -> dict[str, dict[str, Metric]]:
    """Bits per byte of guessing evenly and of lzma; the encoder's pieces per word."""
    name = domain.name
    even = domain.tokens * math.log2(vocabulary)
    joined = "\n".join(document.text for document in domain.documents).encode()
    packed = lzma.compress(joined, format=lzma.FORMAT_ALONE, preset=9 | lzma.PRESET_EXTREME)
    compressed = Metric(
        value=8 * len(packed) / len(joined),
        n=len(domain.documents),
        unit="bits per byte",
        how="no interval: one compressed file of all the text",
    )
    counts = [_pieces(domain), _words(domain)]
    return {
        UNIFORM: {f"{name}/bits_per_byte": _measure([even, domain.bytes], "bits per byte")},
        LZMA: {f"{name}/bits_per_byte": compressed},
        encoder: {f"{name}/pieces_per_word": _measure(counts, "pieces per word")},
    }


def comparison(domain: Domain) -> dict[str, Metric]:
    """The decoder's pieces per word minus the encoder's, on the same text."""
    columns = [domain.tokens, _pieces(domain), _words(domain)]
    return {f"{domain.name}/pieces_per_word": _measure(columns, "pieces per word", _excess)}


def _words(domain: Domain) -> Counts:
    """Words between white space [D]; at least one in a document."""
    return np.array([len(document.text.split()) or 1 for document in domain.documents], np.float64)


def _pieces(domain: Domain) -> Counts:
    return np.array([len(pieces) for pieces in domain.pieces], np.float64)


def losses(domain: Domain, model: CausalLM, encoder: Encoder) -> dict[str, Loss]:
    """What of the corpus was not scored, and what the tokenizers could not keep."""
    name, documents = domain.name, domain.documents
    read = int(domain.tokens.sum())
    behind = sum(document.cut for document in documents)
    unknown = sum(ids.count(encoder.tokenizer.unk_token_id) for ids in domain.pieces)
    whole = len(domain.corpus.documents)
    found = {
        "unread": Loss(count=whole - len(documents), of=whole, note="documents not read"),
        "cut": Loss(
            count=behind, of=read + behind, note="tokens at the end of long documents, not scored"
        ),
        "inexact": Loss(
            count=sum(not surprisal.is_exact(model, document) for document in documents),
            of=len(documents),
            note="documents whose tokens don't decode to their text, so bits per byte are too few",
        ),
        "unknown": Loss(
            count=unknown,
            of=int(_pieces(domain).sum()),
            note=f"pieces that {encoder.source.name}'s tokenizer doesn't know",
        ),
    }
    return {
        f"{name}/{key}": loss.model_copy(update={"note": f"{name}: {loss.note}"})
        for key, loss in (domain.corpus.losses | found).items()
    }


def spans(domain: Domain) -> list[dict[str, Any]]:
    """The most surprising words in a row of each document, of the five most surprising ones."""
    pairs = zip(domain.documents, domain.scored, strict=True)
    found = [
        surprisal.surprising_span(surprisal.word_bits(document, scored))
        for document, scored in pairs
    ]
    kept = sorted((span for span in found if span), key=lambda span: span["bits"], reverse=True)
    return [{"domain": domain.name} | span for span in kept[:SPANS]]


def items(domain: Domain, model: CausalLM) -> pandas.DataFrame:
    """One row a document: its tokens, the most probable ones in their place, mean nats a token."""
    split = model.tokenizer.convert_ids_to_tokens
    keys = [document.key for document in domain.documents]
    columns = (
        [f"{domain.name}/{key}" for key in keys],
        [domain.name] * len(keys),
        [model.source.name] * len(keys),
        keys,
        [[document.text] for document in domain.documents],
        [split(document.ids) for document in domain.documents],
        [split(scored.best) for scored in domain.scored],
        [float(scored.nats.mean()) for scored in domain.scored],
    )
    return pandas.DataFrame(dict(zip(ITEM_COLUMNS, columns, strict=True)))
