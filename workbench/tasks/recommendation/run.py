"""Recommendation: whether reading what items are about helps to say what a user takes next."""

import time
from typing import Any

import numpy as np
import pandas
from numpy.typing import NDArray

from workbench.core import machine, sources
from workbench.data import interactions
from workbench.data.interactions import Interactions
from workbench.methods import classifiers, embeddings, label_scores, measures
from workbench.methods.classifiers import Reading
from workbench.models.encoder import Encoder
from workbench.record.findings import Findings
from workbench.tasks.recommendation import questions, rankers
from workbench.tasks.recommendation.config import Config
from workbench.tasks.recommendation.questions import Places, Questions
from workbench.tasks.recommendation.rankers import Makers, Past, Rank
from workbench.training import Log, Recipe

MAX_TOKENS = 64
"""Tokens read of an item's text."""
BATCH_PAIRS, LEARNING_RATE = 64, 1e-4
HIT = "test/hit_rate_at_10"
POPULAR, RECENT = "popularity", "recent popularity"
NEIGHBOURS, FACTORS = "item-item neighbours", "matrix factorisation"
TEXT, TUNED = "text embeddings", "fine-tuned text embeddings"
COMBINED = "factorisation and fine-tuned text"
Values = dict[str, NDArray[np.float64]]


def load_data(config: Config) -> Interactions:
    """Load events of users and items, and the items' texts."""
    return interactions.load(config.dataset, items=config.item_texts)


def load_model(config: Config) -> Encoder:
    """Load the encoder onto the run's device; `run` adapts a copy of it."""
    return Encoder(sources.resolve(config.model, "model"), casing=False).to(machine.device())


def run(config: Config, model: Encoder, data: Interactions) -> Findings:
    """Let every recommender rank the whole catalogue for the same users, and compare."""
    asked = questions.split(data, config.test_fraction)
    reading = Reading(MAX_TOKENS, machine.precision(config.precision, model.device))
    log = Log(config.directory)
    ranks, costs, tokens = _fit(config, model, data, asked.past, reading, log)
    top = {name: questions.recommend(rank, asked.histories) for name, rank in ranks.items()}
    features = embeddings.centred(model, data.texts, reading)
    scored = {name: _values(found, asked) for name, found in top.items()}
    items = _items(scored, data, asked)
    compared = label_scores.compare_values(COMBINED, scored, items, of="users")
    used = {"model": model.source, "dataset": data.source, "item_texts": data.items_source}
    long = classifiers.long_texts(model, data.texts, MAX_TOKENS, of="item texts")
    return Findings(
        **compared.record(),
        sources={role: source for role, source in used.items() if source},
        headline=("test/ndcg_at_10", HIT),
        data_issues=asked.data_issues | long,
        device=model.device,
        dtype=reading.dtype,
        train_seconds=sum(costs[name]["seconds"] for name in compared.baselines),
        trained_tokens=tokens,
        items=items,
        history=log.records,
        tables={
            "methods": costs,
            "lists": {name: measures.spread(found, features) for name, found in top.items()},
            "held_out": questions.held_out(data, _behaviour(config), config.seed),
            "counts": {
                "events_before": sum(map(len, asked.past.histories)),
                "users": len(asked.user),
                "new_users": int(asked.new_user.sum()),
                "new_items": len(asked.new_items),
            },
        },
    )


def _behaviour(config: Config) -> Makers:
    """What learns from events alone."""
    return {
        POPULAR: lambda past: rankers.popularity(past.histories, past.items),
        NEIGHBOURS: rankers.neighbours,
        FACTORS: lambda past: rankers.factorisation(past, config.factors, config.seed),
    }


def _fit(
    config: Config, model: Encoder, data: Interactions, past: Past, reading: Reading, log: Log
) -> tuple[dict[str, Rank], dict[str, dict[str, Any]], int]:
    """Fit everything on what came before the split; what each cost, and the tokens trained on."""
    trained = {FACTORS: config.factors * (past.items + len(past.histories))}
    tokens = 0

    def by_text(encoder: Encoder) -> Rank:
        return rankers.by_text(embeddings.centred(encoder, data.texts, reading))

    def tuned(past: Past) -> Rank:
        nonlocal tokens
        log.method = TUNED
        pairs = rankers.followed(past.histories, data.texts, config.pairs, config.seed)
        recipe, loss = Recipe(1, LEARNING_RATE, dtype=reading.dtype), embeddings.successors
        embedder, tokens = embeddings.learn_pairs(
            model, data.texts, pairs, loss, recipe, reading, log, batch_pairs=BATCH_PAIRS
        )
        trained[TUNED] = embedder.trainable
        return by_text(embedder.encoder)

    makers: Makers = {
        **_behaviour(config),
        RECENT: lambda past: rankers.popularity([past.recent], past.items),
        TEXT: lambda _: by_text(model),
        TUNED: tuned,
    }
    ranks, costs = {}, {}
    for name, make in makers.items():
        began = time.monotonic()
        ranks[name] = make(past)
        costs[name] = {"trainable": trained.get(name, 0), "seconds": time.monotonic() - began}
    ranks[COMBINED] = rankers.combined([ranks[FACTORS], ranks[TUNED]])
    costs[COMBINED] = {key: costs[FACTORS][key] + costs[TUNED][key] for key in costs[TUNED]}
    return ranks, costs, tokens


def _values(top: Places, asked: Questions) -> Values:
    """Metric -> its value for each question [Q]; NaN where it is not asked."""
    found = measures.hits(top, asked.targets)
    gain = measures.ndcg(found, asked.targets)
    fresh = [own & asked.new_items for own in asked.targets]
    hit_fresh = measures.hits(top, fresh).any(axis=1)
    return {
        "test/ndcg_at_10": gain,
        HIT: found.any(axis=1).astype(float),
        "test/ndcg_at_10_known_users": np.where(asked.new_user, np.nan, gain),
        "test/ndcg_at_10_new_users": np.where(asked.new_user, gain, np.nan),
        "test/hit_rate_at_10_new_items": np.where([*map(bool, fresh)], hit_fresh, np.nan),
    }


def _items(scored: dict[str, Values], data: Interactions, asked: Questions) -> pandas.DataFrame:
    """One row for each method and user: whether one of the list was taken."""
    users = [data.users[place] for place in asked.user]
    shown = ["; ".join(data.texts[item] for item in own[-3:]) for own in asked.histories]
    parts = []
    for name, found in scored.items():
        said = ["taken" if hit else "not taken" for hit in found[HIT]]
        gold = ["taken"] * len(users)
        parts.append(label_scores.items(users, name, shown, gold, said, clusters=users))
    return pandas.concat(parts, ignore_index=True)
