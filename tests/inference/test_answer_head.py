"""Heads of answers, read with and without their unused headers: the same but for these."""

import http.client
import socket

from hypothesis import example, given
from hypothesis import strategies as st

from inference.fetching.answer_head import LeanResponse

USED = [
    "Connection", "Content-Length", "Content-Encoding", "Location", "Transfer-Encoding", "ETag",
    "Retry-After",
]  # fmt: skip
LINES = [
    b"Content-Length: 3\r\n", b"content-length: 5\n", b"Transfer-Encoding: chunked\r\n",
    b"Location: /a\r\n", b"LOCATION : /b\r\n", b"Location:\r\n", b"Content-Encoding: gzip\r\n",
    b"Connection: close\r\n", b"Keep-Alive: a\r\n", b"Content-Lengthy: 7\r\n", b"ETag: a\r\n",
    b"etag: \"a\"\r\n", b"Retry-After: 7\r\n", b"Retry: 7\r\n",
    b"X-A: b\n", b"X-A: b\rLocation: /c\r\n", b"X-A:\r\n", b" folded\r\n", b"\tLocation: /d\r\n",
    b": b\r\n", b"no header\r\n", b"From a: b\r\n", b"\xe9: b\r\n", b"X-A: \xe9\x00\x85\r\n",
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 a: b\r\n", b"HTTP/1.1 204 a\r\n", b"\r\n",
    b"X-A: " + b"b" * 70000,
]  # fmt: skip
heads = st.tuples(
    st.sampled_from([b"HTTP/1.1 200 OK\r\n"] * 4 + LINES),
    st.lists(st.sampled_from(LINES), max_size=8).map(b"".join),
    st.sampled_from([b"\r\nbody", b"\nbody", b""]),
).map(b"".join)


def read(kind, answer):
    """What a response holds and would read, or how it fails."""
    here, there = socket.socketpair()
    with here, there:
        there.settimeout(5)
        here.settimeout(5)
        there.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
        there.sendall(answer)
        there.shutdown(socket.SHUT_WR)
        response = kind(here, method="GET")
        try:
            response.begin()
            used = [(name, response.headers.get_all(name)) for name in USED]
            body = b"" if response.isclosed() else response.fp.read()
        except http.client.HTTPException as exc:
            return type(exc)
        finally:
            response.close()
    return response.status, response.will_close, response.length, response.chunked, used, body


@given(heads)
@example(b"X-A: b\r\nHTTP/1.1 200 OK\r\n\r\n")
@example(b"HTTP/1.1 100 a: b\r\nX-A: b\r\n\r\nHTTP/1.1 200 a: b\r\nX-A: b\r\n\r\nbody")
@example(b"HTTP/1.1 200 OK\r\nLocation: /a\r\nX-A: b\r\n folded\r\n\r\n")
@example(b"HTTP/1.1 200 OK\r\nX-A: b\rLocation: /c\r\n\r\n")
@example(b"HTTP/1.1 200 OK\r\nX-A: b\r\n\tLocation: /d\r\nLocation: /a\r\n folded\r\n\r\n")
@example(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 99 + b"\r\nbody")
@example(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100 + b"\r\nbody")
@example(b"HTTP/1.1 100 OK\r\n" + b"X-A: b\r\n" * 101 + b"\r\nHTTP/1.1 200 OK\r\n\r\n")
def test_what_is_used_is_read_as_http_client_reads_it(answer):
    assert read(LeanResponse, answer) == read(http.client.HTTPResponse, answer)


def test_what_is_not_used_is_not_kept():
    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"HTTP/1.1 200 OK\r\nServer: a\r\n b\r\nContent-Length: 0\r\nVia: c\r\n\r\n")
        response = LeanResponse(here, method="GET")
        response.begin()
        assert response.getheaders() == [("Content-Length", "0")]
        response.close()
