"""Embeds the items of many requests at once: the interface, and what happens to a request."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Self

from inference.batching.batcher import Batcher, TowerReport
from inference.config import BatchConfig, EngineConfig
from inference.engine.loaded_models import LoadedModel, LoadedModels
from inference.engine.pipeline import Pipeline
from inference.engine.request import LATE, Request, Single
from inference.engine.stream import Group, Stream
from inference.engine.text_cache import TextCache, TextCacheReport
from inference.errors import ClientLeft
from inference.fetching.fetcher import Fetcher
from inference.stalls import Stalls
from inference.types import Answer, Item, Lane, Result, Target, Tower, lane_of
from model.encoder import Encoder, EncoderSpec

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
        self.config = config
        self._stalls = Stalls(config.stall_s)
        self._models = LoadedModels()
        self._batcher = Batcher(config, self._stalls, clock)
        self._pipeline = Pipeline(fetcher, config, self._models, self._batcher, self._stalls)
        self._drain_by_s = float("inf")
        if encoder is not None:
            self.add(encoder.spec.name, encoder, config.image, config.text)

    def __enter__(self) -> Self:
        """The engine itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close it."""
        self.close()

    def add(self, name: str, encoder: Encoder, image: BatchConfig, text: BatchConfig) -> None:
        """Take in a model, which may be asked at once. It closes with the engine."""
        self._batcher.add(name, encoder, {"image": image, "text": text})
        self._models.add(name, LoadedModel(encoder, TextCache(self.config.text_cache_bytes)))

    def announce(self, default: str, absent: Mapping[str, str]) -> None:
        """Name the default, which may be absent; absent: why a model is not there, by its name."""
        self._models.announce(default, absent)

    def remove(self, name: str) -> None:
        """Answer what was accepted of a model, then give back its memory.

        Raises:
            UnknownModel: it is not there.
        """
        self._models.leave(name)
        self._batcher.remove(name)
        self._models.forget(name).encoder.close()

    @property
    def models(self) -> dict[str, EncoderSpec]:
        """What each model announces, by its name; the first is the default."""
        return self._models.specs()

    @property
    def spec(self) -> EncoderSpec:
        """What the first model announces."""
        return next(iter(self.models.values()))

    def specs(self, models: str | Sequence[str] = ()) -> dict[str, EncoderSpec]:
        """What those announce that a call with `models` would ask. Raises UnknownModel."""
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
        """Images decoded so far; one that several models read alike is decoded once."""
        return self._pipeline.preparation.decoded

    def report(self, tower: Tower, model: str | None = None) -> TowerReport:
        """How a tower fares at this moment. model: None is the default."""
        return self._batcher.report(Target(model or self._models.names()[0], tower))

    def text_cache_report(self, model: str | None = None) -> TextCacheReport:
        """How many texts were asked before. model: None is the default."""
        return self._models[model or self._models.names()[0]].texts.report()

    def trouble(self) -> str | None:
        """What only a new process will mend, in words; None when all is well."""
        return self._batcher.trouble() or self._stalls.found()

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
        keep = 2 * self.config.window
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
        used = self._models.use(())

        def ended(result: Result) -> None:
            self._models.release(used)
            done(result)

        request = Single(item, deadline_s, lane, used, ended)
        self._enter(request)
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
        used = self._models.use(models)
        request = Request(items, deadline_s, lane or lane_of(items), keep, used, several=several)
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
        """Finish what runs and give back threads, connections and the encoders, in this order."""
        self.stop()
        for model in self._models.everyone().values():
            model.encoder.close()

    def stop(self) -> None:
        """As `close`, but the encoders live on."""
        self._pipeline.preparation.close()
        self._batcher.close()
