"""Daily prices: in order, one a day, above 0, whatever order and form the file has."""

import datetime
import gzip
import random

import numpy as np
import pandas
import pytest

from workbench import paths
from workbench.data import market
from workbench.errors import DataError

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
    return {name: loss.count for name, loss in found.losses.items() if loss.count}


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
    assert "repeated rows, dropped: 2 of 122 (1.64%)" in found.losses["repeated"].describe()


def test_two_prices_of_a_day_are_refused(tmp_path):
    with pytest.raises(DataError, match="has two prices for 2020-01-04(.|\n)*one price a day"):
        load(tmp_path, csv([*ROWS, ("2020-01-04", "999")]))
    with pytest.raises(DataError, match="has two prices for 2020-01-04"):
        load(tmp_path, csv([*ROWS, ("2020-01-04 16:00", "999")]))


@pytest.mark.parametrize("price", ["0", "-3", "-0.0", "abc", "inf", "1e400", '"1,234"', "12 EUR"])
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


def test_dates_are_read_in_one_way_only(tmp_path):
    month_first = csv(
        (f"{day.month}/{day.day}/{day.year}", p) for day, (_, p) in zip(DAYS, ROWS, strict=True)
    )
    assert same(load(tmp_path, month_first), load(tmp_path, csv(ROWS)))
    day_first = csv(
        (f"{day.day}/{day.month}/{day.year}", p) for day, (_, p) in zip(DAYS, ROWS, strict=True)
    )
    with pytest.raises(DataError, match="day '13/1/2020' can't be used"):
        load(tmp_path, day_first)


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
    (tmp_path / "more.csv").write_text(csv(ROWS))
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
    assert found.losses["empty"].count == empty
    weekdays = (found.days.astype("datetime64[D]").astype(int) + 3) % 7
    assert set(weekdays) <= set(range(5)), "no day of a market is a Saturday or Sunday"
    assert np.abs(found.returns[1:]).max() < 1, "no price is in another unit"


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
