"""Thumbnails and texts to calibrate int8 on: the user's own, or generated."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import click
import numpy as np

from inference.errors import ItemError
from inference.fetching.fetcher import Fetcher
from inference.fetching.urls import tidy
from inference.profile.machine import cores
from model.encoder import Encoder, UInt8Array
from model.errors import DecodeError
from model.synthetic.thumbnails import caption_of, sample
from serve.compose import fetch_config
from serve.settings import Settings
from serve.wire.client_side import is_url

# Limits for thumbnails and for texts. More add minutes, not fidelity; fewer measure nothing.
MOST, FEWEST = 600, 90
GENERATED = 450
IO_THREADS = 32


def texts(path: str | None) -> list[str]:
    """Return the lines of a file, at most MOST chosen at random, or generated captions."""
    if path is None:
        return [caption_of(seed) for seed in range(GENERATED)]
    return _some(_lines(Path(path)), f"texts in {path}")


def thumbnails(settings: Settings, encoder: Encoder, source: str | None) -> tuple[UInt8Array, int]:
    """Return the pixels of thumbnails, at most MOST chosen at random, without those that fail.

    source: a folder, a file that lists URLs and paths, or None for generated ones.

    Returns:
        uint8 [N, S, S, 3], and how many failed.
    """
    if source is None:
        return _pixels(encoder, [partial(_generated, seed) for seed in range(GENERATED)])
    names = _some(_names(Path(source)), f"thumbnails in {source}")
    fetcher = Fetcher(fetch_config(settings, IO_THREADS))
    try:
        return _pixels(encoder, [_getter(settings, fetcher, name) for name in names])
    finally:
        fetcher.close()


def _generated(seed: int) -> bytes:
    return sample(seed).data


def _names(source: Path) -> list[str]:
    if source.is_dir():
        return sorted(str(path) for path in source.rglob("*") if path.is_file())
    return _lines(source)


def _lines(path: Path) -> list[str]:
    """Return the distinct lines of a file."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as exc:
        raise click.ClickException(f"{path} is not UTF-8 text, one name per line") from exc
    return list(dict.fromkeys(line for line in lines if line))


def _some(found: list[str], words: str) -> list[str]:
    """Choose at random, because neighbours in a list are often alike."""
    if len(found) < FEWEST:
        raise click.ClickException(f"{len(found)} {words}; at least {FEWEST} are needed")
    random.Random(0).shuffle(found)
    return found[:MOST]


def _getter(settings: Settings, fetcher: Fetcher, name: str) -> Callable[[], bytes]:
    if is_url(name):
        url = tidy(name)
        return lambda: fetcher.fetch(url, time.monotonic() + settings.fetch_timeout_ms / 1000)
    return Path(name).read_bytes


def _pixels(encoder: Encoder, getters: Sequence[Callable[[], bytes]]) -> tuple[UInt8Array, int]:
    decoding = threading.Semaphore(cores())

    def one(get: Callable[[], bytes]) -> UInt8Array | None:
        try:
            data = get()
            with decoding:  # decoding a large image takes hundreds of MB
                return encoder.spec.preprocessing(data)
        except (ItemError, DecodeError, OSError):
            return None

    with ThreadPoolExecutor(IO_THREADS) as pool:
        found = [pixels for pixels in pool.map(one, getters) if pixels is not None]
    failed = len(getters) - len(found)
    if len(found) < FEWEST:
        raise click.ClickException(
            f"{failed} of {len(getters)} thumbnails could not be read; {FEWEST} are needed"
        )
    return np.stack(found), failed
