"""`POST /invocations`: from the request's headers to its answer, whole or as a stream."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

from flask import Response, request

from inference.engine.engine import Engine
from inference.engine.stream import Group, Stream
from inference.errors import ClientLeft, Overloaded, UnknownModel
from inference.types import Lane, lane_of
from serve.errors import BadRequest, HttpError
from serve.http.body import Bodies, client_left
from serve.observe.telemetry import Telemetry
from serve.settings import Settings
from serve.wire.answers import (
    OF_SEVERAL,
    RENDERERS,
    counted,
    negotiate,
    render,
    render_attributes,
    render_stream,
)
from serve.wire.embed_request import EmbedRequest
from serve.wire.protocol import CUSTOM_ATTRIBUTES, JSON_LINES_TYPES, TARGET_MODEL, parse

# nginx's status for a client that closed the connection, and so does not receive it.
CLIENT_CLOSED_REQUEST = 499


@dataclass(frozen=True)
class _Asked:
    """A parsed request, with its answer's media type, its lane and its deadline."""

    request: EmbedRequest
    media_type: str
    lane: Lane
    deadline_s: float


class Invocations:
    """Answers Flask's current request. bodies: the budgets of all requests."""

    def __init__(self, settings: Settings, bodies: Bodies, telemetry: Telemetry) -> None:
        self._settings = settings
        self._bodies = bodies
        self._telemetry = telemetry

    def answer(self, engine: Engine, model: str = "") -> Response:
        """Answer as a whole or as a stream. model: from the path, if any. Raises HttpError."""
        with ExitStack() as held:
            limit = held.enter_context(self._bodies.admit(request.environ))
            asked = self._read(limit, model)
            held.enter_context(self._bodies.admit_to(asked.lane))
            try:
                if asked.request.parameters.stream:
                    return self._streamed(engine, asked, held)
                return self._whole(engine, asked)
            except Overloaded as exc:
                raise self._bodies.overloaded(str(exc), asked.lane) from exc
            except UnknownModel as exc:
                raise HttpError("model_not_found", str(exc)) from exc
            except ClientLeft:
                self._telemetry.left(asked.lane)
                return Response(status=CLIENT_CLOSED_REQUEST)

    def _read(self, limit: int, model: str) -> _Asked:
        accept = request.headers.get("Accept", "")
        media_type = negotiate(accept, RENDERERS)
        encoding = request.headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            raise HttpError(
                "unsupported_media_type", f"Content-Encoding {encoding!r}: send it plain"
            )
        parsed = parse(
            request.headers.get("Content-Type", ""),
            request.headers.get(CUSTOM_ATTRIBUTES, ""),
            self._bodies.receive(request.environ, limit, self._settings.body_timeout_ms / 1000),
            self._settings.max_items,
        )
        parsed = _targeted(parsed, model, request.headers.get(TARGET_MODEL, ""))
        if parsed.parameters.several:
            media_type = negotiate(accept, OF_SEVERAL)
        if parsed.parameters.stream:
            media_type = _streamable(accept)
        lane = parsed.parameters.lane or self._lane_of(parsed)
        return _Asked(parsed, media_type, lane, self._deadline_s(parsed.parameters.deadline_ms))

    def _lane_of(self, parsed: EmbedRequest) -> Lane:
        """Choose the lane: bulk in a batch transform, even if each request is one image."""
        return "bulk" if self._settings.in_batch else lane_of(parsed.items)

    def _deadline_s(self, asked_ms: int | None) -> float:
        settings = self._settings
        deadline_ms = min(asked_ms or settings.deadline_ms, settings.max_deadline_ms)
        return time.monotonic() + deadline_ms / 1000

    def _whole(self, engine: Engine, asked: _Asked) -> Response:
        environ = request.environ
        model = asked.request.parameters.model
        specs = engine.specs(model)
        answer = engine.embed(
            asked.request.items, asked.deadline_s, lambda: client_left(environ), asked.lane, model
        )
        body = render(
            asked.media_type,
            asked.request,
            answer,
            specs,
            # A batch transform that assembles by line adds a newline after each answer.
            last_newline=not self._settings.in_batch,
        )
        response = Response(body, content_type=asked.media_type)
        response.headers[CUSTOM_ATTRIBUTES] = render_attributes(
            asked.request, specs, counted(answer)
        )
        self._telemetry.answered(asked.lane, answer)
        return response

    def _streamed(self, engine: Engine, asked: _Asked, held: ExitStack) -> Response:
        """Refuse before the first byte; hold the request's budgets until the last byte."""
        environ = request.environ
        model = asked.request.parameters.model
        specs = engine.specs(model)
        stream = engine.stream(
            asked.request.items, asked.deadline_s, lambda: client_left(environ), asked.lane, model
        )
        lines = render_stream(asked.request, self._counted(stream, asked.lane), stream.times, specs)
        response = Response(lines, content_type=asked.media_type)
        response.headers[CUSTOM_ATTRIBUTES] = render_attributes(asked.request, specs)
        kept = held.pop_all()
        kept.callback(stream.close)
        response.call_on_close(kept.close)
        return response

    def _counted(self, stream: Stream, lane: Lane) -> Iterator[Group]:
        tally = self._telemetry.tally(lane)
        try:
            for group in stream:
                tally.add([result for _, result in group])
                yield group
        except GeneratorExit:
            self._telemetry.left(lane)
            raise
        except ClientLeft as exc:
            self._telemetry.left(lane)
            # gunicorn does not log this as our error. The stream must end without a summary.
            raise BrokenPipeError(errno.EPIPE, "the client left") from exc
        tally.end(stream.times)


def _targeted(parsed: EmbedRequest, path: str, header: str) -> EmbedRequest:
    """Choose the model: from the path, else from the request, else from the platform's header."""
    model = path or parsed.parameters.model or header or ()
    return replace(parsed, parameters=replace(parsed.parameters, model=model))


def _streamable(accept: str) -> str:
    try:
        return negotiate(accept, JSON_LINES_TYPES)
    except HttpError as exc:
        names = ", ".join(JSON_LINES_TYPES)
        raise BadRequest(f"a stream is {names}; Accept {accept!r} takes none of them") from exc
