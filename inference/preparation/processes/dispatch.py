"""Which process prepares which image, and which image is to blame when a process dies. Pure.

- A process gets as many images as its threads can work on. The others wait here, where they can
  still be shed, and go to whichever process is free first. Interactive images go first.
- The images that a process was decoding when it died are tried once more, one by one, in a process
  for suspects, so that the one at fault is known: when it takes a process down again, it fails
  alone. The other processes go on meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from typing import Literal

from inference.errors import DeadlineExceeded, Internal
from inference.preparation.order import SHED, Order
from inference.preparation.processes.process import Process
from inference.preparation.processes.ticket import KINDS, Kind, Ticket
from model.errors import CorruptImage

# Crashes around an image that was not decoded at the time, until it is tried alone, too.
COINCIDENCES = 3
# An image that was decoded alone when its process was killed may be innocent, since operators and
# the kernel kill, too. So many such deaths are allowed.
KILLS = 3

# How a process ended. killed: by a signal that also others send.
End = Literal["crashed", "killed", "hung"]


class Dispatch:
    """The images that wait for a process."""

    def __init__(self) -> None:
        self._queues: dict[Kind, deque[Ticket]] = {kind: deque() for kind in KINDS}
        self._alone: deque[Ticket] = deque()

    @property
    def has_waiting(self) -> bool:
        """Whether any image waits."""
        return bool(self._alone) or any(self._queues.values())

    @property
    def has_suspects(self) -> bool:
        """Whether any image waits for the process for suspects."""
        return bool(self._alone)

    def add(self, order: Order) -> None:
        """Let an image wait for a process."""
        ticket = Ticket(order)
        self._queues[ticket.kind].append(ticket)

    def deal(self, processes: Collection[Process]) -> set[Process]:
        """Give images to processes with room for them. Return the processes that got some."""
        if not self.has_waiting:
            return set()
        usual = [one for one in processes if not one.for_suspects]
        others = [one for one in processes if one.for_suspects]
        return {*self._deal(usual), *self._deal_alone(others)}

    def again(self, process: Process, *, hung: int | None, was_killed: bool) -> None:
        """Let the images of a dead process wait again, or fail the one that ended it.

        hung: the slot whose image never came back. was_killed: by a signal that also others send.
        """
        suspects = process.decoding() if hung is None else {hung}
        how: End = "hung" if hung is not None else "killed" if was_killed else "crashed"
        for slot in list(process.work):
            ticket, decoded = process.finish(slot), slot in suspects
            if _is_to_blame(ticket, how, decoded=decoded):
                ticket.order.failed(_verdict(decoded=decoded))
            elif ticket.alone:
                self._add_alone(ticket)
            else:
                self._queues[ticket.kind].appendleft(ticket)

    def _add_alone(self, ticket: Ticket) -> None:
        """Let a suspect wait: behind all others, or, if it is interactive, before the bulk ones."""
        is_interactive = ticket.kind.lane == "interactive"
        ahead = sum(one.kind.lane == "interactive" for one in self._alone)
        self._alone.insert(ahead if is_interactive else len(self._alone), ticket)

    def shed(self) -> None:
        """Fail the images that nobody waits for any more."""
        for queue in (*self._queues.values(), self._alone):
            for ticket in [one for one in queue if not one.order.wanted()]:
                queue.remove(ticket)
                ticket.order.failed(DeadlineExceeded(SHED))

    def fail_all(self, exc: Exception) -> None:
        """Fail all images that wait."""
        for queue in (*self._queues.values(), self._alone):
            while queue:
                queue.popleft().order.failed(exc)

    def _deal(self, processes: Collection[Process]) -> Iterator[Process]:
        """Deal images out in turns, to the processes with the most room first."""
        for kind, queue in self._queues.items():  # interactive ones first
            free = [one for one in processes if one.room(kind) > 0] if queue else []
            turns = deque(sorted(free, key=lambda one: -one.room(kind)))
            while queue and turns:
                if _give(process := turns.popleft(), queue.popleft()):
                    yield process
                if process.room(kind) > 0:
                    turns.append(process)

    def _deal_alone(self, processes: Collection[Process]) -> Iterator[Process]:
        for process in processes:
            while self._alone and not process.work and process.room(self._alone[0].kind) > 0:
                if _give(process, self._alone.popleft()):
                    yield process


def _give(process: Process, ticket: Ticket) -> bool:
    """Give an image to a process if anyone still waits for it. Return whether it was given."""
    if ticket.order.wanted():
        process.add(ticket)
        return True
    ticket.order.failed(DeadlineExceeded(SHED))
    return False


def _is_to_blame(ticket: Ticket, how: End, *, decoded: bool) -> bool:
    """Note the end of an image's process. Return whether the image was its cause.

    decoded: whether the image was being decoded, and, of a process that hung, whether it hung.
    """
    if not decoded and how != "crashed":
        return False
    if ticket.alone:
        ticket.ends_alone += 1
        return how != "killed" or ticket.ends_alone > KILLS
    ticket.crashes += not decoded
    ticket.alone = decoded or ticket.crashes >= COINCIDENCES
    return False


def _verdict(*, decoded: bool) -> Exception:
    """Return the error of an image that took two processes down."""
    if decoded:
        return CorruptImage("damaged image: the decoder crashed on it")
    return Internal("the process that fetched it crashed")
