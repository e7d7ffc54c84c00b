"""The time window of a measurement, and the processor time of the measuring process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable


class Window:
    """The duration after the warm-up. Instants of `perf_counter`, in s."""

    def __init__(self, warm_up_s: float, duration_s: float) -> None:
        self.start_s = time.perf_counter() + warm_up_s
        self.end_s = self.start_s + duration_s
        self.cpu_share = 0.0

    def holds(self, instant_s: float) -> bool:
        """Return whether an instant is inside."""
        return self.start_s <= instant_s < self.end_s

    async def run(self, coroutines: Iterable[Coroutine[None, None, None]]) -> None:
        """Run all until the window ends, then cancel them. Raises the error of a failed one."""
        tasks = [asyncio.ensure_future(one) for one in coroutines]
        await asyncio.sleep(self.start_s - time.perf_counter())
        cpu_s = time.process_time()
        await asyncio.sleep(self.end_s - time.perf_counter())
        self.cpu_share = (time.process_time() - cpu_s) / (self.end_s - self.start_s)
        failed = [task.exception() for task in tasks if task.done() and not task.cancelled()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for exc in failed:
            if exc is not None:
                raise exc
