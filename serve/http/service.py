"""The engine of one process: loaded while the port is already open, then watched for trouble."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from inference.engine.engine import Engine
from model.errors import CheckpointError
from serve.compose import open_engine, open_without_models
from serve.observe.cloudwatch.log import MetricLog
from serve.observe.selftest import self_test
from serve.settings import Settings

if TYPE_CHECKING:
    from serve.observe.tracing.tracing import Tracing

log = logging.getLogger(__name__)

# gunicorn's own code for a worker that cannot start: its master stops, too.
BOOT_ERROR = 3
# Any other code: gunicorn starts a new worker. This one is "internal software error" of sysexits.h.
TROUBLE = 70
# How often the engine is checked for trouble, and how long its requests then have to finish.
WATCH_S = 0.5
TROUBLE_S = 1.0
# Leaves time within gunicorn's 25 s to send the answers.
DRAIN_S = 20.0


class Service:
    """The engine of one process, and whether it accepts requests. tracing: None is off."""

    def __init__(
        self,
        settings: Settings,
        opening: Callable[[Settings], Engine] | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self.settings, self.tracing = settings, tracing
        usual = open_without_models if settings.multi_model else open_engine
        self._opening = opening or usual
        self.engine: Engine | None = None
        self.metric_log = self._metric_log()
        self.draining = False

    @property
    def ready(self) -> bool:
        """Whether every model has passed its self-test, and the service is not draining."""
        return self.engine is not None and not self.draining

    @property
    def loaded(self) -> Engine:
        """The engine. Raises RuntimeError while it is loading."""
        if self.engine is None:
            raise RuntimeError("the service is still loading")
        return self.engine

    def start(self, on_failure: Callable[[], None] | None = None) -> None:
        """Load in the background; a failure is logged and ends the process by default."""
        thread = threading.Thread(target=self._load, args=(on_failure or _die,), name="load")
        thread.daemon = True
        thread.start()
        if self.metric_log is not None:
            self.metric_log.start()

    def drain(self, within_s: float = DRAIN_S) -> None:
        """Accept no more requests, and answer the accepted ones within `within_s`."""
        self.draining = True
        if self.engine is not None:
            self.engine.drain(time.monotonic() + within_s)

    def close(self) -> None:
        """Write the last metrics. The process must exit then."""
        if self.metric_log is not None:
            self.metric_log.close()

    def _metric_log(self) -> MetricLog | None:
        if not self.settings.emits_metrics:
            return None
        # The platform's models come and go under opaque names, each of which would cost.
        by_model = not self.settings.multi_model
        return MetricLog(lambda: self.engine, self.settings.emf_endpoint, by_model=by_model)

    def _load(self, on_failure: Callable[[], None]) -> None:
        start_s = time.perf_counter()
        try:
            engine = self._opening(self.settings)
            for name in engine.models:
                self_test(engine, name)
        except CheckpointError as exc:
            log.error("cannot start: %s", exc)  # noqa: TRY400 - one sentence, no stack
            on_failure()
            return
        except Exception:
            log.exception("cannot start")
            on_failure()
            return
        if self.tracing is not None:
            engine.watch_batches(self.tracing.batch)
        self.engine = engine
        took_s = time.perf_counter() - start_s
        for name, spec in engine.models.items():
            log.info(
                "ready after %.1f s: model %s, %d dimensions, %s on %s in %s, fingerprint %s",
                took_s, name, spec.dimension, spec.backend, spec.device, spec.precision,
                spec.fingerprint,
            )  # fmt: skip
        self._watch(engine)

    def _watch(self, engine: Engine) -> None:
        """Wait for trouble that only a new process can end; then drain for a moment and exit."""
        while not (trouble := engine.trouble()):
            time.sleep(WATCH_S)
        log.error("%s: the worker process is replaced", trouble)
        self.drain(TROUBLE_S)
        time.sleep(2 * TROUBLE_S)
        self.close()
        _exit(TROUBLE)


def _die() -> None:
    """End the worker so that gunicorn stops, too."""
    _exit(BOOT_ERROR)


def _exit(code: int) -> NoReturn:
    """Exit the process. Not sys.exit, which would end only this thread."""
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)
