"""Recommendation: whether reading what items are about helps to say what a user takes next."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas
from numpy.typing import NDArray

from workbench.core import machine
from workbench.core import sources as where
from workbench.data import interactions
from workbench.data.interactions import Interactions
from workbench.methods import label_scores
from workbench.methods.classifiers import Reading
from workbench.models.encoder import Encoder
from workbench.record.findings import Findings
from workbench.record.means import mean, mean_difference
from workbench.record.result import DataIssue, Metric
from workbench.tasks.recommendation import questions, rankers
from workbench.tasks.recommendation.config import Config
from workbench.tasks.recommendation.questions import TOP, Places, Questions
from workbench.tasks.recommendation.rankers import Past, Rank
from workbench.training import Log

MAX_TOKENS = 64
"""Tokens read of an item's text."""
POPULAR, RECENT = "popularity", "recent popularity"
NEIGHBOURS, FACTORS = "item-item neighbours", "matrix factorisation"
TEXT, TUNED = "text embeddings", "fine-tuned text embeddings"
COMBINED = "factorisation and fine-tuned text"
Values = NDArray[np.float64]
Metrics = dict[str, Metric]


def load_data(config: Config) -> Interactions:
    """Load events of users and items, and the items' texts."""
    return interactions.load(config.dataset, items=config.item_texts)


def load_model(config: Config) -> Encoder:
    """Load the encoder onto the run's device; `run` adapts a copy of it."""
    source = where.resolve(config.model, "model")
    return Encoder(source, casing=False).to(machine.device())


def run(config: Config, model: Encoder, data: Interactions) -> Findings:
    """Let every recommender rank the whole catalogue for the same users, and compare."""
    asked = questions.split(data, config.test_fraction)
    reading = Reading(MAX_TOKENS, machine.precision(config.precision, model.device))
    log = Log(config.directory)
    fitted = _fit(config, model, data, asked.past, reading, log)
    top = {name: questions.recommend(rank, asked.histories) for name, rank in fitted.ranks.items()}
    features = rankers.embed(model, data.texts, reading)
    scored = {name: _scores(found, asked) for name, found in top.items()}
    others = [name for name in top if name != COMBINED]
    used = {"model": model.source, "dataset": data.source}
    used |= {"item_texts": data.items_source} if data.items_source else {}
    return Findings(
        sources=used,
        method=COMBINED,
        metrics=_metrics(scored[COMBINED]),
        headline=("test/ndcg_at_10", "test/hit_rate_at_10"),
        baselines={name: _metrics(scored[name]) for name in others},
        comparisons={name: _metrics(scored[COMBINED], scored[name]) for name in others},
        data_issues=asked.data_issues | {"cut_texts": _cut(model, data)},
        device=model.device,
        dtype=reading.dtype,
        train_seconds=sum(cost["seconds"] for name, cost in fitted.costs.items() if name in others),
        trained_tokens=fitted.tokens,
        items=pandas.concat(
            [_items(name, found, data, asked) for name, found in top.items()], ignore_index=True
        ),
        history=log.records,
        tables={
            "methods": fitted.costs,
            "lists": {name: _of_lists(found, data, features) for name, found in top.items()},
            "held_out": questions.held_out(data, _fit_behaviour(config), config.seed),
            "counts": {
                "events_before": sum(map(len, asked.past.histories)),
                "users": len(asked.user),
                "new_users": int(asked.new_user.sum()),
                "new_items": len(asked.new_items),
            },
        },
    )


@dataclass(frozen=True)
class _Fitted:
    """What each recommender learned and cost."""

    ranks: dict[str, Rank]
    costs: dict[str, dict[str, Any]]
    tokens: int


def _behaviour(config: Config) -> dict[str, Callable[[Past], Rank]]:
    """What learns from events alone."""
    return {
        POPULAR: lambda past: rankers.popularity(past.taken, past.items),
        NEIGHBOURS: rankers.neighbours,
        FACTORS: lambda past: rankers.factorisation(past, config.factors, config.seed),
    }


def _fit_behaviour(config: Config) -> Callable[[Past], dict[str, Rank]]:
    return lambda past: {name: make(past) for name, make in _behaviour(config).items()}


def _fit(
    config: Config, model: Encoder, data: Interactions, past: Past, reading: Reading, log: Log
) -> _Fitted:
    """Fit everything on what came before the split, with the time that each took."""
    pairs = rankers.followed(past.histories, config.pairs, config.seed)
    trained: dict[str, int] = {FACTORS: config.factors * (past.items + len(past.histories))}
    tokens = 0

    def tuned(_: Past) -> Rank:
        nonlocal tokens
        log.method = TUNED
        embedder, tokens = rankers.fine_tune(model, data.texts, pairs, reading, log)
        trained[TUNED] = embedder.trainable
        return rankers.by_text(rankers.embed(embedder.encoder, data.texts, reading))

    makers: dict[str, Callable[[Past], Rank]] = {
        **_behaviour(config),
        RECENT: lambda past: rankers.popularity(past.recent, past.items),
        TEXT: lambda _: rankers.by_text(rankers.embed(model, data.texts, reading)),
        TUNED: tuned,
    }
    ranks, costs = {}, {}
    for name, make in makers.items():
        began = time.monotonic()
        ranks[name] = make(past)
        costs[name] = {"trainable": trained.get(name, 0), "seconds": time.monotonic() - began}
    ranks[COMBINED] = rankers.combined([ranks[FACTORS], ranks[TUNED]])
    costs[COMBINED] = {key: costs[FACTORS][key] + costs[TUNED][key] for key in costs[TUNED]}
    return _Fitted(ranks, costs, tokens)


def _scores(top: Places, asked: Questions) -> dict[str, Values]:
    """Metric -> its value for each question [Q]; NaN where it is not asked."""
    found = questions.hits(top, asked.targets)
    gain, hit = questions.ndcg(found, asked.targets), found.any(axis=1).astype(float)
    fresh = [own & asked.new_items for own in asked.targets]
    hit_fresh = questions.hits(top, fresh).any(axis=1)
    return {
        "test/ndcg_at_10": gain,
        "test/hit_rate_at_10": hit,
        "test/ndcg_at_10_known_users": np.where(asked.new_user, np.nan, gain),
        "test/ndcg_at_10_new_users": np.where(asked.new_user, gain, np.nan),
        "test/hit_rate_at_10_new_items": np.where([*map(bool, fresh)], hit_fresh, np.nan),
    }


def _metrics(ours: Mapping[str, Values], theirs: Mapping[str, Values] | None = None) -> Metrics:
    """Means over users, or with `theirs` ours minus theirs, paired."""
    found = {
        name: mean(own.tolist(), of="users")
        if theirs is None
        else mean_difference(own.tolist(), theirs[name].tolist(), of="users")
        for name, own in ours.items()
    }
    return {name: metric for name, metric in found.items() if metric}


def _of_lists(top: Places, data: Interactions, features: NDArray[np.float32]) -> dict[str, float]:
    """Coverage: the fraction of the catalogue that is recommended to somebody. Diversity: 1 less
    the mean cosine of two items of a list, by the texts' embeddings.
    """
    apart = []
    for row in top:
        likeness = features[row] @ features[row].T
        apart.append(1 - (likeness.sum() - np.trace(likeness)) / (TOP * (TOP - 1)))
    return {"coverage": len(np.unique(top)) / len(data.items), "diversity": float(np.mean(apart))}


def _items(name: str, top: Places, data: Interactions, asked: Questions) -> pandas.DataFrame:
    """One row for each user: whether one of the list was taken."""
    found = questions.hits(top, asked.targets).max(axis=1) > 0
    users = [data.users[place] for place in asked.user]
    shown = ["; ".join(data.texts[item] for item in own[-3:]) for own in asked.histories]
    said = ["taken" if hit else "not taken" for hit in found]
    return label_scores.items(users, name, shown, ["taken"] * len(users), said, clusters=users)


def _cut(model: Encoder, data: Interactions) -> DataIssue:
    _, count = model.encode(data.texts, MAX_TOKENS)
    note = f"item texts of more than {MAX_TOKENS} tokens, cut"
    return DataIssue(count=count, of=len(data.texts), note=note)
