"""Asynchronous invocations on one machine: read an S3 object, write the answer to S3 later."""

from __future__ import annotations

import functools
import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from inference.fetching.s3 import split
from inference.permits import Permits
from serve.local_endpoint.routes import error
from serve.wire.media_types import JSON

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)

# On AWS this limit is MaxConcurrentInvocationsPerInstance.
AT_ONCE = 4
WAITING = 1000
OUTPUT_FOLDER, FAILURE_FOLDER = "async-output", "async-failure"
HEADER = "X-Amzn-SageMaker-"


@dataclass(frozen=True)
class _Invocation:
    """The S3 URLs of an invocation's body, answer and error, and its headers."""

    source: str
    headers: dict[str, str]
    output: str
    failure: str


class LocalAsync:
    """Accepts invocations and processes them in its own threads.

    Output goes to the bucket of the input; on AWS the endpoint's configuration names the bucket.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._places = Permits(WAITING)
        self._pool = ThreadPoolExecutor(AT_ONCE, "async")

    def accept(self, request: Request) -> Response:
        """Return 202 with the S3 URL of the future answer."""
        source = request.headers.get(f"{HEADER}InputLocation", "")
        if not source.startswith("s3://") or not source.partition("//")[2].partition("/")[2]:
            return error(400, "ValidationError", "InputLocation must be s3://bucket/key")
        if not self._places.acquire(1):
            return error(503, "ServiceUnavailable", "too many invocations are waiting")
        identity = request.headers.get(f"{HEADER}Inference-Id") or str(uuid.uuid4())
        invocation = _invocation(request, source, identity)
        self._pool.submit(self._work, invocation)
        headers = {
            f"{HEADER}OutputLocation": invocation.output,
            f"{HEADER}FailureLocation": invocation.failure,
        }
        body = orjson.dumps({"InferenceId": identity})
        return Response(body, 202, headers, content_type=JSON)

    def _work(self, invocation: _Invocation) -> None:
        try:
            location, data = self._answer(invocation)
            self._s3.put_object(**_place(location), Body=data)
        except Exception:
            log.exception("an asynchronous invocation has no output")
        finally:
            self._places.release()

    def _answer(self, invocation: _Invocation) -> tuple[str, bytes]:
        """Return the S3 URL to write to, and the data."""
        try:
            body = self._s3.get_object(**_place(invocation.source))["Body"].read()
        except Exception as exc:  # noqa: BLE001 - the failure object reports it
            return invocation.failure, f"{invocation.source} cannot be read: {exc}".encode()
        answer = self._invoke(body, invocation.headers)
        good = answer.status_code < 400
        return invocation.output if good else invocation.failure, answer.get_data()

    def _invoke(self, body: bytes, headers: dict[str, str]) -> Response:
        builder = EnvironBuilder("/invocations", method="POST", data=body, headers=Headers(headers))
        try:
            return Response.from_app(self._app, builder.get_environ(), buffered=True)
        finally:
            builder.close()

    @functools.cached_property
    def _s3(self) -> Any:
        import boto3

        return boto3.client("s3")


def _invocation(request: Request, source: str, identity: str) -> _Invocation:
    bucket, _ = split(source)
    extension = request.headers.get(f"{HEADER}S3OutputPathExtension", "").strip("/")
    name = request.headers.get(f"{HEADER}Filename") or f"{identity}.out"
    folder = f"{OUTPUT_FOLDER}/{extension}".rstrip("/")
    sent = {
        "Content-Type": request.headers.get(f"{HEADER}Content-Type", ""),
        "Accept": request.headers.get(f"{HEADER}Accept", ""),
        f"{HEADER}Custom-Attributes": request.headers.get(f"{HEADER}Custom-Attributes", ""),
        f"{HEADER}Inference-Id": identity,
    }
    return _Invocation(
        source=source,
        headers={key: value for key, value in sent.items() if value},
        output=f"s3://{bucket}/{folder}/{name}",
        failure=f"s3://{bucket}/{FAILURE_FOLDER}/{identity}-error.out",
    )


def _place(location: str) -> dict[str, str]:
    bucket, key = split(location)
    return {"Bucket": bucket, "Key": key}
