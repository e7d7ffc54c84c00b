"""The price of a million items: by hand, by law, and what is refused."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.profile.price import MOST, Price, PriceError, chosen, core_ms, money

RATES = st.floats(0.01, 1e6)
PRICES = st.floats(0.001, MOST / 2)


@pytest.mark.parametrize(
    ("per_hour", "items_s", "million"),
    [
        # A million seconds, an item each, are 277.8 hours.
        (3.6, 1.0, 1000.0),
        (0.204, 56.6666667, 1.0),
        (1.0, 1000.0, 0.2777778),
    ],
)
def test_a_million_items_cost_the_hours_that_they_take(per_hour, items_s, million):
    assert Price(per_hour).per_million(items_s) == pytest.approx(million, rel=1e-6)


def test_a_job_costs_its_time_and_a_million_of_its_rows_their_share():
    """40 rows in a minute at 6 an hour: 0.1 in all, 2,500 for a million."""
    assert Price(6).of(60) == pytest.approx(0.1)
    assert Price(6).per_million(40, 60) == pytest.approx(2500)


def test_nothing_done_has_no_price():
    assert Price(1).per_million(0) is None
    assert core_ms(2, 0) is None
    assert money(None) == "-"


def test_core_time_is_of_all_cores():
    assert core_ms(2, 64) == 31.25


@given(PRICES, RATES, st.floats(1.1, 100))
def test_twice_the_price_or_half_the_speed_cost_twice_as_much(per_hour, items_s, times):
    million = Price(per_hour).per_million(items_s)
    if per_hour * times <= MOST:
        assert Price(per_hour * times).per_million(items_s) == pytest.approx(times * million)
    assert Price(per_hour).per_million(items_s * times) == pytest.approx(million / times)
    assert Price(per_hour).per_million(items_s * times, times) == pytest.approx(million)


@pytest.mark.parametrize(
    ("value", "words"),
    [(1234.4, "1,234"), (123.45, "123"), (1.236, "1.24"), (0.01236, "0.0124"), (0, "0")],
)
def test_amounts_have_three_significant_digits(value, words):
    assert money(value) == words


@pytest.mark.parametrize("absurd", [0, -0.2, math.nan, math.inf, MOST * 1.1, "0.2", True, None])
def test_an_absurd_price_is_refused_in_words(absurd):
    with pytest.raises(PriceError, match=r"ml\.c7i\.xlarge is .* must be a number above 0"):
        Price(absurd, "ml.c7i.xlarge")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"ml.g5.xlarge": 1.5}', r"has no price of ml\.c7i\.xlarge; it has ml\.g5\.xlarge"),
        ("{}", "it has none"),
        ('{"ml.c7i.xlarge": -1}', r"prices\.json: the price of an hour of ml\.c7i\.xlarge is -1"),
        ('{"ml.c7i.xlarge": NaN}', "is nan"),
        ('{"ml.c7i.xlarge": "cheap"}', "is 'cheap'"),
        ("[0.25]", "must be an object of prices by instance type"),
        ("ml.c7i.xlarge 0.25", "is not JSON"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_file_without_the_price_is_refused_by_its_name(tmp_path, text, words):
    path = tmp_path / "prices.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PriceError, match=words) as refused:
        chosen(None, "ml.c7i.xlarge", path)
    assert str(path) in str(refused.value)


def test_a_price_is_a_number_or_looked_up_by_the_instance_type(tmp_path):
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"ml.c7i.xlarge": 0.25}))
    assert chosen(None, "ml.c7i.xlarge", path) == Price(0.25, "ml.c7i.xlarge")
    assert chosen(0.5, "ml.c7i.xlarge", None) == Price(0.5, "ml.c7i.xlarge")
    assert chosen(None, "ml.c7i.xlarge", None) is chosen(None, None, None) is None
    with pytest.raises(PriceError, match="--prices needs --instance-type"):
        chosen(None, None, path)
    with pytest.raises(PriceError, match="not both"):
        chosen(0.5, "ml.c7i.xlarge", path)
