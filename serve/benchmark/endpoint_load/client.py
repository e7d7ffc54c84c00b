"""The two ways to ask an endpoint: by its URL, and by its name through SageMaker's runtime."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from inference.loadtest.summary import Outcome, RequestFailed

JSON = "application/json"
PATH = "/invocations"
CONNECT_TIMEOUT_S = 5.0
# SageMaker gives a container 60 s; more than that is a hang.
READ_TIMEOUT_S = 70.0
MAX_TRIES = 5
MAX_PAUSE_S = 5.0
OK, UNAVAILABLE = 200, 503
MESSAGE_CHARS = 300


@dataclass(frozen=True)
class Body:
    """A request's body."""

    data: bytes
    content_type: str = JSON


@dataclass(frozen=True)
class Reply:
    """What the container said, whatever lies between."""

    status: int
    body: bytes


class Target(Protocol):
    """An endpoint. May be used from many threads."""

    @property
    def name(self) -> str:
        """As people call it."""

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine, and so can fetch from it."""

    def send(self, body: Body) -> Reply:
        """Send once. Raises RequestFailed when no container answered."""


def invoke(target: Target, body: Body) -> Outcome:
    """Ask, and count the answer's items. Raises RequestFailed."""
    answer, retried = ask(target, body)
    failed = Counter(one["error"]["code"] for one in answer["results"] if "error" in one)
    return Outcome(len(answer["results"]) - failed.total(), dict(failed), retried)


def ask(target: Target, body: Body) -> tuple[dict[str, Any], int]:
    """Ask, waiting as long as an overloaded container says, at most four times.

    Returns:
        The answer's JSON, and how often it was sent again.

    Raises:
        RequestFailed: any other error, by its code.
    """
    for retried in range(MAX_TRIES):
        try:
            reply = target.send(body)
        except RequestFailed as exc:
            exc.retried = retried
            raise
        if reply.status == OK:
            return _answer(reply.body, retried), retried
        error = _error(reply)
        retry_after_ms = error.get("retry_after_ms")
        if reply.status != UNAVAILABLE or retry_after_ms is None or retried + 1 == MAX_TRIES:
            raise RequestFailed(error["code"], error["message"], retried)
        time.sleep(pause_s(retry_after_ms))
    raise AssertionError("the last try has returned or raised")


def pause_s(retry_after_ms: float) -> float:
    """How long to wait for a container that asks for it, 0..5 s."""
    return min(max(retry_after_ms / 1000, 0.0), MAX_PAUSE_S)


class HttpTarget:
    """An endpoint by its URL, with or without `/invocations`.

    connections: kept open, as many as there are threads. Raises ValueError for no http(s) URL.
    """

    is_local: bool

    def __init__(self, url: str, connections: int = 1) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url} is no URL of an endpoint: http://localhost:8080, say")
        base = url.rstrip("/")
        self.name = base if base.endswith(PATH) else base + PATH
        self.is_local = _is_loopback(parts.hostname)
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)
        # No environment's proxy is asked, and nothing is sent twice behind our back.
        self._pool = urllib3.PoolManager(maxsize=connections, retries=False, timeout=timeout)

    def send(self, body: Body) -> Reply:
        """POST it."""
        headers = {"Content-Type": body.content_type, "Accept": JSON}
        try:
            reply = self._pool.request("POST", self.name, body=body.data, headers=headers)
        except HTTPError as exc:
            raise RequestFailed(_transport_code(exc), _reason(exc)) from exc
        return Reply(reply.status, reply.data)


class SageMakerTarget:
    """An endpoint by its name. Raises ValueError when AWS is not configured here.

    client: of `sagemaker-runtime`; one of its own by default.
    """

    is_local = False

    def __init__(self, endpoint_name: str, connections: int = 1, client: Any = None) -> None:
        self.name = endpoint_name
        self._client = client or runtime_client(connections)

    def send(self, body: Body) -> Reply:
        """Invoke it; a container's error comes back as what the container said."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._client.invoke_endpoint(
                EndpointName=self.name,
                ContentType=body.content_type,
                Accept=JSON,
                Body=body.data,
            )
            return Reply(OK, answer["Body"].read())
        except ClientError as exc:
            return _model_error(exc.response)
        except BotoCoreError as exc:
            raise RequestFailed(_botocore_code(exc), str(exc)) from exc


def runtime_client(connections: int, **options: Any) -> Any:
    """A client of SageMaker's runtime that never retries. Raises ValueError without a region."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        retries={"total_max_attempts": 1},
        max_pool_connections=connections,
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
    )
    try:
        return boto3.client("sagemaker-runtime", config=config, **options)
    except BotoCoreError as exc:
        raise ValueError(f"AWS cannot be asked: {exc}") from exc


def _answer(body: bytes, retried: int) -> dict[str, Any]:
    """An answer's JSON, when it has results."""
    try:
        answer = orjson.loads(body)
        if isinstance(answer["results"], list):
            return dict(answer)
    except (ValueError, TypeError, KeyError):
        pass
    raise RequestFailed("bad_answer", f"no answer of Sweetspot: {_clip(body)}", retried)


def _error(reply: Reply) -> dict[str, Any]:
    """An error's code, message, and perhaps retry_after_ms."""
    try:
        error = dict(orjson.loads(reply.body)["error"])
        return error | {"code": str(error["code"]), "message": str(error["message"])}
    except (ValueError, TypeError, KeyError):
        return {"code": f"http_{reply.status}", "message": _clip(reply.body)}


def _model_error(response: Any) -> Reply:
    """What the container said, out of SageMaker's 424; RequestFailed when it was SageMaker."""
    code = response["Error"]["Code"]
    status = response.get("OriginalStatusCode")
    if code == "ModelError" and status:
        return Reply(int(status), str(response.get("OriginalMessage", "")).encode())
    raise RequestFailed(code, response["Error"].get("Message", ""))


def _transport_code(exc: HTTPError) -> str:
    match exc:
        case NewConnectionError() | ConnectTimeoutError():
            return "connect"
        case ReadTimeoutError():
            return "timeout"
        case SSLError():
            return "tls"
        case _:
            return "broken"


def _botocore_code(exc: Exception) -> str:
    codes = {
        "EndpointConnectionError": "connect",
        "ConnectTimeoutError": "connect",
        "ReadTimeoutError": "timeout",
        "SSLError": "tls",
        "ConnectionClosedError": "broken",
    }
    return codes.get(type(exc).__name__, type(exc).__name__)


def _reason(exc: BaseException) -> str:
    """The system's own words where there are some: `connection refused`."""
    cause = exc.__cause__
    return cause.strerror.lower() if isinstance(cause, OSError) and cause.strerror else str(exc)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _clip(body: bytes) -> str:
    return body.decode(errors="replace")[:MESSAGE_CHARS]
