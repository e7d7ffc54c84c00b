"""Receive a request's body: bounded in bytes and time, and paid for before it is read."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gunicorn.http.errors import ParseException

from inference.permits import Permits
from inference.types import Lane
from serve.errors import BadRequest, HttpError
from serve.settings import INTERACTIVE_REQUESTS

CHUNK_BYTES = 1024 * 1024
MAX_LENGTH_DIGITS = 18
# What an answer may take to be received by its client.
ANSWER_TIMEOUT_S = 60.0
RETRY_AFTER_MS = 1000
# Bytes kept for the bodies of interactive requests, up to this size: one part in so many of all.
INTERACTIVE_BODY_BYTES = 4 * 2**20
INTERACTIVE_SHARE = 16


class Bodies:
    """The budgets that a request draws on before its body is read."""

    def __init__(self, max_requests: int, max_bodies_bytes: int, max_body_bytes: int) -> None:
        self._requests = Permits(max_requests + INTERACTIVE_REQUESTS)
        self._bulk = Permits(max_requests)
        self._bytes = Permits(max_bodies_bytes)
        self._max_body_bytes = max_body_bytes
        self._kept_bytes = min(
            max_bodies_bytes // INTERACTIVE_SHARE, max_bodies_bytes - max_body_bytes
        )

    @contextmanager
    def admit_to(self, lane: Lane) -> Iterator[None]:
        """Hold a request's place in its lane, which its body told. Raises HttpError, `overloaded`.

        Interactive ones find the places that bulk ones may not take.
        """
        if lane == "bulk" and not self._bulk.acquire(1):
            raise _overloaded("too many requests at once; retry later")
        try:
            yield
        finally:
            if lane == "bulk":
                self._bulk.release()

    @contextmanager
    def admit(self, environ: Mapping[str, Any]) -> Iterator[int]:
        """Hold a request's permit and its bytes; gives how many bytes may be read.

        Raises:
            HttpError: `payload_too_large`, or `overloaded` at once.
        """
        limit = self._limit(environ)
        if not self._requests.acquire(1):
            raise _overloaded("too many requests at once; retry later")
        try:
            leave = self._kept_bytes if limit > INTERACTIVE_BODY_BYTES else 0
            if not self._bytes.acquire(limit, leave):
                raise _overloaded("too many bytes of bodies at once; retry later")
            try:
                yield limit
            finally:
                self._bytes.release(limit)
        finally:
            self._requests.release()

    def _limit(self, environ: Mapping[str, Any]) -> int:
        """The declared length, or the most there may be of a body without one."""
        declared = environ.get("CONTENT_LENGTH") or ""
        if not declared:
            chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
            return self._max_body_bytes if chunked else 0
        if not (declared.isascii() and declared.isdigit()):
            raise BadRequest("Content-Length is not a number")
        # Python refuses to read a number of thousands of digits.
        if len(declared) > MAX_LENGTH_DIGITS or int(declared) > self._max_body_bytes:
            raise too_large(self._max_body_bytes)
        return int(declared)


def read(environ: Mapping[str, Any], limit: int, timeout_s: float) -> bytes:
    """Read at most `limit` bytes within `timeout_s`.

    Raises:
        HttpError: `payload_too_large`, or `bad_request` when it does not come whole or in time.
    """
    late = threading.Event()
    with _cut_off(environ.get("gunicorn.socket"), timeout_s, late):
        try:
            data = _read(environ["wsgi.input"], limit)
        except (OSError, ParseException) as exc:
            data, broken = b"", exc
        else:
            broken = None
    if late.is_set():
        raise BadRequest(f"the body did not arrive within {timeout_s:g} s")
    if broken is not None:
        raise BadRequest("the body is broken off or not of its encoding") from broken
    if len(data) > limit:
        raise too_large(limit)
    if environ.get("CONTENT_LENGTH") and len(data) < limit:
        raise BadRequest(f"the body ended after {len(data)} of {limit} bytes")
    return data


def _read(stream: Any, limit: int) -> bytes:
    """To the end, or one byte beyond the limit."""
    chunks, size = [], 0
    while size <= limit and (chunk := stream.read(min(CHUNK_BYTES, limit + 1 - size))):
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks)


@contextmanager
def _cut_off(
    connection: socket.socket | None, timeout_s: float, late: threading.Event
) -> Iterator[None]:
    """Shut a connection's reading side when the block takes too long, however much drips in."""
    if connection is None:
        yield
        return

    def cut() -> None:
        late.set()
        connection.shutdown(socket.SHUT_RD)

    timer = threading.Timer(timeout_s, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        connection.settimeout(ANSWER_TIMEOUT_S)


def client_left(environ: Mapping[str, Any]) -> bool:
    """Whether the client closed its side of the connection while it waits for the answer."""
    connection: socket.socket | None = environ.get("gunicorn.socket")
    if connection is None:
        return False
    try:
        # Not select: that ends at file descriptor 1024.
        poller = select.poll()
        poller.register(connection, select.POLLIN)
        readable = bool(poller.poll(0))
        return readable and not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except (OSError, ValueError):
        return True


def too_large(limit: int) -> HttpError:
    """The body has more bytes than allowed."""
    return HttpError("payload_too_large", f"the body has more than {limit:,} bytes")


def _overloaded(message: str) -> HttpError:
    return HttpError("overloaded", message, retry_after_ms=RETRY_AFTER_MS)
