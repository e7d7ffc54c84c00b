"""An image on its way through the processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from inference.preparation.order import Order
from inference.types import LANES, Lane


class Kind(NamedTuple):
    """Images that wait for the same threads of a process."""

    lane: Lane
    fetches: bool


# Interactive ones first: images are dealt out in this order.
KINDS = tuple(Kind(lane, fetches) for lane in LANES for fetches in (True, False))


@dataclass(eq=False)
class Ticket:
    """An image. alone: it must be the only one of its process.

    crashes: of processes that had it and did not decode it at that time. ends_alone: of processes
    that it was alone in.
    """

    order: Order
    alone: bool = False
    crashes: int = 0
    ends_alone: int = 0
    kind: Kind = field(init=False)

    def __post_init__(self) -> None:
        self.kind = Kind(self.order.task.lane, self.order.task.fetches)
