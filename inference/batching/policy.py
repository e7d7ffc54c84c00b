"""The rules of batching. Pure: `scheduler` holds the queues, who asks owns the clock."""

from __future__ import annotations

from inference.config import BatchConfig

# While interactive items came within this time, batches are kept short for the next one.
INTERACTIVE_MEMORY_S = 10.0
# The encoder's time that bulk items get while interactive ones never end.
BULK_SHARE = 0.2


def take(
    waiting: int, expected: int, oldest_age_s: float, batch_size: int, max_wait_s: float
) -> int:
    """How many items leave as one batch, asked while the encoder is idle; 0 is to wait.

    Args:
        waiting: items ready to be encoded.
        expected: admitted items of the same tower and lane still on their way.
        oldest_age_s: how long the oldest waiting item has waited.
        batch_size: the most items of a batch.
        max_wait_s: the longest anyone waits for others.

    Returns:
        A full batch when there is one; all that wait when nothing else is on its way, or when
        the oldest has waited `max_wait_s`; else 0.
    """
    if waiting >= batch_size:
        return batch_size
    if expected == 0 or oldest_age_s >= max_wait_s:
        return waiting
    return 0


def capped(config: BatchConfig, slowdown: float, wait_s: float) -> int:
    """The batch size while interactive items come: T(n) within `wait_s`, at least one item.

    Args:
        config: with the curve; without one the batch size is what it says.
        slowdown: live service times over those of the curve.
        wait_s: the longest that an interactive item is to wait for the batch that runs.
    """
    if config.curve is None:
        return config.batch_size
    fits = config.curve.largest_within(1000 * wait_s / slowdown)
    return max(1, min(fits, config.batch_size))


def price_s(bulk_s: float) -> float:
    """What a bulk batch costs that goes before interactive items which wait, too, s.

    The encoder's time that must have gone to interactive items, while bulk ones waited, so that
    bulk ones have `BULK_SHARE` of both.

    Args:
        bulk_s: what the bulk batch will take.
    """
    return bulk_s * (1 - BULK_SHARE) / BULK_SHARE
