"""The stages of an item: admission, announcement to the batcher, preparation, batch, answer."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from functools import partial

from inference.batching.batcher import Batcher
from inference.batching.scheduler import Entry
from inference.config import EngineConfig, FetchConfig
from inference.engine.admission import Admission
from inference.engine.loaded_models import LoadedModels
from inference.engine.preparation import Payloads, Preparation
from inference.engine.request import LATE_MESSAGE, Job, Request, merge
from inference.engine.unforeseen import Unforeseen
from inference.errors import DeadlineExceeded, EncodeFailed, FetchError
from inference.preparation.processes.forking import ForkServer
from inference.stalls import Stalls
from inference.types import Embedding, Failure, Item, Result, Text


class Pipeline:
    """Takes the items of all requests through every stage to their results."""

    def __init__(
        self,
        fetch: FetchConfig,
        config: EngineConfig,
        models: LoadedModels,
        batcher: Batcher,
        stalls: Stalls,
        forks: ForkServer | None,
    ) -> None:
        self.admission = Admission(config)
        self.preparation = Preparation(
            fetch, config, models, stalls, ready=self._ready, failed=self._fail, forks=forks
        )
        self._models = models
        self._batcher = batcher
        self._unforeseen = Unforeseen()

    def enter(self, request: Request) -> None:
        """Admit a request, and start as many of its items as may start.

        A text in the cache is answered from it, without a permit.

        Raises:
            Overloaded: no permit is free.
        """
        request.answer(partial(self._known, request))
        if request.has_more:
            self._start(self.admission.enter(request))

    def resume(self) -> None:
        """Start the items that may start after results were taken."""
        self._start(self.admission.resume())

    def _known(self, request: Request, item: Item) -> Result | None:
        """Return the cached result of a text; None for other items and on a cache miss."""
        if not isinstance(item, Text):
            return None
        found = {model: self._models[model].texts.get(item.text) for model in request.models}
        return merge(found, request.several)

    def _start(self, jobs: Sequence[Job]) -> None:
        """Start items. An item that fails at once frees its permit, and another item starts."""
        unsent = self._announced(jobs)
        failed: list[tuple[Job, Failure]] = []
        while unsent:
            job = unsent.popleft()
            try:
                self.preparation.start(job)
            except Exception as exc:  # noqa: BLE001 - for example, a closed pool
                failed.append((job, self._unforeseen.failure(exc)))
                self._withdraw(job)
                unsent += self._announced(self.admission.done(job))
        for job, failure in failed:
            job.finish(failure)

    def _announced(self, jobs: Sequence[Job]) -> deque[Job]:
        """Announce all items before the first is ready, so that no batch runs it alone."""
        for job in jobs:
            for target in job.targets:
                self._batcher.expect(target, job.lane)
        return deque(jobs)

    def _withdraw(self, job: Job) -> None:
        """Tell the batcher that an item failed before it was submitted."""
        for target in job.targets:
            self._batcher.withdraw(target, job.lane)

    def _ready(self, job: Job, payloads: Payloads) -> None:
        """Submit a prepared item, unless it gets the embedding of another of the same bytes.

        Raises EncodeFailed as `_submit`.
        """
        if job.shared is None:
            self._submit(job, payloads)
            return
        reuse, sha256 = job.shared
        claimed = reuse.claim(sha256, partial(self._waited, job, payloads))
        if claimed == "encode":
            try:
                self._submit(job, payloads)
            except EncodeFailed:
                reuse.settle(sha256, None)
                raise
            return
        self._withdraw(job)
        if claimed != "wait":
            self._end(job, claimed)

    def _waited(self, job: Job, payloads: Payloads, embedding: Embedding | None) -> bool:
        """End an item that waited for another; None if that one failed: then submit this one.

        Returns whether it was submitted.
        """
        if embedding is not None or job.request.closed:
            self._end(job, embedding)
            return False
        self._announced([job])
        try:
            self._submit(job, payloads)
        except EncodeFailed as exc:  # the service is stopping
            job.release()
            self._fail(job, exc)
            return False
        return True

    def _submit(self, job: Job, payloads: Payloads) -> None:
        """Submit an item to each of its models. Raises EncodeFailed if the first refuses it."""
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
        """Handle one model's result of an item; None if the item was shed."""
        if isinstance(job.item, Text) and isinstance(result, Embedding):
            self._models[model].texts.put(job.item.text, result)
        if not job.part(model, result):
            return
        merged = job.merged()
        if job.shared is not None:
            reuse, sha256 = job.shared
            reuse.settle(sha256, merged if isinstance(merged, Embedding) else None)
        self._end(job, merged)

    def _end(self, job: Job, result: Result | None) -> None:
        """End a prepared item; None if nobody waits for its result."""
        job.release()
        # Before the result is stored: once a request is answered, its permits are free.
        self._start(self.admission.done(job))
        if result is not None:
            job.finish(result)

    def _fail(self, job: Job, exc: Exception) -> None:
        """End an item that failed before it was submitted to the batcher."""
        passing = isinstance(exc, FetchError) and exc.retryable
        if passing and time.monotonic() >= job.request.deadline_s:
            exc = DeadlineExceeded(LATE_MESSAGE)  # this ended the fetch, not its own limit
        self._withdraw(job)
        self._start(self.admission.done(job))
        job.finish(self._unforeseen.failure(exc))
