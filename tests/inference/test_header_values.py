"""ETags that may be sent, and how long a server asks to be left alone."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.fetching.header_values import MAX_RETRY_AFTER_S, etag_of, is_etag, retry_after_s

NOW = datetime(2025, 3, 4, 5, 6, 7, tzinfo=UTC)
MAX_ETAG_CHARS = 512


@given(st.text(max_size=20) | st.text('!~"W/* \r\n\x7f\xe9', max_size=4))
def test_an_etag_is_visible_ascii_and_not_every_image(text):
    visible = all("!" <= one <= "~" for one in text)
    assert is_etag(text) == (visible and text not in {"", "*"})
    found = etag_of(text)
    assert found is None or (found == text.strip() and is_etag(found))


@pytest.mark.parametrize("text", ['"a"', 'W/"a"', '""', "unquoted", '"*"', "x" * MAX_ETAG_CHARS])
def test_an_etag_is_kept_whole(text):
    assert etag_of(f"{text} \t") == text


def test_no_etag_and_a_long_one_are_none():
    assert etag_of(None) is None
    assert etag_of("x" * (MAX_ETAG_CHARS + 1)) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 120\t", 120.0),
        ("3600", MAX_RETRY_AFTER_S),
        ("3601", MAX_RETRY_AFTER_S),
        ("9" * 5000, MAX_RETRY_AFTER_S),
        ("Tue, 04 Mar 2025 05:06:37 GMT", 30.0),
        ("Tue, 04 Mar 2025 05:06:37 -0000", 30.0),
        ("Tuesday, 04-Mar-25 05:06:37 GMT", 30.0),
        ("Tue Mar  4 05:06:37 2025", 30.0),
        ("Tue, 04 Mar 2025 05:00:00 GMT", 0.0),
        ("Tue, 04 Mar 2031 05:00:00 GMT", MAX_RETRY_AFTER_S),
        (None, None),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("1, 2", None),
        ("soon", None),
        ("²", None),
        ("Tue, 04 Mar 99999 05:06:37 GMT", None),
        ("Tue, 04 Mar 2025 05:06:37 +9999999999", None),
        ("Tue, 04 Mar " + "9" * 30 + " 05:06:37 GMT", None),
    ],
)
def test_a_pause_is_seconds_or_a_date_and_nonsense_is_none(header, seconds):
    assert retry_after_s(header, NOW) == seconds


@given(st.text() | st.text("0123456789 ,:+-GMTueMar", max_size=40))
def test_whatever_a_server_sends_is_within_the_hour_or_nothing(header):
    found = retry_after_s(header, NOW)
    assert found is None or 0.0 <= found <= MAX_RETRY_AFTER_S


@given(st.timedeltas(timedelta(days=-400), timedelta(days=400)))
def test_a_date_is_the_time_until_then(until):
    until = timedelta(seconds=int(until.total_seconds()))
    header = format_datetime(NOW + until, usegmt=True)
    expected_s = min(max(until.total_seconds(), 0.0), MAX_RETRY_AFTER_S)
    assert retry_after_s(header, NOW) == expected_s
