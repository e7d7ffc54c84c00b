"""The engine of one process, loaded behind an open door and watched from then on."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from inference.engine.engine import Engine
from model.errors import CheckpointError
from serve.compose import open_engine, open_without_models
from serve.observe.selftest import self_test
from serve.settings import Settings

log = logging.getLogger(__name__)

# gunicorn's own code for a worker that cannot start: its master stops, too.
BOOT_ERROR = 3
# Any other code: gunicorn starts a new worker. This one is "internal software error" of sysexits.h.
TROUBLE = 70
# How often trouble is looked for, and how long requests are given to be answered in spite of it.
WATCH_S = 0.5
TROUBLE_S = 1.0
# Leaves time within the 25 s of the drain to send what was answered.
DRAIN_S = 20.0


class Service:
    """The engine of one process, and whether it may be asked."""

    def __init__(
        self, settings: Settings, opening: Callable[[Settings], Engine] | None = None
    ) -> None:
        self.settings = settings
        usual = open_without_models if settings.multi_model else open_engine
        self._opening = opening or usual
        self.engine: Engine | None = None
        self.draining = False

    @property
    def ready(self) -> bool:
        """Whether a warmed model has embedded an image and a text, and the door is open."""
        return self.engine is not None and not self.draining

    @property
    def loaded(self) -> Engine:
        """The engine. Only once it is there."""
        if self.engine is None:
            raise RuntimeError("asked of a service that is still loading")
        return self.engine

    def start(self, on_failure: Callable[[], None] | None = None) -> None:
        """Load in the background; a failure is logged and ends the process by default."""
        thread = threading.Thread(target=self._load, args=(on_failure or _die,), name="load")
        thread.daemon = True
        thread.start()

    def drain(self, within_s: float = DRAIN_S) -> None:
        """Accept no more; what was accepted is answered within `within_s`."""
        self.draining = True
        if self.engine is not None:
            self.engine.drain(time.monotonic() + within_s)

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
        """Once only a new process helps, answer what can be answered, and make room for it."""
        while not (trouble := engine.trouble()):
            time.sleep(WATCH_S)
        log.error("%s: the worker process is replaced", trouble)
        self.drain(TROUBLE_S)
        time.sleep(2 * TROUBLE_S)
        _exit(TROUBLE)


def _die() -> None:
    """End the worker so that gunicorn stops, too."""
    _exit(BOOT_ERROR)


def _exit(code: int) -> NoReturn:
    """Not sys.exit: this is not the main thread."""
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)
