"""An image server that does its clients harm, in every phase of a fetch.

Each behaviour has a port of its own, so that it can begin before a word of HTTP was heard.
"""

import gzip
import random
import selectors
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from tests.images import jpeg, png_with_size

MB = 1_000_000
IMAGE = jpeg(400, 300)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + bytes(65536) + b"\r\n"
# 100 MB of zeros.
BOMB = gzip.compress(bytes(MB)) * 100
GZIP_HEADER, EMPTY_BLOCK = gzip.compress(b"")[:10], b"\0\0\0\xff\xff"
# The beginning of a TLS record of 16 KiB.
TLS_RECORD = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc"
GARBAGE = random.Random(0).randbytes(4096)


class Behaviour(NamedTuple):
    """talk: what it does to a connection. code: what its item must end with."""

    talk: Callable[..., None]
    code: str
    scheme: str = "http"


def request(connection):
    """The client's request, to the end of its headers."""
    heard = b""
    while b"\r\n\r\n" not in heard:
        heard += hello(connection)


def hello(connection):
    """What the client says first; TLS's first message is in one piece."""
    if not (data := connection.recv(65536)):
        raise EOFError
    return data


def nothing(_):
    """Do not wait for the client to speak."""


def says(*parts, after=request, ends="close", drops=b"", pause_s=0.05):
    """Send these bytes `after` this was heard, and end as told.

    ends: close, reset, stay (say no more), or drip (say `drops` for ever, with a pause between:
    no time-out of a single read is ever met).
    """

    def talk(connection, closing):
        after(connection)
        connection.sendall(b"".join(parts))
        while ends == "drip" and not closing.wait(pause_s):
            connection.sendall(drops)
        while ends == "stay":
            hello(connection)
        if ends == "reset":
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    return talk


def floods(*parts, drops=bytes(65536)):
    """Send these bytes, then others without an end, as fast as they are taken."""
    return says(*parts, ends="drip", drops=drops, pause_s=0)


def sized(body, length=None):
    """A whole answer that says a length, the true one unless told."""
    return OK + b"Content-Length: %d\r\n\r\n" % (len(body) if length is None else length) + body


def compressed(body, encoding=b"gzip"):
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\n\r\n" % encoding + body


def redirect(location, rest=b"Content-Length: 0\r\n\r\n"):
    return b"HTTP/1.1 302 Found\r\nLocation: %s\r\n" % location + rest


TOO_SLOW = {
    "says nothing": says(ends="stay"),
    "never hears": says(after=nothing, ends="stay"),
    "a status line that drips": says(b"HTTP/1.1 200 ", ends="drip", drops=b"O"),
    # 100 headers are an error of another kind, so they must take far longer than any time limit.
    "headers that drip": says(OK, ends="drip", drops=b"A: b\r\n", pause_s=0.5),
    "one header that drips": says(OK, b"A: ", ends="drip", drops=b"b"),
    "headers that stop": says(OK, ends="stay"),
    "interim answers for ever": says(ends="drip", drops=b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body that drips": says(sized(b"", 1000), ends="drip", drops=b"x"),
    "one byte a second": says(sized(b"", 1000), ends="drip", drops=b"x", pause_s=1.0),
    "a body without a length that drips": says(OK, b"\r\n", ends="drip", drops=b"x"),
    "a chunk size that drips": says(CHUNKED, ends="drip", drops=b"0"),
    "compressed nothing that drips": says(compressed(GZIP_HEADER), ends="drip", drops=EMPTY_BLOCK),
    "more declared than sent, held open": says(sized(IMAGE, len(IMAGE) + 1), ends="stay"),
}
TOO_SLOW_IN_TLS = {
    "no handshake": says(after=nothing, ends="stay"),
    "a handshake that drips": says(TLS_RECORD, after=hello, ends="drip", drops=b"\0"),
}
TOO_LARGE = {
    "a body without an end": floods(OK, b"\r\n"),
    "chunks without an end": floods(CHUNKED, drops=CHUNK),
    "100 MB": floods(sized(b"", 100 * MB)),
    "100 MB that are not declared": says(CHUNKED, CHUNK * (100 * MB // 65536), b"0\r\n\r\n"),
    "a length of 5,000 digits": says(OK, b"Content-Length: ", b"9" * 5000, b"\r\n\r\nx"),
    "a bomb": says(compressed(BOMB)),
    "a bomb in a bomb": says(compressed(gzip.compress(BOMB), b"gzip, gzip")),
}
BROKEN = {
    "closed at once": says(after=nothing),
    "closed after the request": says(),
    "reset at once": says(after=nothing, ends="reset"),
    "reset after the request": says(ends="reset"),
    "reset in the headers": says(OK, ends="reset"),
    "reset in the body": says(sized(IMAGE[:1000], len(IMAGE)), ends="reset"),
    "reset in a chunk": says(CHUNKED, b"400\r\nabc", ends="reset"),
    "more declared than sent": says(sized(IMAGE, len(IMAGE) + 1)),
    "two lengths": says(OK, b"Content-Length: 5\r\nContent-Length: 7\r\n\r\n1234567"),
    "a chunk of a negative size": says(CHUNKED, b"-5\r\n", IMAGE),
    "headers without an end": floods(OK, drops=b"A: b\r\n" * 1000),
    "another protocol": says(b"SSH-2.0-OpenSSH_9.9\r\n\r\n", after=nothing),
}
NO_TLS = {
    "a handshake of garbage": says(GARBAGE, after=hello),
    "HTTP instead of a handshake": says(b"HTTP/1.1 400 x\r\n\r\n", after=hello),
    "closed in the handshake": says(TLS_RECORD, after=hello),
}
REDIRECTS = {
    "a redirect to itself": says(redirect(b"/image")),
    "a redirect to nowhere": says(redirect(b"")),
    "a redirect with a body without an end": floods(redirect(b"?again", b"\r\n")),
}
CORRUPT = {
    "less declared than sent": says(sized(IMAGE, len(IMAGE) // 2)),
    "compression that is none": says(compressed(IMAGE)),
    "compressed 50 times, it says": says(compressed(IMAGE, b",".join([b"gzip"] * 50))),
}
PAGE = b"<!doctype html><title>Not found</title>"
BEHAVIOURS = (
    {name: Behaviour(talk, "fetch_timeout") for name, talk in TOO_SLOW.items()}
    | {name: Behaviour(talk, "fetch_timeout", "https") for name, talk in TOO_SLOW_IN_TLS.items()}
    | {name: Behaviour(talk, "fetch_too_large") for name, talk in TOO_LARGE.items()}
    | {name: Behaviour(talk, "fetch_connect") for name, talk in BROKEN.items()}
    | {name: Behaviour(talk, "fetch_tls", "https") for name, talk in NO_TLS.items()}
    | {name: Behaviour(talk, "fetch_redirects") for name, talk in REDIRECTS.items()}
    | {name: Behaviour(talk, "decode_corrupt") for name, talk in CORRUPT.items()}
    | {
        "reset in the handshake": Behaviour(
            says(TLS_RECORD, after=hello, ends="reset"), "fetch_connect", "https"
        ),
        "a redirect to credentials": Behaviour(
            says(redirect(b"http://169.254.169.254/latest/meta-data/")), "fetch_blocked"
        ),
        "a redirect to a file": Behaviour(says(redirect(b"file:///etc/passwd")), "fetch_blocked"),
        "an error without an end": Behaviour(
            floods(b"HTTP/1.1 404 x\r\n\r\n"), "fetch_http_status"
        ),
        "a page": Behaviour(
            says(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", PAGE),
            "decode_unsupported",
        ),
        "a page that calls itself an image": Behaviour(says(sized(PAGE)), "decode_unsupported"),
        "an image of 3.6 gigapixels": Behaviour(
            says(sized(png_with_size(60_000, 60_000))), "decode_too_many_pixels"
        ),
    }
)


class HostileServer:
    """Serves all behaviours on free ports of 127.0.0.1 while it is open.

    urls, codes: by a behaviour's name, where it is and what its item must end with.
    """

    def __init__(self):
        self.urls = {}
        self.codes = {name: one.code for name, one in BEHAVIOURS.items()}
        self._closing = threading.Event()
        self._listeners = selectors.DefaultSelector()
        for name, one in BEHAVIOURS.items():
            listener = socket.create_server(("127.0.0.1", 0))
            self._listeners.register(listener, selectors.EVENT_READ, one.talk)
            self.urls[name] = f"{one.scheme}://127.0.0.1:{listener.getsockname()[1]}/image"
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._closing.set()
        with socket.create_connection(next(self._ports())):  # wakes the thread
            self._thread.join()
        for key in list(self._listeners.get_map().values()):
            key.fileobj.close()
        self._listeners.close()

    def _ports(self):
        return (key.fileobj.getsockname() for key in self._listeners.get_map().values())

    def _accept(self):
        while True:
            for key, _ in self._listeners.select():
                connection, _ = key.fileobj.accept()
                if self._closing.is_set():
                    connection.close()
                    return
                threading.Thread(target=self._talk, args=(key.data, connection)).start()

    def _talk(self, talk, connection):
        with connection, suppress(OSError, EOFError):  # the client left
            talk(connection, self._closing)
