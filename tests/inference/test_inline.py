"""Images inside the request."""

import base64
import sys
import tracemalloc
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import FetchBlocked, FetchTooLarge
from inference.fetching.inline import decode_base64, decode_data_url
from model.errors import CorruptImage


@given(st.binary(max_size=500))
def test_base64_comes_back_whatever_its_line_breaks(data):
    assert decode_base64(base64.encodebytes(data).decode(), 500) == data
    assert decode_data_url(f"data:;base64,{base64.b64encode(data).decode()}", 500) == data


@given(st.binary(max_size=500), st.integers(1))
def test_a_data_url_comes_back_however_it_is_escaped(data, share):
    """In either case of hexadecimal digits, more or fewer bytes, with white space around it."""
    escaped = "".join(
        f"%{byte:02x}" if byte % share == 0 else quote(bytes([byte])) for byte in data
    )
    assert decode_data_url(f" data:,{escaped}\r\n", 500) == data
    encoded = "".join(
        f"%{ord(one):02X}" if ord(one) % share == 0 else one
        for one in base64.b64encode(data).decode()
    )
    assert decode_data_url(f"\tDATA:image/png;BASE64,{encoded} ", 500) == data


@pytest.mark.parametrize("before", range(4))
def test_no_escape_is_cut_where_a_long_payload_is(before):
    """It is decoded piece by piece."""
    data = bytes(range(256)) * 1000
    payload = "x" * before + "".join(f"%{byte:02x}" for byte in data)
    assert decode_data_url(f"data:,{payload}", 10**6) == b"x" * before + data
    stray = "%" * 200_000 + "%4"
    assert decode_data_url(f"data:,{stray}", 10**6) == stray.encode()


@pytest.mark.parametrize(
    "payload", ["%41" * 1_000_000, "%" * 3_000_000, "x" * 3_000_000, "é" * 1_500_000]
)
@pytest.mark.parametrize("kind", ["", ";base64"])
def test_a_payload_that_is_too_large_is_not_decoded(payload, kind):
    """Three times what it may have, and no more memory than a piece of it takes."""
    url = f"data:{kind},{payload}"
    tracemalloc.start()
    with pytest.raises(FetchTooLarge):
        decode_data_url(url, 100_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Two copies of the URL, cut shorter each time, and a piece of it being decoded.
    assert peak < 2 * sys.getsizeof(url) + 4_000_000


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
