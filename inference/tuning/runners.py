"""Batches to measure: forward passes of either tower, one or several at once, in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from model.encoder import Encoder

# Runs one batch of a size; may raise OutOfMemory.
Run = Callable[[int], None]

# What people type: from one word to a sentence.
SAMPLE_TEXTS = (
    "login",
    "dark dashboard with a bar chart",
    "pricing cards, three columns, purple accents, light theme, on a tablet",
    "a settings page with toggles",
)


def image_runner(encoder: Encoder) -> Run:
    """A forward pass of the image tower on n pictures of noise."""
    side = encoder.spec.image_size
    dice = np.random.default_rng(0)

    def run(n: int) -> None:
        pixels = dice.integers(0, 256, (1, side, side, 3), dtype=np.uint8)
        encoder.encode_images(np.repeat(pixels, n, axis=0))

    return run


def text_runner(encoder: Encoder) -> Run:
    """A forward pass of the text tower on n texts of mixed length."""

    def run(n: int) -> None:
        encoder.encode_texts([SAMPLE_TEXTS[index % len(SAMPLE_TEXTS)] for index in range(n)])

    return run


@contextmanager
def on_streams(run: Run, streams: int) -> Iterator[Run]:
    """The same batch on every stream at once, as a busy service runs them; ends with the last.

    Always in threads of its own: a forward pass keeps the number of CPU threads that its thread
    began with.
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
    """Times in ms of a batch of each size, in turns, so that drift hits all alike.

    A turn runs as many items of a small size as of the largest: right after a large batch, the
    first small one pays for the memory that the large one moved.
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
