"""One image to prepare: what is to be done, and where the outcome goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from inference.fetching.inline import is_data_url
from inference.types import ImageDetails, ImageFile, ImageUrl, Item, Lane
from model.encoder import Preprocessing, UInt8Array

SHED = "shed: the request has ended"
STOPPING = "the service is stopping"


@dataclass(frozen=True)
class Task:
    """What is to be done. Can be pickled.

    item: an image. deadline_s: an instant of `time.monotonic`, which is one clock for all processes
    of a machine. ways: at least one, all different. details: whether the order is told those. etag:
    of an image that is not fetched again.
    """

    item: Item
    lane: Lane
    deadline_s: float
    ways: tuple[Preprocessing, ...]
    details: bool = False
    etag: str | None = None

    @property
    def fetches(self) -> bool:
        """Whether the bytes are fetched or read first; else the item holds them."""
        item = self.item
        return isinstance(item, ImageFile) or (
            isinstance(item, ImageUrl) and not is_data_url(item.url)
        )


class Order(Protocol):
    """A task, and who awaits its outcome.

    The stage calls one of `ready` and `failed` at the end, from any thread.
    """

    @property
    def task(self) -> Task:
        """What is to be done."""

    def wanted(self) -> bool:
        """Whether anyone still waits for it."""

    def spent(self, stage: str, start_s: float, end_s: float) -> None:
        """Add the time of a stage, `fetch` or `decode`: instants of `time.perf_counter`."""

    def decoding(self) -> AbstractContextManager[None]:
        """Return what is held while the image is decoded: it shows decodings that never end."""

    def noted(self, details: ImageDetails) -> None:
        """Take what is known of the image by now, if the task asks for it. May come again."""

    def ready(self, pixels: Sequence[UInt8Array], release: Callable[[], None]) -> None:
        """Take uint8 [S, S, 3] of each way. release: to be called once they are not read any more.

        Raises:
            ItemError: they are refused; the stage then calls `failed`.
        """

    def failed(self, exc: Exception) -> None:
        """Take the reason for which there are no pixels."""


class Stage(Protocol):
    """Prepares images: `ThreadStage` or `ProcessStage`."""

    def start(self, order: Order) -> None:
        """Start an image and return without waiting."""

    @property
    def replaced(self) -> int:
        """Processes that have died and were replaced so far."""

    def pids(self) -> dict[int, str]:
        """Return the role of each process besides this one, by process id."""

    def trouble(self) -> str | None:
        """Return why no image can be prepared, in words; None when they can."""

    def close(self) -> None:
        """Finish running images, fail waiting ones, and release threads and connections."""
