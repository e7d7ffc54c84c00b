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
from serve.http.request_id import request_id_of
from serve.http.traced import trace_of
from serve.observe.telemetry import Telemetry
from serve.observe.untraced import Untraced
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
from serve.wire.embed_request import EmbedRequest, Specs
from serve.wire.media_types import CUSTOM_ATTRIBUTES, JSON, JSON_LINES_TYPES, TARGET_MODEL
from serve.wire.protocol import PARSERS, Parsers, parse

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

    def answer(self, engine: Engine, model: str = "", parsers: Parsers = PARSERS) -> Response:
        """Answer as a whole or as a stream.

        model: from the path, if any. parsers: of the route. Raises HttpError.
        """
        with ExitStack() as held:
            limit = held.enter_context(self._bodies.admit(request.environ))
            asked = self._read(limit, model, parsers)
            held.enter_context(self._bodies.admit_to(asked.lane))
            try:
                parameters = asked.request.parameters
                specs = engine.specs(parameters.model)
                if asked.request.form is not None:
                    asked.request.form.check(parameters, specs)
                if parameters.stream:
                    return self._streamed(engine, asked, specs, held)
                return self._whole(engine, asked, specs)
            except Overloaded as exc:
                raise self._bodies.overloaded(str(exc), asked.lane) from exc
            except UnknownModel as exc:
                raise HttpError("model_not_found", str(exc)) from exc
            except ClientLeft:
                environ = request.environ
                self._telemetry.left(asked.lane, trace_of(environ), request_id_of(environ))
                return Response(status=CLIENT_CLOSED_REQUEST)

    def _read(self, limit: int, model: str, parsers: Parsers) -> _Asked:
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
            parsers,
        )
        parsed = _targeted(parsed, model, request.headers.get(TARGET_MODEL, ""))
        if parsed.form is not None:
            media_type = negotiate(accept, [JSON])
        elif parsed.parameters.stream:
            media_type = _streamable(accept)
        elif parsed.parameters.several:
            media_type = negotiate(accept, OF_SEVERAL)
        lane = parsed.parameters.lane or self._lane_of(parsed)
        return _Asked(parsed, media_type, lane, self._deadline_s(parsed.parameters.deadline_ms))

    def _lane_of(self, parsed: EmbedRequest) -> Lane:
        """Choose the lane: bulk in a batch transform, even if each request is one image."""
        return "bulk" if self._settings.in_batch else lane_of(parsed.own_items)

    def _deadline_s(self, asked_ms: int | None) -> float:
        settings = self._settings
        deadline_ms = min(asked_ms or settings.deadline_ms, settings.max_deadline_ms)
        return time.monotonic() + deadline_ms / 1000

    def _whole(self, engine: Engine, asked: _Asked, specs: Specs) -> Response:
        environ, trace = request.environ, trace_of(request.environ)
        model = asked.request.parameters.model
        answer = engine.embed(
            asked.request.items,
            asked.deadline_s,
            lambda: client_left(environ),
            asked.lane,
            model,
            trace.embeds(asked.lane, specs),
        )
        tally = self._telemetry.tally(asked.lane, trace, request_id_of(environ))
        tally.add(answer.results)
        trace.answering()
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
        tally.end(answer.times)
        return response

    def _streamed(self, engine: Engine, asked: _Asked, specs: Specs, held: ExitStack) -> Response:
        """Refuse before the first byte; hold the request's budgets until the last byte."""
        environ, trace = request.environ, trace_of(request.environ)
        model = asked.request.parameters.model
        stream = engine.stream(
            asked.request.items,
            asked.deadline_s,
            lambda: client_left(environ),
            asked.lane,
            model,
            trace.embeds(asked.lane, specs),
        )
        groups = self._counted(stream, asked.lane, trace, request_id_of(environ))
        lines = render_stream(asked.request, groups, stream.times, specs)
        response = Response(lines, content_type=asked.media_type)
        response.headers[CUSTOM_ATTRIBUTES] = render_attributes(asked.request, specs)
        kept = held.pop_all()
        kept.callback(stream.close)
        response.call_on_close(kept.close)
        return response

    def _counted(
        self, stream: Stream, lane: Lane, trace: Untraced, request_id: str | None
    ) -> Iterator[Group]:
        tally = self._telemetry.tally(lane, trace, request_id)
        try:
            for group in stream:
                trace.answering()
                tally.add([result for _, result in group])
                yield group
        except GeneratorExit:
            self._telemetry.left(lane, trace, request_id)
            raise
        except ClientLeft as exc:
            self._telemetry.left(lane, trace, request_id)
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
