"""Daily prices of a market: one number a day, in order of time."""

import gzip
import hashlib
import re
import zlib
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas
from numpy.typing import NDArray

from workbench.core.described import Described
from workbench.core.errors import DataError
from workbench.core.sources import Source, resolve
from workbench.data import encodings, prices, tables
from workbench.record.result import DataIssue

KNOWN = {
    "nasdaq": ("Date", "Adj Close"),
    "sp500": ("Date", "Adj Close"),
    "tiny_market": ("date", "price"),
    "vix": ("Date", "vix"),
}
"""Catalogue data set -> its columns of date and price."""
MIN_DAYS = 100
MISSING = (".", "-", "--", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "None", "null")
"""How sources write a day without a price."""
DAILY = 4
"""Most days from one price to the next, as a median: 1 where a market trades on weekdays."""
LONG_GAP = 7
"""Days without a price after which a move is no longer one of a day; holidays are shorter."""
SPLITS = (1.5, 2, 3, 4, 5, 10, 20)
"""Ratios in which shares are split, or merged."""
SPLIT_TOLERANCE = 0.05
"""How far a day's move, as a log return, may be from that of a split: the market moves too."""
LARGE = 8
"""Least move counted as a split, over the usual one: the median of the moves over 0.6745, which is
the standard deviation of normally distributed ones (Rousseeuw and Croux 1993)."""


@dataclass(frozen=True)
class Market(Described):
    """Prices [D] > 0 of D days, `days` as datetime64[D], strictly rising."""

    source: Source
    days: NDArray[np.datetime64]
    prices: NDArray[np.float64]
    data_issues: dict[str, DataIssue] = field(default_factory=dict)
    how: str = ""
    """From which columns, and how, days and prices were read."""

    @property
    def returns(self) -> NDArray[np.float64]:
        """Log return of each day on the day before [D]; NaN for the first."""
        logs = np.log(self.prices)
        return np.concatenate([[np.nan], np.diff(logs)])

    def describe(self) -> str:
        """Licence, span, how it was read, the share of days that rise, and the largest move."""
        moves = self.returns[1:]
        first, last = self.days[0], self.days[-1]
        largest = int(np.abs(moves).argmax())
        weekend = int((~np.is_busday(self.days)).sum())
        lines = [
            self.source.describe(),
            f"{len(self.days):,} days from {first} to {last}, {weekend:,} of them on weekends; "
            f"{np.mean(moves > 0):.1%} rise, {np.mean(moves == 0):.1%} don't move",
            f"largest one-day move: {np.expm1(moves[largest]):+.1%} on {self.days[largest + 1]}",
        ]
        return "\n".join([*lines, *([self.how] if self.how else [])])


def load(
    name: str,
    *,
    date_column: str = "date",
    price_column: str = "price",
    date_order: str = "auto",
) -> Market:
    """Load a catalogue market, or a .csv (or .csv.gz), .jsonl or .parquet file of the user's.

    Days are put in order. Rows without a price, and second rows of one day with the same price,
    are dropped and counted; moves that look like a split, and long gaps, are counted. Raises
    DataError for a missing column, a date or price that can't be read or can be read in two ways
    (see `prices`), a price that is not above 0, two prices for a day, fewer than 100 days, or
    prices of weeks or months.
    """
    source = resolve(name, "dataset")
    counts: Counter[str] = Counter()
    if name in KNOWN:
        (date_column, price_column), date_order = KNOWN[name], "auto"
    frame = _with_one_header(_read(source.path, counts), source.name)
    date_column, date = _column(frame, date_column, "date_column", source.name)
    price_column, price = _column(frame, price_column, "price_column", source.name)
    rows = pandas.DataFrame({"day": date, "price": price})
    counts["rows"] = len(rows)
    rows = rows.map(lambda cell: cell.strip() if isinstance(cell, str) else cell)
    rows = rows.replace([*MISSING, ""], None).dropna()
    counts["empty"] = counts["rows"] - len(rows)
    if len(rows) < MIN_DAYS:
        raise DataError(f"{source.name} has {len(rows)} days", expected=f"at least {MIN_DAYS}")
    day, read_day = prices.days(rows["day"], date_order, source.name)
    price, read_price = prices.numbers(rows["price"], source.name)
    rows = _in_order(pandas.DataFrame({"day": day, "price": price}), source.name)
    counts["repeated"] = counts["rows"] - counts["empty"] - len(rows)
    notes = {"empty": "rows without a date or price, dropped", "repeated": "repeated rows, dropped"}
    how = "".join(f"{note}; " for note in [*frame.attrs.get("notes", ()), *encodings.notes(counts)])
    how = f"read: {how}days from {date_column!r}, {read_day}; prices from {price_column!r}"
    found = Market(
        source=source,
        days=rows["day"].to_numpy().astype("datetime64[D]"),
        prices=rows["price"].to_numpy(np.float64),
        data_issues={
            key: DataIssue(count=counts[key], of=counts["rows"], note=note)
            for key, note in notes.items()
        },
        how=how + (f" with {read_price}" if read_price else "") + _adjusted(frame, price_column),
    )
    return replace(found, data_issues=found.data_issues | _doubtful(found))


def _in_order(rows: pandas.DataFrame, where: str) -> pandas.DataFrame:
    """Rows by day, repeated ones dropped; DataError unless they are of trading days, one each."""
    rows = rows.drop_duplicates()
    if twice := sorted(rows.loc[rows["day"].duplicated(), "day"].dt.date.astype(str)):
        raise DataError(
            f"{where} has two prices for {twice[0]}",
            expected="one price a day",
            do="keep each day's last price only",
        )
    if len(rows) < MIN_DAYS:
        raise DataError(f"{where} has {len(rows)} days", expected=f"at least {MIN_DAYS}")
    rows = rows.sort_values("day")
    usual = rows["day"].diff().dt.days.median()
    if usual > DAILY:
        raise DataError(
            f"{where} has a price every {usual:.0f} days",
            expected="a price for each trading day: weeks and months are not what is asked about",
        )
    return rows


def _doubtful(market: Market) -> dict[str, DataIssue]:
    """Moves that look like a split the prices are not adjusted for, and moves over long gaps."""
    moves = market.returns[1:]
    size = np.abs(moves)
    near = np.abs(size[:, None] - np.log(SPLITS)).min(axis=1) < SPLIT_TOLERANCE
    split = near & (size > LARGE * np.median(size) / 0.6745)
    gap = np.diff(market.days).astype(int) > LONG_GAP
    found = {}
    for key, kept, note in (
        ("splits", split, "moves that look like a split without adjustment"),
        ("gaps", gap, f"moves over more than {LONG_GAP} days without a price"),
    ):
        first = f", the first on {market.days[1:][kept][0]}" if kept.any() else ""
        found[key] = DataIssue(count=int(kept.sum()), of=len(moves), note=note + first)
    return found


def _column(
    frame: pandas.DataFrame, name: str, parameter: str, where: str
) -> tuple[str, pandas.Series]:
    """A column and its name in the file, which may differ in case."""
    found = tables.column(frame, name, parameter, where)
    return str(found.name), found


def _adjusted(frame: pandas.DataFrame, price_column: str) -> str:
    """A hint where another column has adjusted prices."""
    adjusted = [head for head in map(str, frame.columns) if head.strip().lower().startswith("adj")]
    if not adjusted or price_column in adjusted:
        return ""
    return f" ({adjusted[0]!r} may be adjusted for splits and dividends: set price_column to it)"


def _with_one_header(frame: pandas.DataFrame, where: str) -> pandas.DataFrame:
    """The table under one header, where yfinance wrote three: names, tickers, and "Date" alone."""
    heads = [[str(head) for head in frame.columns]]
    heads += frame.iloc[:2].fillna("").astype(str).values.tolist()
    by_name = {row[0].strip(): row for row in heads if row}
    if not {"Price", "Ticker"} <= set(by_name) or len(by_name["Ticker"]) < 2:
        return frame
    # pandas numbers what a header has twice: AAPL, AAPL.1
    tickers = dict.fromkeys(re.sub(r"\.\d+$", "", cell) for cell in by_name["Ticker"][1:])
    if len(tickers) > 1:
        raise DataError(
            f"{where} has prices of {len(tickers)} markets: {', '.join(tickers)}",
            expected="one market a file",
        )
    dates = [row[0] for row in heads if row[0] and not any(row[1:])]
    frame = frame.iloc[1 + len(dates) :].reset_index(drop=True)
    return frame.set_axis([*(dates or ["Date"]), *by_name["Price"][1:]], axis=1)


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


def _read(path: Path, counts: Counter[str]) -> pandas.DataFrame:
    """The table of a file, or of a folder's only one."""
    if path.is_dir():
        known = (*tables.SUFFIXES, ".gz")
        files = [file for file in path.iterdir() if file.suffix.lower() in known]
        if len(files) != 1:
            raise DataError(f"{path} has {len(files)} tables", expected="one table of prices")
        path = files[0]
    if path.suffix.lower() != ".gz":
        return tables.read_file(path, counts)
    try:
        raw = gzip.decompress(path.read_bytes())
        frame = tables.from_csv(tables.decode(raw, counts, path))
    except (OSError, EOFError, ValueError, Warning, zlib.error) as error:
        raise DataError(f"{path} can't be read: {error}", expected="a .csv.gz file") from None
    if frame.empty:
        raise DataError(f"{path} has no rows", expected="a header and at least one row")
    return frame
