"""Prepares images in threads of this process: those that fetch, and as many as may decode.

Each lane has threads of its own, so that interactive items never queue behind bulk items. The
threads sleep while no item comes. Images that need no fetch have threads of their own, so that they
do not wait for slow servers.
"""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from inference.config import FetchConfig
from inference.errors import DeadlineExceeded, EncodeFailed
from inference.fetching.fetcher import Fetched, Fetcher
from inference.fetching.files import read_file
from inference.fetching.inline import check_size, decode_base64, decode_data_url, is_data_url
from inference.fetching.urls import tidy
from inference.preparation.order import SHED, STOPPING, Order, Task
from inference.stats import measured
from inference.types import (
    LANES,
    ImageBase64,
    ImageBytes,
    ImageDetails,
    ImageFile,
    ImageUrl,
    Lane,
)
from model.encoder import TellSize, UInt8Array
from model.memory_budget import MemoryBudget


@dataclass(frozen=True)
class ThreadCounts:
    """Threads of each lane. io: those that fetch. cpu: the most that decode at the same time."""

    io: int
    cpu: int


class ThreadStage:
    """Prepares images in this process. The callers' permits bound the number of started images."""

    def __init__(self, fetch: FetchConfig, threads: ThreadCounts, budget: MemoryBudget) -> None:
        self._fetcher = Fetcher(fetch)
        self._max_bytes = fetch.max_image_bytes
        self._budget = budget
        self._fetching = _pools(threads.io, "fetch")
        self._decoding = _pools(threads.cpu, "decode")
        self._may_decode = {lane: threading.Semaphore(threads.cpu) for lane in LANES}
        self._closing = False

    def start(self, order: Order) -> None:
        """Start an image and return without waiting."""
        pools = self._fetching if order.task.fetches else self._decoding
        pools[order.task.lane].submit(self._run, order)

    @property
    def replaced(self) -> int:
        """0: there are no other processes."""
        return 0

    def pids(self) -> dict[int, str]:
        """Return nothing: there are no other processes."""
        return {}

    def trouble(self) -> None:
        """Return None: it has no trouble that its watch does not tell."""

    def close(self) -> None:
        """Finish running images, fail waiting ones, and release threads and connections."""
        self._closing = True
        for pool in (*self._fetching.values(), *self._decoding.values()):
            pool.shutdown()
        self._fetcher.close()

    def _run(self, order: Order) -> None:
        """Fetch and decode an image.

        The thread that fetched it also decodes it, so memory holds at most one encoded image for
        each thread.
        """
        try:
            self._check_wanted(order)
            fetched = self._data(order)
            tell_size = _note(order, fetched) if order.task.details else None
            with self._may_decode[order.task.lane]:
                self._check_wanted(order)
                pixels = self._decode(order, fetched.data, tell_size)
            order.ready(pixels, _nothing)
        except Exception as exc:  # noqa: BLE001 - any error fails this item only
            order.failed(exc)

    def _check_wanted(self, order: Order) -> None:
        """Raise ItemError if nobody waits for the image or the service is stopping."""
        if not order.wanted():
            raise DeadlineExceeded(SHED)
        if self._closing:
            raise EncodeFailed(STOPPING)

    def _data(self, order: Order) -> Fetched:
        if not order.task.fetches:
            return Fetched(_inline(order.task, self._max_bytes))
        with measured("fetch", order.spent):
            return self._fetched(order)

    def _fetched(self, order: Order) -> Fetched:
        task = order.task
        match task.item:
            case ImageUrl(url):
                # Who asks for details has many images of a host, and waits for all of them.
                waits = not task.details
                return self._fetcher.fetch_if_new(
                    tidy(url), task.deadline_s, task.etag, waits=waits
                )
            case ImageFile(path):
                return Fetched(read_file(path, self._max_bytes, order.wanted))
            case other:
                raise TypeError(f"{type(other).__name__} is not fetched")

    def _decode(self, order: Order, data: bytes, tell_size: TellSize | None) -> list[UInt8Array]:
        with measured("decode", order.spent), order.decoding():
            return [way(data, self._budget, tell_size) for way in order.task.ways]


def _note(order: Order, fetched: Fetched) -> TellSize:
    """Tell the order the details of a fetched image. Return what tells it the size, too."""
    now_s = datetime.now(UTC).timestamp()
    details = ImageDetails(hashlib.sha256(fetched.data).digest(), now_s, fetched.etag)
    order.noted(details)
    return lambda width, height: order.noted(replace(details, width=width, height=height))


def _inline(task: Task, max_bytes: int) -> bytes:
    """Return the encoded image that an item holds."""
    match task.item:
        case ImageUrl(text) | ImageBase64(text) if is_data_url(text):
            return decode_data_url(text, max_bytes)
        case ImageBase64(text):
            return decode_base64(text, max_bytes)
        case ImageBytes(data):
            return check_size(data, max_bytes)
        case other:
            raise TypeError(f"{type(other).__name__} holds no image")


def _pools(threads: int, name: str) -> dict[Lane, ThreadPoolExecutor]:
    return {lane: ThreadPoolExecutor(threads, f"{name}-{lane}") for lane in LANES}


def _nothing() -> None:
    """The pixels are released with the last reference to them."""
