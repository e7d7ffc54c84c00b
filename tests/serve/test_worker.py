"""When the event loop hands a request to a thread."""

from hypothesis import given
from hypothesis import strategies as st

from serve.http.worker import MAX_HEADER_BYTES, SMALL_BODY_BYTES, is_complete, is_whole

HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\n"


def request(length, body=b"", name=b"Content-Length"):
    return HEAD + name + b": " + str(length).encode() + b"\r\n\r\n" + body


@given(st.integers(0, 200), st.integers(0, 400))
def test_a_small_request_is_whole_exactly_when_its_last_byte_is_there(length, cut):
    whole = request(length, bytes(length))
    received = whole[: max(0, len(whole) - cut)]
    assert is_whole(received) == (len(received) == len(whole))


def test_header_names_have_no_case():
    assert not is_whole(request(5, b"abc", b"cOnTeNt-LeNgTh"))


def test_without_a_body_the_headers_are_all():
    assert is_whole(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
    assert not is_whole(b"GET /ping HTTP/1.1\r\nHost: x\r\n")
    assert not is_whole(b"")


def test_large_bodies_and_those_without_a_length_are_read_by_a_thread():
    assert is_whole(request(SMALL_BODY_BYTES + 1))
    assert is_whole(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    assert not is_whole(request(SMALL_BODY_BYTES))


def test_a_client_that_waits_for_a_go_ahead_is_not_waited_for():
    assert is_whole(HEAD + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")


@given(st.integers(0, 200), st.integers(0, 400))
def test_a_small_request_is_complete_exactly_when_it_is_whole(length, cut):
    whole = request(length, bytes(length))
    received = whole[: max(0, len(whole) - cut)]
    assert is_complete(received) == is_whole(received)


def test_what_a_thread_reads_is_never_complete():
    assert not is_complete(request(SMALL_BODY_BYTES + 1, bytes(SMALL_BODY_BYTES + 1)))
    assert not is_complete(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert not is_complete(HEAD + b"Content-Length: 1\r\nExpect: 100-continue\r\n\r\nx")


def test_headers_without_an_end_are_never_whole():
    assert not is_whole(b"x" * (MAX_HEADER_BYTES + 1))
