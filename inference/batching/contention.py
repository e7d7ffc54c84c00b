"""Whether other processes keep the processor from a tower's batches, held against what is usual.

The curve of the tuning was measured with the cores to itself. Fetching, decoding, and callers on
the same machine make batches slower than that, and more so the more there is to do: no fault. It is
one where others take more of the processor than before, and the service is the worse for it. Pure
but for what it remembers; docs/decisions/0012 explains the numbers.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import astuple, dataclass

from inference.profile.machine import ProcessorTimes

# The present is judged by windows of this length, of so many batches at least.
WINDOW_S = 5.0
ENOUGH = 4
RECENT = 256
# So many windows in a row must say the same before the verdict changes.
HOLD = 2
# With more than this, times its usual, the service has more to do.
BUSIER = 1.25
# Nothing is to be had when less than this share of the cores is idle.
FULL = 0.1
# What a new window weighs in the usual, at least: the first ones weigh alike.
WEIGHT = 0.1


@dataclass(frozen=True)
class Window:
    """Some seconds. slowdown: service times over the curve's, the median. The others: cores."""

    slowdown: float
    own: float
    others: float
    idle: float

    @property
    def is_full(self) -> bool:
        """Whether all cores are at work."""
        return self.idle < FULL * (self.own + self.others + self.idle)

    def toward(self, new: Window, weight: float) -> Window:
        """Itself, moved toward `new`; with a weight of 1 it is `new`."""
        pairs = zip(astuple(self), astuple(new), strict=True)
        return Window(*(old + weight * (now - old) for old, now in pairs))


@dataclass(frozen=True)
class Margin:
    """From where on others do harm: cores more for them; for the service longer times, or less."""

    taken: float
    longer: float
    less: float

    def is_passed(self, now: Window, usual: Window) -> bool:
        """Whether others do harm, and by this much."""
        longer = now.slowdown >= self.longer * usual.slowdown and now.own <= BUSIER * usual.own
        less = now.own <= self.less * usual.own and now.is_full
        return now.others >= usual.others + self.taken and (longer or less)


BEGINS, LASTS = Margin(taken=0.3, longer=1.25, less=0.85), Margin(0.15, 1.1, 0.95)


class Verdict:
    """Holds one window after the other against the usual, which it learns from those without harm.

    A window is learned once the next is without harm, too: what begins in its last second shows
    in the next one.
    """

    def __init__(self) -> None:
        self.is_slowed = False
        self.usual: Window | None = None
        self._learned = 0
        self._pending: Window | None = None
        self._against = 0

    def hear(self, window: Window) -> bool:
        """Whether `is_slowed` changed by this window."""
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
            self._learned = 0  # another load
        self._learned += 1
        self.usual = usual.toward(before, max(WEIGHT, 1 / self._learned))


class Contention:
    """Of one tower. Not thread-safe: its owner holds a lock."""

    def __init__(self, read: Callable[[], ProcessorTimes | None]) -> None:
        """read: the processor's times so far; None where the system does not say."""
        self.verdict = Verdict()
        self.window: Window | None = None
        self._read = read
        self._slowdowns: deque[float] = deque(maxlen=RECENT)
        self._start_s = self._last_s = float("-inf")
        self._before: ProcessorTimes | None = None

    def note(self, slowdown: float, start_s: float, end_s: float) -> bool:
        """A batch ran from `start_s` to `end_s`. Returns whether the verdict changed."""
        paused = start_s - self._last_s > WINDOW_S
        self._last_s = end_s
        if paused:
            self._begin(end_s)
            return False
        self._slowdowns.append(slowdown)
        if end_s - self._start_s < WINDOW_S or len(self._slowdowns) < ENOUGH:
            return False
        self.window = self._window(end_s)
        self._begin(end_s)
        return self.window is not None and self.verdict.hear(self.window)

    def words(self) -> str:
        """What has changed for the batches and why, and what to do about it."""
        now, usual = self.window, self.verdict.usual
        if not self.verdict.is_slowed or now is None or usual is None:
            return "have the processor as before"
        return (
            f"are short of the processor: other processes use {now.others:.1f} cores "
            f"({usual.others:.1f} before), the service {now.own:.1f} ({usual.own:.1f} before), "
            f"and a batch takes {now.slowdown:.1f} times what it was tuned by "
            f"({usual.slowdown:.1f} before); stop the other processes or, if they are to stay, "
            "tune again: sweetspot benchmark encoder --write-profile"
        )

    def _begin(self, now_s: float) -> None:
        self._start_s = now_s
        self._before = self._read()
        self._slowdowns.clear()

    def _window(self, end_s: float) -> Window | None:
        before, after = self._before, self._read()
        if before is None or after is None:
            return None
        lasted_s = end_s - self._start_s
        own = (after.own_s - before.own_s) / lasted_s
        idle = (after.idle_s - before.idle_s) / lasted_s
        others = max(0.0, after.cores - own - idle)
        return Window(statistics.median(self._slowdowns), own, others, idle)
