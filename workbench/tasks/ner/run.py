"""Named-entity recognition: fine-tune an encoder on tagged sentences and score it by entity.

Heavy libraries are imported where they are used, so that plans and the command line can read
`Config` in no time.
"""

import time
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from workbench.core.config import Config as BaseConfig
from workbench.core.config import MainMeasure, names
from workbench.methods.extras import of_tagger
from workbench.record.result import Cost, Loss, Result

if TYPE_CHECKING:
    from workbench.data.ner import NerData
    from workbench.models.encoder import Encoder

SMOKE: dict[str, object] = {"dataset": "tiny_ner", "epochs": 1}
"""Overrides for tests: the real encoder on the project's own few sentences."""


HEADLINE = (
    "test/entity_f1",
    "test/entity_f1_sentence_alone",
    "test/token_accuracy",
    "validation/entity_f1",
)


class Config(BaseConfig):
    """Parameters of a named-entity run."""

    task: ClassVar[str] = "ner"
    right: ClassVar[str] = "a sentence with every tag right"
    main_measure: ClassVar[MainMeasure] = "entity_f1"
    sources: ClassVar[dict[str, Literal["model", "dataset"]]] = {
        **BaseConfig.sources,
        "transfer": "dataset",
    }

    validation: ClassVar[dict[str, str]] = {"validation/entity_f1": ""}

    model: str = "minilm"
    """Encoder: catalogue name, folder or hf:<id>."""
    dataset: str = "conll2003"
    """Tagged sentences: catalogue name, path or hf:<id>."""
    transfer: str = "wnut16"
    """Other tagged sentences to test on too, in the types both have; "" for none."""
    epochs: Annotated[int, Field(ge=1, le=100)] = 2
    """Passes over the training split."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 4e-4
    """Highest learning rate of AdamW, reached after warm-up."""
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of steps with a rising learning rate; it falls linearly after."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Weight decay of AdamW, on matrices only."""
    batch_pieces: Annotated[int, Field(ge=16)] = 640
    """Most word pieces in a training batch, padding counted."""
    window_pieces: Annotated[int, Field(ge=8)] = 96
    """Word pieces of a document's neighbouring sentences read together."""
    extras: Annotated[str, AfterValidator(of_tagger)] = (
        "casing, consistency, views, masking, fast_head"
    )
    """Additions to the recipe, by name."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Matrix products; auto: bfloat16 where the hardware has it."""


def load_data(config: Config) -> "NerData":
    """Load the data set's three splits."""
    from workbench.data import ner

    return ner.load(config.dataset)


def load_model(config: Config) -> "Encoder":
    """Load the encoder onto the run's device; `run` gives it a head for the data's labels."""
    from workbench.core import machine, sources
    from workbench.models.encoder import Encoder

    source = sources.resolve(config.model, "model")
    return Encoder(source, casing="casing" in names(config.extras)).to(machine.device())


def run(config: Config, model: "Encoder", data: "NerData") -> Result:
    """Fine-tune a copy of the encoder, keep its best epoch on validation, score the test split."""
    from workbench.core import machine
    from workbench.methods import export, tag_errors, tag_scores
    from workbench.models.encoder import TokenClassifier
    from workbench.tasks.ner import tagger as ner_tagger
    from workbench.tasks.ner import transfer as ner_transfer
    from workbench.training import Log

    began = time.monotonic()
    other = ner_transfer.load(config, data)
    machine.seed(config.seed)
    chosen = names(config.extras)
    tagger = TokenClassifier(model, data.labels, hidden="hidden" in chosen, crf="crf" in chosen)
    log = Log(config.directory)
    fit, validated = ner_tagger.train(config, tagger, data, log)
    tested = ner_tagger.predict(tagger, data, "test", config)
    alone = ner_tagger.tags_alone(tagger, data, "test", config)
    transferred = ner_transfer.scores(tagger, data, tested.tags, other, config)
    tables = tag_scores.tables(data, tested.tags) | {"best_epoch": fit.best_epoch}
    tables |= tag_errors.study(data, tested.tags, tested.sureness)
    sources = {"model": model.source, "dataset": data.source}
    sources |= {"transfer": other.source} if other else {}
    result = Result(
        task=config.task,
        parameters=config.model_dump(mode="json"),
        sources={kind: source.record() for kind, source in sources.items()},
        metrics={
            **tag_scores.metrics(data, "test", tested.tags, tested.argmax),
            **tag_scores.alone(data, "test", tested.tags, alone),
            **tag_scores.metrics(data, "validation", validated.tags, validated.argmax),
            **transferred.metrics,
        },
        headline=HEADLINE,
        baselines={
            "majority": tag_scores.majority(data),
            "lexicon": tag_scores.lexicon(data),
        },
        losses={**data.losses, **_tokenization_losses(model, data), **transferred.losses},
        cost=Cost(
            **machine.spent(began, model.device, ner_tagger.dtype(config, model)),
            train_seconds=fit.seconds,
            trained_pieces=fit.pieces,
        ),
        environment=machine.environment(),
        tables=tables,
    )
    reading = {"window_pieces": config.window_pieces, "extras": config.extras}
    result = export.keep(tagger, result, config.directory, **reading)
    items = tag_scores.items(data, "test", tested.tags, tested.losses)
    return result.with_details(directory=config.directory, items=items, history=log.records)


def _tokenization_losses(model: "Encoder", data: "NerData") -> dict[str, Loss]:
    """Test sentences that had to be cut, and words the tokenizer does not know at all."""
    rows = data.splits["test"]
    segments = model.segments(list(rows["tokens"]), list(rows["document"]))
    unknown = [model.tokenizer.unk_token_id]
    words = [pieces for segment in segments for pieces in segment.pieces]
    return {
        "cut_sentences": Loss(
            count=len({segment.sentence for segment in segments if segment.first_word > 0}),
            of=len(rows),
            note="test sentences longer than the model, read in parts (every word is predicted)",
        ),
        "unknown_words": Loss(
            count=sum(pieces == unknown for pieces in words),
            of=len(words),
            note="test words that the tokenizer doesn't know",
        ),
    }
