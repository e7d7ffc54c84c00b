"""The engine: embeds the items of many concurrent requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Self

from inference.batching.batcher import Batcher, Encoded, TowerReport
from inference.config import BatchConfig, EngineConfig, FetchConfig
from inference.engine.loaded_models import LoadedModel, LoadedModels
from inference.engine.pipeline import Pipeline
from inference.engine.request import LATE, Extras, Request, Single
from inference.engine.reuse import EmbeddingsByDigest
from inference.engine.stream import Group, Stream
from inference.engine.text_cache import TextCache, TextCacheReport
from inference.errors import ClientLeft
from inference.fetching.header_values import is_etag
from inference.preparation.processes.forking import ForkServer
from inference.profile.machine import ProcessorTimes, processor_times
from inference.stalls import Stalls
from inference.stats import StageTimes
from inference.types import Answer, Item, Lane, Result, Target, Tower, lane_of
from model.encoder import Encoder, EncoderSpec

# How often a waiting request checks whether its client is still connected.
CLIENT_CHECK_S = 0.1


class Engine:
    """Embeds the items of many concurrent requests. Use it in `with`, or `close` it."""

    def __init__(
        self,
        encoder: Encoder | None,
        fetch: FetchConfig,
        config: EngineConfig,
        clock: Callable[[], float] = time.perf_counter,
        forks: ForkServer | None = None,
    ) -> None:
        """Start the pipeline.

        encoder: the first model, under the name in its spec; None starts without a model. forks: a
        fork server that was started early, for the preprocessing processes; the engine closes it.
        """
        self.config = config
        self._stalls = Stalls(config.stall_s)
        self._models = LoadedModels()
        self._batcher = Batcher(config, self._stalls, clock, self._processor_times)
        self._pipeline = Pipeline(fetch, config, self._models, self._batcher, self._stalls, forks)
        self._drain_by_s = float("inf")
        if encoder is not None:
            self.add(encoder.spec.name, encoder, config.image, config.text)

    def __enter__(self) -> Self:
        """Return the engine."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close it."""
        self.close()

    def add(self, name: str, encoder: Encoder, image: BatchConfig, text: BatchConfig) -> None:
        """Add a model. It serves requests at once, and `close` closes its encoder.

        Raises:
            CheckpointError: the pixels of all models together are too large.
        """
        self._pipeline.preparation.add(encoder.spec.preprocessing)
        self._batcher.add(name, encoder, {"image": image, "text": text})
        self._models.add(name, LoadedModel(encoder, TextCache(self.config.text_cache_bytes)))

    def announce(self, default: str, absent: Mapping[str, str]) -> None:
        """Set the default model, loaded or not. absent: why each absent model is not loaded."""
        self._models.announce(default, absent)

    def remove(self, name: str) -> None:
        """Finish a model's accepted requests, then free its memory.

        Raises:
            UnknownModel: no model of that name is loaded.
        """
        self._models.leave(name)
        self._batcher.remove(name)
        self._models.forget(name).encoder.close()

    @property
    def models(self) -> dict[str, EncoderSpec]:
        """The spec of each model by name; the first is the default."""
        return self._models.specs()

    @property
    def spec(self) -> EncoderSpec:
        """The spec of the first model."""
        return next(iter(self.models.values()))

    def specs(self, models: str | Sequence[str] = ()) -> dict[str, EncoderSpec]:
        """Return the specs of the models that a call with `models` uses. Raises UnknownModel."""
        used = self._models.use(models)
        try:
            return {name: self._models[name].encoder.spec for name in used}
        finally:
            self._models.release(used)

    @property
    def items_in_flight(self) -> int:
        """Permits held by all requests together."""
        return self._pipeline.admission.items_in_flight

    @property
    def images_decoded(self) -> int:
        """Images decoded so far; models with equal preprocessing share one decoding."""
        return self._pipeline.preparation.decoded

    def processes(self) -> dict[int, str]:
        """Return the role of each process of this engine besides this one, by process id.

        `preprocess` fetches and decodes; `fork_server` starts those.
        """
        return self._pipeline.preparation.pids()

    @property
    def processes_replaced(self) -> int:
        """Processes of this engine that have died and were replaced so far."""
        return self._pipeline.preparation.replaced

    def report(self, tower: Tower, model: str | None = None) -> TowerReport:
        """Return a tower's current statistics. model: None is the default."""
        return self._batcher.report(Target(model or self._models.names()[0], tower))

    def text_cache_report(self, model: str | None = None) -> TextCacheReport:
        """Return a model's text cache statistics. model: None is the default."""
        return self._models[model or self._models.names()[0]].texts.report()

    def watch_batches(self, watch: Callable[[Encoded], None]) -> None:
        """Have every batch told from now on, before its results are handed over.

        watch: must be quick and may not raise; all results wait for it.
        """
        self._batcher.watch = watch

    def trouble(self) -> str | None:
        """Return a fault that only a restart fixes, in words; None when there is none."""
        troubles = (self._batcher.trouble, self._stalls.found, self._pipeline.preparation.trouble)
        return next((words for one in troubles if (words := one())), None)

    def embed(
        self,
        items: Sequence[Item],
        deadline_s: float,
        client_left: Callable[[], bool] = lambda: False,
        lane: Lane | None = None,
        models: str | Sequence[str] = (),
        times: StageTimes | None = None,
    ) -> Answer:
        """Embed all items; equal items are fetched and encoded once.

        A text in the cache is answered from it, without a permit and without queueing.

        Args:
            items: images and texts in any mixture.
            deadline_s: an instant of `time.monotonic`; items not done by then fail with
                `deadline_exceeded`.
            client_left: called while waiting; True sheds the remaining items.
            lane: None is `lane_of` the items.
            models: one name, or several; () is the default. With several, results are `Embeddings`:
                each item is fetched once, and decoded once for models of equal preprocessing.
            times: takes the time of each stage, and becomes the answer's; None is new ones.

        Returns:
            One result per item, in order.

        Raises:
            Overloaded: no permit is free. ClientLeft: the client left. UnknownModel: not loaded.
        """
        results: list[Result] = [LATE] * len(items)
        with self._stream(items, deadline_s, client_left, lane, models, times) as done:
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
        times: StageTimes | None = None,
    ) -> Stream:
        """As `embed`, but return each result as soon as it is ready.

        No more items start while two windows of results wait to be read, so memory does not grow
        with the number of items.

        Raises:
            Overloaded, UnknownModel: at once. ClientLeft: while iterating.
        """
        keep = 2 * self.config.window
        return self._stream(items, deadline_s, client_left, lane, models, times, keep)

    def submit(
        self,
        item: Item,
        deadline_s: float,
        done: Callable[[Result], None],
        lane: Lane = "bulk",
        *,
        details: bool = False,
        etag: str | None = None,
        reuse: EmbeddingsByDigest | None = None,
    ) -> Single:
        """Start one item on the default model and return without waiting.

        Args:
            item: of any kind.
            deadline_s: an instant of `time.monotonic`, at which its fetch ends. The caller must
                then call `give_up` of the returned request: the engine sets no timer for it.
            done: called once with the result, in the thread that produced it; must be quick.
            lane: the lane in which the item queues.
            details: whether the result has `ImageDetails`. A text has none, and neither has an item
                that was given up. A busy server's Retry-After is then the caller's to obey: the
                item fails with it at once.
            etag: as an earlier result's details have it. If the server of the item's URL still has
                that image, the item fails with `not_modified`. Other items than URLs ignore it.
            reuse: embeddings of the default model. An image whose bytes are known there, or which
                another item with the same `reuse` is having encoded, gets that embedding without a
                forward pass, and any other is stored there. The result has details.

        Raises:
            Overloaded: no permit is free. ValueError: `etag` cannot be sent.
        """
        if etag is not None and not is_etag(etag):
            raise ValueError(f"not an ETag: {etag!r}")
        used = self._models.use(())

        def ended(result: Result) -> None:
            self._models.release(used)
            done(result)

        extras = Extras(details or reuse is not None, etag, reuse)
        request = Single(item, deadline_s, lane, used, ended, extras)
        self._enter(request)
        return request

    def _processor_times(self) -> ProcessorTimes | None:
        return processor_times(self.processes())

    def _stream(
        self,
        items: Sequence[Item],
        deadline_s: float,
        client_left: Callable[[], bool],
        lane: Lane | None,
        models: str | Sequence[str],
        times: StageTimes | None,
        keep: int | None = None,
    ) -> Stream:
        several = not isinstance(models, str) and bool(models)
        used = self._models.use(models)
        request = Request(
            items, deadline_s, lane or lane_of(items), keep, used, several=several, times=times
        )
        self._enter(request)

        def leave() -> None:
            request.close()
            self._pipeline.admission.leave(request)
            self._models.release(used)

        return Stream(request.times, self._results(request, client_left), leave)

    def _enter(self, request: Request) -> None:
        try:
            self._pipeline.enter(request)
        except BaseException:
            self._models.release(request.models)
            raise

    def _results(self, request: Request, client_left: Callable[[], bool]) -> Generator[Group]:
        while not request.wait(CLIENT_CHECK_S, self._drain_by_s):
            if client_left():
                raise ClientLeft
            if group := request.take():
                yield group
                self._pipeline.resume()
        if group := request.close():
            yield group

    def drain(self, by_s: float) -> None:
        """Bring every deadline forward to `by_s`, an instant of `time.monotonic`."""
        self._drain_by_s = by_s

    def close(self) -> None:
        """Finish running work, then release threads, connections and encoders, in this order."""
        self.stop()
        for model in self._models.everyone().values():
            model.encoder.close()

    def stop(self) -> None:
        """As `close`, but leave the encoders open."""
        self._pipeline.preparation.close()
        self._batcher.close()
