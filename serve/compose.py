"""The composition root: settings -> encoders -> engine."""

from __future__ import annotations

import logging
from dataclasses import replace

from inference.config import BatchConfig, EngineConfig, FetchConfig, UrlConfig
from inference.engine.engine import Engine
from inference.fetching import user_agent
from inference.preparation.processes.forking import ForkServer
from inference.profile.machine import cores, memory_bytes
from inference.profile.profile import Threads
from inference.types import LANES
from model.config import ModelConfig
from model.encoder import Encoder
from model.errors import CheckpointError, OutOfMemory
from model.images.geometry import Geometry
from model.images.preprocess import ImagePreprocessing
from model.load import load, settle
from serve.plan import Plan, plan, threads_for
from serve.settings import MIB, Settings

log = logging.getLogger(__name__)

# One permit in 8 is for interactive items only, and one in 8 for bulk items only.
LANE_SHARE = 8


def open_engine(settings: Settings, *, may_tune: bool = True) -> Engine:
    """Load the models, settle the batch sizes, start the pipeline.

    Of several models, one that cannot be loaded is left out, and requests for it get the reason.

    Raises:
        CheckpointError: no model can be loaded. OutOfMemory: the only one does not fit.
    """
    forks = _forks(settings)
    try:
        return _open(settings, forks, may_tune=may_tune)
    except BaseException:
        if forks is not None:
            forks.close()
        raise


def _open(settings: Settings, forks: ForkServer | None, *, may_tune: bool) -> Engine:
    engine: Engine | None = None
    threads: Threads | None = None
    reasons: dict[str, str] = {}
    for one in settings.each_model():
        try:
            encoder, planned = _prepared(one, threads, may_tune=may_tune)
            if engine is not None:
                _add(engine, encoder.spec.name, encoder, planned)
        except (CheckpointError, OutOfMemory, MemoryError) as exc:
            if not settings.models:
                raise
            reason = str(exc) or "no memory"
            log.error("model %s is left out: %s", one.model_name, reason)  # noqa: TRY400 - one line
            reasons[one.model_name or ""] = reason
            continue
        if engine is None:
            engine, threads = engine_of(one, encoder, planned, forks), planned.threads
    if engine is None:
        raise CheckpointError("none of the models can be loaded")
    if settings.models:
        engine.announce(default=next(iter(settings.named_models)), absent=reasons)
    return engine


def add_model(engine: Engine, settings: Settings, name: str, url: str, shown: str) -> None:
    """Load one more model. shown: its name in answers. Raises CheckpointError, OutOfMemory."""
    one = replace(settings, model=url, model_name=shown)
    encoder, planned = _prepared(one, _threads_of(one))
    _add(engine, name, encoder, planned)


def _add(engine: Engine, name: str, encoder: Encoder, planned: Plan) -> None:
    """Add a model to the engine; close it if its pixels are too large. Raises CheckpointError."""
    try:
        engine.add(name, encoder, planned.image, planned.text)
    except BaseException:
        encoder.close()
        raise


def open_without_models(settings: Settings) -> Engine:
    """Start a pipeline without models, which are added later; none is the default."""
    planned = Plan(BatchConfig(), BatchConfig(), _threads_of(settings))
    engine = engine_of(settings, None, planned)
    engine.announce(default="", absent={})
    return engine


def _prepared(
    settings: Settings, threads: Threads | None, *, may_tune: bool = True
) -> tuple[Encoder, Plan]:
    """Load one model and plan its batches and threads; close it if planning fails."""
    encoder = load(model_config(settings))
    try:
        return encoder, plan(settings, encoder, may_tune=may_tune, threads=threads)
    except BaseException:
        encoder.close()
        raise


def _threads_of(settings: Settings) -> Threads:
    """Return the threads for all models, before the first is loaded."""
    device = "cpu" if settings.backend == "fake" else settle(model_config(settings)).device
    return threads_for(settings, device)


def _forks(settings: Settings) -> ForkServer | None:
    """Start the fork server while the model loads: both take seconds. None if none is needed."""
    if not threads_for(settings, "cpu").processes:
        return None
    policy, light = model_config(settings).policy, settings.backend == "fake"
    return ForkServer(ImagePreprocessing(Geometry.clip(32), policy, light=light))


def engine_of(
    settings: Settings, encoder: Encoder | None, planned: Plan, forks: ForkServer | None = None
) -> Engine:
    """Start the pipeline with an encoder or None. It closes the encoder and `forks` at its end."""
    fetch = fetch_config(settings, planned.threads.io)
    return Engine(encoder, fetch, engine_config(settings, planned), forks=forks)


def model_config(settings: Settings) -> ModelConfig:
    """Return the settings of the model layer."""
    return ModelConfig(
        model=settings.model,
        name=settings.model_name,
        device=settings.device,  # type: ignore[arg-type]  # checked by settings
        backend=settings.backend,  # type: ignore[arg-type]  # checked by settings
        precision=settings.precision,  # type: ignore[arg-type]  # checked by settings
        policy=settings.preprocess,  # type: ignore[arg-type]  # checked by settings
        max_image_pixels=settings.max_image_pixels,
        threads=cores(),
        cuda_graphs=settings.cuda_graphs,
    )


def within_memory(settings: Settings) -> Settings:
    """Limit bodies to a quarter of the memory, but always allow one body of the largest size."""
    quarter = _quarter()
    if quarter is None or settings.max_bodies_bytes <= quarter:
        return settings
    bound = max(settings.max_body_bytes, quarter)
    log.info("bodies are limited to %d MiB in total, to fit into the memory", bound // MIB)
    return replace(settings, max_bodies_bytes=bound)


def fetch_config(settings: Settings, io_threads: int) -> FetchConfig:
    """Return the settings of the fetcher. io_threads: per lane."""
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
        user_agent=settings.user_agent or user_agent.own(),
    )


def engine_config(settings: Settings, planned: Plan) -> EngineConfig:
    """Return the settings of the engine."""
    return EngineConfig(
        image=planned.image,
        text=planned.text,
        max_items_in_flight=settings.max_items_in_flight,
        window=min(EngineConfig.window, settings.max_items_in_flight),
        lane_permits=settings.max_items_in_flight // LANE_SHARE,
        interactive_wait_s=settings.interactive_wait_ms / 1000,
        streams=planned.threads.streams,
        processes=planned.threads.processes,
        io_threads=planned.threads.io,
        cpu_threads=planned.threads.decode,
        decode_bytes=_quarter(),
    )


def _quarter() -> int | None:
    whole = memory_bytes()
    return None if whole is None else whole // 4
