"""The rules of batching. Pure functions: `scheduler` holds the queues, callers read the clock."""

from __future__ import annotations

from inference.config import BatchConfig

# Batches stay short for this long after an interactive item, because another one may come.
INTERACTIVE_MEMORY_S = 10.0
# Share of the encoder's time that bulk items get while interactive items keep coming.
BULK_SHARE = 0.2


def take(
    waiting: int, expected: int, oldest_age_s: float, batch_size: int, max_wait_s: float
) -> int:
    """Return how many items to run as one batch on an idle encoder; 0 means wait.

    Args:
        waiting: items ready to be encoded.
        expected: admitted items of the same tower and lane that are not ready yet.
        oldest_age_s: how long the oldest waiting item has waited.
        batch_size: the most items of a batch.
        max_wait_s: the longest an item waits for others.

    Returns:
        A full batch when there is one; all waiting items when no others are expected, or when
        the oldest has waited `max_wait_s`; else 0.
    """
    if waiting >= batch_size:
        return batch_size
    if expected == 0 or oldest_age_s >= max_wait_s:
        return waiting
    return 0


def capped(config: BatchConfig, slowdown: float, wait_s: float) -> int:
    """Return the batch size while interactive items come: T(n) within `wait_s`, at least 1.

    Args:
        config: of the tower; without a curve, its batch size is returned.
        slowdown: live service times over those of the curve.
        wait_s: the longest that an interactive item may wait for the running batch.
    """
    if config.curve is None:
        return config.batch_size
    fits = config.curve.largest_within(1000 * wait_s / slowdown)
    return max(1, min(fits, config.batch_size))


def price_s(bulk_s: float) -> float:
    """Return the interactive time, s, after which a bulk batch goes before interactive items.

    It is the encoder time that interactive items must have had while bulk items waited, so that
    bulk items get `BULK_SHARE` of the total.

    Args:
        bulk_s: the predicted time of the bulk batch.
    """
    return bulk_s * (1 - BULK_SHARE) / BULK_SHARE
