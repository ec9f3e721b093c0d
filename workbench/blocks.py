"""Blocks for cells of your own: plain values in, plain values out.

Tasks are made of the same functions. `model` is a catalogue name, a folder or `hf:<id>`, loaded
once for all cells, or a model that `decoder` or `encoder` gave. `measure` and `compare`, which
score answers, are in `methods/measures.py`. See `docs/blocks.md`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from datasets import Dataset, DatasetDict
from numpy.typing import NDArray

from workbench.core import arguments, machine, sources
from workbench.core.config import unknown_parameter
from workbench.core.errors import DataError, ParameterError
from workbench.core.sources import Source
from workbench.data.ner import NerData
from workbench.decoding.generate import generate as _generate
from workbench.decoding.score import log_likelihoods
from workbench.methods import adaptation, classifiers, taggers
from workbench.methods.classifiers import Labelled, Reading
from workbench.methods.learners import BITFIT, FULL, LORA
from workbench.methods.prompts import chat_of
from workbench.methods.taggers import Settings
from workbench.methods.tagging import tag_scores
from workbench.models.causal_lm import CausalLM
from workbench.models.encoder import Encoder, TokenClassifier
from workbench.models.text_classifier import TextClassifier
from workbench.record import iob
from workbench.training import Log, Recipe

MAX_TOKENS = 128
"""Tokens read at once of a text to classify."""
Sentences = Sequence[Sequence[str]]
Model = TypeVar("Model", CausalLM, Encoder)


@cache
def _decoder(name: str, precision: str) -> CausalLM:
    return CausalLM(sources.resolve(name, "model"), precision)


@cache
def _encoder(name: str) -> Encoder:
    return Encoder(sources.resolve(name, "model"), casing=False).to(machine.device())


def decoder(name: str = "smollm2", precision: str = "auto") -> CausalLM:
    """Load a decoder onto this machine's device, once for each name and precision.

    ParameterError for an unknown name; a model that can't fit the memory is refused with numbers.
    """
    return _decoder(name, precision)


def encoder(name: str = "minilm") -> Encoder:
    """Load an encoder onto this machine's device, once for each name."""
    return _encoder(name)


def score(
    contexts: Sequence[str],
    continuations: Sequence[str] | Sequence[Sequence[str]],
    model: str | CausalLM = "smollm2",
) -> NDArray[np.float64]:
    """Log-likelihoods [N, K] in nats, 0 at most, of K continuations after each of N contexts.

    The continuations are the same for all contexts, or equally many for each. They begin with the
    space that separates them. ParameterError for a context that does not fit the model and for
    different numbers of continuations.
    """
    read, asked = _meant(model, CausalLM, decoder), arguments.texts(contexts, "contexts")
    if isinstance(continuations, str) or all(isinstance(each, str) for each in continuations):
        continuations = arguments.texts(continuations, "continuations")
    else:
        continuations = arguments.words(continuations, "continuations")
        if {*map(len, continuations)} != {len(continuations[0])} or len(continuations) != len(
            asked
        ):
            raise ParameterError(
                f"{len(asked)} contexts, and lists of {[*map(len, continuations)]!r:.60} "
                "continuations",
                expected="one list for all contexts, or equally many for each",
            )
    dtype = machine.precision("auto", read.device)
    return log_likelihoods(read, asked, continuations, dtype=dtype).sums


def generate(
    prompts: Sequence[str],
    model: str | CausalLM = "smollm2",
    *,
    max_tokens: int = 64,
    stop: str = "",
    chat: bool = True,
) -> list[str]:
    """Return what a decoder writes after each prompt, the most probable token each time.

    An answer ends with the model's end of text, before `stop`, or after `max_tokens`. With `chat` a
    prompt is put into the model's chat template, where it has one. ParameterError for a prompt that
    does not fit the model.
    """
    read, prompts = _meant(model, CausalLM, decoder), arguments.texts(prompts, "prompts")
    turns = chat_of(read)
    if chat and turns.known:
        prompts = [turns.render([{"role": "user", "content": prompt}]) for prompt in prompts]
    dtype = machine.precision("auto", read.device)
    found = _generate(read, prompts, max_new_tokens=max_tokens, stop=stop, dtype=dtype)
    return [written.text for written in found]


def _meant(model: str | Path | Model, kind: type[Model], load: Callable[[str], Model]) -> Model:
    """The decoder or encoder that is meant: itself, or that of a name or folder."""
    if isinstance(model, str | Path):
        return load(str(model))
    if not isinstance(model, kind):
        raise ParameterError(
            f"model is {arguments.shown(model)}",
            expected=f"a name or folder, or wb.{load.__name__}(name)",
        )
    return model


@dataclass(frozen=True)
class Classifier:
    """A fine-tuned encoder that gives a text one of its `labels`."""

    model: TextClassifier
    reading: Reading

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the probabilities' columns."""
        return tuple(self.model.labels)

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probability of each label [N, L], rows adding up to 1; long texts by windows."""
        return classifiers.predict(self.model, arguments.texts(texts, "texts"), self.reading)

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The most probable label of each text."""
        return classifiers.chosen(self.probabilities(texts), self.model.labels)


def fit_classifier(
    texts: Sequence[str],
    labels: Sequence[str],
    model: str | Encoder = "minilm",
    *,
    method: str = FULL,
    epochs: int = 3,
    learning_rate: float = 1e-4,
    seed: int = 0,
) -> Classifier:
    """Fine-tune a copy of an encoder on N labelled texts.

    `method` is "full fine-tuning", "LoRA" or "BitFit"; the last two multiply `learning_rate` by
    ten. All texts train, the last epoch is kept, and how many texts are longer than 128 tokens,
    which are read in windows, is printed. DataError for fewer than two labels, ParameterError for
    another method or lists of different lengths.
    """
    texts, labels = arguments.texts(texts, "texts"), arguments.texts(labels, "labels")
    known = (FULL, LORA, BITFIT)
    if method not in known:
        raise ParameterError(f"method={method!r}", expected=f"one of {', '.join(known)}")
    if len(texts) != len(labels):
        raise ParameterError(f"{len(texts)} texts and {len(labels)} labels", expected="as many")
    if len(names := sorted(set(labels))) < 2:
        raise DataError(f"all {len(labels)} texts have one label", expected="two at least")
    base = _meant(model, Encoder, encoder)
    for issue in classifiers.long_texts(base, texts, MAX_TOKENS).values():
        if issue.count:
            print(issue.describe())
    dtype = machine.precision("auto", base.device)
    reading = Reading(MAX_TOKENS, dtype)
    setting = adaptation.Setting(
        encoder=base,
        labels=names,
        validation=Labelled([], []),
        reading=reading,
        recipe=Recipe(epochs, learning_rate, dtype=dtype),
        lora_rank=8,
        seed=seed,
        log=Log(None),
    )
    train = Labelled(list(texts), list(labels))
    fitted = adaptation.learn(method, train, texts[:1], setting, keep=True).model
    assert fitted is not None, "a fine-tuned model is kept"
    return Classifier(fitted, reading)


@dataclass(frozen=True)
class Tagger:
    """A fine-tuned encoder that tags the words of sentences."""

    model: TokenClassifier
    settings: Settings

    def predict(self, sentences: Sentences) -> list[list[str]]:
        """The best valid IOB2 tags of each sentence, which is a list of words, read by itself."""
        sentences = arguments.words(sentences, "sentences")
        found = tag_scores(
            self.model,
            sentences,
            range(len(sentences)),
            window_tokens=self.settings.window_tokens,
            dtype=taggers.dtype(self.settings, self.model.encoder),
        )
        return [iob.decode(each, self.model.labels) for each in found]


def fit_tagger(
    sentences: Sentences, tags: Sentences, model: str | Encoder = "minilm", **settings: Any
) -> Tagger:
    """Fine-tune a copy of an encoder on N sentences, lists of words with an IOB2 tag for each.

    `settings` are those of `methods.taggers.Settings`, such as `epochs` or `learning_rate`. Every
    tenth sentence chooses the best epoch and does not train. DataError for under ten sentences or
    no entity, ParameterError for another number of tags than words or an unknown setting.
    """
    sentences, tags = arguments.words(sentences, "sentences"), arguments.words(tags, "tags")
    known = [each.name for each in fields(Settings)]
    if wrong := [name for name in settings if name not in known]:
        raise unknown_parameter(wrong[0], known)
    if len(sentences) < 10:
        raise DataError(f"{len(sentences)} sentences", expected="ten at least")
    if [*map(len, sentences)] != [*map(len, tags)]:
        raise ParameterError("sentences and tags differ in length", expected="a tag for each word")
    own = Settings(**settings)
    found = {tag for row in tags for tag in row} - {"O"}
    if other := sorted(tag for tag in found if tag[:2] not in ("B-", "I-")):
        raise DataError(f"the tag {other[0]!r} is not IOB2", expected="O, B-TYPE or I-TYPE")
    if not found:
        raise DataError("no word of the sentences has a tag but O", expected="an entity at least")
    types = tuple(sorted({tag[2:] for tag in found}))
    rows: dict[str, Any] = {"tokens": [*map(list, sentences)], "ner_tags": [*map(list, tags)]}
    rows["document"] = list(range(len(sentences)))
    whole = Dataset.from_dict(rows)
    held_out = [place for place in range(len(sentences)) if place % 10 == 9]
    kept = [place for place in range(len(sentences)) if place % 10 != 9]
    splits = DatasetDict(train=whole.select(kept), validation=whole.select(held_out))
    where = Source("sentences", Path(), "", "given in memory")
    data = NerData(where, splits, types)
    base = _meant(model, Encoder, encoder)
    machine.seed(own.seed)
    tagger = TokenClassifier(base, data.labels)
    taggers.train(own, tagger, data, Log(None))
    return Tagger(tagger.eval(), own)
