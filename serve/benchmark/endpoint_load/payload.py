"""Request bodies: bulk requests of many images, and single interactive requests."""

from __future__ import annotations

import base64
import itertools
import random
import threading
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import urlsplit

import orjson

from model.synthetic.attributes import Attributes, combinations
from model.synthetic.captions import caption
from model.synthetic.thumbnails import draw, encode, sample
from serve.benchmark.endpoint_load.client import Body

# Number of different thumbnails, unless a request needs more.
POOL = 256
SCREENSHOTS = 8
SCREENSHOT_WIDTH_PX = 1280


class Rounds:
    """An endless cycle through a pool, in one shuffled order. Thread-safe.

    The items of one `take` are distinct: a service embeds equal items of a request only once.
    """

    def __init__(self, pool: Iterable[str], seed: int = 0) -> None:
        self._order = list(dict.fromkeys(pool))
        random.Random(seed).shuffle(self._order)
        self.size = len(self._order)
        self._lock = threading.Lock()
        self._next = 0

    def take(self, count: int) -> list[str]:
        """Return the next `count`. Raises ValueError when the pool has fewer."""
        size = self.size
        if count > size:
            raise ValueError(f"requests of {count} images need {count} different ones, not {size}")
        with self._lock:
            start, self._next = self._next, (self._next + count) % size
        return (self._order + self._order)[start : start + count]


class Bulk:
    """Requests of many images. form: `urls`, or `images` for base64 of the images themselves."""

    def __init__(self, form: str, pool: Iterable[str]) -> None:
        self._form = form
        self._rounds = Rounds(pool)
        self.different = self._rounds.size  # images to draw from

    @property
    def host(self) -> str | None:
        """The host of one of the URLs; None for inline images."""
        return urlsplit(self._rounds.take(1)[0]).hostname if self._form == "urls" else None

    def body(self, count: int) -> Body:
        """Return the next request of `count` images."""
        return Body(orjson.dumps({self._form: self._rounds.take(count)}))


def inline_images(count: int) -> list[str]:
    """Return different thumbnails, encoded, as base64."""
    return [base64.b64encode(sample(seed).data).decode() for seed in range(count)]


def texts() -> Callable[[], Body]:
    """Return an endless source of single queries, different in each run. Thread-safe.

    A service answers repeated texts from its cache. Of 20,000 queries 0.05 % occur twice; 0.2 %
    were among the 20,000 of an earlier run.
    """
    rng, lock, every = random.Random(), threading.Lock(), combinations()

    def take() -> Body:
        with lock:
            query = caption(rng.choice(every), rng)
        return Body(orjson.dumps({"text": query}))

    return take


def screenshots() -> Callable[[], Body]:
    """Return an endless cycle of single desktop screenshots as PNG. Thread-safe."""
    drawn = [draw(one, seed, SCREENSHOT_WIDTH_PX) for seed, one in enumerate(_desktops())]
    return _cycle([Body(encode(image, "PNG"), "image/png") for image in drawn])


def _desktops() -> Sequence[Attributes]:
    every = [one for one in combinations() if one.device == "desktop"]
    return random.Random(0).sample(every, SCREENSHOTS)


def _cycle(bodies: Sequence[Body]) -> Callable[[], Body]:
    """Return an endless, thread-safe cycle through `bodies`."""
    lock, endless = threading.Lock(), itertools.cycle(bodies)

    def take() -> Body:
        with lock:
            return next(endless)

    return take
