"""The composition root: settings -> encoder -> engine, loaded behind an open door."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

import numpy as np
from PIL import Image

from inference.config import EngineConfig, FetchConfig, UrlConfig
from inference.engine import Engine
from inference.fetch import Fetcher
from inference.machine import cores, memory_bytes
from inference.types import LANES, Embedding, ImageBytes, Item, Text
from model.config import ModelConfig
from model.encoder import Encoder
from model.errors import CheckpointError
from model.load import load
from model.room import Room
from serve.plan import Plan, plan
from serve.settings import MIB, Settings

log = logging.getLogger(__name__)

# gunicorn's own code for a worker that cannot start: its master stops, too.
BOOT_ERROR = 3
# Any other code: gunicorn starts a new worker. This one is "internal software error" of sysexits.h.
TROUBLE = 70
# How often trouble is looked for, and how long requests are given to be answered in spite of it.
WATCH_S = 0.5
TROUBLE_S = 1.0
SELF_TEST_TIMEOUT_S = 60.0
# Leaves time within the 25 s of the drain to send what was answered.
DRAIN_S = 20.0
# One permit in so many is for interactive items alone, and one for bulk.
LANE_SHARE = 8


class Service:
    """The engine of one process, and whether it may be asked."""

    def __init__(
        self, settings: Settings, opening: Callable[[Settings], Engine] | None = None
    ) -> None:
        self.settings = settings
        self._opening = opening or open_engine
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
            _self_test(engine)
        except CheckpointError as exc:
            log.error("cannot start: %s", exc)  # noqa: TRY400 - one sentence, no stack
            on_failure()
            return
        except Exception:
            log.exception("cannot start")
            on_failure()
            return
        self.engine = engine
        spec, took_s = engine.spec, time.perf_counter() - start_s
        log.info(
            "ready after %.1f s: model %s, %d dimensions, %s on %s in %s, fingerprint %s",
            took_s, spec.name, spec.dimension, spec.backend, spec.device, spec.precision,
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


def open_engine(settings: Settings, *, may_tune: bool = True) -> Engine:
    """Load the model, settle the batch sizes, start the pipeline. Raises CheckpointError."""
    encoder = load(model_config(settings))
    return engine_of(settings, encoder, plan(settings, encoder, may_tune=may_tune))


def engine_of(settings: Settings, encoder: Encoder, planned: Plan) -> Engine:
    """Start the pipeline around an encoder, which closes with it."""
    fetcher = Fetcher(fetch_config(settings, planned.threads.io))
    return Engine(encoder, fetcher, engine_config(settings, planned))


def model_config(settings: Settings) -> ModelConfig:
    """What the model layer needs to know."""
    return ModelConfig(
        model=settings.model,
        name=settings.model_name,
        device=settings.device,  # type: ignore[arg-type]  # checked by settings
        backend=settings.backend,  # type: ignore[arg-type]  # checked by settings
        precision=settings.precision,  # type: ignore[arg-type]  # checked by settings
        policy=settings.preprocess,  # type: ignore[arg-type]  # checked by settings
        max_image_pixels=settings.max_image_pixels,
        threads=cores(),
        room=Room(_quarter()),
    )


def within_memory(settings: Settings) -> Settings:
    """Bodies take a quarter of the memory there is at most, and one always has room."""
    quarter = _quarter()
    if quarter is None or settings.max_bodies_bytes <= quarter:
        return settings
    bound = max(settings.max_body_bytes, quarter)
    log.info("bodies of %d MiB at most together: a quarter of the memory there is", bound // MIB)
    return replace(settings, max_bodies_bytes=bound)


def fetch_config(settings: Settings, io_threads: int) -> FetchConfig:
    """What the fetcher needs to know. io_threads: of either lane."""
    return FetchConfig(
        urls=UrlConfig(
            allow_hosts=settings.allow_host,
            only_hosts=settings.only_host,
            deny_hosts=settings.deny_host,
            allow_buckets=settings.allow_bucket,
        ),
        connect_timeout_s=settings.connect_timeout_ms / 1000,
        fetch_timeout_s=settings.fetch_timeout_ms / 1000,
        max_image_bytes=settings.max_image_bytes,
        connections=len(LANES) * io_threads,
    )


def engine_config(settings: Settings, planned: Plan) -> EngineConfig:
    """What the engine needs to know."""
    return EngineConfig(
        image=planned.image,
        text=planned.text,
        max_items_in_flight=settings.max_items_in_flight,
        window=min(EngineConfig.window, settings.max_items_in_flight),
        lane_permits=settings.max_items_in_flight // LANE_SHARE,
        interactive_wait_s=settings.interactive_wait_ms / 1000,
        streams=planned.threads.streams,
        io_threads=planned.threads.io,
        cpu_threads=planned.threads.decode,
        max_image_bytes=settings.max_image_bytes,
    )


def _quarter() -> int | None:
    whole = memory_bytes()
    return None if whole is None else whole // 4


def _self_test(engine: Engine) -> None:
    """Embed an image and a text the way a request would; a new engine knows no text by heart."""
    picture = io.BytesIO()
    Image.new("RGB", (64, 48), (20, 120, 220)).save(picture, "PNG")
    items: list[Item] = [ImageBytes(picture.getvalue()), Text("a blue screen")]
    answer = engine.embed(items, time.monotonic() + SELF_TEST_TIMEOUT_S)
    for result in answer.results:
        if not isinstance(result, Embedding):
            raise RuntimeError(f"the self-test failed: {result}")  # noqa: TRY004 - not a type error
        if not abs(float(np.linalg.norm(result.vector)) - 1) < 0.01:
            raise CheckpointError("the model's embeddings are not finite numbers")


def _die() -> None:
    """End the worker so that gunicorn stops, too."""
    _exit(BOOT_ERROR)


def _exit(code: int) -> NoReturn:
    """Not sys.exit: this is not the main thread."""
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)
