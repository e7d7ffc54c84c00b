"""What preparing processes know from their start, and what they are asked later."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from inference.config import EngineConfig, FetchConfig
from inference.preparation.in_threads import ThreadCounts
from inference.preparation.order import Task
from inference.types import LANES

# A process decodes images that take less without asking the service for memory. All processes
# together take at most a quarter of the whole in this way.
UNASKED_BYTES, UNASKED_SHARE = 16 * 2**20, 4
# The most that a process takes of its own, besides what it shares with the others.
PROCESS_BYTES = 100 * 2**20
# The most slots of all processes: more permits than this only make images wait here.
MOST_SLOTS = 4096


@dataclass(frozen=True)
class Setup:
    """What a process has from its start. Can be pickled.

    threads: of each process. slots: of its memory. decode_bytes: the most memory that decoding may
    take in all processes together; None is any. unasked_bytes: what one image may take of it
    without asking.
    """

    fetch: FetchConfig
    threads: ThreadCounts
    slots: int
    decode_bytes: int | None
    unasked_bytes: int


@dataclass(frozen=True)
class Chunk:
    """Images to prepare, each with its slot."""

    tasks: list[tuple[int, Task]]


@dataclass(frozen=True)
class Grant:
    """The memory that a thread asked for is lent to it."""

    thread: int


# What a process reads from its connection; the setup comes first.
Asked = Setup | Chunk | Grant


def setup_of(fetch: FetchConfig, config: EngineConfig) -> Setup:
    """Return the setup of processes that share the threads and slots of the configuration."""
    count = config.processes
    threads = ThreadCounts(
        io=math.ceil(config.io_threads / count), cpu=math.ceil(config.cpu_threads / count)
    )
    unasked_bytes = UNASKED_BYTES
    if config.decode_bytes is not None:
        decoders = len(LANES) * threads.cpu * count
        unasked_bytes = min(unasked_bytes, config.decode_bytes // (UNASKED_SHARE * decoders))
    return Setup(
        fetch=replace(fetch, connections=len(LANES) * threads.io),
        threads=threads,
        slots=math.ceil(min(config.max_items_in_flight, MOST_SLOTS) / count),
        decode_bytes=config.decode_bytes,
        unasked_bytes=unasked_bytes,
    )
