"""Keeps a number of preparing processes alive: starts them, and replaces those that die or hang."""

from __future__ import annotations

import logging
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from inference.preparation.processes.forking import Event, ForkServer
from inference.preparation.processes.process import Process
from inference.preparation.processes.setup import Setup

log = logging.getLogger(__name__)

# Processes that ended one after the other before the first answer: nothing works here.
FRUITLESS = 10
# Pause before the next try after something could not be started.
PAUSE_S = 0.5
# Deaths are logged at most this often.
LOG_EVERY_S = 10.0


class ProcessPool:
    """Used by one thread, except `pids` and `trouble`. forks: it closes that, too.

    hear: called when a process has told something, or can be sent more; returns whether it had.
    died: called with a process that is gone and whether it was killed by a signal that also others
    send. Both are called in `selector`'s thread. replaced: processes that have died so far.
    """

    def __init__(
        self,
        setup: Setup,
        count: int,
        selector: selectors.BaseSelector,
        hear: Callable[[Process], bool],
        died: Callable[[Process, bool], None],
        forks: ForkServer,
    ) -> None:
        self._setup, self._count, self._selector = setup, count, selector
        self._hear, self._died = hear, died
        self.processes: list[Process] = []
        self._unborn: deque[Process] = deque()
        self.replaced = self._fruitless = 0
        self._may_start_s = 0.0
        self._logged_s, self._unlogged = float("-inf"), 0
        self._forks = self._registered(forks)

    def fill(self, *, suspects: bool) -> None:
        """Start processes until there are enough. suspects: whether there must be one for them."""
        lacking = [False] * self._count + [True] * suspects
        for process in self.processes:
            if process.for_suspects in lacking:
                lacking.remove(process.for_suspects)
        if lacking and time.monotonic() >= self._may_start_s:
            for for_suspects in lacking:
                self._start(for_suspects=for_suspects)

    def flush(self, process: Process) -> None:
        """Send what a process is to get. If its connection is full, go on once it is not."""
        all_sent = process.flush()
        with suppress(KeyError, ValueError):  # it has ended
            key = self._selector.get_key(process.connection)
            wanted = selectors.EVENT_READ | (0 if all_sent else selectors.EVENT_WRITE)
            if key.events != wanted:
                self._selector.modify(process.connection, wanted, key.data)

    def end(self, process: Process) -> None:
        """End a process, which is then replaced."""
        self._forks.kill(process.pid)

    def end_hung(self, stall_s: float) -> None:
        """End processes that have decoded one image for longer than `stall_s`."""
        for process in self.processes:
            if process.hung_slot is None and process.pid:
                process.hung_slot = process.hangs_since(stall_s)
                if process.hung_slot is not None:
                    self.end(process)

    def ignore(self, process: Process) -> None:
        """Listen no more to a process that has closed its connection."""
        with suppress(KeyError, ValueError):  # it was ignored before
            self._selector.unregister(process.connection)

    def end_idle(self, *, suspects: bool) -> None:
        """End the process for suspects when nobody waits for what it does.

        suspects: whether more wait for it; then another takes the place of one that hangs.
        """
        for process in [one for one in self.processes if one.for_suspects and one.is_idle]:
            if process.work:
                self.end(process)
            elif not suspects:
                self.ignore(process)
                self.processes.remove(process)
                process.close()

    def pids(self) -> dict[int, str]:
        """Return the role of each process now, by process id: `fork_server` or `preprocess`."""
        alive = {process.pid: "preprocess" for process in list(self.processes) if process.pid}
        return {self._forks.pid: "fork_server"} | alive

    def trouble(self) -> str | None:
        """Return why no process works, in words; None when they do."""
        works = any(process.has_answered for process in list(self.processes))
        if self._fruitless >= FRUITLESS and not works:
            return "the preparing processes end before they work"
        return None

    def close(self) -> None:
        """End all processes, and wait until they have ended."""
        for process in self.processes:
            process.close()
        self._forks.close()

    def _start(self, *, for_suspects: bool) -> None:
        process = Process(self._setup, self._forks.fork, for_suspects=for_suspects)
        self.processes.append(process)
        self._unborn.append(process)
        hear = partial(self._hear, process)
        self._selector.register(process.connection, selectors.EVENT_READ, hear)

    def _registered(self, forks: ForkServer) -> ForkServer:
        self._selector.register(forks.connection, selectors.EVENT_READ, self._hear_fork_server)
        return forks

    def _hear_fork_server(self) -> None:
        try:
            for event in self._forks.events():
                self._handle(event)
        except EOFError:
            self._replace_fork_server()

    def _handle(self, event: Event) -> None:
        if event.kind == "born":
            self._unborn.popleft().pid = event.pid
        elif event.kind == "died":
            for process in [one for one in self.processes if one.pid == event.pid]:
                self._bury(process, event.status)
        else:
            log.error("a preparing process cannot be started: %s", event.reason)
            self._may_start_s = time.monotonic() + PAUSE_S
            self._bury(self._unborn.popleft(), 0)

    def _replace_fork_server(self) -> None:
        """Start another one after the fork server has died. Its processes die with it."""
        log.warning("the fork server of the preparing processes has died and is replaced")
        self._selector.unregister(self._forks.connection)
        self._forks.close()
        self._may_start_s = time.monotonic() + PAUSE_S
        self._forks = self._registered(self._forks.another())
        self._unborn.clear()
        for process in list(self.processes):
            self._bury(process, signal.SIGKILL)

    def _bury(self, process: Process, status: int) -> None:
        """Remove a process that has died. status: as of `waitpid`."""
        while not process.has_ended and self._hear(process):
            pass  # what it told before its end
        self.ignore(process)
        self.processes.remove(process)
        process.close()
        self.replaced += 1
        self._fruitless = 0 if process.has_answered or process.work else self._fruitless + 1
        self._log_death(process, status)
        self._died(process, status == signal.SIGKILL)

    def _log_death(self, process: Process, status: int) -> None:
        self._unlogged += 1
        now_s = time.monotonic()
        if now_s - self._logged_s < LOG_EVERY_S:
            return
        how = "hung" if process.hung_slot is not None else _in_words(status)
        more = f", after {self._unlogged - 1} others" if self._unlogged > 1 else ""
        log.warning("a preparing process %s and is replaced%s", how, more)
        self._logged_s, self._unlogged = now_s, 0


def _in_words(status: int) -> str:
    """Describe how a process ended. status: as of `waitpid`."""
    number = status & 0x7F
    return f"was ended by {signal.Signals(number).name}" if number else "ended by itself"
