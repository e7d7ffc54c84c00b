"""The threads that fetch and decode: each lane has a pool of each kind.

Interactive items have their own threads, so they never queue behind bulk items. These threads
sleep while no interactive item comes.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from inference.types import LANES, Lane


class Pools:
    """fetch, decode: the pools by lane. The callers' permits bound the submitted work."""

    def __init__(self, io_threads: int, cpu_threads: int) -> None:
        self.fetch = _by_lane(io_threads, "fetch")
        self.decode = _by_lane(cpu_threads, "decode")

    def close(self) -> None:
        """Finish submitted work. Fetching ends first, since it waits for decoding."""
        for pools in (self.fetch, self.decode):
            for pool in pools.values():
                pool.shutdown()


def _by_lane(threads: int, name: str) -> dict[Lane, ThreadPoolExecutor]:
    return {lane: ThreadPoolExecutor(threads, f"{name}-{lane}") for lane in LANES}
