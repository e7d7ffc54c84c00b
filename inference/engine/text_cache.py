"""Cache of recent text embeddings: a repeated text needs no queue and no forward pass."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from cachetools import LRUCache

from inference.types import Embedding

# Overhead of an entry beside its text and embedding: up to 420 bytes, measured by tracemalloc while
# entries come and go in caches of 60 to 11,000 texts.
ENTRY_BYTES = 512


@dataclass(frozen=True)
class TextCacheReport:
    """hits, misses: texts found and not found so far. held_bytes: what is held now."""

    hits: int
    misses: int
    held_bytes: int


class _Known(NamedTuple):
    """vector: float32 [D] as immutable bytes. size: of the whole entry with its key, bytes."""

    vector: bytes
    truncated: bool
    tokens: int
    size: int


class TextCache:
    """Embeddings by exact text; evicts the least recently used first. Thread-safe.

    Texts that a tokenizer may treat as equal have separate entries: tokenizers' rules differ.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._known: LRUCache[str, _Known] = LRUCache(max_bytes, getsizeof=attrgetter("size"))
        self._lock = threading.Lock()
        self._hits = self._misses = 0

    def get(self, text: str) -> Embedding | None:
        """Return the embedding of a text, read-only; None on a miss. Counts hits and misses."""
        with self._lock:
            known = self._known.get(text)
            if known is None:
                self._misses += 1
                return None
            self._hits += 1
        vector = np.frombuffer(known.vector, np.float32)
        return Embedding(vector, known.truncated, known.tokens)

    def put(self, text: str, embedding: Embedding) -> None:
        """Store a copy, unless it is larger than the whole cache."""
        # The vector is a row of its batch; storing a copy lets the batch be freed.
        vector = embedding.vector.tobytes()
        size = ENTRY_BYTES + sys.getsizeof(text) + sys.getsizeof(vector)
        if size <= self._max_bytes:
            with self._lock:
                self._known[text] = _Known(vector, embedding.truncated, embedding.tokens, size)

    def report(self) -> TextCacheReport:
        """Return the current counts."""
        with self._lock:
            return TextCacheReport(self._hits, self._misses, int(self._known.currsize))
