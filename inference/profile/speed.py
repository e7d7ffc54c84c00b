"""Images a second by a profile. Without NumPy, as the profile itself."""

from __future__ import annotations

from inference.profile.profile import Profile, TowerProfile


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
