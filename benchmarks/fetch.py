"""Speed-up of parallel downloads: 32 thumbnails, 200 ms of server latency each.

python -m benchmarks.fetch
"""

from __future__ import annotations

import statistics
import time

from rich.console import Console
from rich.table import Table

from benchmarks.record import record
from inference.config import EngineConfig, FetchConfig, UrlConfig
from inference.engine.engine import Engine
from inference.loadtest.thumbnail_server import ThumbnailServer
from inference.types import Embedding, ImageUrl
from model.backends.fake import FakeEncoder

URLS, LATENCY_S, ROUNDS = 32, 0.2, 5
THREADS = (1, 4, 8, 16, 32)


def measure(server: ThumbnailServer, threads: int) -> tuple[float, int]:
    """Return seconds from URLs to embeddings, and the server's peak of concurrent requests."""
    fetch = FetchConfig(urls=UrlConfig(allow_hosts=("127.0.0.1",)), connections=threads)
    with Engine(FakeEncoder(), fetch, EngineConfig(io_threads=threads)) as engine:
        server.peak = 0
        start_s = time.perf_counter()
        items = [ImageUrl(url) for url in server.thumbnails(URLS)]
        results = engine.embed(items, time.monotonic() + 60).results
        took_s = time.perf_counter() - start_s
    assert all(isinstance(result, Embedding) for result in results)
    return took_s, server.peak


def main() -> None:
    rows = []
    with ThumbnailServer(latency_s=LATENCY_S) as server:
        for path in server.thumbnails(URLS):
            server.reply(path.removeprefix(server.url("")))  # drawn before the clock starts
        times: dict[int, list[float]] = {threads: [] for threads in THREADS}
        peaks: dict[int, int] = {}
        for _ in range(ROUNDS):
            for threads in THREADS:
                took_s, peaks[threads] = measure(server, threads)
                times[threads].append(took_s)
    for threads in THREADS:
        median_s = statistics.median(times[threads])
        rows.append(
            {
                "threads": threads,
                "median_s": round(median_s, 3),
                "min_s": round(min(times[threads]), 3),
                "max_s": round(max(times[threads]), 3),
                "server_saw_at_once": peaks[threads],
                "speed_up": round(statistics.median(times[1]) / median_s, 1),
            }
        )
    table = Table(*rows[0], title=f"{URLS} URLs, {1000 * LATENCY_S:.0f} ms of latency each")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    console = Console()
    console.print(table)
    setting = {"urls": URLS, "latency_s": LATENCY_S, "rounds": ROUNDS}
    console.print(record("fetch", {"setting": setting, "rows": rows}))


if __name__ == "__main__":
    main()
