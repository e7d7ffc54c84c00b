"""Choose batch sizes, waits and threads: from settings, a profile or a measurement now."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from inference.config import BatchConfig
from inference.preparation.processes.setup import PROCESS_BYTES
from inference.preparation.processes.shared_pixels import can_share
from inference.profile.curve import Curve, Point, fit, sweet_spot
from inference.profile.machine import cores, cores_in_words, cpu_name, memory_bytes, memory_in_words
from inference.profile.profile import (
    FILE_NAME,
    Match,
    MeasuredPoint,
    Profile,
    ProfileError,
    Threads,
    TowerProfile,
    find,
)
from inference.tuning.runners import Run, image_runner, on_streams, text_runner
from inference.tuning.threads import plain, words
from inference.tuning.tune import QUICK, Tuned, tune
from inference.types import Tower
from model.checkpoints.checkpoint import locate
from model.encoder import Encoder, EncoderSpec
from serve.settings import Settings, cache_folder

log = logging.getLogger(__name__)

PACKAGES = ("torch", "transformers", "openvino", "numpy", "pillow")
# Most time that a batch waits for more items, even if the curve allows more.
MAX_WAIT_S = 0.1
# The wait where no curve was measured.
DEFAULT_WAIT_S = 0.01
UNTUNED_SIZE = 16
# Quarters of the memory that tuning may fill. Decoding and bodies have at most one each.
TUNING_SHARE = 3


@dataclass(frozen=True)
class Plan:
    """How to run. image, text: batching of each tower. threads: how they share the cores."""

    image: BatchConfig
    text: BatchConfig
    threads: Threads


def plan(
    settings: Settings, encoder: Encoder, *, may_tune: bool = True, threads: Threads | None = None
) -> Plan:
    """Choose batch sizes and threads, set the encoder's threads and warm it up.

    The settings come first, then a profile that matches this machine and model, then a quick
    tune, or a fixed guess without `may_tune`. threads: those already chosen for another model of
    the same engine.
    """
    log.info("%s: %s, %s", cpu_name(), cores_in_words(), memory_in_words())
    profile = _find(settings, encoder.spec)
    threads = threads or threads_for(settings, encoder.spec.device, profile)
    encoder.use_threads(threads.encoder, threads.streams)
    encoder.warm_up()
    planner = _Planner(settings.latency_target_ms, threads, may_tune=may_tune)
    measured = (profile.image, profile.text) if profile else (None, None)
    with on_streams(image_runner(encoder), threads.streams) as run:
        image = planner.tower("image", settings.batch_size, measured[0], run)
    with on_streams(text_runner(encoder), threads.streams) as run:
        text = planner.tower("text", settings.text_batch_size, measured[1], run)
    sizes = (image.batch_size, text.batch_size)
    log.info("batches of at most %d images, %d texts; %s", *sizes, words(threads))
    return Plan(image, text, threads)


def tuning_bytes(threads: Threads) -> int | None:
    """Return the bytes that the process may take at the largest batch, or None if unknown.

    The preprocessing processes and their fork server need what is left of it.
    """
    whole = memory_bytes()
    others = (threads.processes + 1) * PROCESS_BYTES if threads.processes else 0
    return None if whole is None else whole * TUNING_SHARE // 4 - others


def match_of(spec: EncoderSpec) -> Match:
    """Return the hardware and checkpoint that a profile measured here holds for."""
    return Match(
        cpu=cpu_name(),
        cores=cores(),
        device=spec.device,
        checkpoint=spec.fingerprint,
        backend=spec.backend,
        precision=spec.precision,
    )


def versions() -> dict[str, str]:
    """Return the versions of the packages that service times depend on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def tower_profile(tuned: Tuned) -> TowerProfile:
    """Return a tuned tower in the form of the profile."""
    return TowerProfile(
        batch_size=tuned.spot.batch_size,
        rule=tuned.spot.rule,
        a_ms=round(tuned.curve.a_ms, 4),
        b_ms=round(tuned.curve.b_ms, 4),
        points=tuple(
            MeasuredPoint(one.n, round(one.p50_ms, 3), round(one.p95_ms, 3))
            for one in tuned.curve.points
        ),
    )


def _find(settings: Settings, spec: EncoderSpec) -> Profile | None:
    """Return the first profile that matches: the one named, by the checkpoint, in the cache.

    Return None without a search if the settings already give all that a profile has.
    """
    asked = (settings.batch_size, settings.text_batch_size, settings.decode_threads)
    if settings.profile is None and "auto" not in asked:
        return None
    try:
        found = find(_places(settings), match_of(spec))
    except ProfileError as exc:
        log.warning("%s; it is ignored", exc)
        return None
    if settings.profile and found is None:
        log.warning("%s has no profile for this machine and model", settings.profile)
    if found is not None and found.versions != versions():
        log.warning("the profile was measured with %s; here are %s", found.versions, versions())
    return found


def _places(settings: Settings) -> list[Path]:
    places = [Path(settings.profile)] if settings.profile else []
    if settings.backend != "fake" and isinstance(folder := locate(settings.model), Path):
        places.append(folder / FILE_NAME)
    return [*places, cache_folder() / FILE_NAME]


def threads_for(settings: Settings, device: str, profile: Profile | None = None) -> Threads:
    """Return the profile's threads, or the plain plan's, overridden by the settings."""
    threads = profile.threads if profile else plain(cores(), device, memory_bytes())
    given = {
        "decode": settings.decode_threads,
        "io": settings.io_threads,
        "processes": settings.preprocess_processes,
    }
    threads = replace(threads, **{k: n for k, n in given.items() if isinstance(n, int)})
    if threads.processes and not _can_share():
        threads = replace(threads, processes=0)
    return threads


@cache
def _can_share() -> bool:
    """Whether processes can share memory here; warns once, although it is asked at each step."""
    can = can_share()
    if not can:
        log.warning("no memory can be shared here: images are preprocessed in threads")
    return can


class _Planner:
    """Chooses the batching of one tower after another."""

    def __init__(self, latency_target_ms: int | None, threads: Threads, *, may_tune: bool) -> None:
        self._target_ms, self._may_tune = latency_target_ms, may_tune
        self._quick = replace(QUICK, streams=threads.streams, memory_bytes=tuning_bytes(threads))

    def tower(
        self, name: Tower, asked: str | int, profile: TowerProfile | None, run: Run
    ) -> BatchConfig:
        """Return the batching of one tower."""
        given = asked if isinstance(asked, int) else None
        if profile is not None:
            return self._from_profile(profile, given)
        if not self._may_tune:
            return BatchConfig(given or UNTUNED_SIZE, DEFAULT_WAIT_S)
        return self._look(run, given) if given else self._tune(name, run)

    def _from_profile(self, profile: TowerProfile, given: int | None) -> BatchConfig:
        """Take the profile's batch size; with a latency target, choose one from its points."""
        curve = fit([Point(point.n, point.p50_ms, point.p95_ms) for point in profile.points])
        chosen = profile.batch_size
        if self._target_ms is not None:
            chosen = sweet_spot(curve, self._target_ms).batch_size
        return _config(curve, given or chosen)

    def _look(self, run: Run, given: int) -> BatchConfig:
        """Measure two points of the curve to set the wait; the batch size is given."""
        look = replace(self._quick, sizes=(1, given), min_rounds=1, max_rounds=1)
        return _config(tune(run, look).curve, given)

    def _tune(self, name: Tower, run: Run) -> BatchConfig:
        tuned = tune(run, replace(self._quick, latency_target_ms=self._target_ms))
        log.info(
            "%s batches of %d by a quick, coarse tune: %s; T(n) = %.1f + %.2f n ms",
            name, tuned.spot.batch_size, tuned.spot.sentence, tuned.curve.a_ms, tuned.curve.b_ms,
        )  # fmt: skip
        if tuned.is_noisy:
            log.info(
                "the tune of %s batches is too noisy to decide: repeats differ by %.0f %%; for a "
                "profile stop other programs and run: sweetspot benchmark encoder --write-profile "
                "FOLDER", name, 100 * tuned.noise,
            )  # fmt: skip
        return _config(tuned.curve, tuned.spot.batch_size)


def _config(curve: Curve, batch_size: int) -> BatchConfig:
    """Limit the wait to what merging two batches can save, the curve's fixed time."""
    wait_s = min(curve.fixed_ms / 1000, MAX_WAIT_S)
    return BatchConfig(batch_size, wait_s, curve)
