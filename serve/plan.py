"""Which batch sizes to run with: given, from a profile that holds here, or measured now."""

from __future__ import annotations

import logging
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from inference.config import BatchConfig
from inference.curve import Curve, Point, fit
from inference.machine import cores, cpu_name
from inference.profile import (
    FILE_NAME,
    Match,
    MeasuredPoint,
    Profile,
    ProfileError,
    TowerProfile,
    find,
)
from inference.tune import QUICK, Tuned, image_runner, text_runner, tune
from model.checkpoint import locate
from model.encoder import Encoder, EncoderSpec
from serve.settings import Settings, cache_folder

log = logging.getLogger(__name__)

PACKAGES = ("torch", "transformers", "numpy", "pillow")
# Nobody waits longer for company, whatever the curve says.
MAX_WAIT_S = 0.1
# For a size that was given and has no curve.
DEFAULT_WAIT_S = 0.01
UNTUNED = BatchConfig(batch_size=16, max_wait_s=DEFAULT_WAIT_S)


def plan(
    settings: Settings, encoder: Encoder, *, may_tune: bool = True
) -> tuple[BatchConfig, BatchConfig]:
    """Batch sizes and waits of the image and the text tower.

    Without a size, a profile, or `may_tune`, a modest guess.
    """
    profile = _find(settings, encoder.spec)
    image = _given(settings.batch_size) or (profile and _from_profile(profile.image))
    text = _given(settings.text_batch_size) or (profile and _from_profile(profile.text))
    if may_tune:
        config = replace(QUICK, latency_target_ms=settings.latency_target_ms)
        image = image or _from_tune("image", tune(image_runner(encoder), config))
        text = text or _from_tune("text", tune(text_runner(encoder), config))
    return image or UNTUNED, text or UNTUNED


def match_of(spec: EncoderSpec) -> Match:
    """What a profile measured here holds for."""
    return Match(
        cpu=cpu_name(),
        cores=cores(),
        device=spec.device,
        checkpoint=spec.fingerprint,
        backend=spec.backend,
        precision=spec.precision,
    )


def versions() -> dict[str, str]:
    """Of the packages that service times depend on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def tower_profile(tuned: Tuned) -> TowerProfile:
    """A tuned tower as the profile keeps it."""
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
    """The first profile that holds: the one named, beside the checkpoint, in the cache."""
    try:
        found = find(_places(settings), match_of(spec))
    except ProfileError as exc:
        log.warning("%s; it is ignored", exc)
        return None
    if settings.profile and found is None:
        log.warning("%s has no profile that holds for this machine and model", settings.profile)
    if found is not None and found.versions != versions():
        log.warning("the profile was measured with %s, this is %s", found.versions, versions())
    return found


def _places(settings: Settings) -> list[Path]:
    places = [Path(settings.profile)] if settings.profile else []
    if settings.backend != "fake" and isinstance(folder := locate(settings.model), Path):
        places.append(folder / FILE_NAME)
    return [*places, cache_folder() / FILE_NAME]


def _given(size: str | int) -> BatchConfig | None:
    return BatchConfig(size, DEFAULT_WAIT_S) if isinstance(size, int) else None


def _from_profile(tower: TowerProfile) -> BatchConfig:
    curve = fit([Point(point.n, point.p50_ms, point.p95_ms) for point in tower.points])
    return _config(curve, tower.batch_size)


def _from_tune(name: str, tuned: Tuned) -> BatchConfig:
    log.info(
        "%s batches of %d by a quick, coarse tune: %s; T(n) = %.1f + %.2f n ms",
        name, tuned.spot.batch_size, tuned.spot.sentence, tuned.curve.a_ms, tuned.curve.b_ms,
    )  # fmt: skip
    return _config(tuned.curve, tuned.spot.batch_size)


def _config(curve: Curve, batch_size: int) -> BatchConfig:
    """Waiting for others may cost what merging two halves of a batch saves, no more."""
    return BatchConfig(batch_size, min(curve.merging_saves_ms(batch_size) / 1000, MAX_WAIT_S))
