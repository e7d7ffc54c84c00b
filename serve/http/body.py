"""Receive a request's body, bounded in bytes and time.

A request reserves its bytes before its body is read, and takes a request place only after that.
So a stalled upload holds no request place, only one of RECEIVING_REQUESTS.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

from gunicorn.http.errors import ParseException

from inference.permits import Permits
from inference.types import LANES, Lane
from serve.errors import BadRequest, HttpError
from serve.http.retry_times import RetryTimes
from serve.settings import INTERACTIVE_REQUESTS, RECEIVING_REQUESTS

CHUNK_BYTES = 1024 * 1024
# The event loop waits for bodies up to this before a thread sees their request (`worker.py`).
AWAITED_BYTES = 64 * 1024
# How long a body may stall. Bodies from the platform's proxy or a batch job never do.
STALL_S = 5.0
MAX_LENGTH_DIGITS = 18
# How long a client may take to receive an answer.
ANSWER_TIMEOUT_S = 60.0
# One byte in 16 is reserved for bodies up to this size, which interactive requests have.
INTERACTIVE_BODY_BYTES = 4 * 2**20
INTERACTIVE_SHARE = 16


class Bodies:
    """The budgets of requests: bytes before the body is read, a request place after it."""

    def __init__(self, max_requests: int, max_bodies_bytes: int, max_body_bytes: int) -> None:
        self._requests = Permits(max_requests + INTERACTIVE_REQUESTS)
        self._bulk = Permits(max_requests)
        self._receiving = Permits(RECEIVING_REQUESTS)
        self._bytes = Permits(max_bodies_bytes)
        self._retry_times = {lane: RetryTimes() for lane in LANES}
        self._max_body_bytes = max_body_bytes
        self._kept_bytes = min(
            max_bodies_bytes // INTERACTIVE_SHARE, max_bodies_bytes - max_body_bytes
        )

    @contextmanager
    def admit(self, environ: Mapping[str, Any]) -> Iterator[int]:
        """Reserve the bytes of a request's body, and yield how many may be read.

        Raises:
            HttpError: `payload_too_large`, or `overloaded`, without waiting.
        """
        limit = declared_bytes(environ, self._max_body_bytes)
        leave = self._kept_bytes if limit > INTERACTIVE_BODY_BYTES else 0
        with self._held(self._bytes, "bytes of bodies", limit, leave):
            yield limit

    def receive(self, environ: Mapping[str, Any], limit: int, timeout_s: float) -> bytearray:
        """Read a body of at most `limit` bytes. Raises HttpError as `read` does, or `overloaded`.

        A body is refused as `overloaded` if too many bodies are arriving, or if it is so large
        that its request must be bulk and no bulk place is free.
        """
        if limit > INTERACTIVE_BODY_BYTES and self._bulk.spent:
            raise self._too_many("requests")
        to_come = not _is_there(environ, limit)
        with self._held(self._receiving, "large bodies") if to_come else nullcontext():
            return read(environ, limit, timeout_s)

    @contextmanager
    def admit_to(self, lane: Lane) -> Iterator[None]:
        """Hold a request place in a lane, known from the body. Raises HttpError, `overloaded`.

        Some places are for interactive requests only.
        """
        bulk = self._held(self._bulk, "requests") if lane == "bulk" else nullcontext()
        with bulk, self._held(self._requests, "requests", lane=lane):
            yield
        # Not reached if the engine refuses the request, since that frees no capacity.
        self._retry_times[lane].freed()

    @contextmanager
    def _held(
        self, permits: Permits, words: str, count: int = 1, leave: int = 0, lane: Lane = "bulk"
    ) -> Iterator[None]:
        if not permits.acquire(count, leave):
            raise self._too_many(words, lane)
        try:
            yield
        finally:
            permits.release(count)

    def _too_many(self, words: str, lane: Lane = "bulk") -> HttpError:
        return self.overloaded(f"too many {words} at once; retry later", lane)

    def overloaded(self, message: str, lane: Lane) -> HttpError:
        """Return a refusal with its own retry time."""
        return HttpError("overloaded", message, self._retry_times[lane].next_ms())


def declared_bytes(environ: Mapping[str, Any], most: int) -> int:
    """Return the declared length of a body, or `most` for a chunked body.

    Raises:
        HttpError: `payload_too_large` beyond `most` bytes, or `bad_request`.
    """
    declared = environ.get("CONTENT_LENGTH") or ""
    if not declared:
        chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
        return most if chunked else 0
    if not (declared.isascii() and declared.isdigit()):
        raise BadRequest("Content-Length is not a number")
    # Python refuses to parse a number of thousands of digits.
    if len(declared) > MAX_LENGTH_DIGITS or int(declared) > most:
        raise too_large(most)
    return int(declared)


def _is_there(environ: Mapping[str, Any], limit: int) -> bool:
    """Return whether the event loop has already received the whole body."""
    to_come = environ.get("HTTP_TRANSFER_ENCODING") or environ.get("HTTP_EXPECT")
    return limit <= AWAITED_BYTES and not to_come


def read(environ: Mapping[str, Any], limit: int, timeout_s: float) -> bytearray:
    """Read at most `limit` bytes within `timeout_s`, without a second copy of them.

    Raises:
        HttpError: `payload_too_large`, or `bad_request` if the body is incomplete or late.
    """
    late = threading.Event()
    with _cut_off(environ.get("gunicorn.socket"), timeout_s, late):
        try:
            data = _read(environ["wsgi.input"], limit)
        except (OSError, ParseException) as exc:
            data, broken = bytearray(), exc
        else:
            broken = None
    if late.is_set():
        raise BadRequest(f"the body did not arrive within {timeout_s:g} s")
    if isinstance(broken, TimeoutError):
        raise BadRequest(f"the body stalled for {STALL_S:g} s") from broken
    if broken is not None:
        raise BadRequest("the body was cut off, or its encoding is wrong") from broken
    if len(data) > limit:
        raise too_large(limit)
    if environ.get("CONTENT_LENGTH") and len(data) < limit:
        raise BadRequest(f"the body ended after {len(data)} of {limit} bytes")
    return data


def _read(stream: Any, limit: int) -> bytearray:
    """Read to the end, or to one byte beyond the limit."""
    data = bytearray()
    while len(data) <= limit and (chunk := stream.read(min(CHUNK_BYTES, limit + 1 - len(data)))):
        data += chunk
    return data


@contextmanager
def _cut_off(
    connection: socket.socket | None, timeout_s: float, late: threading.Event
) -> Iterator[None]:
    """Shut a connection's reading side after `timeout_s`, even if bytes still arrive slowly."""
    if connection is None:
        yield
        return

    def cut() -> None:
        late.set()
        connection.shutdown(socket.SHUT_RD)

    timer = threading.Timer(timeout_s, cut)
    timer.daemon = True
    timer.start()
    connection.settimeout(STALL_S)
    try:
        yield
    finally:
        timer.cancel()
        connection.settimeout(ANSWER_TIMEOUT_S)


def client_left(environ: Mapping[str, Any]) -> bool:
    """Return whether the client closed its side of the connection before the answer."""
    connection: socket.socket | None = environ.get("gunicorn.socket")
    if connection is None:
        return False
    try:
        # Not select, which cannot watch file descriptors from 1024 on.
        poller = select.poll()
        poller.register(connection, select.POLLIN)
        readable = bool(poller.poll(0))
        return readable and not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except (OSError, ValueError):
        return True


def too_large(limit: int) -> HttpError:
    """Return the refusal of a body with more bytes than allowed."""
    return HttpError("payload_too_large", f"the body has more than {limit:,} bytes")
