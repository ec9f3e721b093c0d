"""Daily prices of a market: one number a day, in order of time."""

import gzip
import hashlib
import re
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas
from numpy.typing import NDArray

from workbench.data import tables
from workbench.errors import DataError
from workbench.result import Loss
from workbench.sources import Source, resolve

KNOWN = {
    "nasdaq": ("Date", "Adj Close"),
    "sp500": ("Date", "Adj Close"),
    "tiny_market": ("date", "price"),
    "vix": ("Date", "vix"),
}
"""Catalogue data set -> its columns of date and price."""
MIN_DAYS = 100
MISSING = (".", "NA", "N/A", "#N/A", "NaN", "nan", "null")
"""How sources write a day without a price."""
DATES = ("ISO8601", "%m/%d/%Y")
"""How dates may be written, one way in a file."""
TIME_OF_DAY = re.compile(r"(?<=\d{4}-\d\d-\d\d)[T ].*")


@dataclass(frozen=True)
class Market:
    """Prices [D] > 0 of D days, `days` as datetime64[D], strictly rising."""

    source: Source
    days: NDArray[np.datetime64]
    prices: NDArray[np.float64]
    losses: dict[str, Loss] = field(default_factory=dict)

    @property
    def returns(self) -> NDArray[np.float64]:
        """Log return of each day on the day before [D]; NaN for the first."""
        logs = np.log(self.prices)
        return np.concatenate([[np.nan], np.diff(logs)])

    def describe(self) -> str:
        """Licence, span, and share of days that rise."""
        moves = self.returns[1:]
        first, last = self.days[0], self.days[-1]
        return (
            f"{self.source.describe()}\n"
            f"{len(self.days):,} days from {first} to {last}; {np.mean(moves > 0):.1%} rise, "
            f"{np.mean(moves == 0):.1%} don't move"
        )


def load(name: str, *, date_column: str = "date", price_column: str = "price") -> Market:
    """Load a catalogue market, or a .csv (or .csv.gz), .jsonl or .parquet file of the user's.

    Days are put in order. Rows without a price, and second rows of one day with the same price,
    are dropped and counted. Raises DataError for a missing column, a date or price that can't be
    read, a price that is not above 0, two prices for a day, or fewer than 100 days.
    """
    source = resolve(name, "dataset")
    date_column, price_column = KNOWN.get(name, (date_column, price_column))
    frame = _read(source.path)
    rows = pandas.DataFrame(
        {
            "day": tables.column(frame, date_column, "date_column", source.name),
            "price": tables.column(frame, price_column, "price_column", source.name),
        }
    )
    counts = Counter(rows=len(rows))
    rows = rows.replace(list(MISSING), None).dropna()
    counts["empty"] = counts["rows"] - len(rows)
    rows = _typed(rows, source.name).drop_duplicates()
    counts["repeated"] = counts["rows"] - counts["empty"] - len(rows)
    if twice := sorted(rows.loc[rows["day"].duplicated(), "day"].astype(str)):
        raise DataError(f"{source.name} has two prices for {twice[0]}", expected="one price a day")
    if len(rows) < MIN_DAYS:
        raise DataError(f"{source.name} has {len(rows)} days", expected=f"at least {MIN_DAYS}")
    rows = rows.sort_values("day")
    notes = {"empty": "rows without a date or price, dropped", "repeated": "repeated rows, dropped"}
    return Market(
        source=source,
        days=rows["day"].to_numpy().astype("datetime64[D]"),
        prices=rows["price"].to_numpy(np.float64),
        losses={
            key: Loss(count=counts[key], of=counts["rows"], note=note)
            for key, note in notes.items()
        },
    )


def generated(days: int, *, edge: float, seed: int, rising: float = 0.5) -> Market:
    """A market that is known: it rises with probability `rising`, plus `edge` after a rise.

    After a fall it is minus `edge`. Sizes of moves are those of a normal distribution with 1 % a
    day; without edge and with half the days rising it is a random walk.
    """
    chance = np.random.default_rng(seed)
    signs, last = np.empty(days), 1
    for day, drawn in enumerate(chance.random(days).tolist()):
        last = 1 if drawn < rising + edge * last else -1
        signs[day] = last
    moves = signs * np.abs(chance.normal(scale=0.01, size=days))
    name = f"generated, edge {edge}, rising {rising}, seed {seed}"
    return Market(
        source=Source(name, Path(), hashlib.sha256(name.encode()).hexdigest(), "generated"),
        days=np.busday_offset(np.datetime64("2000-01-03"), np.arange(days)),
        prices=100 * np.exp(np.cumsum(moves)),
    )


def _read(path: Path) -> pandas.DataFrame:
    if path.is_dir():
        files = [file for file in path.iterdir() if file.suffix in (*tables.SUFFIXES, ".gz")]
        if len(files) != 1:
            raise DataError(f"{path} has {len(files)} tables", expected="one table of prices")
        path = files[0]
    if path.suffix == ".gz":
        try:
            return tables.from_csv(tables.decode(gzip.decompress(path.read_bytes()), Counter()))
        except (OSError, EOFError, ValueError, Warning, zlib.error) as error:
            raise DataError(f"{path} can't be read: {error}", expected="a .csv.gz file") from None
    return tables.read_file(path, Counter())


def _typed(rows: pandas.DataFrame, where: str) -> pandas.DataFrame:
    """Dates and prices as such; the first that is none is named.

    All dates are read in the one way that fits most: row by row, 12/1/2026 and 13/1/2026 would be
    a day in December and one in January.
    """
    dates = rows["day"].astype(str).str.replace(TIME_OF_DAY, "", regex=True)
    ways = [pandas.to_datetime(dates, errors="coerce", format=way) for way in DATES]
    days = max(ways, key=lambda found: found.notna().sum())
    prices = pandas.to_numeric(rows["price"], errors="coerce")
    for name, found, wrong, wanted in (
        ("day", days, days.isna(), "a date such as 2026-01-31 or 1/31/2026"),
        ("price", prices, ~(prices > 0) | np.isinf(prices), "a number above 0"),
    ):
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            given = rows[name].iloc[row]
            raise DataError(f"{where}: {name} {given!r} can't be used", expected=wanted)
        rows = rows.assign(**{name: found})
    return rows
