"""A day's last moves in plain words: from prices up to that day, and an audit that it is so."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import yaml
from numpy.typing import NDArray

from workbench.core import paths
from workbench.core.errors import DataError
from workbench.data.market import Market
from workbench.record.result import DataIssue
from workbench.tasks.finance.walk_forward import DOWN, UP, Examples, Inputs

TEMPLATE = paths.PACKAGE / "tasks" / "finance" / "market_words.yaml"
CAP = 8.0
"""Largest move over volatility: beyond, a crash would rule a regression alone."""
CUTS = 8
"""Days at which the audit replaces the future."""
Prices = NDArray[np.float64]
Speaker = Callable[[Prices], Inputs]
"""Prices [D] -> inputs of all D days, those with too short a past empty."""


@dataclass(frozen=True)
class Words:
    """The template file."""

    volatility_days: int
    text: str
    between: str
    still: str
    limits: list[float]
    rises: list[str]
    falls: list[str]

    def word(self, move: float) -> str:
        """How one move is said."""
        size = int(np.digitize(abs(move), self.limits))
        return (self.rises if move > 0 else self.falls)[size] if move else self.still

    def say(self, moves: NDArray[np.float64]) -> str:
        """The text of some moves over volatility, the oldest first.

        >>> words().say(np.array([-1.5, 0.0, 0.5]))
        'The market dropped down, stood still, then moved up.'
        """
        *earlier, last = [self.word(move) for move in moves]
        return self.text.format(earlier=self.between.join(earlier), last=last)


def words() -> Words:
    """Read the template file."""
    return Words(**yaml.safe_load(TEMPLATE.read_text(encoding="utf-8")))


def speak(prices: Prices, *, history: int) -> Inputs:
    """Each day's last `history` moves as text and as numbers; a day with too short a past has "".

    A move is divided by the root mean square of the `volatility_days` returns before it.
    """
    template = words()
    logs = np.diff(np.log(prices), prepend=np.log(prices[0]))
    moves = np.full((len(prices), history), np.nan)
    volatility = np.full(len(prices), np.nan)
    past = np.lib.stride_tricks.sliding_window_view(logs[1:-1] ** 2, template.volatility_days)
    volatility[template.volatility_days + 1 :] = np.sqrt(past.mean(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        # After days that never moved, the smallest move is the largest of all.
        scaled = np.clip(np.where(logs == 0, 0 * volatility, logs / volatility), -CAP, CAP)
    moves[history - 1 :] = np.lib.stride_tricks.sliding_window_view(scaled, history)
    ready = ~np.isnan(moves).any(axis=1)
    texts = [template.say(row) if told else "" for row, told in zip(moves, ready, strict=True)]
    return Inputs(texts, moves)


def audit(speaker: Speaker, prices: Prices, *, seed: int) -> int:
    """Replace the future at some days and see that all before is said as it was; count the days.

    After each of some random days the market booms once and crashes once, in steps of random size:
    a text or number that looks one day ahead differs between the two. Raises DataError then.
    """
    said = speaker(prices)
    chance = np.random.default_rng(seed)
    ready = [day for day, text in enumerate(said.texts[:-1]) if text]
    cuts = sorted(chance.choice(ready, min(CUTS, len(ready)), replace=False).tolist())
    for day in cuts:
        steps = np.cumsum(chance.uniform(0.01, 0.1, len(prices) - day - 1))
        for direction in (1, -1):
            changed = prices.copy()
            changed[day + 1 :] = prices[day] * np.exp(direction * steps)
            again = speaker(changed)
            texts = said.texts[: day + 1] == again.texts[: day + 1]
            numbers = np.array_equal(
                said.numbers[: day + 1], again.numbers[: day + 1], equal_nan=True
            )
            if not (texts and numbers):
                what = "numbers" if texts else "texts"
                raise DataError(
                    f"the {what} look ahead: with other prices after day {day} of {len(prices)},"
                    f" they differ up to that day",
                    expected="what is said of a day follows from prices up to that day",
                )
    return len(cuts)


def examples(markets: Mapping[str, Market], said: Mapping[str, Inputs]) -> Examples:
    """Days of all markets in order of time, with the direction of the next move as the label.

    A day without a text, or whose next price is the same and so has no direction, is left out.
    """
    calendar = np.unique(np.concatenate([market.days for market in markets.values()]))
    kept = {name: _with_direction(market, said[name]) for name, market in markets.items()}
    names = np.repeat(list(kept), [len(days) for days in kept.values()])
    places = {name: np.searchsorted(calendar, market.days) for name, market in markets.items()}
    known = np.concatenate([places[name][days] for name, days in kept.items()])
    resolves = np.concatenate([places[name][days + 1] for name, days in kept.items()])
    moves = np.concatenate([markets[name].returns[days + 1] for name, days in kept.items()])
    texts = [said[name].texts[day] for name, days in kept.items() for day in days]
    numbers = np.concatenate([said[name].numbers[days] for name, days in kept.items()])
    order = np.argsort(known, kind="stable")
    return Examples(
        inputs=Inputs(texts, numbers).take(order),
        labels=[UP if moves[row] > 0 else DOWN for row in order],
        markets=names[order].tolist(),
        calendar=calendar,
        known_at=known[order],
        resolves_at=resolves[order],
        moves=moves[order],
    )


def left_out(markets: Mapping[str, Market], said: Mapping[str, Inputs]) -> dict[str, DataIssue]:
    """Days that are no example, and why."""
    days = sum(len(market.days) for market in markets.values())
    told = {name: np.array([bool(text) for text in said[name].texts]) for name in markets}
    early = sum(int((~found).sum()) for found in told.values())
    unmoved = sum(
        int((told[name][:-1] & (market.returns[1:] == 0)).sum()) for name, market in markets.items()
    )
    notes = {
        "first_days": (early, "first days, read only as the past of later ones"),
        "last_days": (len(markets), "last days, whose next move is not known"),
        "unmoved_days": (unmoved, "days with an unchanged next price, which has no direction"),
    }
    return {
        name: DataIssue(count=count, of=days, note=note) for name, (count, note) in notes.items()
    }


def _with_direction(market: Market, said: Inputs) -> NDArray[np.int64]:
    """Days that have a text and a next move."""
    told = np.array([bool(text) for text in said.texts[:-1]])
    return np.flatnonzero(told & (market.returns[1:] != 0))
