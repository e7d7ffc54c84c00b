"""How a long input is cut into requests: by the sweet spot, and by what a body may hold. Pure."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from inference.profile.profile import Profile
from serve.wire.client_side import FRAME_BYTES, Item

# Fewer URLs a request spend their time on the way.
USUAL_ITEMS = 64


@dataclass(frozen=True)
class Limits:
    """Of one request. items: at most so many. body_bytes: of the whole body."""

    items: int
    body_bytes: int


def items_for(profile: Profile) -> int:
    """Images a request so that every stream's batches are full: whole multiples, 64 or more."""
    full = profile.threads.streams * profile.image.batch_size
    return full * math.ceil(USUAL_ITEMS / full)


def fits(item: Item, limits: Limits) -> bool:
    """Whether it can be sent at all."""
    return FRAME_BYTES + len(item.data) <= limits.body_bytes


def take(waiting: deque[Item], limits: Limits) -> list[Item]:
    """Take the next request's items from the front; each of them alone has to fit."""
    taken: list[Item] = []
    size = FRAME_BYTES - 1  # n items have n - 1 commas
    while waiting and len(taken) < limits.items:
        size += len(waiting[0].data) + 1
        if taken and size > limits.body_bytes:
            break
        taken.append(waiting.popleft())
    return taken
