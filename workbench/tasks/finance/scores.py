"""Scores of guessed directions: all days, by market, by fold in time, and by the last word."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from workbench.methods import label_scores, logistic
from workbench.methods.label_scores import Compared
from workbench.record.draws import Counts
from workbench.record.result import Metric
from workbench.record.statistics import holm, measure, p_value
from workbench.tasks.finance import seeds, verdict, walk_forward
from workbench.tasks.finance.market_words import words
from workbench.tasks.finance.methods import LAST_MOVE, MAJORITY, OPPOSITE, OWN, PLACEBO, Answer
from workbench.tasks.finance.seeds import OF
from workbench.tasks.finance.verdict import Verdict
from workbench.tasks.finance.walk_forward import LABELS, UP, Days, Examples, Fold, Learner, Said

UNJUDGED = (MAJORITY, PLACEBO)
"""Methods that can know nothing of a day."""
TINY = 1e-18
"""Variance below which days move alike, but for rounding."""
Guesses = Mapping[str, Sequence[str]]
"""Method -> a direction for each test row."""


def score(examples: Examples, cuts: Sequence[Fold], answers: Mapping[str, Answer]) -> Compared:
    """All methods on the same days, the run's own against each of the others; also by market."""
    rows = walk_forward.rows_asked(cuts)
    gold = examples.labels_of(rows)
    guesses = {method: found.said.labels for method, found in answers.items()}
    losses = {
        method: logistic.losses(found.said.probabilities, gold, LABELS)
        for method, found in answers.items()
        if method not in (LAST_MOVE, OPPOSITE)  # which give no probabilities
    }
    compared = label_scores.compare(
        OWN,
        guesses,
        {
            "item": examples.names(rows),
            "cluster": [str(block) for block in walk_forward.blocks(examples, rows)],
            "text": [examples.inputs.texts[row] for row in rows],
            "label": gold,
        },
        LABELS,
        of=OF,
        losses=losses,
    )
    markets = by_market(examples, rows, guesses)
    own, differences = seeds.scores(examples, rows, answers)
    return replace(
        compared,
        metrics=compared.metrics | own | markets[OWN],
        baselines={name: found | markets[name] for name, found in compared.baselines.items()},
        comparisons={
            name: found | differences.get(name, {}) for name, found in compared.comparisons.items()
        },
    )


def tables(
    examples: Examples, cuts: Sequence[Fold], answers: Mapping[str, Answer], scored: Compared
) -> dict[str, Any]:
    """Verdict, folds in time, last words and costs, as JSON values."""
    rows = walk_forward.rows_asked(cuts)
    guesses = {method: found.said.labels for method, found in answers.items()}
    return {
        "verdict": judge(examples, rows, answers, scored),
        "folds": by_fold(examples, cuts, guesses),
        "last_words": by_last_word(examples, rows, guesses[OWN]),
        "methods": {method: found.cost for method, found in answers.items()},
    }


def by_market(examples: Examples, rows: Days, guesses: Guesses) -> dict[str, dict[str, Metric]]:
    """Accuracy and MCC of each method on each market, where there are several."""
    markets = np.array([examples.markets[row] for row in rows])
    names = list(dict.fromkeys(markets.tolist()))
    found: dict[str, dict[str, Metric]] = {method: {} for method in guesses}
    for market in names if len(names) > 1 else []:
        kept = np.flatnonzero(markets == market)
        for method, guess in guesses.items():
            scores = _scores(examples, rows, kept, guess, split=market)
            for name in ("accuracy", "mcc"):
                found[method][f"{market}/{name}"] = scores[f"{market}/{name}"]
    return found


def by_fold(examples: Examples, cuts: Sequence[Fold], guesses: Guesses) -> list[dict[str, Any]]:
    """Dates of each fold's training and test days, and the accuracy of each method there."""
    rows, found, start = walk_forward.rows_asked(cuts), [], 0
    for cut in cuts:
        kept = np.arange(start, start + len(cut.test))
        start += len(cut.test)
        dates = {
            "trained_from": examples.known_at[cut.train].min(),
            "trained_to": examples.resolves_at[cut.train].max(),
            "first": examples.known_at[cut.test].min(),
            "last": examples.known_at[cut.test].max(),
        }
        accuracy = {
            method: _scores(examples, rows, kept, guess)["test/accuracy"].model_dump()
            for method, guess in guesses.items()
        }
        found.append(
            {name: str(examples.calendar[day]) for name, day in dates.items()}
            | {"trained": len(cut.train), "n": len(kept), "accuracy": accuracy}
            | {"said_up": float(np.mean([guesses[OWN][place] == UP for place in kept.tolist()]))}
        )
    return found


def by_last_word(examples: Examples, rows: Days, guess: Sequence[str]) -> list[dict[str, Any]]:
    """After each way the day itself moved: how often the next rose, and was said to rise."""
    template = words()
    last = np.array([template.word(move) for move in examples.inputs.numbers[rows, -1]])
    rose = np.array([label == UP for label in examples.labels_of(rows)])
    said = np.array([label == UP for label in guess])
    blocks = walk_forward.blocks(examples, rows)
    found = []
    for word in [*reversed(template.falls), template.still, *template.rises]:
        kept = last == word
        if not kept.any():
            continue
        _, block = np.unique(blocks[kept], return_inverse=True)
        counts = np.stack(
            [np.bincount(block, weights=rose[kept]), np.bincount(block).astype(np.float64)], axis=1
        )
        measured = measure(counts, _fraction, n=int(kept.sum()), clusters=OF)
        assert measured is not None
        told = {"rose": measured.model_dump(), "said_up": float(said[kept].mean())}
        found.append({"word": word} | told)
    return found


def _fraction(counts: Counts) -> Counts:
    return counts[..., 0] / counts[..., 1]


def try_out(
    examples: Examples,
    cuts: Sequence[Fold],
    learners: Mapping[str, Learner],
    *,
    embargo_days: int,
    seed: int,
) -> dict[str, tuple[Verdict, Metric]]:
    """Verdicts on any learners together, by walk, placebo, blocks and rule as in a run; and MCCs.

    On generated markets, whose edge is known, this measures the rates at which the rule errs.
    """
    rows = walk_forward.rows_asked(cuts)
    walk = partial(walk_forward.walk, examples, cuts, embargo_days=embargo_days)

    def mcc(said: Said) -> Metric:
        return _scores(examples, rows, np.arange(len(rows)), said.labels)["test/mcc"]

    answers = {name: Answer(walk(learner), 0, 0.0) for name, learner in learners.items()}
    mccs = {name: mcc(found.said) for name, found in answers.items()}
    placebos = {name: mcc(walk(learner, placebo=seed)) for name, learner in learners.items()}
    said = verdicts(examples, rows, answers, mccs, placebos=placebos)
    return {name: (said[name], mccs[name]) for name in learners}


def judge(
    examples: Examples, rows: Days, answers: Mapping[str, Answer], compared: Compared
) -> dict[str, Any]:
    """A verdict on every method that could know something, as JSON values, and what it rests on."""
    scores = {OWN: compared.metrics, **compared.baselines}
    judged = [method for method in answers if method not in UNJUDGED]
    judged.sort(key=lambda method: method != OWN)
    mccs = {method: scores[method]["test/mcc"] for method in judged}
    said = verdicts(examples, rows, answers, mccs, placebos={OWN: scores[PLACEBO]["test/mcc"]})
    found = {
        method: asdict(one)
        | {"sharpe": _gain(examples, rows, answers[method].said.labels).model_dump()}
        for method, one in said.items()
    }
    alone = {
        str(seed): _scores(examples, rows, np.arange(len(rows)), said.labels)["test/mcc"]
        for seed, said in answers[OWN].trainings.items()
    }
    return {
        "methods": found,
        "limit": verdict.LIMIT,
        "limit_sharpe": verdict.sharpe(verdict.LIMIT, examples.moves[rows]),
        "holding": _gain(examples, rows, [UP] * len(rows)).model_dump(),
        "seeds": {seed: metric.model_dump() for seed, metric in alone.items()},
        "rates": verdict.RATES,
        "blocks": _count_blocks(examples, rows),
        "days": len(set(examples.known_at[rows].tolist())),
        "majority": compared.comparisons[MAJORITY]["test/accuracy"].model_dump(),
    }


def verdicts(
    examples: Examples,
    rows: Days,
    answers: Mapping[str, Answer],
    mccs: Mapping[str, Metric],
    *,
    placebos: Mapping[str, Metric],
) -> dict[str, Verdict]:
    """The verdict on each method of `mccs`, their p-values corrected for how many they are."""
    p_values = [
        p_value(label_scores.mcc(seeds.resampled(examples, rows, answers[method])[1]))
        for method in mccs
    ]
    blocks = _count_blocks(examples, rows)
    return {
        method: verdict.judge(
            mccs[method], placebos.get(method), blocks=blocks, p=p, methods=len(mccs)
        )
        for method, p in zip(mccs, holm(p_values), strict=True)
    }


def _gain(examples: Examples, rows: Days, guess: Sequence[str]) -> Metric:
    """Yearly Sharpe ratio before costs of being long on days said up and short on days said down.

    Of one market at a time, with the same sum each day.
    """
    gains = np.where([label == UP for label in guess], 1, -1) * examples.moves[rows]
    block = walk_forward.blocks(examples, rows)
    _, block = np.unique(block, return_inverse=True)
    parts = (np.ones(len(gains)), gains, gains**2)
    counts = np.stack([np.bincount(block, weights=part) for part in parts], axis=1)
    found = measure(
        counts.astype(np.float64), _sharpe, n=len(rows), clusters=OF, unit="yearly Sharpe ratio"
    )
    assert found is not None, "markets whose next move has a direction do move"
    return found


def _sharpe(counts: Counts) -> Counts:
    mean, square = counts[..., 1] / counts[..., 0], counts[..., 2] / counts[..., 0]
    spread = np.sqrt(np.maximum(square - mean**2, TINY))
    return math.sqrt(verdict.TRADING_DAYS) * mean / spread


def _count_blocks(examples: Examples, rows: Days) -> int:
    return len(set(walk_forward.blocks(examples, rows).tolist()))


def _scores(
    examples: Examples, rows: Days, kept: Days, guess: Sequence[str], split: str = "test"
) -> dict[str, Metric]:
    """Metrics of one method on some of the test rows."""
    blocks = walk_forward.blocks(examples, rows)[kept]
    gold, said = examples.labels_of(rows[kept]), [guess[place] for place in kept]
    return label_scores.metrics(gold, said, LABELS, blocks.tolist(), of=OF, split=split)
