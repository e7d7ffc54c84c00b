"""Two models in one container, compared with a container for each, on the same cores.

Each thumbnail is embedded by both models: in one container with one request, otherwise with one
request to each container. All three containers stay up and are measured alternately. Then queries
of one model are measured beside saturating bulk load of the other.

python -m benchmarks.models
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import requests
from rich.console import Console

from benchmarks.record import record
from benchmarks.service import MODEL
from inference.loadtest.run import closed_loop
from inference.loadtest.summary import Outcome
from serve.benchmark.endpoint_load.thumbnails import served
from tests.checkpoints import make_checkpoint
from tests.e2e.service import started

NAMES = ["designs", "components"]
SIZES = ("--batch-size", "16", "--text-batch-size", "16")
URLS, CLIENTS, SECONDS, ROUNDS = 32, 6, 20.0, 3
QUERY_EVERY_S, WARM_S = 0.5, 3.0


def invoke(url: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    answer = requests.post(f"{url}/invocations", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def asker(url: str, urls: list[str], model: str | list[str]) -> Callable[[], Outcome]:
    numbers = itertools.count()

    def ask() -> Outcome:
        start = next(numbers) * URLS
        chosen = [urls[(start + index) % len(urls)] for index in range(URLS)]
        results = invoke(url, {"urls": chosen, "model": model})
        assert all("error" not in one for one in results)
        return Outcome(len(results))

    return ask


def together(url: str, urls: list[str]) -> float:
    """Thumbnails per second, each embedded by both models."""
    return closed_loop(asker(url, urls, NAMES), CLIENTS, SECONDS, WARM_S).items_per_s


def apart(containers: list[str], urls: list[str]) -> float:
    """The same, when half of the clients ask each container."""
    with ThreadPoolExecutor(len(containers)) as pool:
        loads = [
            pool.submit(closed_loop, asker(url, urls, name), CLIENTS // 2, SECONDS, WARM_S)
            for url, name in zip(containers, NAMES, strict=True)
        ]
        return statistics.mean(load.result().items_per_s for load in loads)


def queries(url: str, seconds: float) -> dict[str, float]:
    """Measure latencies of single texts of the second model, ms."""
    times, stop_s = [], time.monotonic() + seconds
    for number in itertools.count():
        if time.monotonic() >= stop_s:
            break
        start_s = time.monotonic()
        invoke(url, {"text": f"query {start_s} {number}", "model": NAMES[1]})
        times.append(1000 * (time.monotonic() - start_s))
        time.sleep(QUERY_EVERY_S)
    p50, p95 = np.percentile(times, [50, 95])
    return {"requests": len(times), "p50_ms": round(float(p50), 1), "p95_ms": round(float(p95), 1)}


def beside_bulk(url: str, urls: list[str]) -> dict[str, Any]:
    """Measure queries of the second model alone, then beside bulk of the first."""
    queries(url, 2)
    alone = queries(url, SECONDS)
    with ThreadPoolExecutor(1) as pool:
        bulk = pool.submit(
            closed_loop, asker(url, urls, NAMES[0]), CLIENTS, SECONDS + WARM_S, WARM_S
        )
        time.sleep(WARM_S)
        beside = queries(url, SECONDS)
        bulk.result()
    return {"alone": alone, "beside_bulk": beside}


def measure(one: str, two: list[str], urls: list[str]) -> dict[str, Any]:
    rates: dict[str, list[float]] = {"one_container": [], "two_containers": []}
    together(one, urls)
    apart(two, urls)
    for _ in range(ROUNDS):
        rates["one_container"].append(round(together(one, urls), 2))
        rates["two_containers"].append(round(apart(two, urls), 2))
    ratios = [a / b for a, b in zip(*rates.values(), strict=True)]
    return {
        "thumbnails_s_by_both": rates,
        "ratio": round(statistics.median(ratios), 3),
        "queries_of_the_other": beside_bulk(one, urls),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as name, ExitStack() as held:
        folders = [Path(name) / one for one in NAMES]
        for seed, folder in enumerate(folders):
            make_checkpoint(folder, "vit-b-32", seed=seed)
        urls = held.enter_context(served(2000, 20.0))
        paths = [f"{one}={folder}" for one, folder in zip(NAMES, folders, strict=True)]
        lists = [",".join(paths), *paths]
        addresses = []
        for number, models in enumerate(lists):
            place = Path(name) / str(number)
            place.mkdir()
            service = held.enter_context(started(place, "--models", models, *SIZES))
            addresses.append(service.url(""))
        found = measure(addresses[0], addresses[1:], urls)
    result = {"model": MODEL, "clients": CLIENTS, "urls": URLS, "seconds": SECONDS, **found}
    Console().print(result)
    Console().print(str(record("models", result)))


if __name__ == "__main__":
    main()
