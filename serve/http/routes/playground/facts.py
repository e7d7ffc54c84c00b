"""What the page says of the models, and the limits that it keeps. Pure."""

from __future__ import annotations

from typing import Any

from inference.engine.engine import Engine
from inference.profile.curve import Curve
from model.encoder import EncoderSpec
from serve.settings import Settings


def facts(settings: Settings, engine: Engine) -> dict[str, Any]:
    """Return the answer of `GET /playground/facts`.

    `models`: the default first. `curve`, of the default alone: batch sizes, and images per second
    in batches of that size, as the tuning measured them; empty if nothing was measured.
    """
    models = [_model(engine, name, spec) for name, spec in engine.models.items()]
    models[0]["curve"] = _measured(engine.config.image.curve)
    return {
        "models": models,
        "limits": {
            "max_items": settings.max_items,
            "max_body_bytes": settings.max_body_bytes,
            "max_image_bytes": settings.max_image_bytes,
        },
    }


def _model(engine: Engine, name: str, spec: EncoderSpec) -> dict[str, Any]:
    return {
        "name": name,
        "dimension": spec.dimension,
        "image_size": spec.image_size,
        "precision": spec.precision,
        "backend": spec.backend,
        "device": spec.device,
        "fingerprint": spec.fingerprint,
        "batch_size": engine.report("image", name).batch_size,
        "text_batch_size": engine.report("text", name).batch_size,
        "curve": [],
    }


def _measured(curve: Curve | None) -> list[tuple[int, float]]:
    points = curve.points if curve else ()
    return [(point.n, round(1000 * point.n / point.p50_ms, 1)) for point in points]
