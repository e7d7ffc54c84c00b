"""Tracing in this process: what it costs when nobody listens, and what bounds it."""

import logging
import subprocess
import sys
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from serve.http.app import create_app
from serve.http.service import Service
from serve.http.traced import TRACED
from serve.observe.tracing.export import FLUSH_S, Export
from serve.observe.tracing.request_trace import MAX_LINKS, TracedTimes
from serve.settings import Settings

# A busy machine sends late, and closing leaves what is late.
LIMIT_S = 60.0


@contextmanager
def opened(within_s=FLUSH_S):
    export = Export()
    try:
        yield export
    finally:
        export.close(within_s)


def test_a_collector_that_is_away_is_one_warning(monkeypatch, caplog, nobody):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", nobody)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
    with opened(within_s=LIMIT_S) as export:
        for _ in range(3):
            export.requests.start_span("POST /invocations").end()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("traces may be lost: ")


def test_the_sdk_can_be_disabled(monkeypatch):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with opened() as export:
        assert export.is_disabled


def test_a_batch_is_recorded_whatever_the_sampler_says(monkeypatch):
    """It is asked for only if one of its requests is sampled, and these link to it."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    with opened() as export:
        assert not export.requests.start_span("POST /invocations", Context()).is_recording()
        assert export.batches.start_span("encode batch", Context()).is_recording()


def test_each_way_to_embed_is_traced():
    """By the names of Flask's endpoints, which the application gives."""
    app = create_app(Service(Settings(backend="fake", multi_model=True)))
    assert app.view_functions.keys() >= TRACED
    assert {one.rule for one in app.url_map.iter_rules() if one.endpoint in TRACED} == {
        "/invocations",
        "/models/<name>/invoke",
        "/v1/embeddings",
    }


def test_a_request_of_many_batches_keeps_some_links_and_the_count():
    times = TracedTimes(SpanContext(1, 1, is_remote=False))
    for number in range(1, 1000):
        times.was_in(SpanContext(number, number, is_remote=False))
    assert (len(times.batches), times.batch_count) == (MAX_LINKS, 999)


def run(program):
    command = [sys.executable, "-c", program, "serve", "--otel"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_without_the_extra_the_start_ends_with_a_sentence():
    done = run(
        "import sys; sys.modules['opentelemetry'] = None\nfrom sweetspot import main; main()"
    )
    assert done.returncode == 1
    assert done.stderr == "Error: --otel needs OpenTelemetry: pip install 'sweetspot-clip[otel]'\n"


def test_a_service_that_does_not_trace_does_not_import_it():
    done = run(
        "import sys, serve.http.app, serve.http.server\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
