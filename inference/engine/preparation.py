"""The stage before the encoder: fetches, decodes and resizes images; checks texts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

from inference.config import EngineConfig
from inference.engine.loaded_models import LoadedModels
from inference.engine.pools import Pools
from inference.engine.request import Job
from inference.errors import DeadlineExceeded, EncodeFailed, TextInvalid
from inference.fetching.fetcher import Fetcher
from inference.fetching.files import read_file
from inference.fetching.inline import check_size, decode_base64, decode_data_url, is_data_url
from inference.fetching.urls import tidy
from inference.stalls import Stalls
from inference.types import (
    ImageBase64,
    ImageBytes,
    ImageFile,
    ImageUrl,
    Text,
    Unreadable,
    is_unicode,
)
from model.encoder import UInt8Array

# The input of each model of a job: uint8 [S, S, 3] for an image, str for a text.
Payloads = Sequence[object]


class Preparation:
    """Prepares items in its own threads. The callers' permits bound the number of items.

    Each started item ends in one call, from any thread: `ready` with the input of its models, or
    `failed` with the reason.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        config: EngineConfig,
        models: LoadedModels,
        stalls: Stalls,
        ready: Callable[[Job, Payloads], None],
        failed: Callable[[Job, Exception], None],
    ) -> None:
        self._fetcher = fetcher
        self._config = config
        self._models = models
        self._stalls = stalls
        self._ready, self._failed = ready, failed
        self._pools = Pools(config.io_threads, config.cpu_threads)
        self._lock = threading.Lock()
        self.decoded = 0
        self.closing = False

    def start(self, job: Job) -> None:
        """Start an item.

        Raises:
            ItemError: the item is invalid, or the service is stopping.
        """
        if self.closing:
            raise EncodeFailed("the service is stopping")
        limit = self._config.max_image_bytes
        match job.item:
            case Text(text):
                self._check_text(text)
                self._ready(job, [text] * len(job.targets))
            case Unreadable(reason):
                raise TextInvalid(reason)
            case ImageUrl(text) | ImageBase64(text) if is_data_url(text):
                self._decode(job, partial(decode_data_url, text, limit))
            case ImageUrl(url):
                self._fetch(job, partial(self._fetcher.fetch, tidy(url), job.request.deadline_s))
            case ImageFile(path):
                self._fetch(job, partial(read_file, path, limit, lambda: not job.request.closed))
            case ImageBase64(text):
                self._decode(job, partial(decode_base64, text, limit))
            case ImageBytes(data):
                self._decode(job, partial(check_size, data, limit))

    def close(self) -> None:
        """Finish running items, fail waiting ones, and release threads and connections."""
        self.closing = True
        self._pools.close()
        self._fetcher.close()

    def _check_text(self, text: str) -> None:
        if not text.strip():
            raise TextInvalid("the text is empty")
        if len(text) > self._config.max_text_chars:
            raise TextInvalid(f"the text has more than {self._config.max_text_chars:,} characters")
        if not is_unicode(text):
            raise TextInvalid("the text is not valid Unicode")

    def _fetch(self, job: Job, get_data: Callable[[], bytes]) -> None:
        self._pools.fetch[job.lane].submit(self._fetch_now, job, get_data)

    def _decode(self, job: Job, get_data: Callable[[], bytes]) -> None:
        self._pools.decode[job.lane].submit(self._decode_now, job, get_data)

    def _fetch_now(self, job: Job, get_data: Callable[[], bytes]) -> None:
        """Fetch or read an image's bytes, then decode them in a decoding thread.

        The fetching thread waits for the decoding, so memory holds at most one encoded image per
        fetching thread.
        """
        try:
            self._check_wanted(job)
            with job.times.measure("fetch"):
                data = get_data()
            self._pools.decode[job.lane].submit(self._decode_now, job, lambda: data).result()
        except Exception as exc:  # noqa: BLE001 - any error fails this item only
            self._failed(job, exc)

    def _decode_now(self, job: Job, get_data: Callable[[], bytes]) -> None:
        """Decode and resize an image."""
        try:
            self._check_wanted(job)
            data = get_data()
            with job.times.measure("decode"), self._stalls.watch("the decoding of an image"):
                pixels = self._pixels(job, data)
            self._ready(job, pixels)
        except Exception as exc:  # noqa: BLE001 - any error fails this item only
            self._failed(job, exc)

    def _check_wanted(self, job: Job) -> None:
        """Raise ItemError if the request is closed or the service is stopping."""
        if job.request.closed:
            raise DeadlineExceeded("shed: the request has ended")
        if self.closing:
            raise EncodeFailed("the service is stopping")

    def _pixels(self, job: Job, data: bytes) -> list[UInt8Array]:
        """Return the pixels for each model, decoded once for models of equal preprocessing."""
        found: dict[str, UInt8Array] = {}
        wanted = []
        for model in job.request.models:
            encoder = self._models[model].encoder
            wanted.append(way := encoder.spec.preprocessing)
            if way not in found:
                found[way] = encoder.preprocess(data)
        with self._lock:
            self.decoded += len(found)
        return [found[way] for way in wanted]
