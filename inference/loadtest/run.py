"""Generates load on any callable and measures it. It does not depend on HTTP.

A closed loop has a fixed number of callers. Each sends a request when its last one is answered:
this finds the highest throughput. An open loop sends requests at random instants: this finds the
latency at a given rate. Its latency counts from when a request was due, not from when a thread was
free, so a slow answer cannot hide the wait of later requests (coordinated omission).
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

from inference.loadtest.recorder import Call, Recorder, Sample, Window, last_s
from inference.loadtest.summary import Load

# An interrupt just before a wait does not end the wait, so every wait is short.
LOOK_S = 0.2


def closed_loop(
    call: Call, concurrency: int, duration_s: float, warm_up_s: float = 0.0, at_least: int = 1
) -> Load:
    """Call from `concurrency` threads; see ClosedLoop and `together`."""
    return together([ClosedLoop(call, concurrency, at_least)], duration_s, warm_up_s)[0]


def open_loop(
    call: Call,
    rate_per_s: float,
    duration_s: float,
    max_in_flight: int,
    seed: int = 0,
    warm_up_s: float = 0.0,
) -> Load:
    """Call at random instants, on average `rate_per_s`; see OpenLoop and `together`."""
    loop = OpenLoop(call, rate_per_s, max_in_flight, seed)
    return together([loop], duration_s, warm_up_s)[0]


def together(
    loops: Sequence[ClosedLoop | OpenLoop], duration_s: float, warm_up_s: float = 0.0
) -> list[Load]:
    """Run loops at the same time.

    Args:
        loops: each runs on its own threads.
        duration_s: how long requests are started and measured; all answers are awaited.
        warm_up_s: requests that start in this time before are not counted.

    Returns:
        One Load per loop. After KeyboardInterrupt: the measurements so far, marked incomplete;
        requests in flight are abandoned.

    Raises:
        Exception: what a call raised, other than RequestFailed.
    """
    window = Window()
    recorders = [Recorder(window) for _ in loops]
    pairs = list(zip(loops, recorders, strict=True))
    threads = [thread for loop, recorder in pairs for thread in loop.threads(recorder)]
    complete = True
    try:
        for thread in threads:
            thread.start()
        window.open(duration_s, warm_up_s)
        for thread in threads:
            while thread.is_alive():
                thread.join(LOOK_S)
    except KeyboardInterrupt:
        complete = False
    finally:
        window.stop()
    return [recorder.load(loop.items_per_s, complete=complete) for loop, recorder in pairs]


def arrivals(rate_per_s: float, seed: int) -> Iterator[float]:
    """Yield instants in s from 0 on, without end: a Poisson process, the same for a seed."""
    dice, due_s = random.Random(seed), 0.0
    while True:
        due_s += dice.expovariate(rate_per_s)
        yield due_s


@dataclass(frozen=True)
class ClosedLoop:
    """`concurrency` callers, which all continue until each has measured `at_least` requests.

    None stops earlier, because latency depends on how many callers are active.
    """

    call: Call
    concurrency: int
    at_least: int = 1

    def threads(self, recorder: Recorder) -> list[threading.Thread]:
        """Return the threads of the callers, not yet started."""
        ask = self._asking(recorder, _Waiting(self.concurrency))
        return [recorder.thread(ask, caller) for caller in range(self.concurrency)]

    def items_per_s(self, samples: Sequence[Sample], start_s: float, end_s: float) -> float:  # noqa: ARG002
        """Return the sum of the callers' rates, each over its own whole requests.

        A window cut at fixed instants would miscount long requests at both ends. Answers after
        other callers have stopped come faster, so they are left out.
        """
        callers: dict[int, list[Sample]] = {}
        for one in samples:
            callers.setdefault(one.caller, []).append(one)
        enough_s = [own[self.at_least - 1].end_s for own in callers.values() if self._has(own)]
        stop_s = max([end_s, *enough_s])
        full = [[one for one in own if one.end_s <= stop_s] for own in callers.values()]
        return sum(
            sum(one.ok for one in own) / max(own[-1].end_s - own[0].start_s, 1e-9)
            for own in full
            if own
        )

    def _has(self, own: Sequence[Sample]) -> bool:
        return len(own) >= self.at_least

    def _asking(self, recorder: Recorder, waiting: _Waiting) -> Callable[[int], None]:
        def ask(caller: int) -> None:
            window, measured = recorder.window, 0
            while not window.stopped:
                start_s = perf_counter()
                if start_s >= window.end_s and waiting.nobody:
                    return
                recorder.measure(self.call, caller, start_s)
                measured += start_s >= window.start_s
                if measured == self.at_least:
                    waiting.leave(caller)

        return ask


@dataclass(frozen=True)
class OpenLoop:
    """Poisson arrivals; an arrival with `max_in_flight` in flight is dropped, not queued."""

    call: Call
    rate_per_s: float
    max_in_flight: int
    seed: int = 0

    def threads(self, recorder: Recorder) -> list[threading.Thread]:
        """Return a thread per request that may be in flight, not yet started."""
        ask = self._asking(recorder, _Arrivals(arrivals(self.rate_per_s, self.seed), recorder))
        return [recorder.thread(ask, caller) for caller in range(self.max_in_flight)]

    def items_per_s(self, samples: Sequence[Sample], start_s: float, end_s: float) -> float:
        """Return the rate over the whole time, because the arrivals set it."""
        return sum(one.ok for one in samples) / max(last_s(samples, end_s) - start_s, 1e-9)

    def _asking(self, recorder: Recorder, row: _Arrivals) -> Callable[[int], None]:
        def ask(caller: int) -> None:
            free_since_s = 0.0
            while (due_s := row.take(free_since_s)) is not None:
                if recorder.window.wait_until(due_s):
                    return
                recorder.measure(self.call, caller, due_s)
                free_since_s = perf_counter()

        return ask


class _Waiting:
    """The callers that have not measured enough requests."""

    def __init__(self, count: int) -> None:
        self._lock = threading.Lock()
        self._callers = set(range(count))

    @property
    def nobody(self) -> bool:
        """Whether all callers have measured enough."""
        with self._lock:
            return not self._callers

    def leave(self, caller: int) -> None:
        """Note that a caller has measured enough."""
        with self._lock:
            self._callers.discard(caller)


class _Arrivals:
    """Arrivals shared by many callers: a free caller takes the next and waits until it is due."""

    def __init__(self, offsets_s: Iterator[float], recorder: Recorder) -> None:
        self._offsets_s, self._recorder = offsets_s, recorder
        self._lock = threading.Lock()

    def take(self, free_since_s: float) -> float | None:
        """Return the next arrival's instant; None after the end.

        A free caller takes an arrival before it is due. So an arrival that was due before this
        caller became free found all callers busy, and is dropped.
        """
        window = self._recorder.window
        with self._lock:
            for offset_s in self._offsets_s:
                due_s = window.begun_s + offset_s
                if window.stopped or due_s >= window.end_s:
                    return None
                if due_s >= free_since_s:
                    return due_s
                self._recorder.drop(due_s)
        return None
