"""SageMaker's runtime API for one machine: its routes in front of the container's own.

An unmodified `boto3.client("sagemaker-runtime", endpoint_url="http://localhost:8080")` and the
SageMaker SDK's predictor use it like an endpoint. Paths, headers and errors are those of botocore's
model of the service. Any endpoint name works.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import orjson
from werkzeug.wrappers import Request, Response

from serve.local_endpoint.event_stream import error_frame, part_frame
from serve.wire.media_types import CUSTOM_ATTRIBUTES, JSON

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from serve.local_endpoint.asynchronous import LocalAsync

_ROUTE = re.compile(
    r"/endpoints/[A-Za-z0-9][A-Za-z0-9-]{0,62}"
    r"/(invocations|invocations-response-stream|async-invocations)"
)
VARIANT = {"x-Amzn-Invoked-Production-Variant": "AllTraffic"}
EVENT_STREAM = "application/vnd.amazon.eventstream"
LOG_STREAM = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/sagemaker/Endpoints/local"
MAX_MESSAGE_CHARS = 2048


class LocalEndpoint:
    """A WSGI application that wraps the container's."""

    def __init__(self, app: WSGIApplication, asynchronous: LocalAsync) -> None:
        self._app = app
        self._asynchronous = asynchronous

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        route = _ROUTE.fullmatch(environ.get("PATH_INFO", ""))
        if route is None:
            return self._app(environ, start_response)
        request = Request(environ)
        if request.method != "POST":
            return error(400, "ValidationError", "use POST")(environ, start_response)
        answers = {
            "invocations": self._invoke,
            "invocations-response-stream": self._stream,
            "async-invocations": self._asynchronous.accept,
        }
        return answers[route[1]](request)(environ, start_response)

    def _invoke(self, request: Request) -> Response:
        answer = self._ask(request.environ)
        if answer.status_code >= 400:
            return model_error(answer)
        answer.headers.extend(VARIANT)
        return answer

    def _stream(self, request: Request) -> Response:
        """Send each part of the container's answer as an event, when it arrives."""
        environ = dict(request.environ)
        # Here the header Accept is about the event stream, not the container's answer.
        environ["HTTP_ACCEPT"] = environ.get("HTTP_X_AMZN_SAGEMAKER_ACCEPT", "")
        answer = self._ask(environ)
        if answer.status_code >= 400:
            return model_error(answer)
        framed = Response(_frames(answer), content_type=EVENT_STREAM, headers=VARIANT)
        framed.headers["X-Amzn-SageMaker-Content-Type"] = answer.headers["Content-Type"]
        framed.headers[CUSTOM_ATTRIBUTES] = answer.headers.get(CUSTOM_ATTRIBUTES, "")
        framed.call_on_close(answer.close)
        return framed

    def _ask(self, environ: Mapping[str, Any]) -> Response:
        return Response.from_app(self._app, dict(environ) | {"PATH_INFO": "/invocations"})


def model_error(answer: Response) -> Response:
    """Return a container's error in the form in which AWS passes it to the caller."""
    status, message = answer.status_code, answer.get_data(as_text=True)
    answer.close()
    whose = "client" if status < 500 else "server"
    return error(
        424,
        "ModelError",
        f'Received {whose} error ({status}) from primary with message "{message}"',
        OriginalStatusCode=status,
        OriginalMessage=message[:MAX_MESSAGE_CHARS],
        LogStreamArn=LOG_STREAM,
    )


def error(status: int, kind: str, message: str, **more: Any) -> Response:
    """Return an error in the runtime's form. kind: the exception that boto3 raises."""
    body = orjson.dumps({"Message": message[:MAX_MESSAGE_CHARS]} | more)
    return Response(body, status, {"x-amzn-ErrorType": kind}, content_type=JSON)


def _frames(answer: Response) -> Iterator[bytes]:
    try:
        for part in answer.iter_encoded():
            if part:
                yield part_frame(part)
    except Exception:  # noqa: BLE001 - the status is already sent; an event tells the caller
        yield error_frame("ModelStreamError", "StreamBroken", "the container's answer broke off")
