"""Prepares images in processes of their own. One thread here sends and receives for all of them."""

from __future__ import annotations

import logging
import select
import selectors
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from functools import partial

from inference.errors import EncodeFailed
from inference.preparation.order import STOPPING, Order
from inference.preparation.processes.dispatch import Dispatch
from inference.preparation.processes.forking import ForkServer
from inference.preparation.processes.leases import Leases
from inference.preparation.processes.process import Process
from inference.preparation.processes.process_pool import ProcessPool
from inference.preparation.processes.replies import Done, Freed, Reply, Wanted
from inference.preparation.processes.setup import Setup

log = logging.getLogger(__name__)

# How often hung processes, and images that nobody waits for, are looked for.
LOOK_OVER_S = 0.5
# While so many bulk images are under way, answers gather for so long. To handle each as it comes
# takes four times the CPU time, since every time the caches are cold.
BUSY, GATHER_MS = 16, 10


class ProcessStage:
    """Prepares images in `count` processes. The callers' permits bound the started images.

    stall_s: a decoding that takes longer counts as hung, and its process is replaced. forks: starts
    the processes; this stage closes it.
    """

    def __init__(self, setup: Setup, count: int, stall_s: float, forks: ForkServer) -> None:
        self._stall_s, self._look_over_s = stall_s, 0.0
        self._incoming: deque[Order] = deque()
        self._dispatch = Dispatch()
        self._leases: Leases[tuple[Process, int]] = Leases(setup.decode_bytes or 0)
        self._selector = selectors.DefaultSelector()
        self._bell, self._ringer = socket.socketpair()
        for one in (self._bell, self._ringer):
            one.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ, self._answer_bell)
        self._only_bell = select.poll()  # not select.select, which takes no descriptor above 1023
        self._only_bell.register(self._bell, select.POLLIN)
        self._is_asleep = self._is_gathering = self._closing = False
        self._pool = ProcessPool(setup, count, self._selector, self._hear, self._died, forks)
        self._thread = threading.Thread(target=self._run, name="preparation", daemon=True)
        self._thread.start()

    @property
    def replaced(self) -> int:
        """Processes that have died and were replaced so far."""
        return self._pool.replaced

    def pids(self) -> dict[int, str]:
        """Return the role of each process now, by process id: `fork_server` or `preprocess`."""
        return self._pool.pids()

    def start(self, order: Order) -> None:
        """Start an image and return without waiting."""
        self._incoming.append(order)
        if self._is_asleep or (self._is_gathering and order.task.lane == "interactive"):
            self._ring()

    def trouble(self) -> str | None:
        """Return why no image can be prepared, in words; None when they can."""
        if not self._closing and not self._thread.is_alive():
            return "the thread of the preparing processes has died"
        return self._pool.trouble()

    def close(self) -> None:
        """Finish running images, fail waiting ones, and end the processes."""
        self._closing = True
        self._ring()
        self._thread.join()

    def _ring(self) -> None:
        """Wake the stage's thread, from any thread."""
        with suppress(OSError):  # full: it is awake; closed: there is nothing to do
            self._ringer.send(b"!")

    def _release(self, process: Process, slot: int) -> None:
        """Free a slot, from any thread."""
        process.release(slot)
        if self._is_asleep and self._dispatch.has_waiting:
            self._ring()

    # All below runs in the stage's thread.

    def _run(self) -> None:
        try:
            while not self._closing or any(process.work for process in self._pool.processes):
                self._turn()
        except Exception:
            log.exception("the thread of the preparing processes ends")
            raise
        finally:
            self._pool.close()
            self._selector.close()
            self._bell.close()
            self._ringer.close()
            self._sort_incoming()
            self._dispatch.fail_all(EncodeFailed(STOPPING))

    def _turn(self) -> None:
        """Send what can be sent, wait for events, handle them."""
        self._sort_incoming()
        if self._closing:
            self._dispatch.fail_all(EncodeFailed(STOPPING))
        self._pool.fill(suspects=self._dispatch.has_suspects)
        for process in self._dispatch.deal(self._pool.processes):
            self._pool.flush(process)
        if sum(process.bulk_only for process in self._pool.processes) >= BUSY:
            self._gather()
        self._is_asleep = True
        events = self._selector.select(0 if self._incoming else LOOK_OVER_S)
        self._is_asleep = False
        for key, _ in events:
            key.data()
        if (now_s := time.monotonic()) >= self._look_over_s:
            self._look_over_s = now_s + LOOK_OVER_S
            self._pool.end_hung(self._stall_s)
            self._dispatch.shed()
            self._pool.end_idle(suspects=self._dispatch.has_suspects)

    def _gather(self) -> None:
        """Let answers of bulk images gather, unless an interactive image comes."""
        self._is_gathering = True
        self._only_bell.poll(GATHER_MS)
        self._is_gathering = False

    def _answer_bell(self) -> None:
        with suppress(BlockingIOError):
            self._bell.recv(4096)

    def _sort_incoming(self) -> None:
        while self._incoming:
            self._dispatch.add(self._incoming.popleft())

    def _hear(self, process: Process) -> bool:
        """Handle what a process has told, and send it more. Return whether it told anything."""
        heard = False
        try:
            for reply in process.replies():
                heard = True
                self._take(process, reply)
        except (ValueError, TypeError, KeyError):
            log.exception("a preparing process told nonsense and is ended")
            process.has_ended = True
            self._pool.end(process)
        self._pool.flush(process)
        if process.has_ended:
            self._pool.ignore(process)
        return heard

    def _take(self, process: Process, reply: Reply) -> None:
        match reply:
            case Done():
                self._finish(process, reply)
            case Wanted(thread, size_bytes):
                self._leases.want((process, thread), size_bytes)
                self._lend()
            case Freed(thread):
                self._leases.free((process, thread))
                self._lend()

    def _finish(self, process: Process, done: Done) -> None:
        order, slot, error = process.finish(done.slot).order, done.slot, done.error
        for span in done.spans:
            order.spent(*span)
        if done.details is not None:
            order.noted(done.details)
        release = partial(self._release, process, slot)
        if error is None:
            try:
                order.ready(process.memory.views(slot, order.task.ways), release)
            except Exception as exc:  # noqa: BLE001 - any error fails this item only
                error = exc
        if error is not None:
            release()
            order.failed(error)

    def _lend(self) -> None:
        for process, thread in self._leases.granted():
            process.grant(thread)
            self._pool.flush(process)

    def _died(self, process: Process, was_killed: bool) -> None:
        """Give back what a dead process was lent, and try its images again."""
        self._leases.forget(lambda borrower: borrower[0] is process)
        self._lend()
        self._dispatch.again(process, hung=process.hung_slot, was_killed=was_killed)
