"""The service's side of one preparing process: what it works on, its memory, its connection."""

from __future__ import annotations

import os
import pickle
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from inference.fetching.files import as_others_see
from inference.preparation.in_threads import ThreadCounts
from inference.preparation.order import Task
from inference.preparation.processes import replies, shared_pixels
from inference.preparation.processes.framing import RECV_BYTES, Frames, framed
from inference.preparation.processes.replies import Reply
from inference.preparation.processes.setup import Asked, Chunk, Grant, Setup
from inference.preparation.processes.shared_pixels import SharedPixels
from inference.preparation.processes.ticket import KINDS, Kind, Ticket
from inference.types import ImageFile

# Images that need no fetch and wait in a process, so that its decoding threads never do.
WAITING = 2
INTERACTIVE = [kind for kind in KINDS if kind.lane == "interactive"]


class Process:
    """One process, from before it is forked until it has ended. Used by one thread but `release`.

    work: images under way by slot. pid: 0 until the fork server has told it. for_suspects: it gets
    one image at a time, of those that may have ended a process.
    """

    def __init__(
        self, setup: Setup, fork: Callable[[socket.socket, int], None], *, for_suspects: bool
    ) -> None:
        self.connection, theirs = socket.socketpair()
        memory = shared_pixels.create(setup.slots)
        with theirs:
            fork(theirs, memory)
        self.memory = SharedPixels(memory, setup.slots)
        os.close(memory)  # it stays while a process has it mapped
        self.connection.setblocking(False)
        self.pid = 0
        self.for_suspects = for_suspects
        self.work: dict[int, Ticket] = {}
        self.has_answered = self.has_ended = False
        self.hung_slot: int | None = None
        self._threads = setup.threads
        self._busy: Counter[Kind] = Counter()
        self._free = deque(range(setup.slots))
        self._frames = Frames()
        self._chunk: list[tuple[int, Ticket]] = []
        self._unsent: deque[memoryview] = deque()
        self._queue(setup)

    def room(self, kind: Kind) -> int:
        """Return how many more images of a kind it may have under way."""
        if self.has_ended:
            return 0
        return min(_most(kind, self._threads) - self._busy[kind], len(self._free))

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for any of its images."""
        return not any(ticket.order.wanted() for ticket in self.work.values())

    @property
    def bulk_only(self) -> int:
        """The number of images under way; 0 if one of them is interactive."""
        return len(self.work) if all(not self._busy[one] for one in INTERACTIVE) else 0

    def add(self, ticket: Ticket) -> None:
        """Give it an image, which `flush` sends."""
        slot = self._free.pop()
        self.work[slot] = ticket
        self._busy[ticket.kind] += 1
        self._chunk.append((slot, ticket))

    def finish(self, slot: int) -> Ticket:
        """Take an image from it. Its slot is in use until `release`. Raises KeyError."""
        ticket = self.work.pop(slot)
        self._busy[ticket.kind] -= 1
        return ticket

    def release(self, slot: int) -> None:
        """Free a slot, from any thread: its pixels are not read any more."""
        self._free.append(slot)

    def grant(self, thread: int) -> None:
        """Tell a thread that memory is lent to it."""
        self._queue(Grant(thread))

    def flush(self) -> bool:
        """Send what there is to send, without waiting. Return whether all of it was sent."""
        if self._chunk:
            self._queue(Chunk([(slot, _sent(ticket.order.task)) for slot, ticket in self._chunk]))
            self._chunk.clear()
        try:
            while self._unsent:
                sent = self.connection.send(self._unsent[0])
                self._unsent[0] = self._unsent[0][sent:]
                if not self._unsent[0]:
                    self._unsent.popleft()
        except BlockingIOError:
            return False
        except OSError:  # it has ended, which the fork server tells
            self._unsent.clear()
        return True

    def replies(self) -> Iterator[Reply]:
        """Yield what it has told. Raises ValueError, TypeError or KeyError if that is no reply."""
        try:
            data = self.connection.recv(RECV_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.has_ended = self.has_ended or not data
        for message in self._frames.feed(data):
            self.has_answered = True
            yield replies.read(message)

    def hangs_since(self, limit_s: float) -> int | None:
        """Return the slot that has been decoded for longest, if that is longer than `limit_s`."""
        oldest_s, slot = min(self._decoding(), default=(float("inf"), -1))
        return slot if time.monotonic() - oldest_s > limit_s else None

    def decoding(self) -> set[int]:
        """Return the slots of the images that are being decoded."""
        return {slot for _, slot in self._decoding()}

    def close(self) -> None:
        """Close the connection, at which the process ends."""
        self.connection.close()

    def _decoding(self) -> Iterator[tuple[float, int]]:
        since_s = self.memory.decoding_since_s
        return ((float(since_s[slot]), slot) for slot in self.work if since_s[slot] > 0)

    def _queue(self, asked: Asked) -> None:
        self._unsent.append(memoryview(framed(pickle.dumps(asked))))


def _sent(task: Task) -> Task:
    """Return a task as another process can do it."""
    if isinstance(task.item, ImageFile):
        return replace(task, item=ImageFile(as_others_see(task.item.path)))
    return task


def _most(kind: Kind, threads: ThreadCounts) -> int:
    """Return the most images of a kind in a process.

    An image may wait behind others that are decoded, which takes milliseconds, but not behind
    others that are fetched, which may take seconds.
    """
    return threads.io if kind.fetches else threads.cpu + WAITING
