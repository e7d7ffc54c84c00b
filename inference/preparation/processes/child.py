"""A preparing process: prepares images in its threads, and writes their pixels to shared memory.

It ends when the service closes the connection. It writes to no file and opens no port.
"""

from __future__ import annotations

import pickle
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from inference.preparation.in_threads import ThreadStage
from inference.preparation.order import Task
from inference.preparation.processes import replies
from inference.preparation.processes.framing import framed, messages
from inference.preparation.processes.replies import Span
from inference.preparation.processes.setup import Asked, Chunk, Grant, Setup
from inference.preparation.processes.shared_pixels import SharedPixels
from inference.types import ImageDetails
from model.encoder import UInt8Array
from model.memory_budget import MemoryBudget


def serve(connection: socket.socket, descriptor: int) -> None:
    """Prepare images until the connection is closed. descriptor: of the shared memory."""
    asked: Iterator[Asked] = map(pickle.loads, messages(connection))  # from the service
    if not isinstance(setup := next(asked, None), Setup):
        return  # the service has ended
    line = _Line(connection)
    memory = SharedPixels(descriptor, setup.slots)
    budget = _LentMemory(setup, line)

    stage = ThreadStage(setup.fetch, setup.threads, budget)
    for one in asked:
        match one:
            case Chunk(tasks):
                for slot, task in tasks:
                    stage.start(_Answer(slot, task, memory, line))
            case Grant(thread):
                budget.grant(thread)
            case Setup():
                raise ValueError("there is one setup")


class _Line:
    """Sends replies from many threads."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, reply: bytes) -> None:
        with self._lock:
            self._connection.sendall(framed(reply))


class _Answer:
    """The order of one image: its outcome goes into its slot and to the service."""

    def __init__(self, slot: int, task: Task, memory: SharedPixels, line: _Line) -> None:
        self.slot, self.task = slot, task
        self._memory, self._line = memory, line
        self._spans: list[Span] = []
        self._details: ImageDetails | None = None

    def wanted(self) -> bool:
        """Whether the deadline is to come. The service sheds images that did not start."""
        return time.monotonic() < self.task.deadline_s

    def spent(self, stage: str, start_s: float, end_s: float) -> None:
        """Note the time of a stage."""
        self._spans.append((stage, start_s, end_s))

    def decoding(self) -> AbstractContextManager[None]:
        """Mark the slot while the image is decoded. The service watches the marks."""
        return self._memory.decoding(self.slot)

    def noted(self, details: ImageDetails) -> None:
        """Keep them for the reply."""
        self._details = details

    def ready(self, pixels: Sequence[UInt8Array], release: Callable[[], None]) -> None:
        """Write the pixels and tell the service."""
        self._memory.write(self.slot, self.task.ways, pixels)
        release()
        self._line.send(replies.ready(self.slot, self._spans, self._details))

    def failed(self, exc: Exception) -> None:
        """Tell the service why there are no pixels."""
        self._line.send(replies.failed(self.slot, self._spans, exc, self._details))


class _LentMemory(MemoryBudget):
    """The share of this process in the memory that all may take; the service lends large parts."""

    def __init__(self, setup: Setup, line: _Line) -> None:
        super().__init__(setup.decode_bytes)
        self._unasked_bytes = setup.unasked_bytes
        self._line = line
        self._granted: dict[int, threading.Event] = {}

    @contextmanager
    def take(self, wanted_bytes: int) -> Iterator[None]:
        """Hold `wanted_bytes` until the block ends. Raises TooManyPixels: above the limit."""
        self.check(wanted_bytes)
        if self.limit_bytes is None or wanted_bytes <= self._unasked_bytes:
            yield
            return
        thread = threading.get_ident()
        granted = self._granted[thread] = threading.Event()
        self._line.send(replies.wants(thread, wanted_bytes))
        granted.wait()
        try:
            yield
        finally:
            self._line.send(replies.frees(thread))

    def grant(self, thread: int) -> None:
        """Let a waiting thread go on."""
        self._granted.pop(thread).set()
