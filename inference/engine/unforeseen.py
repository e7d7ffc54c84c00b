"""What nobody foresaw about an item: told to its caller by code, and to the log in full."""

from __future__ import annotations

import logging
import threading
import traceback

from inference.errors import Internal, ItemError
from inference.types import Failure
from model.errors import DecodeError

log = logging.getLogger(__name__)

# A type of error, and the file and line that raised it.
Kind = tuple[type[BaseException], str, int | None]


class Unforeseen:
    """Logs each kind of error once, with its traceback: a million items may meet the same."""

    def __init__(self) -> None:
        self._kinds: set[Kind] = set()
        self._lock = threading.Lock()

    def failure(self, exc: Exception) -> Failure:
        """An item's own error as it is; any other as `internal`, which may pass."""
        if isinstance(exc, ItemError | DecodeError):
            return Failure.of(exc)
        if self._is_new(exc):
            log.error("an item failed by a fault of the service; logged once", exc_info=exc)
        name = type(exc).__name__
        return Failure.of(Internal(f"a fault of the service ({name}); see its log"))

    def _is_new(self, exc: Exception) -> bool:
        kind = _kind(exc)
        with self._lock:
            known = kind in self._kinds
            self._kinds.add(kind)
        return not known


def _kind(exc: Exception) -> Kind:
    frames = traceback.extract_tb(exc.__traceback__)
    return (type(exc), frames[-1].filename, frames[-1].lineno) if frames else (type(exc), "", 0)
