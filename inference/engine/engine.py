"""The whole way of a request's items: admission, fetch, preprocess, batch, encode, order."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from inference.batching.batcher import Batcher, TowerReport
from inference.batching.scheduler import Entry
from inference.config import BatchConfig, EngineConfig
from inference.engine.admission import Admission
from inference.engine.loaded_models import Member, Roster
from inference.engine.pools import Pools
from inference.engine.request import LATE, LATE_MESSAGE, Job, Request, Single, merge
from inference.engine.stream import Group, Stream
from inference.engine.text_cache import TextCache, TextCacheReport
from inference.engine.unforeseen import Unforeseen
from inference.errors import (
    ClientLeft,
    DeadlineExceeded,
    EncodeFailed,
    FetchError,
    Overloaded,
    TextInvalid,
)
from inference.fetching.fetcher import Fetcher
from inference.fetching.files import read_file
from inference.fetching.inline import check_size, decode_base64, decode_data_url, is_data_url
from inference.fetching.urls import tidy
from inference.stalls import Hangs
from inference.types import (
    Answer,
    Embedding,
    Failure,
    ImageBase64,
    ImageBytes,
    ImageFile,
    ImageUrl,
    Item,
    Lane,
    Result,
    Target,
    Text,
    Tower,
    Unreadable,
    is_unicode,
    lane_of,
)
from model.encoder import Encoder, EncoderSpec, UInt8Array

# How often a waiting request looks whether its client is still there.
CLIENT_CHECK_S = 0.1


class Engine:
    """Embeds the items of many requests at once. Open with `with`, or `close` it."""

    def __init__(
        self,
        encoder: Encoder | None,
        fetcher: Fetcher,
        config: EngineConfig,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """encoder: the first model, by the name it announces; None starts without."""
        self._fetcher = fetcher
        self._config = config
        self._admission = Admission(config)
        self._pools = Pools(config.io_threads, config.cpu_threads)
        self._hangs = Hangs(config.hang_s)
        self._batcher = Batcher(config, self._hangs, clock)
        self._roster = Roster()
        self._unforeseen = Unforeseen()
        self._decoded = 0
        self._decoded_lock = threading.Lock()
        self._drain_by_s = float("inf")
        self._closing = False
        if encoder is not None:
            self.add(encoder.spec.name, encoder, config.image, config.text)

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

    def add(self, name: str, encoder: Encoder, image: BatchConfig, text: BatchConfig) -> None:
        """Take in a model, which may be asked at once. It closes with the engine."""
        self._batcher.add(name, encoder, {"image": image, "text": text})
        self._roster.add(name, Member(encoder, TextCache(self._config.text_cache_bytes)))

    def announce(self, default: str, absent: Mapping[str, str]) -> None:
        """Name the default, which may be absent; absent: why a model is not there, by its name."""
        self._roster.announce(default, absent)

    def remove(self, name: str) -> None:
        """Answer what was accepted of a model, then give back its memory.

        Raises:
            UnknownModel: it is not there.
        """
        self._roster.leave(name)
        self._batcher.remove(name)
        self._roster.forget(name).encoder.close()

    @property
    def models(self) -> dict[str, EncoderSpec]:
        """What each model announces, by its name; the first is the default."""
        members = self._roster.everyone()
        return {name: members[name].encoder.spec for name in self._roster.names()}

    @property
    def spec(self) -> EncoderSpec:
        """What the first model announces."""
        return next(iter(self.models.values()))

    def specs(self, models: str | Sequence[str] = ()) -> dict[str, EncoderSpec]:
        """What those announce that a call with `models` would ask. Raises UnknownModel."""
        used = self._roster.use([models] if isinstance(models, str) else models)
        try:
            return {name: self._roster[name].encoder.spec for name in used}
        finally:
            self._roster.release(used)

    @property
    def config(self) -> EngineConfig:
        """What it was made with."""
        return self._config

    @property
    def items_in_flight(self) -> int:
        """Permits held by all requests together."""
        return self._admission.items_in_flight

    @property
    def images_decoded(self) -> int:
        """Images decoded so far; one that several models read alike is decoded once."""
        return self._decoded

    def report(self, tower: Tower, model: str | None = None) -> TowerReport:
        """How a tower fares at this moment. model: None is the default."""
        return self._batcher.report(Target(model or self._roster.names()[0], tower))

    def text_cache_report(self, model: str | None = None) -> TextCacheReport:
        """How many texts were asked before. model: None is the default."""
        return self._roster[model or self._roster.names()[0]].texts.report()

    def trouble(self) -> str | None:
        """What only a new process will mend, in words; None when all is well."""
        return self._batcher.trouble() or self._hangs.found()

    def embed(
        self,
        items: Sequence[Item],
        deadline_s: float,
        client_left: Callable[[], bool] = lambda: False,
        lane: Lane | None = None,
        models: str | Sequence[str] = (),
    ) -> Answer:
        """Embed all items; equal items are fetched and encoded once.

        A text that was embedded before is answered from memory, with no permit and no queue.

        Args:
            items: in any mixture.
            deadline_s: an instant of `time.monotonic`; what is not done then has failed with
                `deadline_exceeded`.
            client_left: asked now and then; True sheds the rest.
            lane: None is `lane_of` the items.
            models: one by its name, or several, for which results are `Embeddings`, each item
                fetched once and decoded once where they read the same pixels; () is the default.

        Returns:
            One result per item, in order.

        Raises:
            Overloaded: no permits. ClientLeft: nobody waits any more. UnknownModel: of a name.
        """
        results: list[Result] = [LATE] * len(items)
        with self._stream(items, deadline_s, client_left, lane, models) as done:
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
        models: str | Sequence[str] = (),
    ) -> Stream:
        """As `embed`, but each result as soon as it is there.

        With two windows of results that nobody has taken yet, no more items start: memory does not
        grow with their number.

        Raises:
            Overloaded, UnknownModel: at once. ClientLeft: while iterating.
        """
        keep = 2 * self._config.window
        return self._stream(items, deadline_s, client_left, lane, models, keep)

    def submit(
        self,
        item: Item,
        deadline_s: float,
        done: Callable[[Result], None],
        lane: Lane = "bulk",
    ) -> Single:
        """Start one item of the default model, and wait for nothing.

        Args:
            item: of any kind.
            deadline_s: an instant of `time.monotonic`, after which its fetch ends. Whoever asks
                calls `give_up` of what is returned then: nobody else watches the clock.
            done: called once with the result, in the thread that has it; to be quick.
            lane: where it queues.

        Raises:
            Overloaded: no permit is free.
        """
        used = self._roster.use(())

        def ended(result: Result) -> None:
            self._roster.release(used)
            done(result)

        request = Single(item, deadline_s, lane, used, ended)
        try:
            request.answer(partial(self._known, request))
            if request.has_more:
                self._start(self._admission.enter(request))
        except Overloaded:
            self._roster.release(used)
            raise
        return request

    def _stream(
        self,
        items: Sequence[Item],
        deadline_s: float,
        client_left: Callable[[], bool],
        lane: Lane | None,
        models: str | Sequence[str],
        keep: int | None = None,
    ) -> Stream:
        several = not isinstance(models, str) and bool(models)
        used = self._roster.use([models] if isinstance(models, str) else models)
        request = Request(items, deadline_s, lane or lane_of(items), keep, used, several=several)
        try:
            request.answer(partial(self._known, request))
            if request.has_more:
                self._start(self._admission.enter(request))
        except BaseException:
            self._roster.release(used)
            raise

        def leave() -> None:
            request.close()
            self._admission.leave(request)
            self._roster.release(used)

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
        """Finish what runs and give back threads, connections and the encoders, in this order."""
        self.stop()
        for member in self._roster.everyone().values():
            member.encoder.close()

    def stop(self) -> None:
        """As `close`, but the encoders live on."""
        self._closing = True
        self._pools.close()
        self._batcher.close()
        self._fetcher.close()

    def _known(self, request: Request, item: Item) -> Result | None:
        """What a text was embedded as before."""
        if not isinstance(item, Text):
            return None
        found = {model: self._roster[model].texts.get(item.text) for model in request.models}
        return merge(found, request.several)

    def _start(self, jobs: Sequence[Job]) -> None:
        """Send items on their way; one that has none fails, and others start in its place."""
        unsent = self._announced(jobs)
        failed: list[tuple[Job, Failure]] = []
        while unsent:
            job = unsent.popleft()
            try:
                self._send(job)
            except Exception as exc:  # noqa: BLE001 - a pool that is closed, say
                failed.append((job, self._unforeseen.failure(exc)))
                self._withdraw(job)
                unsent += self._announced(self._admission.done(job))
        for job, failure in failed:
            job.finish(failure)

    def _announced(self, jobs: Sequence[Job]) -> deque[Job]:
        """Tell the batcher of all before the first is ready: it is not to leave alone."""
        for job in jobs:
            for target in job.targets:
                self._batcher.expect(target, job.lane)
        return deque(jobs)

    def _withdraw(self, job: Job) -> None:
        """It failed on its way to the batcher."""
        for target in job.targets:
            self._batcher.withdraw(target, job.lane)

    def _send(self, job: Job) -> None:
        """Send an item on its way. Raises ItemError for one that has none."""
        if self._closing:
            raise EncodeFailed("the service is stopping")
        decode = self._pools.decode[job.lane]
        limit = self._config.max_image_bytes
        match job.item:
            case Text(text):
                self._check_text(text)
                self._submit(job, [text] * len(job.targets))
            case Unreadable(reason):
                raise TextInvalid(reason)
            case ImageUrl(text) | ImageBase64(text) if is_data_url(text):
                decode.submit(self._prepare, job, lambda: decode_data_url(text, limit))
            case ImageUrl(url):
                fetch = partial(self._fetcher.fetch, tidy(url), job.request.deadline_s)
                self._pools.fetch[job.lane].submit(self._fetch, job, fetch)
            case ImageFile(path):
                read = partial(read_file, path, limit, lambda: not job.request.closed)
                self._pools.fetch[job.lane].submit(self._fetch, job, read)
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

    def _fetch(self, job: Job, get_data: Callable[[], bytes]) -> None:
        """Fetch or read an image's bytes and have them preprocessed.

        The fetching thread waits for the decoding one, so that encoded images in memory are never
        more than there are fetching threads.
        """
        try:
            self._check_wanted(job)
            with job.times.measure("fetch"):
                data = get_data()
            self._pools.decode[job.lane].submit(self._prepare, job, lambda: data).result()
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is this item's
            self._fail(job, exc)

    def _prepare(self, job: Job, get_data: Callable[[], bytes]) -> None:
        """Preprocess an image and hand it to the batcher; this ends in a result in any case."""
        try:
            self._check_wanted(job)
            data = get_data()
            with job.times.measure("decode"), self._hangs.watch("the decoding of an image"):
                pixels = self._pixels(job, data)
            self._submit(job, pixels)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is this item's
            self._fail(job, exc)

    def _check_wanted(self, job: Job) -> None:
        """No work for nobody. Raises ItemError, which nobody will see."""
        if job.request.closed:
            raise DeadlineExceeded("shed: nobody waits for it")
        if self._closing:
            raise EncodeFailed("the service is stopping")

    def _pixels(self, job: Job, data: bytes) -> list[UInt8Array]:
        """What each of its models reads, decoded once for those that read alike."""
        found: dict[str, UInt8Array] = {}
        wanted = []
        for model in job.request.models:
            encoder = self._roster[model].encoder
            wanted.append(way := encoder.spec.preprocessing)
            if way not in found:
                found[way] = encoder.preprocess(data)
        with self._decoded_lock:
            self._decoded += len(found)
        return [found[way] for way in wanted]

    def _submit(self, job: Job, payloads: Sequence[object]) -> None:
        """Hand an item to each of its models. Raises EncodeFailed when it is too late for all."""
        for index, (target, payload) in enumerate(zip(job.targets, payloads, strict=True)):
            ended = partial(self._ended, job, target.model)
            entry = Entry(
                payload,
                job.times,
                wanted=lambda: not job.request.closed,
                done=ended,
                shed=partial(ended, None),
            )
            try:
                self._batcher.submit(target, job.lane, entry)
            except EncodeFailed as exc:
                if index == 0:
                    raise
                self._batcher.withdraw(target, job.lane)
                ended(Failure.of(exc))

    def _ended(self, job: Job, model: str, result: Result | None) -> None:
        """A model is done with an item; None when nobody waited for it."""
        if isinstance(job.item, Text) and isinstance(result, Embedding):
            self._roster[model].texts.put(job.item.text, result)
        if not job.part(model, result):
            return
        # Before the result is noted: whoever sees a request answered sees its permits free.
        self._start(self._admission.done(job))
        if (merged := job.merged()) is not None:
            job.finish(merged)

    def _fail(self, job: Job, exc: Exception) -> None:
        passing = isinstance(exc, FetchError) and exc.retryable
        if passing and time.monotonic() >= job.request.deadline_s:
            exc = DeadlineExceeded(LATE_MESSAGE)  # it cut the fetch off, not the fetch's own limit
        self._withdraw(job)
        self._start(self._admission.done(job))
        job.finish(self._unforeseen.failure(exc))
