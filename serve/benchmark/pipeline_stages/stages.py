"""How busy each stage of the pipeline is, and which one is the bottleneck. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from inference.profile.profile import Threads
from inference.stats import STAGES

# A stage this busy is the bottleneck. Decoding and fetching sometimes wait for the stage before
# them even when they are the bottleneck; the encoder's next batch should always be ready.
ENCODER_BUSY, OTHERS_BUSY = 0.85, 0.8
# The encoder encodes whatever is ready. Below this share of a full batch, a larger batch takes
# hardly more time: a busy encoder is then still limited by the stages before it.
FULL = 0.5
MORE = "for more images a second use"
NOTHING = "nothing is busy"


@dataclass(frozen=True)
class Spent:
    """Average time that images spend in each stage.

    thread_s: by stage, time of all its threads per embedded image. p50_ms: by stage, median time
    that an image is in it. mean_batch: images of a forward pass.
    """

    thread_s: Mapping[str, float] = field(default_factory=dict)
    p50_ms: Mapping[str, float] = field(default_factory=dict)
    mean_batch: float | None = None


@dataclass(frozen=True)
class Stage:
    """One stage. busy: 0..1 of its threads' time, None for the queue. p50_ms: of an image."""

    name: str
    threads: int | None
    busy: float | None
    p50_ms: float | None


def stages(spent: Spent, images_s: float, threads: Threads) -> tuple[Stage, ...]:
    """Return the stages in the order that images pass them.

    busy is thread time per image x images a second / threads. Unlike a sum over a time span, it
    does not depend on the images that are in flight at the span's ends.
    """
    counts = {"fetch": threads.io, "decode": threads.decode, "encode": threads.streams}
    return tuple(
        Stage(name, counts.get(name), _busy(spent, name, images_s, counts), spent.p50_ms.get(name))
        for name in STAGES
    )


def limit(found: Sequence[Stage], full: float, *, on_cpu: bool, spare_cores: bool) -> str:
    """Return a sentence that names the bottleneck and what helps.

    Args:
        found: the result of `stages`.
        full: 0..1, mean images of a forward pass / the batch size.
        on_cpu: whether the encoder shares the cores with decoding.
        spare_cores: whether there are fewer decode threads than cores.
    """
    busy = {one.name: one.busy for one in found if one.busy is not None}
    if not busy:
        return "nothing was measured"
    encoder_busy, decode_busy = busy["encode"] >= ENCODER_BUSY, busy["decode"] >= OTHERS_BUSY
    if encoder_busy and full >= FULL:
        return _encoder(shared=on_cpu and decode_busy)
    if decode_busy and busy["decode"] >= busy["fetch"]:
        return _decoding(shared=on_cpu and encoder_busy, spare_cores=spare_cores)
    if busy["fetch"] >= OTHERS_BUSY:
        return f"fetching limits; {MORE} more --io-threads, or images that are nearer"
    what = "the encoder is busy with batches that are not full" if encoder_busy else NOTHING
    return f"{what}; {MORE} more requests at once, or larger ones"


def _encoder(*, shared: bool) -> str:
    if shared:
        return (
            "the encoder and decoding limit together, since they share the cores; "
            f"{MORE} a larger instance, smaller images or a smaller model"
        )
    return f"the encoder limits; {MORE} a larger instance, a GPU or a smaller model"


def _decoding(*, shared: bool, spare_cores: bool) -> str:
    beside = ", on cores that it shares with the encoder" if shared else ""
    threads = "more --decode-threads, " if spare_cores else ""
    return f"decoding limits{beside}; {MORE} {threads}a larger instance or smaller images"


def _busy(spent: Spent, name: str, images_s: float, counts: Mapping[str, int]) -> float | None:
    if name not in spent.thread_s or name not in counts:
        return None
    return min(1.0, spent.thread_s[name] * images_s / counts[name])
