"""Split a long input into requests, by the sweet spot and the limit of a body. Pure."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from inference.profile.profile import Profile
from serve.wire.client_side import FRAME_BYTES, Item

# With fewer URLs a request, the overhead of the request dominates.
USUAL_ITEMS = 64


@dataclass(frozen=True)
class Limits:
    """Limits of one request. items: their number. body_bytes: size of the whole body."""

    items: int
    body_bytes: int


def items_for(profile: Profile) -> int:
    """Return images a request: a whole multiple of all streams' full batches, 64 or more."""
    full = profile.threads.streams * profile.image.batch_size
    return full * math.ceil(USUAL_ITEMS / full)


def fits(item: Item, limits: Limits) -> bool:
    """Return whether the item fits into a request."""
    return FRAME_BYTES + len(item.data) <= limits.body_bytes


def take(waiting: deque[Item], limits: Limits) -> list[Item]:
    """Take the next request's items from the front; each item alone must fit."""
    taken: list[Item] = []
    size = FRAME_BYTES - 1  # n items have n - 1 commas
    while waiting and len(taken) < limits.items:
        size += len(waiting[0].data) + 1
        if taken and size > limits.body_bytes:
            break
        taken.append(waiting.popleft())
    return taken
