"""A local web server of thumbnails, with a set latency: for the demo, benchmarks and tests.

`/17.jpg` is the generated thumbnail of seed 17; any suffix gives the same. Other paths return their
entry in `replies`, or 404. A reply with an ETag becomes a 304 when the client has that one. `peak`
is the most requests in progress at once.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from model.synthetic.thumbnails import sample

_SEED = re.compile(r"/(\d{1,9})\.\w+")


@dataclass(frozen=True)
class Reply:
    """The reply of a path. content_length: the declared length; None is the true one."""

    body: bytes = b""
    content_type: str = "image/jpeg"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_length: int | None = None


NOT_FOUND = Reply(b"<h1>404</h1>", "text/html", 404)


class ThumbnailServer:
    """Serves on a free port of 127.0.0.1 while it is open, as a context manager."""

    def __init__(self, replies: Mapping[str, Reply] | None = None, latency_s: float = 0.0) -> None:
        self.replies = dict(replies or {})
        self.latency_s = latency_s
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._active = 0
        self.peak = 0
        self.requests = 0
        handler = functools.partial(_Handler, self)
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    @property
    def netloc(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def url(self, path: str) -> str:
        """The URL of a path that begins with a slash."""
        return f"http://{self.netloc}{path}"

    def thumbnails(self, count: int, first_seed: int = 0) -> list[str]:
        """URLs of `count` generated thumbnails."""
        return [self.url(f"/{first_seed + offset}.jpg") for offset in range(count)]

    def reply(self, path: str) -> Reply:
        """Wait for `latency_s`, then return the reply of a path."""
        with self._lock:
            self._active += 1
            self.requests += 1
            self.peak = max(self.peak, self._active)
        try:
            self._closing.wait(self.latency_s)
            return self._find(path)
        finally:
            with self._lock:
                self._active -= 1

    def __enter__(self) -> Self:
        """Start to serve."""
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _find(self, path: str) -> Reply:
        found = self.replies.get(path)
        if found is not None:
            return found
        seed = _SEED.fullmatch(path)
        return _generated(int(seed.group(1))) if seed else NOT_FOUND


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that disconnect: print no stack trace."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body are two writes; do not wait for the first to be acknowledged.
    disable_nagle_algorithm = True

    def __init__(self, thumbnails: ThumbnailServer, *args: object) -> None:
        self._thumbnails = thumbnails
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        reply = self._thumbnails.reply(self.path)
        etag = reply.headers.get("ETag")
        if etag is not None and etag == self.headers.get("If-None-Match"):
            reply = replace(reply, body=b"", status=304)
        length = len(reply.body) if reply.content_length is None else reply.content_length
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(length))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)
        if length != len(reply.body):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@functools.lru_cache(maxsize=4096)
def _generated(seed: int) -> Reply:
    thumbnail = sample(seed)
    return Reply(thumbnail.data, thumbnail.mime)
