"""What an instance takes, and a million images cost, by a measured profile. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from deploy.errors import ConfigError
from inference.profile.price import Price, money
from inference.profile.profile import Profile
from inference.profile.speed import images_a_second

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
    best = fastest(profiles, gpu=gpu)
    size = best.image.batch_size
    full = 2 * best.threads.streams * size + images_a_second(best) * FETCH_S
    return max(1.0, math.floor(10 * SHARE * full / (items or size)) / 10)


def fastest(profiles: Sequence[Profile], *, gpu: bool) -> Profile:
    """Return the fastest profile of a kind of device.

    Raises:
        ConfigError: no profile was measured on such a device.
    """
    device = "cuda" if gpu else "cpu"
    fitting = [one for one in profiles if one.match.device.startswith(device)]
    if not fitting:
        raise ConfigError(f"--profile: none in it was measured on a device of kind {device}")
    return max(fitting, key=images_a_second)


def price_sentence(profile: Profile, price: Price, instances: tuple[int, int]) -> str:
    """Return what to expect to pay. price: of one instance. instances: the least and the most."""
    images_s = images_a_second(profile)
    full, scaled = (money(price.per_million(images_s * share)) for share in (1, SHARE))
    least, most = (money(price.per_hour * count) for count in instances)
    return (
        f"expected by the profile: {images_s:.1f} images/s an instance; a million images cost "
        f"{full} on full instances, {scaled} at the {SHARE:.0%} that scaling aims at; "
        f"{least} to {most} an hour for {instances[0]} to {instances[1]} x {price.instance_type}. "
        "This is the encoder alone: `benchmark pipeline` measures fetching and decoding, too"
    )
