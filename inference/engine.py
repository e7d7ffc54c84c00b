"""The whole way of a request's items: admission, fetch, preprocess, batch, encode, order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from inference.admission import Permits, Request
from inference.batcher import Batcher, Entry, Tower
from inference.config import EngineConfig
from inference.errors import (
    ClientLeft,
    DeadlineExceeded,
    EncodeFailed,
    ItemError,
    Overloaded,
    TextInvalid,
)
from inference.fetch import Fetcher
from inference.inline import check_size, decode_base64, decode_data_url, is_data_url
from inference.types import (
    Answer,
    Failure,
    ImageBase64,
    ImageBytes,
    ImageUrl,
    Item,
    Result,
    Text,
    is_unicode,
)
from model.encoder import Encoder, EncoderSpec, UInt8Array
from model.errors import DecodeError

log = logging.getLogger(__name__)

# How often a waiting request looks whether its client is still there.
CLIENT_CHECK_S = 0.1
RETRY_AFTER_S = 1.0


class Engine:
    """Embeds the items of many requests at once. Open with `with`, or `close` it."""

    def __init__(self, encoder: Encoder, fetcher: Fetcher, config: EngineConfig) -> None:
        self._encoder = encoder
        self._fetcher = fetcher
        self._config = config
        self._permits = Permits(config.max_items_in_flight)
        self._io = ThreadPoolExecutor(config.io_threads, "fetch")
        self._cpu = ThreadPoolExecutor(config.cpu_threads, "decode")
        self._batcher = Batcher(encoder, config.image, config.text)
        self._drain_by_s = float("inf")
        self._closing = False

    def __enter__(self) -> Self:
        """The engine itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    @property
    def spec(self) -> EncoderSpec:
        """What the encoder announces."""
        return self._encoder.spec

    @property
    def items_in_flight(self) -> int:
        """Permits held by all requests together."""
        return self._config.max_items_in_flight - self._permits.free

    def embed(
        self,
        items: Sequence[Item],
        deadline_s: float,
        client_left: Callable[[], bool] = lambda: False,
    ) -> Answer:
        """Embed all items; equal items are fetched and encoded once.

        Args:
            items: in any mixture.
            deadline_s: an instant of `time.monotonic`; what is not done then has failed with
                `deadline_exceeded`.
            client_left: asked now and then; True sheds the rest.

        Returns:
            One result per item, in order.

        Raises:
            Overloaded: no permits. ClientLeft: nobody waits any more.
        """
        request = Request(items, deadline_s)
        # A narrow window is slower, and better than a refusal.
        window = self._permits.acquire_up_to(min(request.distinct, self._config.window))
        if window == 0:
            raise Overloaded(RETRY_AFTER_S)
        # All are announced before the first is ready: it is not to leave alone.
        for item in [self._announce_next(request) for _ in range(window)]:
            self._start(request, item)
        try:
            while not request.wait(CLIENT_CHECK_S, self._drain_by_s):
                if client_left():
                    raise ClientLeft
        finally:
            results = request.close()
        return Answer(results, request.times)

    def drain(self, by_s: float) -> None:
        """Bring every deadline forward to `by_s`, an instant of `time.monotonic`."""
        self._drain_by_s = by_s

    def close(self) -> None:
        """Finish what runs and give back threads, connections and the encoder, in this order."""
        self._closing = True
        self._io.shutdown()
        self._cpu.shutdown()
        self._batcher.close()
        self._fetcher.close()
        self._encoder.close()

    def _announce_next(self, request: Request) -> Item | None:
        """Tell the batcher of the request's next item; None when there is none."""
        item = request.next()
        if item is not None:
            self._batcher.expect(tower_of(item))
        return item

    def _start_next(self, request: Request) -> None:
        """Use the permit of an item that is done for the request's next one.

        Always before the result of the former is noted: whoever sees a request answered sees
        its permits free.
        """
        self._start(request, self._announce_next(request))

    def _start(self, request: Request, item: Item | None) -> None:
        """Start an announced item, or give the permit back when there is none."""
        failed: list[tuple[Item, Failure]] = []
        while item is not None:
            try:
                self._send(request, item)
                break
            except Exception as exc:  # noqa: BLE001 - a pool that is closed, say
                self._batcher.withdraw(tower_of(item))
                failed.append((item, _failure(exc)))
                item = self._announce_next(request)
        else:
            self._permits.release()
        for one, failure in failed:
            request.finish(one, failure)

    def _send(self, request: Request, item: Item) -> None:
        """Send an item on its way. Raises ItemError for one that has none."""
        if self._closing:
            raise EncodeFailed("the service is stopping")
        limit = self._config.max_image_bytes
        match item:
            case Text(text):
                self._check_text(text)
                self._submit(request, item, text)
            case ImageUrl(url) if is_data_url(url):
                self._prepare(self._cpu, request, item, lambda: decode_data_url(url, limit))
            case ImageUrl(url):
                self._prepare(self._io, request, item, lambda: self._fetch(request, url))
            case ImageBase64(text):
                self._prepare(self._cpu, request, item, lambda: decode_base64(text, limit))
            case ImageBytes(data):
                self._prepare(self._cpu, request, item, lambda: check_size(data, limit))

    def _check_text(self, text: str) -> None:
        if not text.strip():
            raise TextInvalid("the text is empty")
        if len(text) > self._config.max_text_chars:
            raise TextInvalid(f"the text has more than {self._config.max_text_chars:,} characters")
        if not is_unicode(text):
            raise TextInvalid("the text is not valid Unicode")

    def _prepare(
        self,
        pool: ThreadPoolExecutor,
        request: Request,
        item: Item,
        get_data: Callable[[], bytes],
    ) -> None:
        """Have a pool get an image's bytes; then preprocess it and hand it to the batcher."""
        pool.submit(self._run, pool, request, item, get_data)

    def _run(
        self,
        pool: ThreadPoolExecutor,
        request: Request,
        item: Item,
        get_data: Callable[[], bytes],
    ) -> None:
        try:
            if request.closed or self._closing:
                raise EncodeFailed("the service is stopping")
            data = get_data()
            if pool is self._cpu:
                pixels = self._preprocess(request, data)
            else:
                # The fetching thread waits for a decoding one, so encoded images in memory are
                # never more than there are fetching threads.
                pixels = self._cpu.submit(self._preprocess, request, data).result()
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is this item's
            self._fail(request, item, _failure(exc))
        else:
            self._submit(request, item, pixels)

    def _fetch(self, request: Request, url: str) -> bytes:
        with request.times.measure("fetch"):
            return self._fetcher.fetch(url, request.deadline_s)

    def _preprocess(self, request: Request, data: bytes) -> UInt8Array:
        if request.closed:
            raise DeadlineExceeded("shed: nobody waits for it")
        with request.times.measure("decode"):
            return self._encoder.preprocess(data)

    def _submit(self, request: Request, item: Item, payload: object) -> None:
        def done(result: Result) -> None:
            self._start_next(request)
            request.finish(item, result)

        self._batcher.submit(
            tower_of(item),
            Entry(
                payload,
                request.times,
                wanted=lambda: not request.closed,
                done=done,
                shed=lambda: self._start_next(request),
            ),
        )

    def _fail(self, request: Request, item: Item, failure: Failure) -> None:
        self._batcher.withdraw(tower_of(item))
        self._start_next(request)
        request.finish(item, failure)


def _failure(exc: Exception) -> Failure:
    """An item's own error, or what nobody foresaw, which is logged."""
    if isinstance(exc, ItemError | DecodeError):
        return Failure.of(exc)
    log.error("an item failed unexpectedly", exc_info=exc)
    return Failure.of(EncodeFailed("internal error"))


def tower_of(item: Item) -> Tower:
    """Which half of the encoder embeds it."""
    return "text" if isinstance(item, Text) else "image"
