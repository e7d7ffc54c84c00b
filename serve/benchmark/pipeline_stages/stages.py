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


def limiting(found: Sequence[Stage], full: float, *, on_cpu: bool) -> tuple[str, ...]:
    """Return the stages that limit, the first of them first; none when nothing is busy enough.

    Args:
        found: the result of `stages`.
        full: 0..1, mean images of a forward pass / the batch size.
        on_cpu: whether the encoder shares the cores with decoding.
    """
    busy = {one.name: one.busy for one in found if one.busy is not None}
    if not busy:
        return ()
    encoder_busy, decode_busy = busy["encode"] >= ENCODER_BUSY, busy["decode"] >= OTHERS_BUSY
    if encoder_busy and full >= FULL:
        return ("encode", "decode") if on_cpu and decode_busy else ("encode",)
    if decode_busy and busy["decode"] >= busy["fetch"]:
        return ("decode", "encode") if on_cpu and encoder_busy else ("decode",)
    return ("fetch",) if busy["fetch"] >= OTHERS_BUSY else ()


def limit(
    found: Sequence[Stage],
    full: float,
    *,
    on_cpu: bool,
    spare_cores: bool,
    faster: Sequence[str] = (),
) -> str:
    """Return a sentence that names the bottleneck and what helps.

    Args:
        found: the result of `stages`.
        full: as for `limiting`.
        on_cpu: as for `limiting`.
        spare_cores: whether there are fewer decode threads than cores.
        faster: what would make the encoder faster here, in place of float32.
    """
    busy = {one.name: one.busy for one in found if one.busy is not None}
    if not busy:
        return "nothing was measured"
    match limiting(found, full, on_cpu=on_cpu):
        case ("encode", *others):
            return _encoder(faster, shared=bool(others))
        case ("decode", *others):
            return _decoding(shared=bool(others), spare_cores=spare_cores)
        case ("fetch",):
            return f"fetching limits; {MORE} more --io-threads, or images that are nearer"
        case _:
            pass
    is_waiting = busy["encode"] >= ENCODER_BUSY
    what = "the encoder is busy with batches that are not full" if is_waiting else NOTHING
    return f"{what}; {MORE} more requests at once, or larger ones"


def _encoder(faster: Sequence[str], *, shared: bool) -> str:
    where = " in float32" if faster else ""
    if shared:
        who = f"the encoder{where} and decoding limit together, since they share the cores"
        then = ("a larger instance", "smaller images")
    else:
        who, then = f"the encoder limits{where}", ("a larger instance", "a GPU")
    return f"{who}; {MORE} {', '.join((*faster, *then))} or a smaller model"


def _decoding(*, shared: bool, spare_cores: bool) -> str:
    beside = ", on cores that it shares with the encoder" if shared else ""
    threads = "more --decode-threads, " if spare_cores else ""
    return f"decoding limits{beside}; {MORE} {threads}a larger instance or smaller images"


def _busy(spent: Spent, name: str, images_s: float, counts: Mapping[str, int]) -> float | None:
    if name not in spent.thread_s or name not in counts:
        return None
    return min(1.0, spent.thread_s[name] * images_s / counts[name])
