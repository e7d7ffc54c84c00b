"""Batches to measure: forward passes of either tower, on one stream or several at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from model.encoder import Encoder

# Runs one batch of a size; may raise OutOfMemory.
Run = Callable[[int], None]

# Typical queries, from one word to a sentence.
SAMPLE_TEXTS = (
    "login",
    "dark dashboard with a bar chart",
    "pricing cards, three columns, purple accents, light theme, on a tablet",
    "a settings page with toggles",
)


def image_runner(encoder: Encoder) -> Run:
    """Return a forward pass of the image tower on n images of noise."""
    side = encoder.spec.image_size
    dice = np.random.default_rng(0)

    def run(n: int) -> None:
        pixels = dice.integers(0, 256, (1, side, side, 3), dtype=np.uint8)
        encoder.encode_images(np.repeat(pixels, n, axis=0))

    return run


def text_runner(encoder: Encoder) -> Run:
    """Return a forward pass of the text tower on n texts of mixed length."""

    def run(n: int) -> None:
        encoder.encode_texts([SAMPLE_TEXTS[index % len(SAMPLE_TEXTS)] for index in range(n)])

    return run


@contextmanager
def on_streams(run: Run, streams: int) -> Iterator[Run]:
    """Yield a run of the same batch on every stream at once, as in a busy service.

    It always uses its own threads: a forward pass keeps the number of CPU threads that its thread
    started with.
    """
    with ThreadPoolExecutor(streams, "stream") as pool:

        def run_on_all(n: int) -> None:
            for _ in pool.map(run, [n] * streams):
                pass

        yield run_on_all


def interleaved(
    run: Run,
    sizes: Sequence[int],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[int, list[float]]:
    """Return times in ms of a batch of each size, run in turns so that drift affects all equally.

    A turn runs as many items of a small size as of the largest, because the first small batch after
    a large one is slow: the large one has moved memory.
    """
    times_ms: dict[int, list[float]] = {n: [] for n in sizes}
    for _ in range(rounds):
        for n, times in times_ms.items():
            batches = max(sizes) // n
            start_s = clock()
            for _ in range(batches):
                run(n)
            times.append(1000 * (clock() - start_s) / batches)
    return times_ms
