"""What is logged: nothing that lets its reader fetch what the caller could."""

import io
import json
import logging
import sys

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from model.errors import DecodeError
from model.images.preprocess import preprocess
from serve.observe.telemetry import configure_logging, redact
from tests.hostile_images import LONG, jpeg_with_exif, tiff

SIGNED = "https://cdn.example/a.png?X-Amz-Credential=AKIA%2F1&X-Amz-Signature=5ec2e7"


@pytest.fixture
def logged(monkeypatch):
    """Standard error, with the service's logging on it."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging()
    yield stream
    root.handlers[:], root.level = before


@pytest.mark.parametrize(
    ("line", "redacted"),
    [
        (f"GET {SIGNED} failed", "GET https://cdn.example/a.png?[redacted] failed"),
        ('with url: /a?token=1 (Caused by "x")', 'with url: /a?[redacted] (Caused by "x")'),
        ('{"message":"at /a?b=c\\nnext"}', '{"message":"at /a?[redacted]\\nnext"}'),
        ("https://me:pass@cdn.example/a", "https://[redacted]@cdn.example/a"),
        ("really? yes, 1 = 1", "really? yes, 1 = 1"),
    ],
)
def test_queries_and_users_of_urls_are_left_out(line, redacted):
    assert redact(line) == redacted


@given(secret=st.text("abcdefghij0123456789%+/-_.~", min_size=6), name=st.text("abcXYZ-_%"))
def test_no_secret_of_a_query_is_left(secret, name):
    assert secret not in redact(f"url: https://cdn.example/x?{name}={secret}&{name}={secret}")


def test_a_stack_trace_that_quotes_a_signed_url_is_logged_without_its_query(logged):
    """requests' errors name the whole URL."""
    try:
        requests.get(SIGNED.replace("https://cdn.example", "http://127.0.0.1:9"), timeout=5)
    except requests.RequestException:
        logging.getLogger("any").exception("an item failed unexpectedly")
    text = logged.getvalue()
    assert "Traceback" in json.loads(text)["exc_info"]
    assert "/a.png?[redacted]" in text
    assert "Signature" not in text
    assert "AKIA" not in text


def test_a_damaged_image_is_not_worth_a_line(recwarn, logged):
    """It may say thousands of things; the item's failure says one."""
    tags = [(1000 + number, LONG, 1000, 8) for number in range(3000)]
    many_samples = [(256, LONG, 1, 1), (257, LONG, 1, 1), (277, LONG, 1, 70_000)]
    preprocess(jpeg_with_exif(tiff(tags)), 32)
    with pytest.raises(DecodeError):
        preprocess(tiff(many_samples), 32)
    assert logged.getvalue() == ""
    assert not recwarn.list
