"""Sends spans to a collector: OTLP over HTTP, set up by OpenTelemetry's own variables."""

from __future__ import annotations

import logging
import threading
import time
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import (
    SERVICE_NAME,
    SERVICE_VERSION,
    OTELResourceDetector,
    Resource,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NoOpTracer, Tracer

from model.errors import DISTRIBUTION

log = logging.getLogger(__name__)

SCOPE = "sweetspot"
# How long the spans that are left may take to be sent at the end. Requests have 20 s of the 25 s
# until gunicorn kills the worker.
FLUSH_S = 3.0
# Others of OpenTelemetry's loggers quote the headers of callers.
LOUD = ("opentelemetry.sdk", "opentelemetry.exporter")
# The SDK warns several times for each attempt to reach a collector that is away.
WARN_EVERY_S = 60.0


class Export:
    """Tracers whose spans one background thread sends; what it cannot send in time is dropped.

    Open it in the process whose spans it sends, since threads do not survive a fork.

    Raises:
        ValueError, RuntimeError, ImportError: one of OpenTelemetry's variables is malformed.
    """

    def __init__(self) -> None:
        resource = _resource()
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        # A batch has a span if any of its requests was sampled: its links must lead somewhere.
        of_batches = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False)
        self.requests: Tracer = provider.get_tracer(SCOPE)
        self.batches: Tracer = of_batches.get_tracer(SCOPE)
        self.is_disabled = isinstance(self.requests, NoOpTracer)
        self._processor: BatchSpanProcessor | None = None
        if not self.is_disabled:
            self._processor = BatchSpanProcessor(OTLPSpanExporter())
            for one in (provider, of_batches):
                one.add_span_processor(self._processor)
        self._logger = logging.getLogger("opentelemetry")
        self._seldom = _Seldom()
        self._logger.addHandler(self._seldom)
        self._logger.propagate = False

    def close(self, within_s: float = FLUSH_S) -> None:
        """Send the spans that are left, for at most `within_s`."""
        if self._processor is not None:
            thread = threading.Thread(target=self._processor.shutdown, name="flush", daemon=True)
            thread.start()
            thread.join(within_s)
        self._logger.propagate = True
        self._logger.removeHandler(self._seldom)


def _resource() -> Resource:
    """Return what describes this process. OTEL_SERVICE_NAME and its like override our names."""
    ours = {SERVICE_NAME: "sweetspot", SERVICE_VERSION: version(DISTRIBUTION)}
    return Resource.create(ours | dict(OTELResourceDetector().detect().attributes))


class _Seldom(logging.Handler):
    """Passes on a warning about what is sent, at most once a minute."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._next_s = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Log the record, unless another was logged a short time ago."""
        now_s = time.monotonic()
        if record.name.startswith(LOUD) and now_s >= self._next_s:
            self._next_s = now_s + WARN_EVERY_S
            log.warning("traces may be lost: %s", record.getMessage(), exc_info=record.exc_info)
