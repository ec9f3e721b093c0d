"""Inspection of what pretraining left: what a decoder predicts and an encoder's layers know.

Nothing is trained but linear probes.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas
import torch

from workbench.core import machine, sources
from workbench.core.config import names
from workbench.core.described import Described
from workbench.core.errors import DataError, ParameterError
from workbench.core.sources import Source
from workbench.data import corpus, ner
from workbench.data.corpus import Corpus
from workbench.data.ner import NerData
from workbench.models import anatomy
from workbench.models.causal_lm import CausalLM
from workbench.models.encoder import Encoder
from workbench.record.findings import Findings
from workbench.record.result import DataIssue
from workbench.tasks.pretraining import (
    corpus_scores,
    lens_scores,
    passages,
    probe_scores,
    surprisal,
)
from workbench.tasks.pretraining.config import Config
from workbench.tasks.pretraining.corpus_scores import Domain
from workbench.tasks.pretraining.probes import WINDOW_TOKENS


@dataclass(frozen=True)
class Texts(Described):
    """Corpora by short name, and tagged words."""

    corpora: dict[str, Corpus]
    tagged: NerData

    @property
    def data_issues(self) -> dict[str, DataIssue]:
        """None here: `run` counts, of each corpus, what its passages left out."""
        return {}

    def describe(self) -> str:
        """What each of them says of itself."""
        texts = [corpus.describe() for corpus in self.corpora.values()]
        return "\n\n".join([*texts, self.tagged.describe()])


@dataclass(frozen=True)
class Models(Described):
    """The two models that are looked into."""

    decoder: CausalLM
    encoder: Encoder

    def describe(self) -> str:
        """What each of them says of itself."""
        return f"{self.decoder.describe()}\n\n{self.encoder.describe()}"


def load_data(config: Config) -> Texts:
    """Load the corpora and the tagged words; ParameterError where no corpus or one name twice."""
    found: dict[str, Corpus] = {}
    for name in names(config.corpora):
        loaded = corpus.load(name, text_column=config.text_column)
        path = loaded.source.path
        short = path.stem if path.is_file() else Path(name).name
        if short in found:
            raise ParameterError(
                f"corpora={config.corpora!r} names {short!r} twice",
                expected="corpora whose file or folder names differ",
            )
        found[short] = loaded
    if not found:
        raise ParameterError(
            f"corpora={config.corpora!r} names no corpus", expected="such as 'wiki_sample'"
        )
    return Texts(found, ner.load(config.dataset))


def load_model(config: Config) -> Models:
    """Load both models; ParameterError where the decoder has no such layer or no offsets."""
    decoder = CausalLM(sources.resolve(config.model, "model"), config.precision)
    layers = decoder.network.config.num_hidden_layers
    if config.attention_layer > layers:
        raise ParameterError(
            f"attention_layer={config.attention_layer}: {config.model!r} has {layers} layers",
            expected=f"1 to {layers}",
        )
    if not decoder.tokenizer.is_fast:
        raise ParameterError(
            f"the tokenizer of {config.model!r} can't say where its tokens stand in a text",
            expected="a fast tokenizer, with a tokenizer.json",
        )
    # Without letter case, so that the encoder is as its pretraining left it.
    encoder = Encoder(sources.resolve(config.encoder, "model"), casing=False)
    return Models(decoder, encoder.eval())


def run(config: Config, model: Models, data: Texts) -> Findings:
    """Read the corpora with the decoder, look inside it, and probe the encoder's layers."""
    decoder, encoder = model.decoder, model.encoder
    dtype = machine.precision(config.precision, decoder.device)
    sentence = lens_scores.sentence(decoder, config.sentence, config.attention_layer)
    domains = _domains(config, model, data.corpora, dtype)
    metrics, baselines, comparisons, data_issues = _text_scores(domains, model)
    few = [document for domain in domains for document in domain.documents[: lens_scores.DOCUMENTS]]
    metrics |= lens_scores.metrics(decoder, few)
    probed = probe_scores.run(
        data.tagged, encoder, most=config.probe_sentences, seed=config.seed, dtype=dtype
    )
    metrics |= probed.metrics
    bits = [f"{name}/bits_per_byte" for name in data.corpora][:2]
    return Findings(
        sources=_sources(model, data),
        metrics=metrics,
        headline=tuple(name for name in (*bits, "pos/accuracy", "ner/macro_f1") if name in metrics),
        baselines=baselines | probed.baselines,
        comparisons=comparisons | probed.comparisons,
        data_issues=data_issues | probed.data_issues,
        device=decoder.device,
        dtype=dtype,
        network=decoder,
        tables={
            "parts": _parts(domains, model),
            "sentence": sentence,
            "even_nats": math.log(decoder.network.config.vocab_size),
            "spans": [span for domain in domains for span in corpus_scores.spans(domain)],
            "best_layers": probed.best_layers,
            "selective_layers": probed.selective_layers,
            "domains": {domain.name: domain.size for domain in domains},
        },
        items=_items(domains, decoder, probed.items),
    )


def _domains(
    config: Config, model: Models, corpora: dict[str, Corpus], dtype: torch.dtype
) -> list[Domain]:
    """Fill passages from each corpus, score them, and split them with the encoder's tokenizer."""
    taken = {
        name: passages.take(corpus.documents, config.passage_bytes, config.passages)
        for name, corpus in corpora.items()
    }
    domains = []
    for name, found in passages.equal(taken).items():
        documents = [surprisal.tokenize(model.decoder, passage) for passage in found.passages]
        # A tokenizer may make nothing of a text, such as one of invisible characters.
        documents = [document for document in documents if document.ids]
        if not documents:
            raise DataError(f"{name} holds no text that {config.model!r} can read")
        scored = surprisal.score(model.decoder, documents, dtype, name=name)
        tokens = model.encoder.tokenizer(
            [document.text for document in documents], add_special_tokens=False, verbose=False
        )["input_ids"]
        domains.append(Domain(name, corpora[name], documents, scored, tokens, found.used))
    return domains


def _text_scores(domains: list[Domain], model: Models) -> tuple[dict[str, Any], ...]:
    """Metrics, baselines, comparisons and data_issues of all domains together."""
    metrics: dict[str, Any] = {}
    baselines: dict[str, Any] = {}
    comparisons: dict[str, Any] = {}
    data_issues: dict[str, Any] = {}
    encoder, vocabulary = model.encoder.source.name, model.decoder.network.config.vocab_size
    for domain in domains:
        metrics |= corpus_scores.metrics(domain)
        for method, found in corpus_scores.baselines(domain, vocabulary, encoder).items():
            baselines.setdefault(method, {}).update(found)
        for method, found in corpus_scores.comparisons(domain, encoder).items():
            comparisons.setdefault(method, {}).update(found)
        data_issues |= corpus_scores.data_issues(domain, model.decoder, model.encoder)
    return metrics, baselines, comparisons, data_issues


def _items(domains: list[Domain], decoder: CausalLM, probed: list[Any]) -> Any:
    read = [corpus_scores.items(domain, decoder) for domain in domains]
    return pandas.concat([*read, *probed], ignore_index=True)


def _parts(domains: list[Domain], model: Models) -> dict[str, Any]:
    """Parameters, bytes and operations by part of both models, at the context they are read in.

    The decoder's is that of its longest passage.
    """
    longest = max(len(document.ids) for domain in domains for document in domain.documents)
    found = {}
    for part, context, causal in (
        (model.decoder, longest, True),
        (model.encoder, min(WINDOW_TOKENS, model.encoder.capacity), False),
    ):
        parts = anatomy.parts(part.network, context=context, causal=causal)
        found[part.source.name] = {
            "context": context,
            "causal": causal,
            "parts": {name: asdict(numbers) for name, numbers in parts.items()},
        }
    return found


def _sources(model: Models, data: Texts) -> dict[str, Source]:
    corpora = {
        f"corpus {number}": corpus.source for number, corpus in enumerate(data.corpora.values(), 1)
    }
    return {
        "model": model.decoder.source,
        "encoder": model.encoder.source,
        **corpora,
        "dataset": data.tagged.source,
    }
