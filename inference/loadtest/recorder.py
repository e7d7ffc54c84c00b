"""The shared state of a load's threads: when requests count, and the outcome of each."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inference.loadtest.summary import Load, Outcome, RequestFailed

Call = Callable[[], Outcome]


@dataclass(frozen=True)
class Sample:
    """A request, answered or not. caller: the caller's number. ok: items that succeeded."""

    caller: int
    start_s: float
    end_s: float
    ok: int
    answered: bool


# Maps samples in the order of their ends, and the window's start and end, to items per second.
Rate = Callable[[Sequence[Sample], float, float], float]


def last_s(samples: Sequence[Sample], end_s: float) -> float:
    """Return the end, or the instant of the last answer if that is later."""
    return max([end_s, *(one.end_s for one in samples)])


class Window:
    """When requests start, from when on they count, and whether the load is stopped.

    begun_s, start_s, end_s: instants of `time.perf_counter`. The warm-up lies between the first
    two. Requests start before the last; only a ClosedLoop may continue after it.
    """

    def __init__(self) -> None:
        self.begun_s = self.start_s = self.end_s = 0.0
        self._opened, self._stopped = threading.Event(), threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether it was interrupted, or has ended."""
        return self._stopped.is_set()

    def open(self, duration_s: float, warm_up_s: float) -> None:
        """Start all callers at once."""
        self.begun_s = time.perf_counter()
        self.start_s = self.begun_s + warm_up_s
        self.end_s = self.start_s + duration_s
        self._opened.set()

    def stop(self) -> None:
        """Start no further request."""
        self._stopped.set()
        self._opened.set()

    def wait_until_open(self) -> None:
        """Wait until `open` is called."""
        self._opened.wait()

    def wait_until(self, instant_s: float) -> bool:
        """Wait until an instant or a stop. Return whether the load is stopped."""
        while (left_s := instant_s - time.perf_counter()) > 0:
            if self._stopped.wait(left_s):
                return True
        return self.stopped


class Recorder:
    """Records the outcomes of one loop's threads."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self._lock = threading.Lock()
        self._samples: list[Sample] = []
        self._failed: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._retried = self._dropped = 0
        self._crash: Exception | None = None

    def thread(self, ask: Callable[[int], None], caller: int) -> threading.Thread:
        """Return an unstarted thread that runs `ask`; an interrupted load does not wait for it."""
        return threading.Thread(target=self._run, args=(ask, caller), daemon=True)

    def measure(self, call: Call, caller: int, start_s: float) -> None:
        """Call, and record the outcome unless the request started in the warm-up."""
        outcome, code = Outcome(0), ""
        try:
            outcome = call()
        except RequestFailed as exc:
            outcome, code = Outcome(0, retried=exc.retried), exc.code
        end_s = time.perf_counter()
        if start_s < self.window.start_s:
            return
        with self._lock:
            self._retried += outcome.retried
            self._failed.update(outcome.failed)
            self._errors.update([code] if code else [])
            self._samples.append(Sample(caller, start_s, end_s, outcome.ok, answered=not code))

    def drop(self, due_s: float) -> None:
        """Count an arrival that found all callers busy."""
        with self._lock:
            self._dropped += due_s >= self.window.start_s

    def load(self, rate: Rate, *, complete: bool) -> Load:
        """Return all that was recorded. Raises the unexpected exception of a call, if any."""
        with self._lock:
            if self._crash is not None:
                raise self._crash
            start_s, end_s = self.window.start_s, min(time.perf_counter(), self.window.end_s)
            answered = [one for one in self._samples if one.answered]
            return Load(
                requests=len(answered),
                items_ok=sum(one.ok for one in answered),
                failed=dict(self._failed),
                errors=dict(self._errors),
                retried=self._retried,
                dropped=self._dropped,
                duration_s=max(0.0, last_s(self._samples, end_s) - start_s),
                items_per_s=rate(self._samples, start_s, end_s),
                latencies_ms=tuple(1000 * (one.end_s - one.start_s) for one in answered),
                complete=complete,
            )

    def _run(self, ask: Callable[[int], None], caller: int) -> None:
        self.window.wait_until_open()
        try:
            ask(caller)
        except Exception as exc:  # noqa: BLE001 - raised again by `load`
            self._crash = exc
            self.window.stop()
