"""The texts embedded last: one that comes again costs neither a queue nor a forward pass."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from cachetools import LRUCache

from inference.types import Embedding

# What a text takes in dictionaries beside itself and its embedding: up to 420 bytes (tracemalloc),
# while texts come and go in caches of 60 to 11,000 of them.
ENTRY_BYTES = 512


@dataclass(frozen=True)
class TextCacheReport:
    """hits, misses: texts found and not found so far. held_bytes: what is held now."""

    hits: int
    misses: int
    held_bytes: int


class _Known(NamedTuple):
    """vector: float32 [D], as bytes, which nobody can write into. size: of all, with the key."""

    vector: bytes
    truncated: bool
    size: int


class TextCache:
    """Embeddings by their exact text; the least recently asked go first. Safe from many threads.

    Texts that a tokenizer may take for equal are kept apart: each tokenizer has rules of its own.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._known: LRUCache[str, _Known] = LRUCache(max_bytes, getsizeof=attrgetter("size"))
        self._lock = threading.Lock()
        self._hits = self._misses = 0

    def get(self, text: str) -> Embedding | None:
        """The embedding of a text, read-only; None when it is not known. Counted."""
        with self._lock:
            known = self._known.get(text)
            if known is None:
                self._misses += 1
                return None
            self._hits += 1
        return Embedding(np.frombuffer(known.vector, np.float32), known.truncated)

    def put(self, text: str, embedding: Embedding) -> None:
        """Keep a copy; what is larger than the whole cache is not kept."""
        # A copy also lets go of the batch that the vector is a row of.
        vector = embedding.vector.tobytes()
        size = ENTRY_BYTES + sys.getsizeof(text) + sys.getsizeof(vector)
        if size <= self._max_bytes:
            with self._lock:
                self._known[text] = _Known(vector, embedding.truncated, size)

    def report(self) -> TextCacheReport:
        """A picture of this moment."""
        with self._lock:
            return TextCacheReport(self._hits, self._misses, int(self._known.currsize))
