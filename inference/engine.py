"""The whole way of a request's items: admission, fetch, preprocess, batch, encode, order."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Self

from inference.admission import Admission
from inference.batcher import Batcher, TowerReport
from inference.config import EngineConfig
from inference.errors import (
    ClientLeft,
    DeadlineExceeded,
    EncodeFailed,
    FetchError,
    ItemError,
    TextInvalid,
)
from inference.fetch import Fetcher
from inference.hangs import Hangs
from inference.inline import check_size, decode_base64, decode_data_url, is_data_url
from inference.pools import Pools
from inference.request import LATE, LATE_MESSAGE, Job, Request
from inference.scheduler import Entry
from inference.stream import Group, Stream
from inference.text_cache import TextCache, TextCacheReport
from inference.types import (
    Answer,
    Embedding,
    Failure,
    ImageBase64,
    ImageBytes,
    ImageUrl,
    Item,
    Lane,
    Result,
    Text,
    Tower,
    Unreadable,
    is_unicode,
    lane_of,
)
from model.encoder import Encoder, EncoderSpec
from model.errors import DecodeError

log = logging.getLogger(__name__)

# How often a waiting request looks whether its client is still there.
CLIENT_CHECK_S = 0.1


class Engine:
    """Embeds the items of many requests at once. Open with `with`, or `close` it."""

    def __init__(
        self,
        encoder: Encoder,
        fetcher: Fetcher,
        config: EngineConfig,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._encoder = encoder
        self._fetcher = fetcher
        self._config = config
        self._admission = Admission(config)
        self._pools = Pools(config.io_threads, config.cpu_threads)
        self._hangs = Hangs(config.hang_s)
        self._batcher = Batcher(encoder, config, self._hangs, clock)
        self._texts = TextCache(config.text_cache_bytes)
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
    def config(self) -> EngineConfig:
        """What it was made with."""
        return self._config

    @property
    def items_in_flight(self) -> int:
        """Permits held by all requests together."""
        return self._admission.items_in_flight

    def report(self, tower: Tower) -> TowerReport:
        """How a tower fares at this moment."""
        return self._batcher.report(tower)

    def text_cache_report(self) -> TextCacheReport:
        """How many texts were asked before."""
        return self._texts.report()

    def trouble(self) -> str | None:
        """What only a new process will mend, in words; None when all is well."""
        return self._batcher.trouble() or self._hangs.found()

    def embed(
        self,
        items: Sequence[Item],
        deadline_s: float,
        client_left: Callable[[], bool] = lambda: False,
        lane: Lane | None = None,
    ) -> Answer:
        """Embed all items; equal items are fetched and encoded once.

        A text that was embedded before is answered from memory, with no permit and no queue.

        Args:
            items: in any mixture.
            deadline_s: an instant of `time.monotonic`; what is not done then has failed with
                `deadline_exceeded`.
            client_left: asked now and then; True sheds the rest.
            lane: None is `lane_of` the items.

        Returns:
            One result per item, in order.

        Raises:
            Overloaded: no permits. ClientLeft: nobody waits any more.
        """
        results: list[Result] = [LATE] * len(items)
        with self._stream(Request(items, deadline_s, lane or lane_of(items)), client_left) as done:
            for group in done:
                for index, result in group:
                    results[index] = result
        return Answer(results, done.times)

    def stream(
        self,
        items: Sequence[Item],
        deadline_s: float,
        client_left: Callable[[], bool] = lambda: False,
        lane: Lane | None = None,
    ) -> Stream:
        """As `embed`, but each result as soon as it is there.

        With two windows of results that nobody has taken yet, no more items start: memory does not
        grow with their number.

        Raises:
            Overloaded: no permits, at once. ClientLeft: while iterating.
        """
        keep = 2 * self._config.window
        return self._stream(Request(items, deadline_s, lane or lane_of(items), keep), client_left)

    def _stream(self, request: Request, client_left: Callable[[], bool]) -> Stream:
        request.answer(self._known)
        if request.has_more:
            self._start(self._admission.enter(request))

        def leave() -> None:
            request.close()
            self._admission.leave(request)

        return Stream(request.times, self._results(request, client_left), leave)

    def _results(self, request: Request, client_left: Callable[[], bool]) -> Generator[Group]:
        while not request.wait(CLIENT_CHECK_S, self._drain_by_s):
            if client_left():
                raise ClientLeft
            if group := request.take():
                yield group
                self._start(self._admission.resume())
        if group := request.close():
            yield group

    def drain(self, by_s: float) -> None:
        """Bring every deadline forward to `by_s`, an instant of `time.monotonic`."""
        self._drain_by_s = by_s

    def close(self) -> None:
        """Finish what runs and give back threads, connections and the encoder, in this order."""
        self.stop()
        self._encoder.close()

    def stop(self) -> None:
        """As `close`, but the encoder lives on."""
        self._closing = True
        self._pools.close()
        self._batcher.close()
        self._fetcher.close()

    def _known(self, item: Item) -> Embedding | None:
        """What a text was embedded as before."""
        return self._texts.get(item.text) if isinstance(item, Text) else None

    def _start(self, jobs: Sequence[Job]) -> None:
        """Send items on their way; one that has none fails, and others start in its place."""
        unsent = self._announced(jobs)
        failed: list[tuple[Job, Failure]] = []
        while unsent:
            job = unsent.popleft()
            try:
                self._send(job)
            except Exception as exc:  # noqa: BLE001 - a pool that is closed, say
                failed.append((job, _failure(exc)))
                self._batcher.withdraw(job.tower, job.lane)
                unsent += self._announced(self._admission.done(job))
        for job, failure in failed:
            job.finish(failure)

    def _announced(self, jobs: Sequence[Job]) -> deque[Job]:
        """Tell the batcher of all before the first is ready: it is not to leave alone."""
        for job in jobs:
            self._batcher.expect(job.tower, job.lane)
        return deque(jobs)

    def _send(self, job: Job) -> None:
        """Send an item on its way. Raises ItemError for one that has none."""
        if self._closing:
            raise EncodeFailed("the service is stopping")
        decode = self._pools.decode[job.lane]
        limit = self._config.max_image_bytes
        match job.item:
            case Text(text):
                self._check_text(text)
                self._submit(job, text)
            case Unreadable(reason):
                raise TextInvalid(reason)
            case ImageUrl(url) if is_data_url(url):
                decode.submit(self._prepare, job, lambda: decode_data_url(url, limit))
            case ImageUrl(url):
                self._pools.fetch[job.lane].submit(self._fetch, job, url)
            case ImageBase64(text):
                decode.submit(self._prepare, job, lambda: decode_base64(text, limit))
            case ImageBytes(data):
                decode.submit(self._prepare, job, lambda: check_size(data, limit))

    def _check_text(self, text: str) -> None:
        if not text.strip():
            raise TextInvalid("the text is empty")
        if len(text) > self._config.max_text_chars:
            raise TextInvalid(f"the text has more than {self._config.max_text_chars:,} characters")
        if not is_unicode(text):
            raise TextInvalid("the text is not valid Unicode")

    def _fetch(self, job: Job, url: str) -> None:
        """Fetch an image's bytes and have them preprocessed.

        The fetching thread waits for the decoding one, so that encoded images in memory are never
        more than there are fetching threads.
        """
        try:
            self._check_wanted(job)
            with job.times.measure("fetch"):
                data = self._fetcher.fetch(url, job.request.deadline_s)
            self._pools.decode[job.lane].submit(self._prepare, job, lambda: data).result()
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is this item's
            self._fail(job, exc)

    def _prepare(self, job: Job, get_data: Callable[[], bytes]) -> None:
        """Preprocess an image and hand it to the batcher; this ends in a result in any case."""
        try:
            self._check_wanted(job)
            data = get_data()
            with job.times.measure("decode"), self._hangs.watch("the decoding of an image"):
                pixels = self._encoder.preprocess(data)
            self._submit(job, pixels)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is this item's
            self._fail(job, exc)

    def _check_wanted(self, job: Job) -> None:
        """No work for nobody. Raises ItemError, which nobody will see."""
        if job.request.closed:
            raise DeadlineExceeded("shed: nobody waits for it")
        if self._closing:
            raise EncodeFailed("the service is stopping")

    def _submit(self, job: Job, payload: object) -> None:
        def leave() -> None:
            # Before the result is noted: whoever sees a request answered sees its permits free.
            self._start(self._admission.done(job))

        def done(result: Result) -> None:
            if isinstance(job.item, Text) and isinstance(result, Embedding):
                self._texts.put(job.item.text, result)
            leave()
            job.finish(result)

        entry = Entry(payload, job.times, lambda: not job.request.closed, done, leave)
        self._batcher.submit(job.tower, job.lane, entry)

    def _fail(self, job: Job, exc: Exception) -> None:
        passing = isinstance(exc, FetchError) and exc.retryable
        if passing and time.monotonic() >= job.request.deadline_s:
            exc = DeadlineExceeded(
                LATE_MESSAGE
            )  # the request's limit cut the fetch off, not its own
        self._batcher.withdraw(job.tower, job.lane)
        self._start(self._admission.done(job))
        job.finish(_failure(exc))


def _failure(exc: Exception) -> Failure:
    """An item's own error, or what nobody foresaw, which is logged."""
    if isinstance(exc, ItemError | DecodeError):
        return Failure.of(exc)
    log.error("an item failed unexpectedly", exc_info=exc)
    return Failure.of(EncodeFailed("internal error"))
