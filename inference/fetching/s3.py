"""Reads S3 objects by boto3, with the default credential chain and one bounded pool."""

from __future__ import annotations

import functools
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from inference.config import FetchConfig
from inference.errors import (
    FetchBlocked,
    FetchConnect,
    FetchError,
    FetchHttpStatus,
    FetchTimeout,
    NotModified,
    S3Denied,
    S3NotFound,
)
from inference.fetching.header_values import retry_after_s
from inference.fetching.transport import watched

_DENIED = {"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}
_NOT_FOUND = {"NoSuchKey", "NoSuchBucket", "404"}


class Readable(Protocol):
    """A body that is read in pieces."""

    def read(self, amount: int) -> bytes:
        """Read at most `amount` bytes; empty at the end."""

    def close(self) -> None:
        """Return the connection to its pool, or drop it if there is more to read."""


class S3Reader:
    """Opens objects. The client is made on first use: a service without buckets loads no boto3.

    on_use: called with the socket of every request before it is sent, new or kept alive.
    """

    def __init__(self, config: FetchConfig, on_use: Callable[[socket.socket], None]) -> None:
        self._config = config
        self._on_use = on_use
        self._lock = threading.Lock()

    def open(self, bucket: str, key: str, etag: str | None = None) -> tuple[Readable, str | None]:
        """Open an object for reading. Return it and its ETag.

        etag: of the object that the caller has.

        Raises:
            NotModified: the object is still the one of `etag`.
            S3Denied, S3NotFound, FetchError: S3 answered with an error, or the connection failed.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        condition = {} if etag is None else {"IfNoneMatch": etag}
        try:
            with self._lock:
                client = self._client
            answer = client.get_object(Bucket=bucket, Key=key, **condition)
        except (ClientError, BotoCoreError) as exc:
            raise translate(exc, conditional=bool(condition)) from exc
        return answer["Body"], answer.get("ETag")

    def close(self) -> None:
        """Close all kept connections."""
        if "_client" in vars(self):
            self._client.close()

    @functools.cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        # A new session: boto3's default one keeps the credentials that it found first.
        client: Any = boto3.Session().client(
            "s3",
            config=Config(
                max_pool_connections=self._config.connections,
                connect_timeout=self._config.connect_timeout_s,
                read_timeout=self._config.fetch_timeout_s,
                # The fetcher retries, within the deadline of the request.
                retries={"total_max_attempts": 1},
            ),
        )
        # botocore has no public access to its sockets.
        pools = client._endpoint.http_session._pool_classes_by_scheme
        pools.update({scheme: watched(pool, self._on_use) for scheme, pool in pools.items()})
        return client


def split(url: str) -> tuple[str, str]:
    """Split `s3://bucket/key` into bucket and key; the key is not decoded, as in the AWS CLI.

    Raises:
        FetchBlocked: no bucket or no key.
    """
    bucket, _, key = url[len("s3://") :].partition("/")
    if not bucket or not key:
        raise FetchBlocked("an S3 URL is s3://bucket/key")
    return bucket, key


def translate(exc: Exception, *, conditional: bool = False) -> FetchError:
    """Translate an error of botocore into a FetchError. conditional: an ETag was sent."""
    from botocore import exceptions as boto

    if isinstance(exc, boto.ClientError):
        return _translate_answer(exc.response, conditional)
    if isinstance(exc, boto.NoCredentialsError | boto.PartialCredentialsError):
        return S3Denied("no AWS credentials were found")
    if isinstance(exc, boto.ParamValidationError):
        return FetchBlocked("not a valid bucket or key")
    if isinstance(exc, boto.ConnectTimeoutError | boto.ReadTimeoutError):
        return FetchTimeout("S3 did not answer in time")
    return FetchConnect("S3 cannot be reached")


def _translate_answer(response: Any, conditional: bool) -> FetchError:
    code = str(response.get("Error", {}).get("Code", ""))
    about = response.get("ResponseMetadata", {})
    status = int(about.get("HTTPStatusCode", 0))
    if conditional and status == 304:
        return NotModified("304 Not Modified")
    if code in _NOT_FOUND or status == 404:
        return S3NotFound(f"S3 has no such object ({code})")
    if code in _DENIED or status in {401, 403}:
        return S3Denied(f"S3 denied access ({code})")
    asked_s = retry_after_s(about.get("HTTPHeaders", {}).get("retry-after"), datetime.now(UTC))
    return FetchHttpStatus(
        f"{status} {code}",
        retryable=status in {408, 429} or status >= 500,
        retry_after_s=asked_s if status in {429, 503} else None,
    )
