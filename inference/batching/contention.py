"""Detects when other processes take CPU time from a tower's batches, compared with usual windows.

The tuning measured its curve with all cores free. Fetching, decoding and callers on the same
machine make batches slower than that, and slower with more load. That is normal. It is a fault only
when other processes use more CPU than before and the service suffers. This module does no I/O;
docs/decisions/0012 explains the numbers.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import astuple, dataclass

from inference.profile.machine import ProcessorTimes

# A window lasts at least WINDOW_S and has at least ENOUGH batches, of which it keeps RECENT.
WINDOW_S = 5.0
ENOUGH = 4
RECENT = 256
# The verdict changes after this many windows in a row against it.
HOLD = 2
# The service has more load when it uses more than this multiple of its usual CPU.
BUSIER = 1.25
# The CPU is full when less than this share of the cores is idle.
FULL = 0.1
# The least weight of a new window in the usual one; the first windows weigh equally.
WEIGHT = 0.1


@dataclass(frozen=True)
class Window:
    """A few seconds. slowdown: median of service times over the curve's. Other fields: cores."""

    slowdown: float
    own: float
    others: float
    idle: float

    @property
    def is_full(self) -> bool:
        """Whether almost all cores are busy."""
        return self.idle < FULL * (self.own + self.others + self.idle)

    def toward(self, new: Window, weight: float) -> Window:
        """Return this window moved toward `new`; a weight of 1 gives `new`."""
        pairs = zip(astuple(self), astuple(new), strict=True)
        return Window(*(old + weight * (now - old) for old, now in pairs))


@dataclass(frozen=True)
class Margin:
    """Thresholds of harm: extra cores of others (taken), ratio of slowdown (longer), own (less)."""

    taken: float
    longer: float
    less: float

    def is_passed(self, now: Window, usual: Window) -> bool:
        """Return whether other processes harm the service by at least this much."""
        longer = now.slowdown >= self.longer * usual.slowdown and now.own <= BUSIER * usual.own
        less = now.own <= self.less * usual.own and now.is_full
        return now.others >= usual.others + self.taken and (longer or less)


BEGINS, LASTS = Margin(taken=0.3, longer=1.25, less=0.85), Margin(0.15, 1.1, 0.95)


class Verdict:
    """Compares each window with the usual one, which it learns from windows without harm.

    It learns a window only if the next one is without harm too: harm that begins in the last second
    of a window shows in the next one.
    """

    def __init__(self) -> None:
        self.is_slowed = False
        self.usual: Window | None = None
        self._learned = 0
        self._pending: Window | None = None
        self._against = 0

    def hear(self, window: Window) -> bool:
        """Judge a window. Return whether `is_slowed` changed."""
        self.usual = usual = self.usual or window
        harmed = (LASTS if self.is_slowed else BEGINS).is_passed(window, usual)
        self._against = self._against + 1 if harmed != self.is_slowed else 0
        changed = self._against == HOLD
        if changed:
            self.is_slowed, self._against = harmed, 0
        self._learn(None if self.is_slowed or self._against else window, usual)
        return changed

    def _learn(self, window: Window | None, usual: Window) -> None:
        before, self._pending = self._pending, window
        if window is None or before is None:
            return
        if before.own > BUSIER * usual.own or before.others < usual.others - LASTS.taken:
            self._learned = 0  # the load has changed
        self._learned += 1
        self.usual = usual.toward(before, max(WEIGHT, 1 / self._learned))


class Contention:
    """Contention of one tower. Not thread-safe: its owner holds a lock."""

    def __init__(self, read: Callable[[], ProcessorTimes | None]) -> None:
        """read: returns the CPU times so far; None where the system does not report them."""
        self.verdict = Verdict()
        self.window: Window | None = None
        self._read = read
        self._slowdowns: deque[float] = deque(maxlen=RECENT)
        self._start_s = self._last_s = float("-inf")
        self._before: ProcessorTimes | None = None

    def note(self, slowdown: float, start_s: float, end_s: float) -> bool:
        """Record a batch that ran from `start_s` to `end_s`. Return whether the verdict changed."""
        paused = start_s - self._last_s > WINDOW_S
        self._last_s = end_s
        if paused:
            self._begin(end_s, self._read())
            return False
        self._slowdowns.append(slowdown)
        if end_s - self._start_s < WINDOW_S or len(self._slowdowns) < ENOUGH:
            return False
        now = self._read()
        self.window = self._window(end_s, now)
        self._begin(end_s, now)
        return self.window is not None and self.verdict.hear(self.window)

    def words(self) -> str:
        """Return the log's words: what changed for the batches, why, and what to do."""
        now, usual = self.window, self.verdict.usual
        if not self.verdict.is_slowed or now is None or usual is None:
            return "have enough CPU time again"
        return (
            f"lack CPU time: other processes use {now.others:.1f} cores "
            f"({usual.others:.1f} before), the service {now.own:.1f} ({usual.own:.1f} before), "
            f"and a batch takes {now.slowdown:.1f} times its tuned time "
            f"({usual.slowdown:.1f} before); stop the other processes or, if they must stay, "
            "tune again: sweetspot benchmark encoder --write-profile"
        )

    def _begin(self, now_s: float, now: ProcessorTimes | None) -> None:
        self._start_s, self._before = now_s, now
        self._slowdowns.clear()

    def _window(self, end_s: float, after: ProcessorTimes | None) -> Window | None:
        before = self._before
        if before is None or after is None:
            return None
        lasted_s = end_s - self._start_s
        own = (after.own_s - before.own_s) / lasted_s
        idle = (after.idle_s - before.idle_s) / lasted_s
        others = max(0.0, after.cores - own - idle)
        return Window(statistics.median(self._slowdowns), own, others, idle)
