"""Core time an image of Sweetspot by stage: each stage alone, all its threads counted.

    python -m benchmarks.budget --model FOLDER [--backend torch ...]    options of `serve`

Prints JSON, core-ms an image. In the service the stages run at the same time: what it takes beyond
their sum is HTTP, passing work between threads, and contention for caches and cores.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import orjson
from PIL import Image, ImageFile

from inference.fetching.fetcher import Fetcher
from inference.stats import StageTimes
from inference.tuning.runners import image_runner, on_streams
from inference.types import Answer, Embedding
from model.encoder import Encoder
from model.load import load
from serve import settings
from serve.benchmark.endpoint_load.thumbnails import served
from serve.compose import fetch_config, model_config
from serve.plan import Plan, plan
from serve.wire import answers, protocol
from serve.wire.media_types import JSON

IMAGES, URLS, LATENCY_MS = 128, 16, 20.0
ENCODE_S, ANSWERS = 4.0, 100


def measure(options: Sequence[str]) -> dict[str, float]:
    """Return the core-ms an image by stage."""
    flags: dict[str, Any] = {
        name.removeprefix("--").replace("-", "_"): value
        for name, value in zip(options[::2], options[1::2], strict=True)
    }
    asked, _ = settings.load(flags | {"allow_host": ("127.0.0.1",)})
    encoder = load(model_config(asked))
    planned = plan(asked, encoder)
    with served(IMAGES, LATENCY_MS) as urls:
        fetch_ms, images = _fetch(Fetcher(fetch_config(asked, planned.threads.io)), planned, urls)
    decode_ms, resize_ms = _preprocess(encoder, images)
    stages = {
        "fetch": fetch_ms,
        "decode": decode_ms,
        "resize": resize_ms,
        "encode": _encode(encoder, planned),
        "answer": _answer(encoder, urls),
    }
    return {name: round(value, 3) for name, value in stages.items()}


def _fetch(fetcher: Fetcher, planned: Plan, urls: Sequence[str]) -> tuple[float, list[bytes]]:
    """Fetch on as many threads as the service, twice; time the second, on open connections."""

    def fetch(url: str) -> bytes:
        return fetcher.fetch(url, time.monotonic() + 60)

    with ThreadPoolExecutor(planned.threads.io) as pool:
        images = list(pool.map(fetch, urls))
        took_ms = _core_ms(lambda: list(pool.map(fetch, urls)), len(urls))
    fetcher.close()
    return took_ms, images


def _preprocess(encoder: Encoder, images: Sequence[bytes]) -> tuple[float, float]:
    """Time decoding, in Pillow's `load`, and the rest: orient, flatten, resize, crop."""
    encoder.spec.preprocessing(images[0])
    with _loads_timed() as spent_s:
        whole_ms = _core_ms(
            lambda: [encoder.spec.preprocessing(one) for one in images], len(images)
        )
    decode_ms = 1000 * spent_s[0] / len(images)
    return decode_ms, whole_ms - decode_ms


@contextmanager
def _loads_timed() -> Iterator[list[float]]:
    """Sum the processor time, s, in any format's `load` while open. For one thread."""
    spent_s, depth = [0.0], [0]
    Image.init()
    classes = [one for one in _with_subclasses(ImageFile.ImageFile) if "load" in vars(one)]
    originals = {one: vars(one)["load"] for one in classes}

    def timed(load: Callable[..., Any]) -> Callable[..., Any]:
        def run(self: Any) -> Any:
            depth[0] += 1
            start_s = time.process_time()
            try:
                return load(self)
            finally:
                depth[0] -= 1
                if not depth[0]:  # a format's `load` calls the common one
                    spent_s[0] += time.process_time() - start_s

        return run

    for one, original in originals.items():
        one.load = timed(original)
    try:
        yield spent_s
    finally:
        for one, original in originals.items():
            one.load = original


def _with_subclasses(one: type[Any]) -> list[type[Any]]:
    return [one, *(found for sub in one.__subclasses__() for found in _with_subclasses(sub))]


def _encode(encoder: Encoder, planned: Plan) -> float:
    """Time full batches on all streams."""
    size, streams = planned.image.batch_size, planned.threads.streams
    with on_streams(image_runner(encoder), streams) as run:
        run(size)
        start_s = time.perf_counter()
        run(size)
        rounds = max(3, round(ENCODE_S / (time.perf_counter() - start_s)))
        return _core_ms(lambda: [run(size) for _ in range(rounds)], rounds * size * streams)


def _answer(encoder: Encoder, urls: Sequence[str]) -> float:
    """Time parsing a request and rendering its answer."""
    body = orjson.dumps({"urls": urls[:URLS]})
    vector = np.random.default_rng(0).standard_normal(encoder.spec.dimension, np.float32)
    specs = {encoder.spec.name: encoder.spec}
    answer = Answer([Embedding(vector)] * URLS, StageTimes())

    def work() -> None:
        for _ in range(ANSWERS):
            asked = protocol.parse(JSON, "", body, URLS)
            answers.render(JSON, asked, answer, specs, last_newline=True)
            answers.render_attributes(asked, specs, answers.counted(answer))

    return _core_ms(work, ANSWERS * URLS)


def _core_ms(work: Callable[[], object], images: int) -> float:
    start_s = time.process_time()
    work()
    return 1000 * (time.process_time() - start_s) / images


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1:])))
