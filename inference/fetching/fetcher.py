"""URLs to bytes: one pooled, keep-alive session for http and https, one client for S3.

Every call is bounded in bytes and time, and every connection goes through the URL policy.
"""

from __future__ import annotations

import socket
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy

import requests
import tenacity
from urllib3.exceptions import DecodeError, HTTPError, ReadTimeoutError, SSLError

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
)
from inference.fetching.dns import NameLookups, Resolver, system_resolver
from inference.fetching.s3 import S3Reader, split
from inference.fetching.transport import GuardedAdapter
from inference.fetching.urls import UrlPolicy, follow
from inference.fetching.watchdog import Watchdog
from inference.types import is_unicode
from model.errors import CorruptImage

CHUNK_BYTES = 64 * 1024
REDIRECTS = {301, 302, 303, 307, 308}
# Success statuses that come without a complete image.
NOT_WHOLE = {HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.PARTIAL_CONTENT}
RETRYABLE_STATUSES = {408, 429}
FIRST_BACK_OFF_S = 0.1
HEADERS = {"Accept": "image/*", "Accept-Encoding": "identity"}


class _Session(requests.Session):
    """A session without redirects: requests would read their bodies even without following."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: `Fetcher` follows redirects itself."""


class Fetcher:
    """Fetches from many threads at once; keeps at most `connections` open per host."""

    def __init__(self, config: FetchConfig, resolver: Resolver = system_resolver) -> None:
        self._config = config
        self._policy = UrlPolicy(config.urls)
        self._s3 = S3Reader(config, self._watch)
        self._watchdog = Watchdog()
        self._fuse = threading.local()
        self._session = self._new_session(NameLookups(resolver))

    def fetch(self, url: str, deadline_s: float) -> bytes:
        """Fetch one http, https or s3 URL; retry transient errors after a pause.

        Args:
            url: as `urls.tidy` returns it; remaining blanks are refused.
            deadline_s: an instant of `time.monotonic`; the configured timeout may come sooner.

        Raises:
            FetchError: by phase, see `inference.errors`.
        """
        limit_s = min(deadline_s, time.monotonic() + self._config.fetch_timeout_s)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            stop=tenacity.stop_after_attempt(self._config.attempts)
            | tenacity.stop_before_delay(limit_s - time.monotonic()),
            wait=tenacity.wait_random_exponential(FIRST_BACK_OFF_S, max=2.0),
            reraise=True,
        )
        if not is_unicode(url):
            raise FetchBlocked("the URL is not valid Unicode")
        with self._watchdog.limit(limit_s) as self._fuse.current:
            data: bytes = retrying(self._attempt, url, limit_s)
        return data

    def close(self) -> None:
        """Close all kept connections."""
        self._session.close()
        self._s3.close()
        self._watchdog.close()

    def _watch(self, connection: socket.socket) -> None:
        """Shut this connection at the time limit of this thread's fetch, in any phase."""
        self._fuse.current.watch(connection)

    def _new_session(self, names: NameLookups) -> requests.Session:
        session = _Session()
        # No proxy, .netrc or CA bundle from the environment, and no cookies: no host gets data
        # of another host.
        session.trust_env = False
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        headers = HEADERS | {"User-Agent": self._config.user_agent}
        session.headers = requests.structures.CaseInsensitiveDict(headers)
        adapter = GuardedAdapter(self._policy, names, self._config.connections, self._watch)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session

    def _attempt(self, url: str, limit_s: float) -> bytes:
        once = self._fetch_s3 if url[:5].lower() == "s3://" else self._fetch_http
        try:
            return once(url, limit_s)
        except Exception as exc:
            _forget_frames(exc)
            raise

    def _fetch_http(self, url: str, limit_s: float) -> bytes:
        target = self._policy.target(url)
        for _ in range(self._config.max_redirects + 1):
            with self._get(target.url, limit_s) as response:
                if response.status_code not in REDIRECTS:
                    return self._read_http(response, limit_s)
                url = follow(target.url, _location(response))
            target, before = self._policy.target(url), target
            if before.scheme == "https" and target.scheme == "http":
                raise FetchRedirects("redirected from https to http")
        raise FetchRedirects(f"more than {self._config.max_redirects} redirects")

    def _get(self, url: str, limit_s: float) -> requests.Response:
        timeout_s = (
            min(self._config.connect_timeout_s, _left(limit_s)),
            _left(limit_s),
        )
        try:
            return self._session.get(url, timeout=timeout_s, stream=True, allow_redirects=False)
        except requests.exceptions.SSLError as exc:
            _left(limit_s)
            raise FetchTls("the TLS handshake failed") from exc
        except requests.exceptions.Timeout as exc:
            raise FetchTimeout("the server did not answer in time") from exc
        except (requests.exceptions.InvalidURL, UnicodeError) as exc:
            raise FetchBlocked("the URL cannot be parsed") from exc
        except requests.exceptions.RequestException as exc:
            _left(limit_s)
            raise FetchConnect("the connection broke before an answer") from exc

    def _read_http(self, response: requests.Response, limit_s: float) -> bytes:
        status = response.status_code
        if not 200 <= status < 300 or status in NOT_WHOLE:
            raise FetchHttpStatus(_phrase(status), retryable=_status_may_pass(status))
        declared = response.headers.get("Content-Length", "")
        if declared.isdigit() and int(declared[:15]) > self._config.max_image_bytes:
            raise self._too_large()
        try:
            return self._read(lambda: response.raw.read1(CHUNK_BYTES, decode_content=True), limit_s)
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

    def _fetch_s3(self, url: str, limit_s: float) -> bytes:
        from botocore.exceptions import BotoCoreError

        bucket, key = split(url)
        self._policy.check_bucket(bucket)
        try:
            with closing(self._s3.open(bucket, key)) as body:
                return self._read(lambda: body.read(CHUNK_BYTES), limit_s)
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


def _location(response: requests.Response) -> str:
    """Return the Location header of a redirect. Raises FetchBlocked if two of them differ."""
    found = set(response.raw.headers.getlist("Location"))
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

    urllib3 and tenacity hold errors in reference cycles. Their frames hold the bytes read and the
    connection with its certificates: 20 MiB an item until the garbage collector runs.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def _may_pass(exc: BaseException) -> bool:
    return isinstance(exc, FetchError) and exc.retryable


def _status_may_pass(status: int) -> bool:
    return status in RETRYABLE_STATUSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
