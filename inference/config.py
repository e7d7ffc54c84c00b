"""Limits and sizes of the pipeline: frozen, made once by the composition root."""

from __future__ import annotations

from dataclasses import dataclass

from inference.profile.curve import Curve


@dataclass(frozen=True)
class UrlConfig:
    """Which URLs may be fetched; a host is exact or a `.suffix`, with an optional `:port`.

    allow_hosts: exempt from the address and port checks. only_hosts: if given, no others are
    allowed. deny_hosts: refused. allow_buckets: S3 buckets that may be read, `*` for any.
    """

    allow_hosts: tuple[str, ...] = ()
    only_hosts: tuple[str, ...] = ()
    deny_hosts: tuple[str, ...] = ()
    allow_buckets: tuple[str, ...] = ()


@dataclass(frozen=True)
class FetchConfig:
    """Bounds of one fetch. max_image_bytes: also after decompression of the transfer.

    connections: the most kept open to one host. user_agent: a valid header value.
    """

    urls: UrlConfig = UrlConfig()
    connect_timeout_s: float = 3.0
    fetch_timeout_s: float = 10.0
    max_image_bytes: int = 20 * 2**20
    connections: int = 64
    attempts: int = 3
    max_redirects: int = 3
    user_agent: str = "sweetspot"


@dataclass(frozen=True)
class BatchConfig:
    """How batches of one tower form.

    max_wait_s: the longest an item waits for expected others; it is the time that merging two
    batches saves, by the latency curve. curve: the measured curve that gave the size, or None.
    """

    batch_size: int = 16
    max_wait_s: float = 0.05
    curve: Curve | None = None


@dataclass(frozen=True)
class EngineConfig:
    """Bounds of each request and of all together, and the numbers of threads.

    max_items_in_flight: permits over all requests. window: the most permits of one request.
    lane_permits: permits that each lane leaves to the other. interactive_wait_s: the longest an
    interactive item waits for the running batch. streams: forward passes at once.
    processes: those that fetch and decode; 0 is threads of this process. io_threads, cpu_threads:
    fetching and decoding threads of each lane, in all processes together. decode_bytes: the most
    memory of all images that are decoded at the same time; None is any. text_cache_bytes: size of
    a text cache; the default holds some 6,200 queries of 512 dimensions, and is small beside any
    weights. stall_s: a decoding or a forward pass that takes longer counts as hung; decoding the
    largest image allowed takes some 2 s.
    """

    image: BatchConfig = BatchConfig()
    text: BatchConfig = BatchConfig()
    max_items_in_flight: int = 512
    window: int = 128
    lane_permits: int = 0
    interactive_wait_s: float = 0.2
    streams: int = 1
    processes: int = 0
    io_threads: int = 32
    cpu_threads: int = 2
    decode_bytes: int | None = None
    max_text_chars: int = 65_536
    text_cache_bytes: int = 16 * 2**20
    stall_s: float = 60.0
