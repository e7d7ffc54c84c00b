"""Images inside the request."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import FetchBlocked, FetchTooLarge
from inference.inline import decode_base64, decode_data_url
from model.errors import CorruptImage


@given(st.binary(max_size=500))
def test_base64_comes_back_whatever_its_line_breaks(data):
    assert decode_base64(base64.encodebytes(data).decode(), 500) == data
    assert decode_data_url(f"data:;base64,{base64.b64encode(data).decode()}", 500) == data


@pytest.mark.parametrize("text", ["!", "abc", "====", "a" * 5, "é" * 4, "\ud800abc"])
def test_what_is_not_base64_is_corrupt(text):
    with pytest.raises(CorruptImage):
        decode_base64(text, 100)


def test_bounds():
    for too_large in (base64.b64encode(bytes(104)).decode(), "A" * 10_000_000):
        with pytest.raises(FetchTooLarge):
            decode_base64(too_large, 100)
    with pytest.raises(FetchTooLarge):
        decode_data_url("data:," + "x" * 101, 100)
    with pytest.raises(FetchBlocked):
        decode_data_url("data:image/png;base64", 100)
