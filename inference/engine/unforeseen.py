"""Unexpected errors of an item: the caller gets a code, the log gets the traceback."""

from __future__ import annotations

import logging
import threading

from inference.errors import Internal, ItemError
from inference.preparation.processes.replies import RemoteFault, place_of
from inference.types import Failure
from model.errors import DecodeError

log = logging.getLogger(__name__)

# The name of an error's type, and the file and line that raised it.
Kind = tuple[str, str]


class Unforeseen:
    """Logs each kind of error once, with its traceback: a million items may hit the same one."""

    def __init__(self) -> None:
        self._kinds: set[Kind] = set()
        self._lock = threading.Lock()

    def failure(self, exc: Exception) -> Failure:
        """Return an item's own error as it is, and any other as `internal`, retryable."""
        if isinstance(exc, ItemError | DecodeError):
            return Failure.of(exc)
        if self._is_new(exc):
            # A fault of another process comes with its traceback as text.
            text, shown = (f"\n{exc}", None) if isinstance(exc, RemoteFault) else ("", exc)
            log.error("a fault of the service failed an item; logged once%s", text, exc_info=shown)
        name, _ = _kind(exc)
        return Failure.of(Internal(f"a fault of the service ({name}); see its log"))

    def _is_new(self, exc: Exception) -> bool:
        kind = _kind(exc)
        with self._lock:
            known = kind in self._kinds
            self._kinds.add(kind)
        return not known


def _kind(exc: Exception) -> Kind:
    if isinstance(exc, RemoteFault):
        return exc.name, exc.place
    return type(exc).__name__, place_of(exc)
