"""Can text tell tomorrow's direction? Markets' last moves in words, walked forward in time.

Nothing that is learned or said of a day uses a later price: the words are audited with a replaced
future, the folds refuse labels that were not known yet, and a placebo is judged beside the model.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from workbench.core import machine, sources
from workbench.core.config import names
from workbench.core.described import Described
from workbench.core.errors import ParameterError
from workbench.data import market
from workbench.data.market import Market
from workbench.methods import classifiers
from workbench.methods.classifiers import Reading
from workbench.models.encoder import Encoder
from workbench.record.findings import Findings
from workbench.record.result import DataIssue
from workbench.tasks.finance import market_words, walk_forward
from workbench.tasks.finance import methods as finance_methods
from workbench.tasks.finance import scores as finance_scores
from workbench.tasks.finance.config import Config
from workbench.tasks.finance.methods import MAX_TOKENS, Answer
from workbench.tasks.finance.walk_forward import Examples, Fold
from workbench.training import Log, Recipe

RESERVED = "test"
"""The split that all markets together are: no market may be called so."""


@dataclass(frozen=True)
class MarketDays(Described):
    """Markets by name, and their days as examples."""

    markets: dict[str, Market]
    examples: Examples
    audited: int
    """Days after which the future was replaced, and nothing said before it changed."""
    data_issues: dict[str, DataIssue] = field(default_factory=dict)

    def describe(self) -> str:
        """Each market, the examples with the last one's text, and what was left out."""
        labels, texts = self.examples.labels, self.examples.inputs.texts
        rising = sum(label == "up" for label in labels) / len(labels)
        lines = [market.describe() for market in self.markets.values()]
        lines.append(
            f"{len(labels):,} examples, {rising:.1%} up; {len(set(texts)):,} different texts"
        )
        lines.append(f"the last: {texts[-1]!r} -> {labels[-1]}")
        lines.append(
            f"no look-ahead: with the prices after {self.audited} days replaced, all that is said"
            " up to those days stays as it is"
        )
        return "\n".join([*lines, *(issue.describe() for issue in self.data_issues.values())])


def load_data(config: Config) -> MarketDays:
    """Load the markets, say each day in words, and see that no word looks ahead."""
    markets = {
        name: market.load(
            source,
            date_column=config.date_column,
            price_column=config.price_column,
            date_order=config.date_order,
        )
        for name, source in _by_name(config.dataset).items()
    }
    speaker = partial(market_words.speak, history=config.history)
    audited = sum(
        market_words.audit(speaker, found.prices, seed=config.seed) for found in markets.values()
    )
    said = {name: speaker(found.prices) for name, found in markets.items()}
    data_issues = {
        f"{name}_{key}": issue.model_copy(update={"note": f"{name}: {issue.note}"})
        for name, found in markets.items()
        for key, issue in found.data_issues.items()
    }
    return MarketDays(
        markets=markets,
        examples=market_words.examples(markets, said),
        audited=audited,
        data_issues=data_issues | market_words.left_out(markets, said),
    )


def _by_name(dataset: str) -> dict[str, str]:
    """Short name of each market, as items and metrics call it -> the name as given."""
    given = names(dataset)
    short = {Path(name).stem: name for name in given}
    if not given or len(short) < len(given) or RESERVED in short:
        raise ParameterError(
            f"dataset={dataset!r}",
            expected=f"markets with names of their own, none of them {RESERVED!r}",
            do="rename a file, or leave one out",
        )
    return short


def load_model(config: Config) -> Encoder:
    """Load the encoder onto the run's device; each fold trains a copy of it."""
    source = sources.resolve(config.model, "model")
    return Encoder(source, casing=False).to(machine.device())


def run(config: Config, model: Encoder, data: MarketDays) -> Findings:
    """Walk every method through the folds, score all on the same days, and reach a verdict."""
    examples, log = data.examples, Log(config.directory)
    cuts = walk_forward.folds(
        examples, config.folds, train_days=config.train_days, embargo_days=config.embargo_days
    )
    answers = _answers(config, model, examples, cuts, log)
    scored = finance_scores.score(examples, cuts, answers)
    markets = enumerate(data.markets.values(), 1)
    return Findings(
        sources={"model": model.source}
        | {f"dataset {number}": market.source for number, market in markets},
        **scored.record(),
        headline=("test/mcc", "test/accuracy"),
        data_issues=classifiers.long_texts(model, examples.inputs.texts, MAX_TOKENS),
        device=model.device,
        dtype=_dtype(config, model),
        train_seconds=sum(answer.seconds for answer in answers.values()),
        trained_tokens=sum(answer.tokens for answer in answers.values()),
        tables=finance_scores.tables(examples, cuts, answers, scored),
        items=scored.items,
        history=log.records,
    )


def _answers(
    config: Config, model: Encoder, examples: Examples, cuts: list[Fold], log: Log
) -> dict[str, Answer]:
    """What all methods say of the folds' test days."""
    dtype = _dtype(config, model)
    tuned = partial(
        finance_methods.FineTuned,
        model,
        Recipe(epochs=config.epochs, learning_rate=config.learning_rate, dtype=dtype),
        Reading(finance_methods.MAX_TOKENS, dtype),
        log=log,
    )
    # Runs with neighbouring seeds share no training.
    seeds = [(config.seed * config.seeds + number) % 2**32 for number in range(config.seeds)]
    return finance_methods.answer(
        examples, cuts, tuned, embargo_days=config.embargo_days, seeds=seeds
    )


def _dtype(config: Config, model: Encoder) -> torch.dtype:
    return machine.precision(config.precision, model.device)
