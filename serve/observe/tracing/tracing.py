"""The spans of a service: of each sampled request, and of each batch that held its items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from opentelemetry.context import Context
from opentelemetry.propagate import extract
from opentelemetry.trace import Link

from inference.batching.batcher import Encoded
from inference.types import Failure
from serve.observe.tracing.export import Export
from serve.observe.tracing.request_trace import RequestTrace, TracedTimes, unix_ns


class Headers(Protocol):
    """A request's headers, by names in any case."""

    def get(self, key: str) -> str | None:
        """Return a header's value; None if there is none."""


class Tracing:
    """Begins the traces of requests, and makes those of batches."""

    def __init__(self, export: Export) -> None:
        self._export = export

    def begin(
        self, method: str, route: str, headers: Headers, attributes: Mapping[str, str]
    ) -> RequestTrace | None:
        """Begin a request's span; None if it is not sampled. route: never with a name of a model.

        `traceparent` of the custom attributes comes before that of the headers: SageMaker passes on
        only the former. A malformed one is ignored.
        """
        parent = extract(attributes, extract(headers))
        trace = RequestTrace(self._export.requests, method, route, parent)
        return trace if trace.is_sampled else None

    def batch(self, encoded: Encoded) -> None:
        """Make the span of a batch that has run, linked with its requests, if any is sampled."""
        batch = encoded.batch
        every = dict.fromkeys(entry.times.request for entry in batch.entries)
        traced = [times for times in every if isinstance(times, TracedTimes)]
        if not traced:
            return
        zero_ns = unix_ns()
        span = self._export.batches.start_span(
            "encode batch",
            Context(),
            attributes={
                "sweetspot.model": batch.target.model,
                "sweetspot.tower": batch.tower,
                "sweetspot.lane": batch.lane,
                "sweetspot.items": len(batch.entries),
                "sweetspot.failures": sum(isinstance(one, Failure) for one in encoded.results),
            },
            links=[Link(times.context) for times in traced],
            start_time=zero_ns + int(encoded.start_s * 1e9),
        )
        for times in traced:
            times.was_in(span.get_span_context())
        span.end(zero_ns + int(encoded.end_s * 1e9))

    def close(self) -> None:
        """Send the spans that are left, within the time that the drain leaves."""
        self._export.close()
