"""Fetching for real: a local server, real sockets, real redirects, moto for S3."""

import gc
import gzip
import socket
import socketserver
import ssl
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import boto3
import certifi
import pytest
from moto import mock_aws

from inference.config import FetchConfig, UrlConfig
from inference.errors import (
    FetchBlocked,
    FetchError,
    FetchHttpStatus,
    FetchTooLarge,
    NotModified,
)
from inference.fetching.fetcher import Fetcher
from inference.fetching.urls import tidy
from inference.loadtest.thumbnail_server import Reply, ThumbnailServer
from tests.images import png
from tests.servers import MeetingServer

IMAGE = png()
LOCAL = UrlConfig(allow_hosts=("127.0.0.1",))


def soon(seconds=60.0):
    return time.monotonic() + seconds


@contextmanager
def opened(resolver=None, **config):
    config = {"urls": LOCAL} | config
    extra = {} if resolver is None else {"resolver": resolver}
    fetcher = Fetcher(FetchConfig(**config), **extra)
    yield fetcher
    fetcher.close()


@contextmanager
def speaking(talk, heard=None):
    """A raw TCP server on loopback that hands each connection to `talk`, its request to `heard`."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            request = self.request.recv(65536)
            if heard is not None:
                heard.append(request)
            try:
                talk(self.request)
            except OSError:
                return

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/image"
    server.shutdown()
    server.server_close()


def code_of(fetcher, url, deadline_s=None):
    with pytest.raises(FetchError) as caught:
        fetcher.fetch(url, deadline_s or soon())
    return caught.value.code, caught.value.retryable


def test_bytes_come_as_they_were_sent(thumbnail_server):
    thumbnail_server.replies["/a"] = Reply(IMAGE)
    with opened() as fetcher:
        assert fetcher.fetch(thumbnail_server.url("/a"), soon()) == IMAGE


def test_connections_are_kept_and_used_again(thumbnail_server, connections):
    thumbnail_server.replies["/a"] = Reply(IMAGE)
    with opened() as fetcher:
        for _ in range(5):
            fetcher.fetch(thumbnail_server.url("/a"), soon())
    assert len(connections) == 1


@pytest.mark.parametrize(("status", "retryable"), [(404, False), (403, False), (410, False)])
def test_another_status_is_a_failure_and_is_not_tried_again(thumbnail_server, status, retryable):
    thumbnail_server.replies["/a"] = Reply(b"no", "text/html", status)
    with opened() as fetcher:
        assert code_of(fetcher, thumbnail_server.url("/a")) == ("fetch_http_status", retryable)
    assert thumbnail_server.requests == 1


@pytest.mark.parametrize("status", [200, 201, 202, 203, 208, 218, 226, 299])
def test_any_success_with_a_whole_body_is_an_image(thumbnail_server, status):
    thumbnail_server.replies["/a"] = Reply(IMAGE, status=status)
    with opened() as fetcher:
        assert fetcher.fetch(thumbnail_server.url("/a"), soon()) == IMAGE


@pytest.mark.parametrize("status", [204, 205, 206, 300, 304, 305, 999])
def test_a_status_without_a_whole_image_is_a_failure(thumbnail_server, status):
    body = IMAGE if status == 206 else b""
    thumbnail_server.replies["/a"] = Reply(body, status=status)
    with opened() as fetcher, pytest.raises(FetchHttpStatus, match=f"^{status}"):
        fetcher.fetch(thumbnail_server.url("/a"), soon())
    assert thumbnail_server.requests == (3 if status == 999 else 1)


def test_a_success_without_a_body_is_empty(thumbnail_server):
    """Decoding says so: it is then damaged."""
    thumbnail_server.replies["/a"] = Reply(b"", status=200)
    with opened() as fetcher:
        assert fetcher.fetch(thumbnail_server.url("/a"), soon()) == b""


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_what_may_pass_is_tried_again(thumbnail_server, status):
    thumbnail_server.replies["/a"] = Reply(b"later", "text/html", status)
    with opened() as fetcher:
        assert code_of(fetcher, thumbnail_server.url("/a")) == ("fetch_http_status", True)
    assert thumbnail_server.requests == FetchConfig.attempts


def test_an_image_that_comes_at_the_second_try_is_an_image(thumbnail_server):
    first = Reply(b"later", "text/html", 503)
    answers = iter([first, Reply(IMAGE)])
    thumbnail_server._find = lambda path: next(answers)
    with opened() as fetcher:
        assert fetcher.fetch(thumbnail_server.url("/a"), soon()) == IMAGE


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(thumbnail_server, status):
    """Its own pause, 0.1 s at most, would be shorter."""
    busy = Reply(b"", "text/html", status, {"Retry-After": "1"})
    answers = iter([busy, Reply(IMAGE)])
    thumbnail_server._find = lambda path: next(answers)
    with opened(fetch_timeout_s=60.0) as fetcher:
        before_s = time.monotonic()
        assert fetcher.fetch(thumbnail_server.url("/a"), soon(60)) == IMAGE
        assert time.monotonic() - before_s >= 1.0


@pytest.mark.parametrize(
    ("asked", "told_s"),
    [("60", 60.0), ("1000000", 3600.0), ("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0)],
)
def test_a_pause_that_ends_after_the_limit_is_told_at_once(thumbnail_server, asked, told_s):
    busy = Reply(b"", "text/html", 503, {"Retry-After": asked})
    thumbnail_server.replies["/a"] = busy
    with opened() as fetcher, pytest.raises(FetchHttpStatus) as caught:
        fetcher.fetch(thumbnail_server.url("/a"), soon(30))
    assert (caught.value.retryable, caught.value.retry_after_s) == (True, told_s)
    assert thumbnail_server.requests == 1


@pytest.mark.parametrize("asked", ["soon", "-5", "", "0", "Mon, 01 Jan 2001 00:00:00 GMT"])
def test_a_pause_that_is_none_changes_nothing(thumbnail_server, asked):
    thumbnail_server.replies["/a"] = Reply(b"", "text/html", 503, {"Retry-After": asked})
    with opened() as fetcher:
        assert code_of(fetcher, thumbnail_server.url("/a")) == ("fetch_http_status", True)
    assert thumbnail_server.requests == FetchConfig.attempts


@pytest.mark.parametrize("status", [404, 408, 500])
def test_only_a_busy_server_may_ask_for_a_pause(thumbnail_server, status):
    headers = {"Retry-After": "3600"}
    thumbnail_server.replies["/a"] = Reply(b"", "text/html", status, headers)
    with opened() as fetcher, pytest.raises(FetchHttpStatus) as caught:
        fetcher.fetch(thumbnail_server.url("/a"), soon())
    assert caught.value.retry_after_s is None
    assert thumbnail_server.requests == (1 if status == 404 else FetchConfig.attempts)


def test_each_hop_is_told_of_the_image_that_is_here():
    """Which of them knows it is not known before."""
    heard = []
    with redirecting(b"Location: /there", heard) as url, opened() as fetcher:
        assert fetcher.fetch_if_new(url, soon(), 'W/"a"').data == b"ok"
    assert len(heard) == 2
    assert all(b'\r\nIf-None-Match: W/"a"\r\n' in request for request in heard)


def test_no_etag_is_sent_unless_one_is_given():
    heard = []
    with redirecting(b"Location: /there", heard) as url, opened() as fetcher:
        fetcher.fetch_if_new(url, soon(), '"a"')
        heard.clear()
        assert fetcher.fetch(url, soon()) == b"ok"
    assert not any(b"if-none-match" in request.lower() for request in heard)


def test_an_image_that_is_still_here_is_told_on_the_same_connection(thumbnail_server, connections):
    thumbnail_server.replies["/a"] = Reply(IMAGE, headers={"ETag": '"a"'})
    thumbnail_server.replies["/old"] = Reply(status=302, headers={"Location": "/a"})
    with opened() as fetcher:
        fetched = fetcher.fetch_if_new(thumbnail_server.url("/a"), soon(), None)
        assert fetched == (IMAGE, '"a"')
        for path in ("/a", "/a", "/a"):
            with pytest.raises(NotModified, match="304 Not Modified"):
                fetcher.fetch_if_new(thumbnail_server.url(path), soon(), fetched.etag)
        assert len(connections) == 1
        with pytest.raises(NotModified):
            fetcher.fetch_if_new(thumbnail_server.url("/old"), soon(), fetched.etag)
    assert thumbnail_server.requests == 6


def test_a_304_that_goes_on_for_ever_meets_the_limits():
    def talk(connection):
        connection.sendall(b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")

    with (
        speaking(talk) as url,
        opened(max_image_bytes=1_000_000) as fetcher,
        pytest.raises(FetchError) as caught,
    ):
        fetcher.fetch_if_new(url, soon(), '"a"')
    assert caught.value.code in {"not_modified", "fetch_too_large"}


def test_nobody_listening(nobody):
    with opened() as fetcher:
        assert code_of(fetcher, nobody) == ("fetch_connect", True)


def test_more_bytes_than_allowed_are_not_read(thumbnail_server):
    thumbnail_server.replies["/declared"] = Reply(bytes(2000))
    with opened(max_image_bytes=1000) as fetcher:
        assert code_of(fetcher, thumbnail_server.url("/declared")) == ("fetch_too_large", False)


def test_bytes_are_counted_while_reading():
    """A body without a length that never ends costs its limit and no more."""

    def talk(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(bytes(65536))

    with speaking(talk) as url, opened(max_image_bytes=1_000_000) as fetcher:
        assert code_of(fetcher, url) == ("fetch_too_large", False)


def test_bytes_are_counted_after_decompression(thumbnail_server):
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 100_000
    thumbnail_server.replies["/bomb"] = Reply(bomb, headers={"Content-Encoding": "gzip"})
    with opened(max_image_bytes=1_000_000) as fetcher, pytest.raises(FetchTooLarge):
        fetcher.fetch(thumbnail_server.url("/bomb"), soon())


@pytest.mark.parametrize(
    ("sent", "code"), [(5_000_000, "fetch_too_large"), (3_000_000, "fetch_connect")]
)
def test_of_a_body_that_failed_nothing_stays_in_memory(sent, code):
    """Not even until the next look for cycles: no error holds on to what was read."""
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4c4b40\r\n" + bytes(sent)
    with (
        speaking(lambda connection: connection.sendall(answer)) as url,
        opened(max_image_bytes=4_000_000) as fetcher,
    ):
        assert code_of(fetcher, url)[0] == code  # and what is loaded on first use, is
        gc.disable()
        tracemalloc.start()
        try:
            assert code_of(fetcher, url)[0] == code
            assert tracemalloc.get_traced_memory()[0] < 1_000_000
        finally:
            tracemalloc.stop()
            gc.enable()


def test_a_compressed_transfer_is_understood(thumbnail_server):
    reply = Reply(gzip.compress(IMAGE), headers={"Content-Encoding": "gzip"})
    thumbnail_server.replies["/a"] = reply
    with opened() as fetcher:
        assert fetcher.fetch(thumbnail_server.url("/a"), soon()) == IMAGE


def test_a_connection_that_breaks_is_a_failure_that_may_pass(thumbnail_server):
    thumbnail_server.replies["/short"] = Reply(IMAGE, content_length=len(IMAGE) + 10)
    with opened() as fetcher:
        assert code_of(fetcher, thumbnail_server.url("/short")) == ("fetch_connect", True)
    with speaking(lambda connection: None) as url, opened() as fetcher:
        assert code_of(fetcher, url) == ("fetch_connect", True)


def test_a_server_that_says_nothing_meets_the_limit():
    with speaking(lambda connection: connection.recv(1)) as url, opened() as fetcher:
        assert code_of(fetcher, url, soon(0.3)) == ("fetch_timeout", True)


def test_a_body_that_drips_meets_the_limit():
    """Each byte comes in time; all of them would not."""
    done = threading.Event()

    def talk(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not done.wait(0.05):
            connection.sendall(b"x")

    with speaking(talk) as url, opened(fetch_timeout_s=0.4) as fetcher:
        assert code_of(fetcher, url) == ("fetch_timeout", True)
    done.set()


DRIPS = {
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    "one header": (b"HTTP/1.1 200 OK\r\nX-A: ", b"b"),
    "chunk sizes": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n"),
    "a body without a length": (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
}


@pytest.mark.parametrize("phase", DRIPS)
def test_a_drip_in_any_phase_meets_the_limit(phase):
    """The socket is shut from outside: no time-out of a single read would ever be met."""
    begin, drop = DRIPS[phase]
    done = threading.Event()

    def talk(connection):
        connection.sendall(begin)
        while not done.wait(0.05):
            connection.sendall(drop)

    with speaking(talk) as url, opened(fetch_timeout_s=0.4) as fetcher:
        assert code_of(fetcher, url) == ("fetch_timeout", True)
    done.set()


@pytest.mark.parametrize("url", ["http://a.example/\ud800", "s3://bucket/\ud800", "http://[::1"])
def test_what_is_not_a_url_is_blocked(url):
    with opened(urls=UrlConfig(allow_buckets=("*",))) as fetcher:
        assert code_of(fetcher, url) == ("fetch_blocked", False)


@pytest.mark.parametrize("location", ["http://[::1", "http://a\u2100b/"])
def test_a_redirect_to_what_is_not_a_url_is_blocked(thumbnail_server, location):
    location = location.encode().decode("latin-1")
    thumbnail_server.replies["/a"] = Reply(status=302, headers={"Location": location})
    with opened() as fetcher:
        assert code_of(fetcher, thumbnail_server.url("/a"))[0] == "fetch_blocked"


def test_a_length_of_thousands_of_digits_is_too_large():
    def talk(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nx")

    with speaking(talk) as url, opened() as fetcher:
        assert code_of(fetcher, url)[0] in {"fetch_too_large", "fetch_connect"}


def test_redirects_are_followed(thumbnail_server):
    for hop in range(3):
        location = {"Location": f"/{hop + 1}th"}
        thumbnail_server.replies[f"/{hop}th"] = Reply(status=302, headers=location)
    thumbnail_server.replies["/3th"] = Reply(IMAGE)
    with opened() as fetcher:
        assert fetcher.fetch(thumbnail_server.url("/0th"), soon()) == IMAGE


def test_the_body_of_a_redirect_is_not_read():
    """It never ends; a client that read it would hold all of it."""
    sent = []

    def talk(connection):
        location = f"http://127.0.0.1:{target.netloc.split(':')[1]}/a"
        connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode())
        while True:
            sent.append(connection.send(bytes(65536)))

    with (
        ThumbnailServer({"/a": Reply(IMAGE)}) as target,
        speaking(talk) as url,
        opened() as fetcher,
    ):
        assert fetcher.fetch(url, soon()) == IMAGE
    assert sum(sent) < 20_000_000


def redirecting(head, heard):
    """A server whose first answer is a redirect with those header lines, whose others are `ok`."""

    def talk(connection):
        if len(heard) == 1:
            empty = b"\r\nContent-Length: 0\r\n\r\n"
            connection.sendall(b"HTTP/1.1 302 Found\r\n" + head + empty)
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    return speaking(talk, heard)


def request_line(request):
    return request.split(b"\r\n")[0]


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/café.png".encode(), b"/caf%C3%A9.png"),
        (b"/caf\xe9.png", b"/caf%E9.png"),
        (b"/\xc0\xaf\xed\xa0\x80", b"/%C0%AF%ED%A0%80"),  # no UTF-8 either
        ("/Åà".encode(), b"/%C3%85%C3%A0"),  # as latin-1 they hold a line end and a blank
        (b"/a b c.png", b"/a%20b%20c.png"),
        (b"a b.png?q=c d#e f", b"/a%20b.png?q=c%20d"),
        (b"?q=c d", b"/image?q=c%20d"),
        (b" /a.png \t", b"/a.png"),
        (b"/a\r\n b.png", b"/a%20b.png"),  # a header of two lines has a blank between them
        (b"/100% \xe9%41.png", b"/100%25%20%E9A.png"),
        ("/a\u00a0b.png".encode(), b"/a%C2%A0b.png"),
    ],
)
def test_a_redirect_asks_for_the_bytes_of_its_location(location, target):
    heard = []
    with redirecting(b"Location: " + location, heard) as url, opened() as fetcher:
        assert fetcher.fetch(url, soon()) == b"ok"
    assert request_line(heard[1]) == b"GET " + target + b" HTTP/1.1"


def test_a_redirect_to_a_host_in_utf_8_asks_for_its_idna_name(connections):
    """A caller may write the host the same way; it is looked up and checked the same way."""
    asked, heard = [], []

    def resolver(host, port):
        asked.append((host, port))
        return ["127.0.0.1"] if host == "127.0.0.1" else ["8.8.8.8"]

    location = "Location: http://bücher.example/ö b.png".encode()
    with redirecting(location, heard) as url, opened(resolver, attempts=1) as fetcher:
        assert code_of(fetcher, url)[0] == "fetch_connect"
    assert asked[1] == ("xn--bcher-kva.example", 80)
    assert connections[1:] == [("8.8.8.8", 80)]


@pytest.mark.parametrize(
    "head",
    [
        b"Location: http://b\xfccher.example/",  # no UTF-8, in the host
        b"Location: http://exa mple.com/",
        b"Location: //exa mple.com/a.png",
        b"Location: http://127.0.0.1 /a.png",
        b"Location: http: //example.com/",
        b"Location: http:/ /example.com/",
        b"Location: http://exam\tple.com/",
        b"Location: http://example.com\t/",
        b"Location: /a\tb.png",
        b"Location: /a\x01b.png",
        b"Location: http://127.0.0.1\r\n .example.com/",
        b"Location: /a\\b.png",
        b"Location: http://example.com\\@127.0.0.1/",
        b"Location: /a\xc2\x85b.png",
        b"Location: /a\xe2\x80\xa8b.png",
        b"Location: /a.png\r\nLocation: /b.png",
    ],
)
def test_a_redirect_whose_location_could_be_read_two_ways_is_blocked(connections, head):
    heard = []
    with redirecting(head, heard) as url, opened() as fetcher:
        assert code_of(fetcher, url) == ("fetch_blocked", False)
    assert len(heard) == 1
    assert {address[0] for address in connections} == {"127.0.0.1"}


def test_a_location_that_is_said_twice_is_one():
    heard = []
    with redirecting(b"Location: /a b\r\nLocation: /a b", heard) as url, opened() as fetcher:
        assert fetcher.fetch(url, soon()) == b"ok"
    assert request_line(heard[1]) == b"GET /a%20b HTTP/1.1"


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/a b.png", b"/a%20b.png"),
        ("/¿Qué é.png", b"/%C2%BFQu%C3%A9%20%C3%A9.png"),
        ("/a b.png?c d", b"/a%20b.png?c%20d"),
        ("?c d", b"/?c%20d"),
        ("/a%20b 100%.png", b"/a%20b%20100%25.png"),
        ("/a\u00a0b\u202fc.png", b"/a%C2%A0b%E2%80%AFc.png"),
        ("/a.png\r\n", b"/a.png"),
        ("/a.png #b c", b"/a.png%20"),
    ],
)
def test_blanks_behind_the_host_are_asked_for_percent_encoded(path, target):
    heard = []
    with redirecting(b"Location: /ok", heard) as url, opened() as fetcher:
        assert fetcher.fetch(tidy(url.removesuffix("/image") + path), soon()) == b"ok"
    assert request_line(heard[0]) == b"GET " + target + b" HTTP/1.1"


@pytest.mark.parametrize("text", [" {} ", "{}\n", "\r\n\t{}\f"])
def test_white_space_around_a_url_is_taken_off(text):
    heard = []
    with redirecting(b"Location: /ok", heard) as url, opened() as fetcher:
        assert fetcher.fetch(tidy(text.format(url)), soon()) == b"ok"
    assert request_line(heard[0]) == b"GET /image HTTP/1.1"


def test_redirects_end_after_three(thumbnail_server):
    thumbnail_server.replies["/a"] = Reply(status=301, headers={"Location": "/a"})
    with opened() as fetcher:
        assert code_of(fetcher, thumbnail_server.url("/a")) == ("fetch_redirects", False)
    assert thumbnail_server.requests == 4


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2/",
        "http://localhost:1/",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data/",
        "//10.0.0.1/x",
        "file:///etc/passwd",
        "s3://bucket/key",
        "http://user@127.0.0.1/",
    ],
)
def test_a_redirect_is_checked_like_the_first_hop(thumbnail_server, connections, location):
    thumbnail_server.replies["/a"] = Reply(status=302, headers={"Location": location})
    with opened() as fetcher:
        assert code_of(fetcher, thumbnail_server.url("/a")) == ("fetch_blocked", False)
    assert {address[0] for address in connections} == {"127.0.0.1"}
    assert thumbnail_server.requests == 1


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://[::ffff:127.0.0.1]/",
     "http://localhost/", "http://0/", "http://127.1/"],
)  # fmt: skip
def test_loopback_is_refused_however_it_is_written(connections, url):
    with opened(urls=UrlConfig()) as fetcher:
        assert code_of(fetcher, url) == ("fetch_blocked", False)
    assert connections == []


def test_a_name_that_turns_to_loopback_after_the_check_gets_nowhere(thumbnail_server, connections):
    """Rebinding: public at the first look-up, 127.0.0.1 at the second.

    What the first look-up gave is what is connected to; the guard of these tests refuses that.
    The retry looks up again, and checks again.
    """
    answers = iter([["8.8.8.8"], ["127.0.0.1"], ["127.0.0.1"]])
    with opened(lambda host, port: next(answers), urls=UrlConfig()) as fetcher:
        assert code_of(fetcher, "http://rebind.example/a") == ("fetch_blocked", False)
    assert connections == [("8.8.8.8", 80)]
    assert thumbnail_server.requests == 0


def test_a_name_with_a_public_and_a_loopback_address_is_refused(connections):
    with opened(lambda host, port: ["8.8.8.8", "127.0.0.1"], urls=UrlConfig()) as fetcher:
        assert code_of(fetcher, "http://both.example/a") == ("fetch_blocked", False)
    assert connections == []


def test_a_redirect_to_a_name_of_loopback_is_refused(thumbnail_server, connections):
    def resolver(host, port):
        return {"127.0.0.1": ["127.0.0.1"], "inside.example": ["127.0.0.1"]}[host]

    location = f"http://inside.example:{thumbnail_server.netloc.split(':')[1]}/secret"
    thumbnail_server.replies["/a"] = Reply(status=302, headers={"Location": location})
    with opened(resolver, urls=UrlConfig(allow_hosts=("127.0.0.1",))) as fetcher:
        assert code_of(fetcher, thumbnail_server.url("/a")) == ("fetch_blocked", False)
    assert thumbnail_server.requests == 1


def test_names_that_do_not_resolve():
    def missing(host, port):
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    def failing(host, port):
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    with opened(missing) as fetcher:
        assert code_of(fetcher, "http://no.example/") == ("fetch_dns", False)
    with opened(failing) as fetcher:
        assert code_of(fetcher, "http://no.example/") == ("fetch_dns", True)
    with opened(lambda host, port: []) as fetcher:
        assert code_of(fetcher, "http://no.example/") == ("fetch_dns", False)


def test_a_second_address_is_tried(thumbnail_server):
    """The first of a name's addresses refuses the connection; the second serves."""
    thumbnail_server.replies["/a"] = Reply(IMAGE)
    port = thumbnail_server.netloc.split(":")[1]
    allowed = UrlConfig(allow_hosts=("cdn.example",))
    with opened(lambda host, port: ["127.0.0.9", "127.0.0.1"], urls=allowed) as fetcher:
        assert fetcher.fetch(f"http://cdn.example:{port}/a", soon()) == IMAGE


def test_no_cookie_or_credential_ever_travels(thumbnail_server, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    heard: list[bytes] = []

    def talk(connection):
        if len(heard) == 1:
            head = b"HTTP/1.1 302 Found\r\nSet-Cookie: a=b\r\nLocation: /again\r\n"
            connection.sendall(head + b"Content-Length: 0\r\n\r\n")
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with speaking(talk, heard) as url, opened() as fetcher:
        assert fetcher.fetch(url, soon()) == b"ok"
    assert b"GET /again" in heard[1]
    assert b"cookie" not in heard[1].lower()
    assert b"authorization" not in heard[1].lower()


@contextmanager
def speaking_tls(certificate, names):
    """A TLS server on loopback that answers `ok`; `names` are those asked for by SNI."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _, name, __: names.append(name)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(connection, server_side=True) as secured:
                        secured.recv(65536)
                        secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                except OSError:
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def test_a_certificate_nobody_vouches_for_is_refused(tmp_path):
    names = []
    with speaking_tls(make_certificate(tmp_path, "cdn.example"), names) as port:
        allowed = UrlConfig(allow_hosts=("cdn.example",))
        with opened(lambda host, port: ["127.0.0.1"], urls=allowed) as fetcher:
            assert code_of(fetcher, f"https://cdn.example:{port}/") == ("fetch_tls", False)
    # The name of the URL, not the address connected to, is what TLS asks for.
    assert names == ["cdn.example"]


def test_a_certificate_holds_for_its_name_only(tmp_path, monkeypatch):
    certificate = make_certificate(tmp_path, "cdn.example")
    monkeypatch.setattr(certifi, "where", lambda: str(certificate))
    with speaking_tls(certificate, []) as port:
        allowed = UrlConfig(allow_hosts=("cdn.example", "other.example"))
        with opened(lambda host, port: ["127.0.0.1"], urls=allowed) as fetcher:
            assert fetcher.fetch(f"https://cdn.example:{port}/", soon()) == b"ok"
            assert code_of(fetcher, f"https://other.example:{port}/") == ("fetch_tls", False)


def make_certificate(folder, name):
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def bucket():
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="thumbnails")
        client.put_object(Bucket="thumbnails", Key="a/b c%20.png", Body=IMAGE)
        yield client


def test_an_object_is_read(bucket):
    with opened(urls=UrlConfig(allow_buckets=("thumbnails",))) as fetcher:
        assert fetcher.fetch("s3://thumbnails/a/b c%20.png", soon()) == IMAGE
        assert fetcher.fetch(tidy(" s3://thumbnails/a/b c%20.png\n"), soon()) == IMAGE


def test_an_object_that_is_still_here_is_not_read_again(bucket):
    with opened(urls=UrlConfig(allow_buckets=("thumbnails",))) as fetcher:
        url = "s3://thumbnails/a/b c%20.png"
        first = fetcher.fetch_if_new(url, soon(), None)
        assert first == (IMAGE, bucket.head_object(Bucket="thumbnails", Key=url[16:])["ETag"])
        assert first.etag.startswith('"')
        with pytest.raises(NotModified):
            fetcher.fetch_if_new(url, soon(), first.etag)
        assert fetcher.fetch_if_new(url, soon(), '"other"') == first


def test_s3_may_ask_for_a_pause(monkeypatch):
    body = b"<Error><Code>SlowDown</Code></Error>"
    head = b"HTTP/1.1 503 Slow Down\r\nRetry-After: 120\r\nContent-Length: %d\r\n\r\n" % len(body)
    with speaking(lambda connection: connection.sendall(head + body)) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url.removesuffix("/image"))
        with (
            opened(urls=UrlConfig(allow_buckets=("*",))) as fetcher,
            pytest.raises(FetchHttpStatus, match="503 SlowDown") as caught,
        ):
            fetcher.fetch("s3://thumbnails/a", soon(30))
    assert (caught.value.retryable, caught.value.retry_after_s) == (True, 120.0)


def test_objects_that_cannot_be_read(bucket):
    with opened(urls=UrlConfig(allow_buckets=("thumbnails", "missing"))) as fetcher:
        assert code_of(fetcher, "s3://thumbnails/no") == ("s3_not_found", False)
        assert code_of(fetcher, "s3://missing/no") == ("s3_not_found", False)
        assert code_of(fetcher, "s3://thumbnails/") == ("fetch_blocked", False)
    with opened() as fetcher, pytest.raises(FetchBlocked, match="bucket 'thumbnails' is not"):
        fetcher.fetch("s3://thumbnails/a", soon())


def test_an_object_too_large_is_not_read(bucket):
    config = {"urls": UrlConfig(allow_buckets=("*",)), "max_image_bytes": 10}
    with opened(**config) as fetcher:
        assert code_of(fetcher, "s3://thumbnails/a/b c%20.png") == ("fetch_too_large", False)


def test_s3_without_credentials_is_denied(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with opened(urls=UrlConfig(allow_buckets=("*",))) as fetcher:
        assert code_of(fetcher, "s3://thumbnails/a") == ("s3_denied", False)


@pytest.mark.parametrize("phase", ["nothing", "headers", "body"])
def test_an_object_that_drips_meets_the_limit(phase, monkeypatch):
    """boto3's own time-outs are for one read; its sockets are shut from outside, too."""
    begin, drop = {
        "nothing": (b"", b""),
        "headers": (b"HTTP/1.1 200 OK\r\nX-A: ", b"b"),
        "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
    }[phase]
    done = threading.Event()

    def talk(connection):
        connection.sendall(begin)
        while not done.wait(0.05):
            connection.sendall(drop)

    with speaking(talk) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url.removesuffix("/image"))
        with opened(urls=UrlConfig(allow_buckets=("*",))) as fetcher:
            fetcher._s3._client  # noqa: B018 - making it may take longer than the limit
            assert code_of(fetcher, "s3://thumbnails/a", soon(0.5)) == ("fetch_timeout", True)
    done.set()


def test_s3_that_cannot_be_reached_may_pass(monkeypatch, nobody):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", nobody)
    with opened(urls=UrlConfig(allow_buckets=("*",)), fetch_timeout_s=60.0) as fetcher:
        assert code_of(fetcher, "s3://thumbnails/a", soon(60)) == ("fetch_connect", True)


def test_many_are_fetched_at_once():
    """32 threads, 32 images: the server answers none before it has seen all."""
    with (
        MeetingServer(32, IMAGE) as server,
        opened(fetch_timeout_s=60.0) as fetcher,
        ThreadPoolExecutor(32) as pool,
    ):
        urls = [server.url("/a")] * 32
        fetched = pool.map(lambda url: fetcher.fetch(url, soon(60.0)), urls)
        assert list(fetched) == [IMAGE] * 32
    assert server.peak == 32
