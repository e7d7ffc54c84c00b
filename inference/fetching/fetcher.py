"""URLs to bytes: one set of kept connections for http and https, one client for S3.

Every call is bounded in bytes and time, and every connection goes through the URL policy.
"""

from __future__ import annotations

import random
import socket
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from http import HTTPStatus
from typing import NamedTuple

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import (
    DecodeError,
    HTTPError,
    LocationValueError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.exceptions import (
    TimeoutError as HttpTimeoutError,
)

from inference.config import FetchConfig
from inference.errors import (
    FetchBlocked,
    FetchConnect,
    FetchError,
    FetchHttpStatus,
    FetchRedirects,
    FetchTimeout,
    FetchTls,
    FetchTooLarge,
    NotModified,
)
from inference.fetching.dns import NameLookups, Resolver, system_resolver
from inference.fetching.header_values import etag_of, retry_after_s
from inference.fetching.s3 import S3Reader, split
from inference.fetching.transport import GuardedPools
from inference.fetching.urls import Target, UrlPolicy, follow
from inference.fetching.watchdog import Watchdog
from inference.types import is_unicode
from model.errors import CorruptImage

CHUNK_BYTES = 64 * 1024
REDIRECTS = {301, 302, 303, 307, 308}
# Success statuses that come without a complete image.
NOT_WHOLE = {HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.PARTIAL_CONTENT}
RETRYABLE_STATUSES = {408, 429}
# Statuses whose Retry-After is obeyed.
BUSY_STATUSES = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S = 0.1, 2.0
HEADERS = {"Accept": "image/*", "Accept-Encoding": "identity"}


class Fetched(NamedTuple):
    """An encoded image. etag: the server's, if it can be sent back; else None."""

    data: bytes
    etag: str | None = None


class Fetcher:
    """Fetches from many threads at once; keeps at most `connections` open per host."""

    def __init__(self, config: FetchConfig, resolver: Resolver = system_resolver) -> None:
        self._config = config
        self._policy = UrlPolicy(config.urls)
        self._s3 = S3Reader(config, self._watch)
        self._watchdog = Watchdog()
        self._fuse = threading.local()
        self._headers = HEADERS | {"User-Agent": config.user_agent}
        self._pools = GuardedPools(
            self._policy, NameLookups(resolver), config.connections, self._watch
        )

    def fetch(self, url: str, deadline_s: float) -> bytes:
        """Return what `fetch_if_new` fetches."""
        return self.fetch_if_new(url, deadline_s, None).data

    def fetch_if_new(
        self, url: str, deadline_s: float, etag: str | None, *, waits: bool = True
    ) -> Fetched:
        """Fetch one http, https or s3 URL; retry transient errors after a pause.

        The pause is at least as long as a busy server's Retry-After. If the time limit comes before
        its end, or it is not this call that waits, there is no further try.

        Args:
            url: as `urls.tidy` returns it; remaining blanks are refused.
            deadline_s: an instant of `time.monotonic`; the configured timeout may come sooner.
            etag: of the image that the caller has, as `header_values.is_etag`; None fetches any. It
                is sent to each hop of a redirect, as HTTP clients do: only the last one knows it.
            waits: whether it waits for a busy server; else its Retry-After is the caller's to obey.

        Raises:
            NotModified: the server's image is still the one of `etag`.
            FetchError: by phase, see `inference.errors`.
        """
        limit_s = min(deadline_s, time.monotonic() + self._config.fetch_timeout_s)
        if not is_unicode(url):
            raise FetchBlocked("the URL is not valid Unicode")
        with self._watchdog.limit(limit_s) as self._fuse.current:
            for attempt in range(1, self._config.attempts):
                try:
                    return self._attempt(url, limit_s, etag)
                except FetchError as exc:
                    pause_s = max(_back_off_s(attempt), exc.retry_after_s or 0.0)
                    if not exc.retryable or time.monotonic() + pause_s >= limit_s:
                        raise
                    if exc.retry_after_s is not None and not waits:
                        raise
                time.sleep(pause_s)
            return self._attempt(url, limit_s, etag)

    def close(self) -> None:
        """Close all kept connections."""
        self._pools.clear()
        self._s3.close()
        self._watchdog.close()

    def _watch(self, connection: socket.socket) -> None:
        """Shut this connection at the time limit of this thread's fetch, in any phase."""
        self._fuse.current.watch(connection)

    def _attempt(self, url: str, limit_s: float, etag: str | None) -> Fetched:
        once = self._fetch_s3 if url[:5].lower() == "s3://" else self._fetch_http
        try:
            return once(url, limit_s, etag)
        except Exception as exc:
            _forget_frames(exc)
            raise

    def _fetch_http(self, url: str, limit_s: float, etag: str | None) -> Fetched:
        target = self._policy.target(url)
        headers = self._headers if etag is None else self._headers | {"If-None-Match": etag}
        for _ in range(self._config.max_redirects + 1):
            response = self._get(target, headers, limit_s)
            try:
                if response.status not in REDIRECTS:
                    return self._read_http(response, limit_s, etag)
                url = follow(target.url, _location(response))
            finally:
                response.close()  # closes the connection too, unless all was read
                response.release_conn()
            target, before = self._policy.target(url), target
            if before.scheme == "https" and target.scheme == "http":
                raise FetchRedirects("redirected from https to http")
        raise FetchRedirects(f"more than {self._config.max_redirects} redirects")

    def _get(self, target: Target, headers: Mapping[str, str], limit_s: float) -> BaseHTTPResponse:
        left_s = _left(limit_s)
        connect_s = min(self._config.connect_timeout_s, left_s)
        try:
            return self._pools.get(target, headers, connect_s, left_s)
        except SSLError as exc:
            _left(limit_s)
            raise FetchTls("the TLS handshake failed") from exc
        except HttpTimeoutError as exc:
            raise FetchTimeout("the server did not answer in time") from exc
        except (LocationValueError, UnicodeError) as exc:
            raise FetchBlocked("the URL cannot be parsed") from exc
        except HTTPError as exc:
            _left(limit_s)
            raise FetchConnect("the connection broke before an answer") from exc

    def _read_http(self, response: BaseHTTPResponse, limit_s: float, etag: str | None) -> Fetched:
        status = response.status
        if etag is not None and status == HTTPStatus.NOT_MODIFIED:
            self._read_body(response, limit_s)  # it is empty; the connection is kept
            raise NotModified(_phrase(status))
        if not 200 <= status < 300 or status in NOT_WHOLE:
            raise FetchHttpStatus(
                _phrase(status),
                retryable=_status_may_pass(status),
                retry_after_s=_retry_after_s(response) if status in BUSY_STATUSES else None,
            )
        declared = response.headers.get("Content-Length", "")
        if declared.isdigit() and int(declared[:15]) > self._config.max_image_bytes:
            raise self._too_large()
        data = self._read_body(response, limit_s)
        return Fetched(data, etag_of(response.headers.get("ETag")))

    def _read_body(self, response: BaseHTTPResponse, limit_s: float) -> bytes:
        try:
            return self._read(lambda: response.read1(CHUNK_BYTES, decode_content=True), limit_s)
        except ReadTimeoutError as exc:
            raise FetchTimeout("the server stopped sending") from exc
        except DecodeError as exc:
            raise CorruptImage("the transfer's compression is damaged") from exc
        except SSLError as exc:
            _left(limit_s)
            raise FetchTls("the TLS connection broke") from exc
        except (HTTPError, OSError) as exc:
            _left(limit_s)
            raise FetchConnect("the connection broke before the last byte") from exc

    def _fetch_s3(self, url: str, limit_s: float, etag: str | None) -> Fetched:
        from botocore.exceptions import BotoCoreError

        bucket, key = split(url)
        self._policy.check_bucket(bucket)
        try:
            body, found = self._s3.open(bucket, key, etag)
            with closing(body):
                data = self._read(lambda: body.read(CHUNK_BYTES), limit_s)
                return Fetched(data, etag_of(found))
        except FetchConnect:
            _left(limit_s)
            raise
        except (BotoCoreError, HTTPError, OSError) as exc:
            _left(limit_s)
            raise FetchConnect("the connection to S3 broke before the last byte") from exc

    def _read(self, next_chunk: Callable[[], bytes], limit_s: float) -> bytes:
        """Read to the end; check the size and the time limit after each chunk."""
        chunks, size = [], 0
        while chunk := next_chunk():
            size += len(chunk)
            if size > self._config.max_image_bytes:
                raise self._too_large()
            chunks.append(chunk)
            _left(limit_s)
        # A body without a length also ends when the watchdog shuts the socket.
        _left(limit_s)
        return b"".join(chunks)

    def _too_large(self) -> FetchTooLarge:
        return FetchTooLarge(f"more than {self._config.max_image_bytes:,} bytes")


def _location(response: BaseHTTPResponse) -> str:
    """Return the Location header of a redirect. Raises FetchBlocked if two of them differ."""
    found = set(response.headers.getlist("Location"))
    if len(found) > 1:
        raise FetchBlocked("the redirect has more than one Location")
    return found.pop() if found else ""


def _left(limit_s: float) -> float:
    """Return the seconds until the limit. Raises FetchTimeout when none are left."""
    left_s = limit_s - time.monotonic()
    if left_s <= 0:
        raise FetchTimeout("the fetch took too long")
    return left_s


def _forget_frames(error: BaseException | None) -> None:
    """Clear the stack frames of an error and its causes.

    urllib3 holds errors in reference cycles. Their frames hold the bytes read and the
    connection with its certificates: 20 MiB an item until the garbage collector runs.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def _back_off_s(attempt: int) -> float:
    """Return the pause after a failed attempt: random, up to a limit that doubles."""
    return random.uniform(0, min(LONGEST_BACK_OFF_S, FIRST_BACK_OFF_S * 2 ** (attempt - 1)))


def _retry_after_s(response: BaseHTTPResponse) -> float | None:
    return retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC))


def _status_may_pass(status: int) -> bool:
    return status in RETRYABLE_STATUSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
