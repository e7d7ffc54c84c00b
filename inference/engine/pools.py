"""The threads that fetch and decode: a pool of each for either lane.

An interactive item never queues behind bulk ones: it has threads of its own, which sleep while
nobody interactive comes.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from inference.types import LANES, Lane


class Pools:
    """fetch, decode: the pools by lane. Work is bounded by the permits of those who submit it."""

    def __init__(self, io_threads: int, cpu_threads: int) -> None:
        self.fetch = _by_lane(io_threads, "fetch")
        self.decode = _by_lane(cpu_threads, "decode")

    def close(self) -> None:
        """Finish what was submitted; those that fetch first, since they wait for decoding."""
        for pools in (self.fetch, self.decode):
            for pool in pools.values():
                pool.shutdown()


def _by_lane(threads: int, name: str) -> dict[Lane, ThreadPoolExecutor]:
    return {lane: ThreadPoolExecutor(threads, f"{name}-{lane}") for lane in LANES}
