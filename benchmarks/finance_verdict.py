"""How often the finance verdict errs: markets with a planted edge, and random walks.

A day of a generated market moves as the day before with probability 0.5 + edge. Each is judged as
in a run of `40_finance`: walk forward, placebo, blocks of days, rule, Holm's correction for the
methods judged together. The last line is JSON.
"""

import argparse
import contextlib
import io
import json
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial

import numpy as np

from workbench.core import machine
from workbench.data import market
from workbench.methods.classifiers import Reading
from workbench.tasks.finance import market_words, verdict, walk_forward
from workbench.tasks.finance import methods as finance_methods
from workbench.tasks.finance import run as finance
from workbench.tasks.finance import scores as finance_scores
from workbench.tasks.finance.walk_forward import Learner
from workbench.training import Log, Recipe

EDGES = (0.05, 0.0)
ANSWERS = ("yes", "no", "cannot tell", "withheld")


SIMPLE = {
    "logistic regression, with the others": finance_methods.logistic,
    "last move, with the others": finance_methods.last_move,
    "its opposite, with the others": finance_methods.opposite,
}
"""Judged together, as beside the encoder in a run."""


def encoder(config: finance.Config) -> Learner:
    """The real encoder, with the run's own training."""
    model = finance.load_model(config)
    dtype = machine.precision(config.precision, model.device)
    return finance_methods.FineTuned(
        model,
        Recipe(epochs=config.epochs, learning_rate=config.learning_rate, dtype=dtype),
        Reading(finance_methods.MAX_TOKENS, dtype),
        seed=0,
        log=Log(None),
        name="encoder",
    )


def trial(
    learners: Mapping[str, Learner],
    config: finance.Config,
    *,
    edge: float,
    seeds: int,
    days: int,
    markets: int,
) -> list[dict]:
    """Verdicts over seeds, each on `markets` independent generated ones learned together.

    Several learners are judged together, with Holm's correction.
    """
    began = time.monotonic()
    answers: dict[str, Counter] = {name: Counter() for name in learners}
    mccs: dict[str, list[float]] = {name: [] for name in learners}
    speak = partial(market_words.speak, history=config.history)
    for seed in range(seeds):
        found = {
            f"made {number}": market.generated(days, edge=edge, seed=seed * markets + number)
            for number in range(markets)
        }
        examples = market_words.examples(
            found, {name: speak(made.prices) for name, made in found.items()}
        )
        cuts = walk_forward.folds(
            examples, config.folds, train_days=config.train_days, embargo_days=config.embargo_days
        )
        with contextlib.redirect_stdout(io.StringIO()):
            found = finance_scores.try_out(
                examples, cuts, learners, embargo_days=config.embargo_days, seed=seed
            )
        for name, (said, mcc) in found.items():
            answers[name][said.answer] += 1
            mccs[name].append(mcc.value)
            print(f"  {name}, edge {edge}, seed {seed}: {said.answer}, MCC {mcc}", flush=True)
    return [
        {
            "method": name,
            "folds": config.folds,
            "edge": edge,
            "seeds": seeds,
            "test_days": len(set(examples.known_at[walk_forward.rows_asked(cuts)].tolist())),
            "answers": {answer: answers[name][answer] for answer in ANSWERS},
            "mean_mcc": round(float(np.mean(mccs[name])), 4),
            "seconds": round(time.monotonic() - began, 1),
        }
        for name in learners
    ]


def main() -> None:
    """Print a table of verdicts and, last, one JSON object."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, default=50, help="for logistic regression")
    arguments.add_argument("--encoder-seeds", type=int, default=10, help="for the real encoder")
    arguments.add_argument("--edges", type=float, nargs="+", default=EDGES, help="planted, each")
    given = arguments.parse_args()
    config = finance.Config.check({"train_days": 1500})
    shorter = finance.Config.check({"train_days": 1500, "folds": 2})
    plans = (
        ({"logistic regression": finance_methods.logistic}, config, given.seeds),
        (SIMPLE, config, given.seeds),
        ({"fine-tuned encoder": encoder(shorter)}, shorter, given.encoder_seeds),
    )
    trials = []
    for learners, setting, seeds in plans:
        for edge in given.edges if seeds else ():
            trials += trial(learners, setting, edge=edge, seeds=seeds, days=5000, markets=1)
    print(f"\n{'method':<38}{'edge':>6}{'seeds':>7}{'MCC':>8}", *(f"{a:>12}" for a in ANSWERS))
    for found in trials:
        counts = (f"{found['answers'][answer]:>12}" for answer in ANSWERS)
        head = (
            f"{found['method']:<38}{found['edge']:>6}{found['seeds']:>7}{found['mean_mcc']:>8.3f}"
        )
        print(head, *counts)
    print(json.dumps({"benchmark": "finance_verdict", "limit": verdict.LIMIT, "trials": trials}))


if __name__ == "__main__":
    main()
