"""How many of the waiting items go now? Pure: the thread that asks owns the clock."""

from __future__ import annotations


def take(
    waiting: int, expected: int, oldest_age_s: float, batch_size: int, max_wait_s: float
) -> int:
    """How many items leave as one batch, asked while the encoder is idle; 0 is to wait.

    Args:
        waiting: items ready to be encoded.
        expected: admitted items of the same tower still on their way.
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
