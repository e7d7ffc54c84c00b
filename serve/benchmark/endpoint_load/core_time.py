"""Core time that an endpoint spends on an image, by its own /metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import urllib3
from prometheus_client.parser import text_string_to_metric_families
from urllib3.exceptions import HTTPError

from inference.loadtest.summary import Load
from serve.asking.transports import PATH, HttpTransport, Transport

CPU, IMAGES = "sweetspot_cpu_seconds_total", "sweetspot_batch_size_sum"
OK, TIMEOUT_S = 200, 5.0


@dataclass(frozen=True)
class Spent:
    """So far: CPU time of all processes, s, and encoded images."""

    cpu_s: float
    images: float


def measured(target: Transport, put_load: Callable[[], Load]) -> tuple[Load, float | None]:
    """Put load on an endpoint. Returns it, and the endpoint's core-ms an image meanwhile.

    core-ms are None without /metrics, as on SageMaker.
    """
    before = _spent(target)
    load = put_load()
    after = _spent(target) if before else None
    return load, core_ms(before, after) if before and after else None


def core_ms(before: Spent, after: Spent) -> float | None:
    """Return the core-ms of an image between two readings; None if none was encoded."""
    images = after.images - before.images
    return 1000 * (after.cpu_s - before.cpu_s) / images if images > 0 else None


def _spent(target: Transport) -> Spent | None:
    if not isinstance(target, HttpTransport):
        return None
    url = f"{target.name.removesuffix(PATH)}/metrics"
    try:
        with urllib3.PoolManager(retries=False, timeout=TIMEOUT_S) as pool:
            reply = pool.request("GET", url)
        return parse(reply.data.decode()) if reply.status == OK else None
    except (HTTPError, ValueError):
        return None


def parse(text: str) -> Spent | None:
    """Read a page of metrics; None if it is another program's. Raises ValueError."""
    cpu_s: list[float] = []
    images = 0.0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == CPU:
                cpu_s.append(sample.value)
            elif sample.name == IMAGES and sample.labels.get("tower") == "image":
                images += sample.value
    return Spent(sum(cpu_s), images) if cpu_s else None
