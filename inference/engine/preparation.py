"""The stage before the encoder: checks texts, and has images fetched, decoded and resized."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from inference.config import EngineConfig, FetchConfig
from inference.engine.loaded_models import LoadedModels
from inference.engine.request import Job
from inference.errors import EncodeFailed, TextInvalid
from inference.preparation.open_stage import open_stage
from inference.preparation.order import STOPPING, Stage, Task
from inference.preparation.processes.forking import ForkServer
from inference.preparation.processes.shared_pixels import SLOT_BYTES, pixel_bytes
from inference.stalls import Stalls
from inference.types import ImageDetails, Text, Unreadable, is_unicode
from model.encoder import Preprocessing, UInt8Array
from model.errors import CheckpointError

# The input of each model of a job: uint8 [S, S, 3] for an image, str for a text.
Payloads = Sequence[object]


class Preparation:
    """Prepares items. The callers' permits bound the number of items.

    Each started item ends in one call, from any thread: `ready` with the input of its models, or
    `failed` with the reason.
    """

    def __init__(
        self,
        fetch: FetchConfig,
        config: EngineConfig,
        models: LoadedModels,
        stalls: Stalls,
        ready: Callable[[Job, Payloads], None],
        failed: Callable[[Job, Exception], None],
        forks: ForkServer | None = None,
    ) -> None:
        """forks: see `Engine`."""
        self._forks = forks
        if forks is not None and not config.processes:
            forks.close()
        self._fetch, self._config = fetch, config
        self._models, self.stalls = models, stalls
        self._stage: Stage | None = None
        self.ready, self.failed = ready, failed
        self._lock = threading.Lock()
        self.decoded = 0
        self.closing = False

    def add(self, way: Preprocessing) -> None:
        """Be ready for images of another model.

        Raises:
            CheckpointError: the pixels of all models together are too large.
        """
        loaded = self._models.everyone().values()
        ways = {way, *(model.encoder.spec.preprocessing for model in loaded)}
        if self._config.processes and (size := sum(map(pixel_bytes, ways))) > SLOT_BYTES:
            raise CheckpointError(
                f"the pixels of one image for all models take {size:,} bytes, "
                f"the limit is {SLOT_BYTES:,}"
            )
        if self._stage is None:
            self._stage = open_stage(self._fetch, self._config, way, self._forks)

    def start(self, job: Job) -> None:
        """Start an item.

        Raises:
            ItemError: the item is invalid, or the service is stopping.
        """
        if self.closing or self._stage is None:
            raise EncodeFailed(STOPPING)
        match job.item:
            case Text(text):
                self._check_text(text)
                self.ready(job, [text] * len(job.targets))
            case Unreadable(reason):
                raise TextInvalid(reason)
            case _:
                specs = (self._models[name].encoder.spec for name in job.request.models)
                ways = [spec.preprocessing for spec in specs]
                self._stage.start(_ImageOrder(self, job, ways))

    def count(self, decoded: int) -> None:
        """Count decoded images."""
        with self._lock:
            self.decoded += decoded

    @property
    def replaced(self) -> int:
        """Processes that have died and were replaced so far."""
        return self._stage.replaced if self._stage else 0

    def pids(self) -> dict[int, str]:
        """Return the role of each process that prepares images, by process id."""
        return self._stage.pids() if self._stage else {}

    def trouble(self) -> str | None:
        """Return why no image can be prepared, in words; None when they can."""
        return self._stage.trouble() if self._stage else None

    def close(self) -> None:
        """Finish running items, fail waiting ones, and release threads and connections."""
        self.closing = True
        if self._stage is not None:
            self._stage.close()
        elif self._forks is not None:
            self._forks.close()

    def _check_text(self, text: str) -> None:
        if not text.strip():
            raise TextInvalid("the text is empty")
        if len(text) > self._config.max_text_chars:
            raise TextInvalid(f"the text has more than {self._config.max_text_chars:,} characters")
        if not is_unicode(text):
            raise TextInvalid("the text is not valid Unicode")


class _ImageOrder:
    """The order of a job's image, decoded once for models of equal preprocessing."""

    def __init__(self, owner: Preparation, job: Job, wanted: Sequence[Preprocessing]) -> None:
        self._owner, self._job, self._wanted = owner, job, wanted
        ways = tuple(dict.fromkeys(wanted)) if len(wanted) > 1 else tuple(wanted)
        extras = job.request.extras
        asked = (extras.details, extras.etag)
        self.task = Task(job.item, job.lane, job.request.deadline_s, ways, *asked)

    def wanted(self) -> bool:
        return not self._job.request.closed

    def spent(self, stage: str, start_s: float, end_s: float) -> None:
        self._job.times.add(stage, start_s, end_s)

    def decoding(self) -> AbstractContextManager[None]:
        return self._owner.stalls.watch("the decoding of an image")

    def noted(self, details: ImageDetails) -> None:
        self._job.details = details

    def ready(self, pixels: Sequence[UInt8Array], release: Callable[[], None]) -> None:
        self._owner.count(len(pixels))
        self._job.release = release
        if len(self._wanted) > 1:
            found = dict(zip(self.task.ways, pixels, strict=True))
            pixels = [found[way] for way in self._wanted]
        self._owner.ready(self._job, pixels)

    def failed(self, exc: Exception) -> None:
        self._owner.failed(self._job, exc)
