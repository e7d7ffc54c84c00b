"""Embeddings by digest: images of the same bytes are encoded once, whatever their URLs."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from inference.types import Embedding

# Overhead of an entry beside its vector, with its digest: see the test of the bound.
ENTRY_BYTES = 512

# Returns float32 [D] of an image's SHA-256, or None.
Find = Callable[[bytes], NDArray[np.float32] | None]
# Tells an item that waits how another of the same bytes ended: called once, with the embedding, or
# with None if that one failed. It then returns whether it has itself encoded instead.
Waiting = Callable[[Embedding | None], bool]


@dataclass(frozen=True)
class ReuseReport:
    """hits: images that took a known embedding, or that of another. misses: images encoded so far.

    held_bytes: what is held now.
    """

    hits: int
    misses: int
    held_bytes: int


class EmbeddingsByDigest:
    """One model's embeddings by the SHA-256 of encoded images. Thread-safe.

    Holds at most `max_bytes`, and evicts the least recently used first. find: embeddings that are
    known from elsewhere; it is called for every image in a thread that others wait for, so it must
    be quick. Items in flight bound the number of those that wait.
    """

    def __init__(self, max_bytes: int, find: Find = lambda _: None) -> None:
        self._max_bytes = max_bytes
        self._find = find
        self._known: LRUCache[bytes, bytes] = LRUCache(max_bytes, getsizeof=_entry_bytes)
        # Of each image that is being encoded, the items that wait for it.
        self._waiting: dict[bytes, deque[Waiting]] = {}
        self._lock = threading.Lock()
        self._hits = self._misses = 0

    def claim(self, sha256: bytes, waiting: Waiting) -> Embedding | Literal["encode", "wait"]:
        """Return an image's embedding, read-only, or what is to be done with it.

        `encode`: nobody else does; call `settle` at the end. `wait`: another item of the same bytes
        is being encoded; `waiting` will be called, from any thread.
        """
        vector = self._find(sha256)
        with self._lock:
            if vector is None and (known := self._known.get(sha256)) is not None:
                vector = np.frombuffer(known, np.float32)
            if vector is not None:
                self._hits += 1
                return Embedding(vector)
            if (others := self._waiting.get(sha256)) is not None:
                others.append(waiting)
                return "wait"
            self._waiting[sha256] = deque()
            return "encode"

    def settle(self, sha256: bytes, embedding: Embedding | None) -> None:
        """End what `claim` answered by `encode`. embedding: None if it failed or was shed.

        Those that wait get the embedding. After a failure one of them is encoded instead.
        """
        if embedding is not None:
            for waiting in self._store(sha256, embedding):
                waiting(embedding)
            return
        while (next_one := self._next(sha256)) is not None:
            if next_one(None):
                return

    def report(self) -> ReuseReport:
        """Return the current counts."""
        with self._lock:
            return ReuseReport(self._hits, self._misses, int(self._known.currsize))

    def _store(self, sha256: bytes, embedding: Embedding) -> deque[Waiting]:
        """Keep a copy, unless it is larger than all that may be held. Return those that wait."""
        # The vector is a row of its batch; storing a copy lets the batch be freed.
        vector = embedding.vector.tobytes()
        with self._lock:
            if _entry_bytes(vector) <= self._max_bytes:
                self._known[sha256] = vector
            waiting = self._waiting.pop(sha256)
            self._hits += len(waiting)
            self._misses += 1
        return waiting

    def _next(self, sha256: bytes) -> Waiting | None:
        """Return the one that has waited longest. If there is none, the image is free again."""
        with self._lock:
            if waiting := self._waiting[sha256]:
                return waiting.popleft()
            del self._waiting[sha256]
            return None


def _entry_bytes(vector: bytes) -> int:
    return ENTRY_BYTES + sys.getsizeof(vector)
