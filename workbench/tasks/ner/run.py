"""Named-entity recognition: fine-tune an encoder on tagged sentences and score it by entity."""

from dataclasses import fields
from functools import partial

from workbench.core import machine, sources
from workbench.core.config import names
from workbench.data import ner
from workbench.data.ner import NerData
from workbench.methods import export, predict, tag_errors, tag_scores, taggers
from workbench.methods.taggers import Settings
from workbench.models.encoder import Encoder, TokenClassifier
from workbench.record.findings import Findings
from workbench.record.result import DataIssue
from workbench.tasks.ner import transfer as ner_transfer
from workbench.tasks.ner.config import Config
from workbench.training import Log

HEADLINE = (
    "test/entity_f1",
    "test/entity_f1_sentence_alone",
    "test/token_accuracy",
    "validation/entity_f1",
)


def load_data(config: Config) -> NerData:
    """Load the data set's three splits."""
    return ner.load(config.dataset, train_sentences=config.train_sentences)


def load_model(config: Config) -> Encoder:
    """Load the encoder onto the run's device; `run` gives it a head for the data's labels."""
    source = sources.resolve(config.model, "model")
    return Encoder(source, casing="casing" in names(config.extras)).to(machine.device())


def run(config: Config, model: Encoder, data: NerData) -> Findings:
    """Fine-tune a copy of the encoder, keep its best epoch on validation, score the test split."""
    other = ner_transfer.load(config, data)
    tagger = TokenClassifier(model, data.labels)
    log, settings = Log(config.directory), _settings(config)
    fit, validated = taggers.train(settings, tagger, data, log)
    tested = taggers.predict(tagger, data, "test", settings)
    lexicon = tag_scores.remembered(data)
    alone = taggers.tags_alone(tagger, data, "test", settings)
    transferred = ner_transfer.scores(tagger, data, tested.tags, other, settings)
    tables = tag_scores.tables(data, tested.tags) | {"best_epoch": fit.best_epoch}
    tables |= tag_errors.study(data, tested.tags, tested.confidence)
    used = {"model": model.source, "dataset": data.source}
    used |= {"transfer": other.source} if other else {}
    kept = {"window_tokens": config.window_tokens, "extras": config.extras}
    return Findings(
        sources=used,
        metrics={
            **tag_scores.metrics(data, "test", tested.tags, tested.argmax),
            **tag_scores.alone(data, "test", tested.tags, alone),
            **tag_scores.metrics(data, "validation", validated.tags, validated.argmax),
            **transferred.metrics,
        },
        headline=HEADLINE,
        baselines={
            "majority": tag_scores.majority(data),
            "lexicon": tag_scores.baseline(data, lexicon),
        },
        comparisons={"lexicon": tag_scores.differences(data, "test", tested.tags, lexicon)},
        data_issues={**_tokenization_issues(model, data), **transferred.data_issues},
        device=model.device,
        dtype=taggers.dtype(settings, model),
        train_seconds=fit.seconds,
        trained_tokens=fit.tokens,
        tables=tables,
        items=tag_scores.items(data, "test", tested.tags, tested.losses),
        history=log.records,
        predict=partial(predict.answer, tagger, kept | {"precision": config.precision}),
        keep=lambda result: export.keep(tagger, result, config.directory, **kept),
    )


def _settings(config: Config) -> Settings:
    """How the tagger is trained: the parameters of the same names."""
    return Settings(**{each.name: getattr(config, each.name) for each in fields(Settings)})


def _tokenization_issues(model: Encoder, data: NerData) -> dict[str, DataIssue]:
    """Test sentences that had to be cut, and words the tokenizer does not know at all."""
    rows = data.splits["test"]
    segments = model.segments(list(rows["tokens"]), list(rows["document"]))
    unknown = [model.tokenizer.unk_token_id]
    words = [tokens for segment in segments for tokens in segment.tokens]
    return {
        "cut_sentences": DataIssue(
            count=len({segment.sentence for segment in segments if segment.first_word > 0}),
            of=len(rows),
            note="test sentences longer than the model, read in parts (every word is predicted)",
        ),
        "unknown_words": DataIssue(
            count=sum(tokens == unknown for tokens in words),
            of=len(words),
            note="test words that the tokenizer doesn't know",
        ),
    }
