"""The number of requests that an instance takes, from the sweet spot in a profile. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from deploy.errors import ConfigError
from inference.profile.profile import Profile, TowerProfile

# A new instance takes minutes to start: it is requested before this one is full.
SHARE = 0.7
# Time to fetch an image from a healthy host.
FETCH_S = 0.3


def concurrency(profiles: Sequence[Profile], *, gpu: bool, items: int | None) -> float:
    """Return the requests at once at which an instance is `SHARE` full.

    A full instance has, for each stream, a batch of the sweet spot in the encoder and another one
    filling up, and also the images that are being fetched meanwhile. items: images a request; None
    is the sweet spot itself, as the client sends them.

    Raises:
        ConfigError: no profile was measured on such a device.
    """
    device = "cuda" if gpu else "cpu"
    fitting = [one for one in profiles if one.match.device.startswith(device)]
    if not fitting:
        raise ConfigError(f"--profile: none in it was measured on a device of kind {device}")
    best = max(fitting, key=images_a_second)
    size = best.image.batch_size
    full = 2 * best.threads.streams * size + images_a_second(best) * FETCH_S
    return max(1.0, math.floor(10 * SHARE * full / (items or size)) / 10)


def images_a_second(profile: Profile) -> float:
    """Return images a second of full batches on all streams, from the measured points."""
    size = profile.image.batch_size
    return profile.threads.streams * size / (_service_ms(profile.image, size) / 1000)


def _service_ms(tower: TowerProfile, size: int) -> float:
    """Return the median service time of a batch of `size`, measured or interpolated, ms."""
    points = sorted(tower.points, key=lambda point: point.n)
    below = [point for point in points if point.n <= size] or points[:1]
    above = [point for point in points if point.n >= size] or points[-1:]
    low, high = below[-1], above[0]
    if low.n == high.n:
        return low.p50_ms * (1 if low.n >= size else size / low.n)
    return low.p50_ms + (high.p50_ms - low.p50_ms) * (size - low.n) / (high.n - low.n)
