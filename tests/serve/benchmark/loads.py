"""Loads and cells as if they had been measured."""

from inference.loadtest.summary import Load
from serve.benchmark.endpoint_load.load_cells import Cell


def load(items_per_s=100.0, p95_ms=50.0, requests=20, **options):
    defaults = {
        "requests": requests,
        "items_ok": requests,
        "failed": {},
        "errors": {},
        "retried": 0,
        "dropped": 0,
        "duration_s": 5.0,
        "items_per_s": items_per_s,
        "latencies_ms": (p95_ms,) * requests,
    }
    return Load(**(defaults | options))


def cell(batch, concurrency, items_per_s=100.0, p95_ms=50.0, **options):
    return Cell(batch, load(items_per_s, p95_ms, **options), 5.0, concurrency=concurrency)


def open_cell(batch, items_per_s=100.0, p95_ms=50.0, **options):
    return Cell(batch, load(items_per_s, p95_ms, **options), 5.0, rate_per_s=4.0)
