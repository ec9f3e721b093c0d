"""Days and prices as people and programs write them, each column read in one way for all rows.

A way of reading must fit every row. Where two ways fit and differ, nothing is guessed: the error
says both.
"""

import datetime
import re

import numpy as np
import pandas

from workbench.core.errors import DataError

ORDERS = {
    "DMY": ("day first", ("%d-%m-%Y", "%d-%m-%y")),
    "MDY": ("month first", ("%m-%d-%Y", "%m-%d-%y")),
    "YMD": ("year first", ("%y-%m-%d",)),
}
"""Order of day, month and year -> its name, and formats that other orders fit as well."""
PLAIN = ("%Y-%m-%d", "%Y%m%d", "%d-%b-%Y", "%d-%B-%Y", "%b-%d-%Y", "%B-%d-%Y", "%d-%b-%y")
"""Formats that can be read in one way only: a year of four digits first, or a month's name."""
TIME_OF_DAY = re.compile(r"[T\s,]+\d{1,2}:\d\d.*$")
WEEKDAY = re.compile(r"^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+", re.IGNORECASE)
SIGN = r"(?:[^\W\d_]{0,3}[$€£¥₹₩₽₺₫₪฿]|[A-Z]{3})?"
MARKED = re.compile(rf"({SIGN})\s*(\d.*\d|\d|\.\d+|\d.*\.)\s*({SIGN})")
"""A currency sign before or after, and what may be a number."""
SPACES = r"'\u2019\s"
POINT = re.compile(
    rf"(?:\d*|[1-9]\d{{0,2}}([,{SPACES}])(?:\d{{2,3}}\1)*\d{{3}})(?:\.\d*)?(?:[eE][+-]?\d+)?"
)
COMMA = re.compile(rf"(?:\d*|[1-9]\d{{0,2}}([.{SPACES}])(?:\d{{3}}\1)*\d{{3}})(?:,\d+)?")
A_DATE = "one way of writing in all rows, such as 2026-01-31, 31/1/2026, 1/31/2026 or 31-Jan-2026"
A_PRICE = "a number above 0, written as in the other rows"


def days(given: pandas.Series, order: str, where: str) -> tuple[pandas.Series, str]:
    """Days [N] as datetime64 of N dates, and in words how they were read.

    A time of day and its zone are left out: the day is the one that is written. `order` is "auto",
    or one of `ORDERS` for dates such as 1/2/2026. Raises DataError where no way of reading fits all
    rows, where two do, or for a day to come, as no price of it can be known.
    """
    written = given.astype(str).str.strip()
    texts = written.str.replace(TIME_OF_DAY, "", regex=True)
    timed = (texts != written).any()
    texts = texts.str.replace(WEEKDAY, "", regex=True).str.replace(r"\bSept\b", "Sep", regex=True)
    texts = texts.str.replace(r"[\s/.,-]+", "-", regex=True)
    texts = texts.where(~texts.str.fullmatch(r"\d+") | (texts.str.len() == 8), "")
    ways = dict.fromkeys(PLAIN, "as written")
    for name, (words, forms) in ORDERS.items():
        ways |= dict.fromkeys(forms, words) if order in ("auto", name) else {}
    found = {
        form: pandas.to_datetime(texts, errors="coerce", format=form, exact=True) for form in ways
    }
    tomorrow = pandas.Timestamp(datetime.date.today() + datetime.timedelta(days=1))
    whole = {form: read for form, read in found.items() if read.notna().all()}
    past = {form: read for form, read in whole.items() if (read <= tomorrow).all()}
    if not past:
        _refuse_days(given, found, whole, tomorrow, where)
    first, *others = past
    for other in others:
        if (differs := past[first] != past[other]).any():
            row = int(differs.to_numpy().argmax())
            both = " and ".join(
                f"{ways[form]} ({past[form].iloc[row]:%Y-%m-%d})" for form in (first, other)
            )
            raise DataError(
                f"{where}: dates such as {given.iloc[row]!r} can be read in two ways: {both}",
                expected="dates that fit one way of reading only",
                do=f"set date_order to one of {', '.join(ORDERS)}, or write them as 2026-01-31",
            )
    how = ways[first] + (", the time of day left out" if timed else "")
    return past[first], how


def _refuse_days(
    given: pandas.Series,
    found: dict[str, pandas.Series],
    whole: dict[str, pandas.Series],
    tomorrow: pandas.Timestamp,
    where: str,
) -> None:
    """Name the first date that can't be used, under the way of reading that fits most."""
    if whole:
        late = next(iter(whole.values())) > tomorrow
        row = int(late.to_numpy().argmax())
        raise DataError(
            f"{where}: day {given.iloc[row]!r} lies in the future", expected="days up to today"
        )
    best = max(found.values(), key=lambda read: read.notna().sum())
    row = int(best.isna().to_numpy().argmax())
    raise DataError(f"{where}: day {given.iloc[row]!r} can't be used", expected=A_DATE)


def numbers(given: pandas.Series, where: str) -> tuple[pandas.Series, str]:
    """Prices [N] > 0 of N cells, and in words how they were read.

    Text may have thousands separators, a decimal comma, and one currency sign in all rows. Raises
    DataError where no way of reading fits all rows, or two do and give other moves.
    """
    if not given.map(lambda cell: isinstance(cell, str)).any():
        return _above_zero(pandas.to_numeric(given, errors="coerce"), given, where), ""
    texts = given.astype(str).str.strip()
    parts = texts.str.extract(rf"^{MARKED.pattern}$")
    signs = (parts[0] + parts[2]).fillna("")
    number = parts[1].where(signs == signs.mode()[0])
    values = {}
    for point, way in ((".", POINT), (",", COMMA)):
        fits = number.fillna("").str.fullmatch(way) & number.notna()
        plain = number.where(fits).str.replace(rf"[{',' if point == '.' else '.'}{SPACES}]", "",
                                               regex=True)  # fmt: skip
        values[point] = pandas.to_numeric(plain.str.replace(",", "."), errors="coerce")
    point = max(values, key=lambda each: values[each].notna().sum())
    read = _above_zero(values[point], given, where)
    other = values["," if point == "." else "."]
    if other.notna().all() and np.ptp(np.log(read / other)) > 1e-9:
        row = int((read != other).to_numpy().argmax())
        raise DataError(
            f"{where}: prices such as {given.iloc[row]!r} can be read in two ways:"
            f" {read.iloc[row]:g} and {other.iloc[row]:g}",
            expected="prices that fit one way of reading only",
            do="write them with a decimal point and without thousands separators",
        )
    how = [f"the sign {signs.mode()[0]!r}"] if signs.mode()[0] else []
    how += ["a decimal comma"] if point == "," and number.str.contains(",").any() else []
    grouped = number.str.contains(rf"[{',' if point == '.' else '.'}{SPACES}]", regex=True)
    how += ["thousands separators"] if grouped.any() else []
    return read, ", ".join(how)


def _above_zero(values: pandas.Series, given: pandas.Series, where: str) -> pandas.Series:
    """The values; DataError that names the first that is no finite number above 0."""
    wrong = (~(values > 0) | np.isinf(values)).to_numpy()
    if wrong.any():
        cell = given.iloc[int(wrong.argmax())]
        raise DataError(f"{where}: price {cell!r} can't be used", expected=A_PRICE)
    return values
