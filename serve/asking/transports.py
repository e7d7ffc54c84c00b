"""Transports to an endpoint: HTTP to its URL, or SageMaker's runtime with its name."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import closing
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

import urllib3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoRegionError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.exceptions import ConnectTimeoutError as BotoConnectTimeoutError
from botocore.exceptions import ReadTimeoutError as BotoReadTimeoutError
from botocore.exceptions import SSLError as BotoSSLError
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from serve.settings import MODEL_NAME
from serve.wire.client_side import (
    ConnectionBroken,
    EndpointError,
    NotConfigured,
    NotReached,
    clip,
    decode_refusal,
)

JSON = "application/json"
PATH = "/invocations"
CONNECT_TIMEOUT_S = 5.0
# SageMaker gives a container 60 s; more than that is a hang.
READ_TIMEOUT_S = 70.0
# Limits of an answer's transfer time and size. 50,000 items of 1,024 dimensions are 280 MB.
ANSWER_TIMEOUT_S = 300.0
MAX_ANSWER_BYTES = 2**29
CHUNK_BYTES = 2**20
OK = 200
HEADER = "X-Amzn-SageMaker-Custom-Attributes"
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


class Transport(Protocol):
    """A connection to an endpoint. Thread-safe."""

    @property
    def name(self) -> str:
        """The endpoint's URL or name."""

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine, and so can fetch URLs of this machine."""

    def send(self, body: bytes, content_type: str = JSON) -> bytes:
        """POST a body once, and return the body of a 200 answer. Raises EndpointError."""

    def close(self) -> None:
        """Close its connections."""


def connect(endpoint: str, client: Any, connections: int, model: str | None = None) -> Transport:
    """Return a transport to an endpoint.

    Args:
        endpoint: its URL or its name.
        client: a boto3 client of `sagemaker-runtime`, or None.
        connections: most connections at once.
        model: the name of one of the container's models; None is its default.

    Raises:
        ValueError: `endpoint` is neither an http(s) URL nor a name, or `model` is not a name.
        NotConfigured: AWS is not.
    """
    if model is not None and not MODEL_NAME.fullmatch(model):
        raise ValueError(f"{model!r} is no model's name: up to 64 of A-Z, a-z, 0-9, . _ -")
    if "://" not in endpoint:
        if not _NAME.fullmatch(endpoint):
            meant = f"http://{endpoint.lstrip('/')}"
            raise ValueError(f"{endpoint!r} is no endpoint's name; if it is a URL, write {meant}")
        return SageMakerTransport(endpoint, client, connections, model)
    if client is not None:
        raise ValueError(f"{endpoint} is a URL: a boto3 client goes with an endpoint's name")
    return HttpTransport(endpoint, connections, model)


class HttpTransport:
    """A container by its URL, with or without `/invocations`. Raises ValueError if it is no URL."""

    def __init__(self, url: str, connections: int = 1, model: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
            raise ValueError(f"{url} is no URL of an endpoint, such as http://localhost:8080")
        self.name = url.rstrip("/").removesuffix(PATH) + PATH
        self.is_local = _is_loopback(parts.hostname)
        self._headers = {"Accept": JSON} | choosing(model, HEADER)
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)
        # A PoolManager ignores proxy variables. Retries are up to the caller.
        self._pool = urllib3.PoolManager(maxsize=connections, retries=False, timeout=timeout)

    def send(self, body: bytes, content_type: str = JSON) -> bytes:
        """See Transport."""
        headers = self._headers | {"Content-Type": content_type}
        try:
            with self._pool.request(
                "POST", self.name, body=body, headers=headers, preload_content=False
            ) as reply:
                said = _whole(reply.read1)
        except HTTPError as exc:
            raise _unreached(exc) from exc
        if reply.status != OK:
            raise decode_refusal(reply.status, said)
        return said

    def close(self) -> None:
        """See Transport."""
        self._pool.clear()


class SageMakerTransport:
    """An endpoint by its name. Reads the container's error out of SageMaker's ModelError.

    client: of `sagemaker-runtime`; None makes one, or raises NotConfigured without a region.
    """

    is_local = False

    def __init__(
        self, name: str, client: Any = None, connections: int = 1, model: str | None = None
    ) -> None:
        self.name = name
        self._choice = choosing(model)
        self._owned = client is None
        self._client = client or runtime_client(connections)

    def send(self, body: bytes, content_type: str = JSON) -> bytes:
        """See Transport."""
        try:
            answer = self._client.invoke_endpoint(
                EndpointName=self.name, ContentType=content_type, Accept=JSON, Body=body,
                **self._choice,
            )  # fmt: skip
            with closing(answer["Body"]) as said:
                return _whole(said.read)
        except ClientError as exc:
            raise _refused(exc) from exc
        except BotoCoreError as exc:
            raise _unreached_by_boto(exc) from exc

    def close(self) -> None:
        """See Transport. A client given by the caller stays open."""
        if self._owned:
            self._client.close()


def choosing(model: str | None, parameter: str = "CustomAttributes") -> dict[str, str]:
    """Return the custom attributes that choose a model, as boto3's parameter or as a header."""
    return {} if model is None else {parameter: f"model={model}"}


def _whole(read: Callable[[int], bytes]) -> bytes:
    """Read an answer's body, bounded. read: returns at most n bytes, none at the end."""
    begun_s, parts, size = time.monotonic(), [], 0
    while part := read(CHUNK_BYTES):
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            message = f"the answer has more than {MAX_ANSWER_BYTES:,} bytes"
            raise EndpointError("bad_answer", message, retryable=False)
        if time.monotonic() - begun_s > ANSWER_TIMEOUT_S:
            message = f"the answer takes more than {ANSWER_TIMEOUT_S:.0f} s to arrive"
            raise EndpointError("timeout", message, retryable=True)
    return b"".join(parts)


def runtime_client(connections: int, **options: Any) -> Any:
    """A client of SageMaker's runtime that never retries. Raises NotConfigured without a region."""
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"total_max_attempts": 1},
        max_pool_connections=connections,
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
    )
    try:
        return boto3.client("sagemaker-runtime", config=config, **options)
    except BotoCoreError as exc:
        region = "; set AWS_DEFAULT_REGION" if isinstance(exc, NoRegionError) else ""
        # None: an application shows this sentence, not botocore's stack.
        raise NotConfigured(f"AWS cannot be asked: {str(exc).rstrip('.')}{region}") from None


def _refused(exc: ClientError) -> EndpointError:
    response: Any = exc.response
    code, message = response["Error"]["Code"], response["Error"].get("Message", "")
    if code == "ModelError":
        said = str(response.get("OriginalMessage") or message)
        return decode_refusal(int(response.get("OriginalStatusCode") or 500), said.encode())
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    may_pass = status == 429 or status >= 500 or code.startswith("Throttl")
    return EndpointError(code, clip(message.encode()), retryable=may_pass)


def _unreached(exc: HTTPError) -> EndpointError:
    match exc:
        case SSLError() | LocationParseError():
            code = "tls" if isinstance(exc, SSLError) else "connect"
            return EndpointError(code, _reason(exc), retryable=False)
        case ReadTimeoutError():
            return EndpointError("timeout", _reason(exc), retryable=True)
        case NewConnectionError() | ConnectTimeoutError():
            return NotReached(_reason(exc))
        case _:
            return ConnectionBroken(_reason(exc))


def _unreached_by_boto(exc: BotoCoreError) -> EndpointError:
    match exc:
        case BotoSSLError():
            return EndpointError("tls", str(exc), retryable=False)
        case BotoReadTimeoutError():
            return EndpointError("timeout", str(exc), retryable=True)
        case EndpointConnectionError() | BotoConnectTimeoutError():
            return NotReached(str(exc))
        case BotoConnectionError() | HTTPClientError() | IncompleteReadError():
            return ConnectionBroken(str(exc))
        case _:
            return EndpointError(type(exc).__name__, str(exc), retryable=False)


def _reason(exc: BaseException) -> str:
    """Return the operating system's error text, such as `connection refused`, if any."""
    cause = exc.__cause__ or exc
    return cause.strerror.lower() if isinstance(cause, OSError) and cause.strerror else str(exc)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
