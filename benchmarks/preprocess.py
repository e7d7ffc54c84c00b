"""Encoded bytes to pixels on one thread, compared with Pillow and transformers' processor.

Each round runs every way over the whole set; the order is reversed every other round. Ratios are
taken within a round. Times are CPU time of the one thread, which other processes disturb least.
Also measures how much the pixels of `display` differ from Pillow's, and how much decoding to a
fraction changes the built-in model's embeddings.

python -m benchmarks.preprocess
"""

from __future__ import annotations

import io
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from benchmarks.containers.spread import spread
from benchmarks.record import record
from model.config import ModelConfig
from model.fidelity.cosines import fidelity
from model.images.preprocess import preprocess
from model.load import load
from model.synthetic.mixes import Picture, photo, thumbnail

SIZE, ROUNDS = 224, 9
THUMBNAILS, PHOTOS = 96, 12
PEER = "peer"
PROCESSOR = CLIPImageProcessorPil()
WAYS: dict[str, Callable[[bytes], Any]] = {
    PEER: lambda data: PROCESSOR(_open(data), return_tensors="np"),
    "reference": lambda data: preprocess(data, SIZE, "reference"),
    "light": lambda data: preprocess(data, SIZE, light=True),
    "display": lambda data: preprocess(data, SIZE),
}


def measure(images: Sequence[bytes]) -> dict[str, list[list[float]]]:
    """Return milliseconds by way, round and image."""
    times: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for turn in range(ROUNDS + 1):  # the first round warms up
        for way in list(WAYS)[:: -1 if turn % 2 else 1]:
            now = [1000 * cpu_s(WAYS[way], data) for data in images]
            if turn:
                times[way].append(now)
    return times


def cpu_s(work: Callable[[bytes], Any], data: bytes) -> float:
    start_s = time.thread_time()
    work(data)
    return time.thread_time() - start_s


def row(name: str, times: dict[str, list[list[float]]], which: Sequence[int]) -> dict[str, Any]:
    """Summarise a set of images: median ms an image, and times faster than the peer."""
    means = {
        way: [statistics.mean(one[index] for index in which) for one in rounds]
        for way, rounds in times.items()
    }
    faster = spread([peer / ours for peer, ours in zip(means[PEER], means["display"], strict=True)])
    medians = {way: round(statistics.median(values), 2) for way, values in means.items()}
    return {
        "images": name,
        "count": len(which),
        "ms": medians,
        "times_faster": round(faster.median, 2),
        "times_faster_min": round(faster.low, 2),
        "times_faster_max": round(faster.high, 2),
    }


def pixel_difference(images: Sequence[bytes]) -> dict[str, Any]:
    """Compare pixels of the two policies, in units of 1/255, for images decoded in full."""
    whole = [data for data in images if not is_scaled(data)]
    apart = [
        np.abs(preprocess(data, SIZE).astype(int) - preprocess(data, SIZE, "reference"))
        for data in whole
    ]
    return {
        "count": len(whole),
        "max": int(max(one.max() for one in apart)),
        "max_mean_of_an_image": round(float(max(one.mean() for one in apart)), 4),
    }


def scaled_decode(images: Sequence[bytes]) -> dict[str, Any]:
    """Compare scaled with full decoding by cosines of the built-in; centred: minus the mean."""
    encoder = load(ModelConfig(model="builtin", device="cpu"))
    side = encoder.spec.image_size
    scaled = [data for data in images if is_scaled(data, side)]
    ours = encoder.encode_images(np.stack([encoder.spec.preprocessing(data) for data in scaled]))
    full = encoder.encode_images(
        np.stack([encoder.spec.preprocessing(unscaled(data)) for data in scaled])
    )
    found = fidelity(ours, full)
    return {
        "count": len(scaled),
        "image_size_px": side,
        "cosine": {"min": round(found.plain.min, 5), "mean": round(found.plain.mean, 5)},
        "centred": {"min": round(found.centred.min, 5), "mean": round(found.centred.mean, 5)},
    }


def is_scaled(data: bytes, side: int = SIZE) -> bool:
    image = _open(data)
    return image.draft(None, (2 * side, 2 * side)) is not None and image.size != _open(data).size


def unscaled(data: bytes) -> bytes:
    """Re-encode the same pixels in a format that is always decoded in full."""
    buffer = io.BytesIO()
    _open(data).convert("RGB").save(buffer, "BMP")
    return buffer.getvalue()


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def main() -> None:
    pictures = [thumbnail(seed) for seed in range(THUMBNAILS)]
    thumbnails = [one.data for one in pictures]
    photos = [photo(seed).data for seed in range(PHOTOS)]
    rows = [*thumbnail_rows(pictures), row("photos", measure(photos), range(PHOTOS))]
    pixels, scaled = pixel_difference(thumbnails), scaled_decode(thumbnails + photos)
    setting = {"size_px": SIZE, "rounds": ROUNDS, "threads": 1, "clock": "CPU time of the thread"}
    setting |= {"peer": "Pillow, then CLIPImageProcessorPil", "light": "display by Pillow"}
    console = Console()
    console.print(as_table(rows))
    console.print("pixel differences of `display` to `reference`, of 255:", pixels)
    console.print("cosines of embeddings after scaled and full decoding:", scaled)
    result = {"setting": setting, "rows": rows, "pixels": pixels, "scaled_decode": scaled}
    console.print(record("preprocess", result))


def thumbnail_rows(pictures: Sequence[Picture]) -> list[dict[str, Any]]:
    """Return a row for each format, then one for all thumbnails."""
    times = measure([one.data for one in pictures])
    kinds = defaultdict(list)
    for index, one in enumerate(pictures):
        kinds[one.mime].append(index)
    rows = [row(mime, times, kinds[mime]) for mime in sorted(kinds)]
    return [*rows, row("all thumbnails", times, range(len(pictures)))]


def as_table(rows: Sequence[dict[str, Any]]) -> Table:
    title = f"CPU ms an image to {SIZE} px; speed-up of `display` over CLIPImageProcessorPil"
    table = Table("images", "count", *WAYS, "times", "min-max", title=title)
    for one in rows:
        spread = f"{one['times_faster_min']}-{one['times_faster_max']}"
        cells = (one["count"], *one["ms"].values(), one["times_faster"], spread)
        table.add_row(one["images"], *map(str, cells))
    return table


if __name__ == "__main__":
    main()
