"""`/metrics` for Prometheus: outcomes of requests and items, and the encoder's batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.registry import Collector

from inference.batching.batcher import TowerReport
from inference.batching.live_service_times import BatchTimes
from inference.engine.engine import Engine
from inference.engine.text_cache import TextCacheReport
from inference.stats import STAGES
from inference.types import LANES, TOWERS, Lane, Result, Tower
from serve.observe.process_use import process_uses

__all__ = ["CONTENT_TYPE", "Metrics"]

# From the queue time of a text to that of a waiting bulk batch, s.
BUCKETS_S = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 2, 5, 10, 30, 60, 300,
)  # fmt: skip
# Labels of the encoder's series.
OF = ("model", "tower")
BATCH_BUCKETS = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024)


class Metrics:
    """All series of one service. engine: returns the engine, or None while it loads."""

    def __init__(self, engine: Callable[[], Engine | None]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._registry.register(_EngineCollector(engine))
        self._requests = Counter(
            "sweetspot_requests", "Requests by lane and outcome", ("lane", "status"),
            registry=self._registry,
        )  # fmt: skip
        self._items = Counter(
            "sweetspot_items", "Items answered, by code; ok is an embedding", ("lane", "code"),
            registry=self._registry,
        )  # fmt: skip
        request_s = self._histogram("request_seconds", "From admission to answer", ("lane",))
        self._request_s = {lane: request_s.labels(lane) for lane in LANES}
        stage_s = self._histogram("stage_seconds", "Time of one item in a stage", ("lane", "stage"))
        self._stage_s = {
            (lane, stage): stage_s.labels(lane, stage) for lane in LANES for stage in STAGES
        }

    def results(self, lane: Lane, results: Sequence[Result], failed: Mapping[str, int]) -> None:
        """Count results of a request, all or some. failed: number of failures by code."""
        self._items.labels(lane, "ok").inc(len(results) - sum(failed.values()))
        for code, count in failed.items():
            self._items.labels(lane, code).inc(count)
        for result in results:
            for stage, spent_s in result.times_s.items():
                self._stage_s[lane, stage].observe(spent_s)

    def answered(self, lane: Lane, total_ms: float) -> None:
        """Count an answered request."""
        self._requests.labels(lane, "200").inc()
        self._request_s[lane].observe(total_ms / 1000)

    def ended(self, lane: Lane | None, status: str) -> None:
        """Count a request without results. status: its code, or `client_left`."""
        self._requests.labels(lane or "unknown", status).inc()

    def render(self) -> bytes:
        """Return the series in Prometheus' text format."""
        return generate_latest(self._registry)

    def _histogram(self, name: str, help_text: str, labels: tuple[str, ...]) -> Histogram:
        return Histogram(
            f"sweetspot_{name}", help_text, labels, buckets=BUCKETS_S, registry=self._registry
        )


class _EngineCollector(Collector):
    """Reads the engine at the moment of the scrape."""

    def __init__(self, engine: Callable[[], Engine | None]) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families; none while the engine loads."""
        engine = self._engine()
        if engine is None:
            return
        in_flight = GaugeMetricFamily("sweetspot_items_in_flight", "Items in flight")
        in_flight.add_metric((), engine.items_in_flight)
        yield in_flight
        yield CounterMetricFamily(
            "sweetspot_images_decoded",
            "Images decoded; once for all models that preprocess an image alike",
            engine.images_decoded,
        )
        yield from _of_processes(engine)
        texts: dict[str, TextCacheReport] = {}
        towers: dict[tuple[str, Tower], TowerReport] = {}
        for name in engine.models:
            with suppress(KeyError):  # it was just unloaded
                towers |= {(name, tower): engine.report(tower, name) for tower in TOWERS}
                texts[name] = engine.text_cache_report(name)
        yield from _of_text_caches(texts)
        yield from _of_towers(towers)


def _of_processes(engine: Engine) -> Iterator[Metric]:
    count = GaugeMetricFamily("sweetspot_processes", "Processes", labels=("role",))
    cpu = CounterMetricFamily("sweetspot_cpu_seconds", "CPU time of processes", labels=("role",))
    memory = GaugeMetricFamily(
        "sweetspot_memory_bytes",
        "Memory of processes; of shared memory, the share of each",
        labels=("role",),
    )
    for one in process_uses(engine):
        count.add_metric((one.role,), one.number)
        cpu.add_metric((one.role,), one.cpu_s)
        memory.add_metric((one.role,), one.memory_bytes)
    yield from (count, cpu, memory)
    yield CounterMetricFamily(
        "sweetspot_processes_replaced",
        "Processes that fetch and decode, replaced because they died or hung",
        engine.processes_replaced,
    )


def _of_text_caches(reports: Mapping[str, TextCacheReport]) -> Iterator[Metric]:
    hits = CounterMetricFamily(
        "sweetspot_text_cache_hits", "Texts answered from the cache", labels=("model",)
    )
    misses = CounterMetricFamily(
        "sweetspot_text_cache_misses", "Texts that were not in the cache", labels=("model",)
    )
    held = GaugeMetricFamily(
        "sweetspot_text_cache_bytes", "Memory of the text cache", labels=("model",)
    )
    for model, report in reports.items():
        hits.add_metric((model,), report.hits)
        misses.add_metric((model,), report.misses)
        held.add_metric((model,), report.held_bytes)
    yield from (hits, misses, held)


def _of_towers(reports: Mapping[tuple[str, Tower], TowerReport]) -> Iterator[Metric]:
    yield _gauge(
        "sweet_spot", "The chosen batch size",
        {of: report.batch_size for of, report in reports.items()},
    )  # fmt: skip
    yield _gauge(
        "batch_limit", "Most items in a batch now; fewer while interactive items arrive",
        {of: report.limit for of, report in reports.items()},
    )  # fmt: skip
    yield _gauge(
        "slowdown", "Service times now, divided by those of the tuning, measured on idle cores",
        {of: report.slowdown for of, report in reports.items()},
    )  # fmt: skip
    waiting = GaugeMetricFamily(
        "sweetspot_queue_items", "Items that wait for the encoder", labels=(*OF, "lane")
    )
    busy = CounterMetricFamily(
        "sweetspot_encode_seconds", "Busy time of the encoder's streams", labels=OF
    )
    sizes = HistogramMetricFamily("sweetspot_batch_size", "Items in a batch", labels=OF)
    service = GaugeMetricFamily(
        "sweetspot_batch_service_seconds",
        "Median service time of the recent batches of a size",
        labels=(*OF, "size"),
    )
    for of, report in reports.items():
        for lane, count in report.waiting.items():
            waiting.add_metric((*of, lane), count)
        busy.add_metric(of, report.encode_s)
        buckets, total = _buckets(report.batches)
        sizes.add_metric(of, buckets, total)
        for n, times in report.batches.items():
            service.add_metric((*of, str(n)), times.p50_ms / 1000)
    yield from (waiting, busy, sizes, service)


def _gauge(name: str, help_text: str, values: Mapping[tuple[str, Tower], float]) -> Metric:
    family = GaugeMetricFamily(f"sweetspot_{name}", help_text, labels=OF)
    for of, value in values.items():
        family.add_metric(of, value)
    return family


def _buckets(batches: Mapping[int, BatchTimes]) -> tuple[list[tuple[str, float]], float]:
    """Return cumulative counts of batches up to each bound, and the sum of their sizes."""
    bounds = [
        (str(bound), float(sum(times.count for n, times in batches.items() if n <= bound)))
        for bound in BATCH_BUCKETS
    ]
    every = float(sum(times.count for times in batches.values()))
    total = float(sum(n * times.count for n, times in batches.items()))
    return [*bounds, ("+Inf", every)], total
