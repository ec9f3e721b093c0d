"""Daily prices: in order, one a day, above 0, whatever order and form the file has."""

import datetime
import gzip
import random

import numpy as np
import pandas
import pytest

from workbench.core import paths
from workbench.core.errors import DataError
from workbench.data import market

FIRST = datetime.date(2020, 1, 1)
DAYS = [FIRST + datetime.timedelta(days=number) for number in range(120)]
ROWS = [(day.isoformat(), f"{100 + number % 7}.5") for number, day in enumerate(DAYS)]


def csv(rows, head="date,price"):
    return "".join([f"{head}\n", *(f"{day},{price}\n" for day, price in rows)])


def load(tmp_path, content, name="mine.csv", **columns):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return market.load(str(path), **columns)


def same(one, other):
    return (one.days == other.days).all() and (one.prices == other.prices).all()


def counts(found):
    return {name: issue.count for name, issue in found.data_issues.items() if issue.count}


def test_days_are_put_in_order(tmp_path):
    plain = load(tmp_path, csv(ROWS))
    shuffled = load(tmp_path, csv(random.Random(0).sample(ROWS, len(ROWS))))
    assert same(plain, shuffled)
    assert (np.diff(plain.days) > np.timedelta64(0)).all()
    assert (plain.days[0], plain.prices[0]) == (np.datetime64("2020-01-01"), 100.5)


def test_repeated_rows_are_dropped_and_counted(tmp_path):
    again = [*ROWS, ROWS[5], (ROWS[6][0], ROWS[6][1] + "00")]
    assert same(load(tmp_path, csv(again)), load(tmp_path, csv(ROWS)))
    found = load(tmp_path, csv(again))
    assert counts(found) == {"repeated": 2}
    assert "repeated rows, dropped: 2 of 122 (1.64%)" in found.data_issues["repeated"].describe()


def test_two_prices_of_a_day_are_refused(tmp_path):
    with pytest.raises(DataError, match="has two prices for 2020-01-04(.|\n)*one price a day"):
        load(tmp_path, csv([*ROWS, ("2020-01-04", "999")]))
    with pytest.raises(DataError, match="has two prices for 2020-01-04"):
        load(tmp_path, csv([*ROWS, ("2020-01-04 16:00", "999")]))


@pytest.mark.parametrize(
    "price", ["0", "-3", "-0.0", "abc", "inf", "1e400", '"1,23"', "12 EUR", "5%", "1.2M"]
)
def test_a_price_that_is_none_is_named(tmp_path, price):
    given = price.strip('"')
    with pytest.raises(DataError, match=f"price '{given}' can't be used(.|\n)*a number above 0"):
        load(tmp_path, csv([*ROWS, ("2021-01-01", price)]))


@pytest.mark.parametrize("missing", [".", "", "NA", "N/A", "#N/A", "NaN", "nan", "null"])
def test_days_without_a_price_are_dropped_and_counted(tmp_path, missing):
    found = load(tmp_path, csv([("2019-12-31", missing), *ROWS, ("", "3")]))
    assert counts(found) == {"empty": 2}
    assert same(found, load(tmp_path, csv(ROWS)))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (csv(ROWS[:99]), "has 99 days(.|\n)*at least 100"),
        (csv((day, ".") for day, _ in ROWS), "has 0 days"),
        ("", "mine.csv is empty"),
        ("date,price\n", "has no rows"),
        (csv(ROWS, "Day,Close"), "no column 'date'; its columns: Day, Close(.|\n)*date_column"),
        (csv(ROWS, "date,Close"), "no column 'price'(.|\n)*set price_column to one of them"),
        (csv([*ROWS, ("yesterday", "3")]), "day 'yesterday' can't be used(.|\n)*2026-01-31"),
        (csv([*ROWS, ("2020-02-30", "3")]), "day '2020-02-30' can't be used"),
        (csv([*ROWS, ("1577836800", "3")]), "day '1577836800' can't be used"),
        (csv(ROWS) + "2021-01-01,3,4\n", "Expected 2 fields in line 122, saw 3"),
    ],
)
def test_what_can_not_be_used_is_one_clear_error(tmp_path, content, says):
    with pytest.raises(DataError, match=says):
        load(tmp_path, content)


def test_a_hundred_days_are_enough(tmp_path):
    assert len(load(tmp_path, csv(ROWS[:100])).days) == 100


def dated(form, days=DAYS, **columns):
    """The rows with dates in one form."""
    return csv(((f"{day:{form}}", p) for day, (_, p) in zip(days, ROWS, strict=False)), **columns)


def test_dates_are_read_in_one_way_for_all_rows(tmp_path):
    plain = load(tmp_path, csv(ROWS))
    for form, how in (("%m/%d/%Y", "month first"), ("%d/%m/%Y", "day first")):
        found = load(tmp_path, dated(form))
        assert same(found, plain)
        assert f"read: days from 'date', {how}; prices from 'price'" in found.describe()
    mixed = dated("%d/%m/%Y") + "12/13/2020,3\n"
    with pytest.raises(DataError, match="day '12/13/2020' can't be used(.|\n)*in all rows"):
        load(tmp_path, mixed)


EARLY = [
    datetime.date(year, month, day)
    for year in (2021, 2022)
    for month in range(1, 13)
    for day in range(1, 13)
]


@pytest.mark.parametrize(
    ("form", "says", "orders"),
    [
        (
            "%d/%m/%Y",
            r"'02/01/2021' can be read in two ways: day first \(2021-01-02\) and month first "
            r"\(2021-02-01\)(.|\n)*date_order to one of DMY, MDY, YMD",
            {"DMY": True, "MDY": False},
        ),
        ("%m-%d-%y", "can be read in two ways", {"MDY": True, "DMY": False}),
        ("%y.%m.%d", "can be read in two ways", {"YMD": True}),
    ],
)
@pytest.mark.fault(47, "prices that can be misread", "exit 3 in one sentence")
def test_dates_that_fit_two_readings_are_asked_about(tmp_path, form, says, orders):
    rows = [(day, str(100 + number % 7)) for number, day in enumerate(EARLY)]
    plain = load(tmp_path, csv(rows))
    content = csv((f"{day:{form}}", price) for day, price in rows)
    with pytest.raises(DataError, match=says):
        load(tmp_path, content)
    for order, right in orders.items():
        assert same(load(tmp_path, content, date_order=order), plain) == right


def test_an_order_that_does_not_fit_is_refused_and_other_dates_need_none(tmp_path):
    with pytest.raises(DataError, match="day '01/13/2020' can't be used"):
        load(tmp_path, dated("%m/%d/%Y"), date_order="DMY")
    for form in ("%Y-%m-%d", "%d-%b-%Y"):
        assert same(load(tmp_path, dated(form), date_order="MDY"), load(tmp_path, csv(ROWS)))


def test_a_day_to_come_is_refused_and_rules_a_reading_out(tmp_path):
    with pytest.raises(DataError, match="day '2999-01-02' lies in the future"):
        load(tmp_path, csv([*ROWS, ("2999-01-02", "3")]))
    # 31.01.20 would be 2031 with the year first.
    days = [day for day in DAYS if day.day > 26] + DAYS[:100]
    rows = [(day, str(100 + number % 7)) for number, day in enumerate(days[:115])]
    rows = list(dict(rows).items())
    content = csv((f"{day:%d.%m.%y}", price) for day, price in rows)
    assert same(load(tmp_path, content), load(tmp_path, csv(rows)))


START = datetime.date(2025, 1, 1)
WEEKDAYS = [START + datetime.timedelta(days=n) for n in range(364)]
WEEKDAYS = [day for day in WEEKDAYS if day.weekday() < 5]
CLOSES = [round(4200.25 + 13.75 * (n % 11) - 7.5 * (n % 5), 2) for n, _ in enumerate(WEEKDAYS)]
PAIRS = list(zip(WEEKDAYS, CLOSES, strict=True))


def german(number):
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


def indian(number):
    whole, cents = f"{number:.2f}".split(".")
    return f"1,{whole[0]}{whole[1]},{whole[1:]}.{cents}"  # a lakh and more


def lines(head, row, pairs=PAIRS):
    return "\n".join([*head, *(row(day, close) for day, close in pairs)])


LAYOUTS = {
    "yfinance, three headers": (
        lines(
            ["Price,Close,High,Low,Open,Volume", "Ticker,AAPL,AAPL,AAPL,AAPL,AAPL", "Date,,,,,"],
            lambda day, close: f"{day},{close},{close + 1},{close - 1},{close},100",
        ),
        "Close",
        "days from 'Date', as written; prices from 'Close'",
    ),
    "yfinance by ticker": (
        lines(
            ["Ticker,AAPL,AAPL", "Price,Open,Close", "Date,,"],
            lambda day, close: f"{day},{close + 1},{close}",
        ),
        "close",
        "prices from 'Close'",
    ),
    "yfinance history with zones": (
        lines(
            ["Date,Open,Close,Stock Splits"],
            lambda day, close: f"{day} 00:00:00-0{4 + (day.month < 4)}:00,1,{close},0.0",
        ),
        "Close",
        "as written, the time of day left out",
    ),
    "exchange, signs, newest first": (
        lines(
            ["Date,Close/Last,Volume"], lambda day, close: f"{day:%m/%d/%Y},${close},7", PAIRS[::-1]
        ),
        "Close/Last",
        "month first; prices from 'Close/Last' with the sign '$'",
    ),
    "portal, quoted thousands, newest first": (
        "\ufeff"
        + lines(
            ['"Date","Price","Vol."'],
            lambda day, close: f'"{day:%b %d, %Y}","{close:,}","1.2M"',
            PAIRS[::-1],
        ),
        "price",
        "prices from 'Price' with thousands separators",
    ),
    "German bank": (
        lines(["Datum;Schluss"], lambda day, close: f"{day:%d.%m.%Y};{german(close)}"),
        "Schluss",
        "day first; prices from 'Schluss' with a decimal comma, thousands separators",
    ),
    "German euros": (
        lines(["Datum;Schluss"], lambda day, close: f"{day:%d.%m.%y};{german(close)} €"),
        "Schluss",
        "with the sign '€', a decimal comma, thousands separators",
    ),
    "Swiss": (
        lines(
            ["Datum\tKurs"], lambda day, close: f"{day:%d.%m.%Y}\tCHF {close:,}".replace(",", "'")
        ),
        "Kurs",
        "with the sign 'CHF', thousands separators",
    ),
    "spaces and sep=": (
        lines(
            ["sep=;", "Date;Cours"],
            lambda day, close: f"{day:%d/%m/%Y};{close:,.2f}".replace(",", "\u202f").replace(
                ".", ","
            ),
        ),
        "Cours",
        "with a decimal comma, thousands separators",
    ),
    "month names": (
        lines(["Date ,Close "], lambda day, close: f"{day:%d-%b-%Y},{close}"),
        "close",
        "prices from 'Close'",
    ),
    "long names, weekday": (
        lines(["Date,Close"], lambda day, close: f'"{day:%A, %B %d, %Y}",{close}'),
        "close",
        "days from 'Date', as written",
    ),
    "spreadsheet times": (
        lines(
            ["Date,Close"],
            lambda day, close: f"{day.month}/{day.day}/{day.year} 4:00:00 PM,{close}",
        ),
        "close",
        "month first, the time of day left out",
    ),
    "digits alone": (
        lines(["<DATE>|<CLOSE>"], lambda day, close: f"{day:%Y%m%d}|{close}"),
        "<CLOSE>",
        "as written; prices from '<CLOSE>'",
    ),
    "with adjusted prices": (
        lines(["Date,Close,Adj Close"], lambda day, close: f"{day},{close},{close / 2}"),
        "Close",
        "'Adj Close' may be adjusted for splits and dividends: set price_column to it",
    ),
    "Japanese": (
        lines(["Date,Close"], lambda day, close: f'{day:%Y/%m/%d},"¥{close:,}"'),
        "close",
        "with the sign '¥', thousands separators",
    ),
}
DATE_COLUMNS = {"<CLOSE>": "<DATE>", "Schluss": "Datum", "Kurs": "Datum"}


@pytest.mark.parametrize("name", LAYOUTS)
def test_price_files_as_tools_and_people_write_them_are_read_right(tmp_path, name):
    content, column, says = LAYOUTS[name]
    found = load(
        tmp_path, content, date_column=DATE_COLUMNS.get(column, "date"), price_column=column
    )
    assert found.days.tolist() == WEEKDAYS
    assert found.prices.tolist() == CLOSES
    assert says in found.describe()
    packed = load(
        tmp_path,
        gzip.compress(content.encode()),
        "mine.csv.gz",
        date_column=DATE_COLUMNS.get(column, "date"),
        price_column=column,
    )
    assert same(packed, found)


def monthly(count=150):
    return [(datetime.date(2010 + n // 12, n % 12 + 1, 28), 100.5 + n % 7) for n in range(count)]


REFUSED = {
    "two markets under three headers": (
        lines(
            ["Price,Close,Close", "Ticker,AAPL,MSFT", "Date,,"],
            lambda day, close: f"{day},{close},{close}",
        ),
        "has prices of 2 markets: AAPL, MSFT(.|\n)*one market a file",
    ),
    "two columns of one name": (
        lines(["Date,Close,Close"], lambda day, close: f"{day},{close},{close}"),
        "has two columns 'Close'",
    ),
    "months": (
        lines(["Date,Close"], lambda day, close: f"{day},{close}", monthly()),
        "a price every 31 days(.|\n)*each trading day",
    ),
    "weeks": (
        lines(
            ["Date,Close"],
            lambda day, close: f"{day},{close}",
            [(START - datetime.timedelta(days=7 * n), 100.5 + n) for n in range(120)],
        ),
        "a price every 7 days",
    ),
    "months without a day": (
        lines(["Date,Close"], lambda day, close: f"{day:%b %Y},{close}", monthly()),
        "day 'Jan 2010' can't be used",
    ),
    "prices within days": (
        lines(["Date,Close"], lambda day, close: f"{day} 10:00,{close}\n{day} 11:00,{close + 1}"),
        "two prices for 2025-01-01(.|\n)*each day's last price",
    ),
    "two currencies": (
        lines(["Date,Close"], lambda day, close: f"{day},{'$€'[day.day == 15]}{close}"),
        "price '€[0-9.]+' can't be used(.|\n)*as in the other rows",
    ),
    "thousands or decimals": (
        lines(["Date,Close"], lambda day, _: f'{day},"{[999, "1,001"][day.day > 15]}"'),
        "prices such as '1,001' can be read in two ways: 1001 and 1.001(.|\n)*decimal point",
    ),
    "lone decimal commas among points": (
        lines(["Date,Close"], lambda day, close: f'{day},"{[close, "12,5"][day.day == 15]}"'),
        "price '12,5' can't be used",
    ),
    "seconds since 1970": (
        lines(["Date,Close"], lambda day, close: f"{day:%s},{close}"),
        "day '17[0-9]+' can't be used",
    ),
    "no header": (
        lines([], lambda day, close: f"{day},{close}"),
        "no column 'date'; its columns: 2025-01-01",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.fault(47, "prices that can be misread", "exit 3 in one sentence")
def test_price_files_that_can_be_misread_are_refused_in_one_sentence(tmp_path, name):
    content, says = REFUSED[name]
    with pytest.raises(DataError, match=says) as caught:
        load(tmp_path, content, price_column="close")
    assert len(str(caught.value).splitlines()) <= 3


def test_lakhs_are_thousands_separators(tmp_path):
    content = lines(["Date,Close"], lambda day, close: f'{day},"{indian(close)}"')
    found = load(tmp_path, content, price_column="close")
    assert found.prices[0] == float(indian(CLOSES[0]).replace(",", ""))
    assert found.prices.min() > 100_000


def test_values_of_three_decimals_alone_keep_their_moves(tmp_path):
    """Whether 1,085 is a thousand and more or one and less, its moves are the same."""
    content = lines(["Date;Close"], lambda day, close: f"{day};1,{int(close) - 4000:03d}")
    found = load(tmp_path, content, price_column="close")
    assert "with thousands separators" in found.describe()
    assert np.exp(found.returns[1]) == pytest.approx(
        (int(CLOSES[1]) - 3000) / (int(CLOSES[0]) - 3000)
    )


def test_the_largest_move_is_shown_and_what_looks_like_a_split_is_counted(tmp_path):
    usual = market.generated(300, edge=0, seed=3)
    plain = usual.prices.copy()
    plain[200:] *= 0.8
    for factor, count in ((1 / 4, 1), (10, 1), (2 / 3, 1), (0.81, 0), (0.6, 0)):
        prices = usual.prices.copy()
        prices[150:] *= factor
        content = csv(zip(usual.days, prices, strict=True))
        found = load(tmp_path, content)
        assert found.data_issues["splits"].count == count, factor
        move = prices[150] / prices[149] - 1
        assert f"largest one-day move: {move:+.1%} on {usual.days[150]}" in found.describe()
        if count:
            assert f"without adjustment, the first on {usual.days[150]}" in (
                found.data_issues["splits"].describe()
            )


def test_gaps_and_weekends_are_said(tmp_path):
    found = load(tmp_path, csv(ROWS[:60] + ROWS[67:]))
    assert counts(found) == {"gaps": 1}
    assert "the first on 2020-03-08" in found.data_issues["gaps"].describe()
    assert "113 days from 2020-01-01 to 2020-04-29, 32 of them on weekends" in found.describe()


def test_time_of_day_and_zone_are_left_out(tmp_path):
    winter_and_summer = csv(
        (f"{day}T23:00:00-0{4 + (number > 60)}:00", price)
        for number, (day, price) in enumerate(ROWS)
    )
    assert same(load(tmp_path, winter_and_summer), load(tmp_path, csv(ROWS)))


def test_the_users_columns_are_named(tmp_path):
    content = csv(((day, f"{price},7") for day, price in ROWS), "Day,Close,Volume")
    found = load(tmp_path, content, date_column="Day", price_column="Close")
    assert same(found, load(tmp_path, csv(ROWS)))
    volume = load(tmp_path, content, date_column="Day", price_column="Volume")
    assert set(volume.prices) == {7}


def test_every_format_gives_the_same_market(tmp_path):
    plain = load(tmp_path, csv(ROWS))
    assert same(load(tmp_path, gzip.compress(csv(ROWS).encode()), "mine.csv.gz"), plain)
    frame = pandas.DataFrame(ROWS, columns=["date", "price"])
    lines = frame.astype({"price": float}).to_json(orient="records", lines=True)
    assert same(load(tmp_path, lines, "mine.jsonl"), plain)
    typed = frame.assign(date=pandas.to_datetime(frame["date"]), price=frame["price"].astype(float))
    typed.to_parquet(tmp_path / "typed.parquet")
    assert same(market.load(str(tmp_path / "typed.parquet")), plain)
    typed.assign(date=typed["date"].dt.tz_localize("UTC")).to_parquet(tmp_path / "zoned.parquet")
    assert same(market.load(str(tmp_path / "zoned.parquet")), plain)


@pytest.mark.parametrize("damage", ["cut", "flipped", "plain"])
def test_a_damaged_archive_is_a_data_error(tmp_path, damage):
    content = bytearray(gzip.compress(csv(ROWS).encode()))
    if damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    found = {"cut": content[:-50], "flipped": content, "plain": b"date,price\n"}[damage]
    with pytest.raises(DataError, match="mine.csv.gz can't be read"):
        load(tmp_path, bytes(found), "mine.csv.gz")


def test_a_folder_holds_one_table(tmp_path):
    (tmp_path / "README.md").write_text("what it is")
    plain = load(tmp_path, csv(ROWS), "prices.csv")
    assert same(market.load(str(tmp_path)), plain)
    (tmp_path / "more.CSV").write_text(csv(ROWS))
    with pytest.raises(DataError, match="has 2 tables(.|\n)*one table"):
        market.load(str(tmp_path))


def test_returns_are_of_the_day_before(tmp_path):
    found = load(tmp_path, csv([(day, str(2.0**number)) for number, (day, _) in enumerate(ROWS)]))
    assert np.isnan(found.returns[0])
    assert found.returns[1:] == pytest.approx(np.log(2))
    assert "100.0% rise, 0.0% don't move" in found.describe()


@pytest.mark.parametrize(
    ("name", "days", "first", "last", "empty"),
    [
        ("sp500", 5031, "1999-01-04", "2018-12-31", 0),
        ("nasdaq", 5031, "1999-01-04", "2018-12-31", 0),
        ("vix", 1259, "2014-01-03", "2019-01-03", 46),
        ("tiny_market", 400, "2020-01-01", "2021-07-13", 0),
    ],
)
def test_known_markets_are_whole(name, days, first, last, empty):
    found = market.load(name)
    assert (len(found.days), str(found.days[0]), str(found.days[-1])) == (days, first, last)
    assert found.data_issues["empty"].count == empty
    weekdays = (found.days.astype("datetime64[D]").astype(int) + 3) % 7
    assert set(weekdays) <= set(range(5)), "no day of a market is a Saturday or Sunday"
    assert np.abs(found.returns[1:]).max() < 1, "no price is in another unit"
    assert found.data_issues["splits"].count == 0, (
        "a crash, or a day when fear doubles, is no split"
    )


def test_the_closing_price_of_a_known_day_is_right():
    """S&P 500 on 9 March 2009, the low of that crisis: 676.53."""
    found = market.load("sp500")
    assert found.prices[found.days == np.datetime64("2009-03-09")] == pytest.approx(
        [676.53], abs=0.005
    )


@pytest.mark.parametrize("edge", [0.0, 0.05, 0.3])
def test_a_generated_market_has_the_edge_that_was_planted(edge):
    found = market.generated(20_000, edge=edge, seed=3)
    ups = found.returns[1:] > 0
    assert np.mean(ups[1:] == ups[:-1]) == pytest.approx(0.5 + edge, abs=0.012)
    assert np.std(found.returns[1:]) == pytest.approx(0.01, rel=0.05)
    assert same(found, market.generated(20_000, edge=edge, seed=3))
    assert not same(found, market.generated(20_000, edge=edge, seed=4))


def test_fixture_is_ours_and_small():
    files = list((paths.FIXTURES / "tiny_market").iterdir())
    assert sum(file.stat().st_size for file in files) < 100_000
