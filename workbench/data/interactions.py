"""Which user took which item when, with the text of each item: data for recommendation."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas
from numpy.typing import NDArray

from workbench.core.described import Described
from workbench.core.errors import DataError
from workbench.core.sources import Source, resolve
from workbench.data import encodings, tables
from workbench.record.result import DataIssue

EVENTS, ITEMS = "interactions.tsv", "items.tsv"
"""Files of a catalogued data set."""
KNOWN: dict[str, dict[str, str]] = {
    "movielens100k": {
        "user": "user_id:token",
        "item": "item_id:token",
        "time": "timestamp:float",
        "title": "movie_title:token_seq",
        "year": "release_year:token",
        "about": "class:token_seq",
    },
    "tiny_films": {
        "user": "user",
        "item": "item",
        "time": "time",
        "title": "title",
        "about": "about",
    },
}
"""Catalogue data set -> its columns: of events the first three, of items the others."""


@dataclass(frozen=True)
class Interactions(Described):
    """N events in order of time, of U users and M items that have a text.

    A user's second event with an item is no event: what is asked is which items come next.
    """

    source: Source
    items_source: Source | None
    """The table of item texts, where it is another one."""
    users: tuple[str, ...]
    items: tuple[str, ...]
    texts: tuple[str, ...]
    """What each item is about, such as `Toy Story (1995): Animation Children's Comedy`."""
    user: NDArray[np.int64]
    """Place of each event's user [N]."""
    item: NDArray[np.int64]
    """Place of each event's item [N]."""
    time: NDArray[np.float64]
    """When it was [N], never falling: seconds since 1970, or whatever number the table has."""
    data_issues: dict[str, DataIssue] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """How the files were read, where that is no matter of course."""

    def by_user(self, kept: NDArray[np.bool_] | slice = slice(None)) -> list[list[int]]:
        """Items of each user [U] in order of time, of all events or those that are `kept` [N]."""
        found: list[list[int]] = [[] for _ in self.users]
        for user, item in zip(self.user[kept].tolist(), self.item[kept].tolist(), strict=True):
            found[user].append(item)
        return found

    def describe(self) -> str:
        """Counts, span, one item's text, and what was left out."""
        shown = self.source.describe()
        if self.items_source:
            shown += f"\n{self.items_source.describe()}"
        cells = len(self.users) * len(self.items)
        return "\n".join(
            [
                shown,
                *self.notes,
                f"{len(self.user):,} events of {len(self.users):,} users with "
                f"{len(self.items):,} items; {len(self.user) / cells:.1%} of all pairs",
                f"from {_date(self.time[0])} to {_date(self.time[-1])}",
                f"an item: {self.texts[self.item[-1]]!r}",
                *(issue.describe() for issue in self.data_issues.values()),
            ]
        )


def load(name: str, *, items: str = "") -> Interactions:
    """Load a catalogued data set, or a table of events and one of item texts, named by `items`.

    The columns of a table of one's own are `user`, `item` and `time`, and `item` and `text`.

    Events of items without a text, and a user's later events with the same item, are dropped and
    counted; equal times keep the table's order. Raises DataError for a missing column, a time that
    is neither a number nor a date, an item with two texts, or no events at all.
    """
    source = resolve(name, "dataset")
    counts: Counter[str] = Counter()
    if name in KNOWN:
        if items:
            raise DataError(f"{name} has its own texts of items", do="leave item_texts empty")
        columns = KNOWN[name]
        events = tables.read_file(source.path / EVENTS, counts)
        about = tables.read_file(source.path / ITEMS, counts)
        described = _text(about, columns)
        items_source = None
    else:
        columns = {name: name for name in ("user", "item", "time")}
        if not items:
            raise DataError(
                f"{name} has no texts of items", expected="a table of them, named by item_texts"
            )
        items_source = resolve(items, "dataset")
        events = tables.read_file(source.path, counts)
        about = tables.read_file(items_source.path, counts)
        described = tables.column(about, "text", "item_texts", items_source.name)
    where = items_source.name if items_source else source.name
    texts = _by_item(tables.column(about, columns["item"], "item_texts", where), described, where)
    rows = pandas.DataFrame(
        {
            part: tables.column(events, columns[part], "dataset", source.name)
            for part in ("user", "item", "time")
        }
    )
    found = _made(source, items_source, rows, texts)
    note = "lines that are not UTF-8, read as Latin-1"
    recoded = DataIssue(count=counts["recoded"], of=counts["lines"], note=note)
    return replace(
        found,
        data_issues=found.data_issues | {"recoded": recoded},
        notes=tuple(encodings.notes(counts)),
    )


def _made(
    source: Source, items_source: Source | None, rows: pandas.DataFrame, texts: Mapping[str, str]
) -> Interactions:
    all_rows = len(rows)
    rows = rows.dropna()
    empty = all_rows - len(rows)
    rows = rows.assign(
        user=rows["user"].astype(str), item=rows["item"].astype(str), time=_times(rows, source.name)
    ).sort_values("time", kind="stable")
    known = rows[rows["item"].isin(list(texts))]
    kept = known.drop_duplicates(["user", "item"])
    if kept.empty:
        raise DataError(f"{source.name} has no event of an item that has a text")
    users = tuple(sorted(kept["user"].unique()))
    notes = {
        "empty": (empty, "rows without user, item or time, dropped"),
        "no_text": (len(rows) - len(known), "events of items without a text, dropped"),
        "again": (len(known) - len(kept), "later events of a user with the same item, dropped"),
    }
    names = tuple(texts)
    return Interactions(
        source=source,
        items_source=items_source,
        users=users,
        items=names,
        texts=tuple(texts.values()),
        user=_places(kept["user"], users),
        item=_places(kept["item"], names),
        time=kept["time"].to_numpy(np.float64),
        data_issues={
            key: DataIssue(count=count, of=all_rows, note=note)
            for key, (count, note) in notes.items()
        },
    )


def _places(column: pandas.Series, names: tuple[str, ...]) -> NDArray[np.int64]:
    places: NDArray[np.int64] = (
        pandas.Index(names).get_indexer(pandas.Index(column)).astype(np.int64)
    )
    return places


def _text(about: pandas.DataFrame, columns: dict[str, str]) -> pandas.Series:
    """`Title (year): about` of a catalogued table of items."""
    title, told = about[columns["title"]].fillna(""), about[columns["about"]].fillna("")
    if "year" in columns:
        year = about[columns["year"]].fillna("")
        title = title + year.map(lambda one: f" ({one})" if one else "")
    return title.str.strip() + told.map(lambda one: f": {one}" if one else "")


def _by_item(items: pandas.Series, texts: pandas.Series, where: str) -> dict[str, str]:
    """Item -> its text, in the table's order; items without one are left out."""
    rows = pandas.DataFrame({"item": items, "text": texts}).dropna().drop_duplicates()
    rows = rows.astype(str)
    rows = rows[rows["text"].str.strip() != ""]
    twice = rows["item"][rows["item"].duplicated()]
    if len(twice):
        raise DataError(
            f"{where} has two texts for the item {twice.iloc[0]!r}", expected="one for each item"
        )
    return dict(zip(rows["item"], rows["text"], strict=True))


def _times(rows: pandas.DataFrame, where: str) -> pandas.Series:
    """Times as numbers: as they are, or dates as seconds since 1970."""
    since = pandas.Timestamp(0, tz="UTC")
    if pandas.api.types.is_datetime64_any_dtype(rows["time"]):
        return (pandas.to_datetime(rows["time"], utc=True) - since).dt.total_seconds()
    numbers = pandas.to_numeric(rows["time"], errors="coerce")
    if numbers.isna().any():
        dates = pandas.to_datetime(rows["time"], errors="coerce", format="ISO8601", utc=True)
        if dates.isna().any():
            bad = rows["time"][dates.isna() & numbers.isna()]
            wrong = (bad if len(bad) else rows["time"][dates.isna()]).iloc[0]
            raise DataError(
                f"{where}: the time {str(wrong)[:40]!r} is neither a number nor a date",
                expected="seconds since 1970, or ISO 8601 such as 2026-05-31 or 2026-05-31T09:30",
            )
        return (dates - since).dt.total_seconds()
    return numbers


def _date(time: float) -> str:
    """A time as a date where it can be one, that is from 1971 on."""
    if 365 * 86400 < time < 1e11:
        return str(pandas.Timestamp(time, unit="s").date())
    return f"time {time:,.0f}"
