"""The span of one request, with a child for each stage."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

from opentelemetry.context import Context
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_METHOD,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
)
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    StatusCode,
    Tracer,
    set_span_in_context,
)

from inference.stats import STAGES, StageTimes
from inference.types import Lane
from serve.observe.untraced import Untraced

# The SDK's own default for the links of a span.
MAX_LINKS = 128
SERVER_ERROR = 500


def unix_ns() -> int:
    """Return what to add to an instant of `time.perf_counter_ns` for the Unix time, ns."""
    return time.time_ns() - time.perf_counter_ns()


class TracedTimes(StageTimes):
    """The stages of a traced request, and the batches that its items were in.

    context: of the request's span. batches: the first MAX_LINKS of all `batch_count`.
    """

    def __init__(self, context: SpanContext) -> None:
        super().__init__()
        self.context = context
        self.batches: list[SpanContext] = []
        self.batch_count = 0

    def was_in(self, batch: SpanContext) -> None:
        """Note a batch. For one thread at a time."""
        self.batch_count += 1
        if len(self.batches) < MAX_LINKS:
            self.batches.append(batch)


class RequestTrace(Untraced):
    """A sampled request. Ends with `end`."""

    def __init__(self, tracer: Tracer, method: str, route: str, parent: Context) -> None:
        self._tracer, self._zero_ns = tracer, unix_ns()
        self._times: TracedTimes | None = None
        self._answering_s: float | None = None
        self._span = tracer.start_span(
            f"{method} {route}",
            parent,
            SpanKind.SERVER,
            {HTTP_REQUEST_METHOD: method, HTTP_ROUTE: route},
            start_time=self._at(time.perf_counter()),
        )

    @property
    def is_sampled(self) -> bool:
        """Whether it will be sent: the sampler's decision, or that of the caller."""
        return self._span.is_recording()

    def embeds(self, lane: Lane, models: Collection[str]) -> TracedTimes:
        """See Untraced."""
        asked = {"sweetspot.lane": lane, "sweetspot.model": ",".join(models)}
        self._span.set_attributes(asked)
        self._times = TracedTimes(self._span.get_span_context())
        return self._times

    def answering(self) -> None:
        """See Untraced."""
        if self._answering_s is None:
            self._answering_s = time.perf_counter()

    def answered(self, items: int, failures: Mapping[str, int]) -> None:
        """See Untraced."""
        counts = {"sweetspot.items": items, "sweetspot.failures": sum(failures.values())}
        by_code = {f"sweetspot.failure.{code}": count for code, count in failures.items()}
        self._span.set_attributes(counts | by_code)

    def left(self) -> None:
        """See Untraced."""
        self._span.set_attribute(ERROR_TYPE, "client_left")
        self._span.set_status(StatusCode.ERROR)

    def refused(self, code: str) -> None:
        """See Untraced."""
        self._span.set_attribute(ERROR_TYPE, code)

    def end(self, status: int) -> None:
        """End it, after the answer's last byte or without it. status: of HTTP."""
        end_s = time.perf_counter()
        self._span.set_attribute(HTTP_RESPONSE_STATUS_CODE, status)
        if status >= SERVER_ERROR:
            self._span.set_status(StatusCode.ERROR)
        self._add_stages(end_s)
        self._span.end(self._at(end_s))

    def _add_stages(self, end_s: float) -> None:
        times = self._times
        if times is None:
            return
        spans = times.spans()
        if self._answering_s is not None:
            spans["answer"] = (self._answering_s, end_s)
        context = set_span_in_context(self._span)
        for stage in (*STAGES, "answer"):
            if stage in spans:
                encodes = stage == "encode"
                child = self._tracer.start_span(
                    stage,
                    context,
                    attributes={"sweetspot.batches": times.batch_count} if encodes else None,
                    links=[Link(one) for one in list(times.batches)] if encodes else None,
                    start_time=self._at(spans[stage][0]),
                )
                child.end(self._at(spans[stage][1]))

    def _at(self, instant_s: float) -> int:
        """Return the Unix time of an instant of `time.perf_counter`, ns."""
        return self._zero_ns + int(instant_s * 1e9)
