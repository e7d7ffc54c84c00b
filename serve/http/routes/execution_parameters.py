"""How a batch transform job should send requests, by the image tower's latency curve. Pure.

The keys, their meaning and limits are SageMaker's: "Use your own inference code with batch
transform", and CreateTransformJob.
"""

from __future__ import annotations

import math

from inference.config import EngineConfig
from serve.settings import MIB, Settings

# A line of JSON with a presigned URL has about 150 bytes.
URLS_A_MB = 7_000
# Limits of MaxConcurrentTransforms, and of its product with MaxPayloadInMB.
MAX_CONCURRENT = MAX_MB_TOGETHER = 100
# SageMaker's own default.
USUAL_PAYLOAD_MB = 6
# A payload may use half the time limit, because curves are measured on quiet machines.
SHARE_OF_TIMEOUT = 0.5
# The usual time to fetch an image.
FETCH_S = 0.3


def execution_parameters(settings: Settings, config: EngineConfig) -> dict[str, str | int]:
    """Return the answer of `GET /execution-parameters`.

    MULTI_RECORD with the largest payload of URLs that can be embedded in time; two at once, so that
    one is read while the other is embedded. If not even 1 MB can be embedded in time:
    SINGLE_RECORD, with enough requests at once to fill the batches.
    """
    rate = images_a_second(config)
    in_time = int(rate * settings.batch_timeout_s * SHARE_OF_TIMEOUT / URLS_A_MB)
    concurrent = min(2, in_time)
    if concurrent == 0:
        return _single(settings, config, rate)
    most = (
        MAX_MB_TOGETHER // concurrent,
        in_time // concurrent,
        settings.max_body_bytes // MIB,
        settings.max_items // URLS_A_MB,
    )
    return _answer(concurrent, "MULTI_RECORD", min(most))


def images_a_second(config: EngineConfig) -> float:
    """Return the rate of full batches on all streams, by the curve; 0 without a curve."""
    size, curve = config.image.batch_size, config.image.curve
    return config.streams * size / (curve.latency_ms(size) / 1000) if curve else 0.0


def _single(settings: Settings, config: EngineConfig, rate: float) -> dict[str, str | int]:
    """Requests of one image: enough for a running batch, a forming batch and the fetches."""
    filling = 2 * config.streams * config.image.batch_size + rate * FETCH_S
    concurrent = min(MAX_CONCURRENT, settings.max_requests, math.ceil(filling))
    payload = min(USUAL_PAYLOAD_MB, MAX_MB_TOGETHER // concurrent, settings.max_body_bytes // MIB)
    return _answer(concurrent, "SINGLE_RECORD", payload)


def _answer(concurrent: int, strategy: str, payload_mb: int) -> dict[str, str | int]:
    return {
        "MaxConcurrentTransforms": concurrent,
        "BatchStrategy": strategy,
        "MaxPayloadInMB": max(1, payload_mb),
    }
