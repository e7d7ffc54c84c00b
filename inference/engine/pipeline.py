"""What happens to an item: admitted, announced to the batcher, prepared, batched, answered."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from functools import partial

from inference.batching.batcher import Batcher
from inference.batching.scheduler import Entry
from inference.config import EngineConfig
from inference.engine.admission import Admission
from inference.engine.loaded_models import LoadedModels
from inference.engine.preparation import Payloads, Preparation
from inference.engine.request import LATE_MESSAGE, Job, Request, merge
from inference.engine.unforeseen import Unforeseen
from inference.errors import DeadlineExceeded, EncodeFailed, FetchError
from inference.fetching.fetcher import Fetcher
from inference.stalls import Stalls
from inference.types import Embedding, Failure, Item, Result, Text


class Pipeline:
    """Carries the items of all requests to their results, each through every stage."""

    def __init__(
        self,
        fetcher: Fetcher,
        config: EngineConfig,
        models: LoadedModels,
        batcher: Batcher,
        stalls: Stalls,
    ) -> None:
        self.admission = Admission(config)
        self.preparation = Preparation(
            fetcher, config, models, stalls, ready=self._submit, failed=self._fail
        )
        self._models = models
        self._batcher = batcher
        self._unforeseen = Unforeseen()

    def enter(self, request: Request) -> None:
        """Admit a request, and start as many of its items as may start.

        A text that was embedded before is answered from memory, with no permit.

        Raises:
            Overloaded: no permit is free.
        """
        request.answer(partial(self._known, request))
        if request.has_more:
            self._start(self.admission.enter(request))

    def resume(self) -> None:
        """Start what may start now that results were taken."""
        self._start(self.admission.resume())

    def _known(self, request: Request, item: Item) -> Result | None:
        """What a text was embedded as before."""
        if not isinstance(item, Text):
            return None
        found = {model: self._models[model].texts.get(item.text) for model in request.models}
        return merge(found, request.several)

    def _start(self, jobs: Sequence[Job]) -> None:
        """Start items; one that fails at once gives its permit to others, which start, too."""
        unsent = self._announced(jobs)
        failed: list[tuple[Job, Failure]] = []
        while unsent:
            job = unsent.popleft()
            try:
                self.preparation.start(job)
            except Exception as exc:  # noqa: BLE001 - a pool that is closed, say
                failed.append((job, self._unforeseen.failure(exc)))
                self._withdraw(job)
                unsent += self._announced(self.admission.done(job))
        for job, failure in failed:
            job.finish(failure)

    def _announced(self, jobs: Sequence[Job]) -> deque[Job]:
        """Tell the batcher of all before the first is ready: it is not to leave alone."""
        for job in jobs:
            for target in job.targets:
                self._batcher.expect(target, job.lane)
        return deque(jobs)

    def _withdraw(self, job: Job) -> None:
        """Tell the batcher that an item failed on its way there."""
        for target in job.targets:
            self._batcher.withdraw(target, job.lane)

    def _submit(self, job: Job, payloads: Payloads) -> None:
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
            self._models[model].texts.put(job.item.text, result)
        if not job.part(model, result):
            return
        # Before the result is noted: whoever sees a request answered sees its permits free.
        self._start(self.admission.done(job))
        if (merged := job.merged()) is not None:
            job.finish(merged)

    def _fail(self, job: Job, exc: Exception) -> None:
        """End an item that failed on its way to the batcher."""
        passing = isinstance(exc, FetchError) and exc.retryable
        if passing and time.monotonic() >= job.request.deadline_s:
            exc = DeadlineExceeded(LATE_MESSAGE)  # it cut the fetch off, not the fetch's own limit
        self._withdraw(job)
        self._start(self.admission.done(job))
        job.finish(self._unforeseen.failure(exc))
