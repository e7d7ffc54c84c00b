"""Throughput of the encoder when nothing else runs."""

from __future__ import annotations

import math
import time

from inference.tuning.runners import image_runner, interleaved, on_streams
from model.encoder import Encoder

# Long enough for a median, short enough to run before and after another measurement.
BUDGET_S, MIN_ROUNDS, MAX_ROUNDS = 1.5, 3, 30


def encoder_alone(encoder: Encoder, batch_size: int, streams: int) -> list[float]:
    """Return images a second of each round; a round runs one batch on every stream at once."""
    with on_streams(image_runner(encoder), streams) as run:
        run(batch_size)  # cold
        start_s = time.perf_counter()
        run(batch_size)
        rounds = math.ceil(BUDGET_S / (time.perf_counter() - start_s))
        rounds = max(MIN_ROUNDS, min(MAX_ROUNDS, rounds))
        times_ms = interleaved(run, [batch_size], rounds)[batch_size]
    return [1000 * batch_size * streams / one for one in times_ms]
