"""An image's bytes out of a file or a pipe of this machine, bounded in size and patience."""

from __future__ import annotations

import os
import select
from collections.abc import Callable

from inference.errors import DeadlineExceeded, FileUnreadable
from inference.fetching.inline import check_size

CHUNK_BYTES = 1024 * 1024
# How often one who waits for a pipe looks whether anybody still wants it.
WANTED_CHECK_MS = 100


def read_file(path: str, max_bytes: int, is_wanted: Callable[[], bool]) -> bytes:
    """Read to the end. A pipe that nobody writes to is waited for while it is wanted.

    Raises:
        FileUnreadable: not there, not permitted, a folder. FetchTooLarge: more than `max_bytes`.
        DeadlineExceeded: no longer wanted.
    """
    try:
        # Not blocking: else to open a pipe would wait for whoever writes to it, for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return _read(descriptor, max_bytes, is_wanted)
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise FileUnreadable(f"cannot be read: {exc.strerror}") from exc
    except ValueError as exc:  # a name that no file can have
        raise FileUnreadable(f"cannot be read: {exc}") from exc


def _read(descriptor: int, max_bytes: int, is_wanted: Callable[[], bool]) -> bytes:
    data = bytearray()
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    while True:
        if not is_wanted():
            raise DeadlineExceeded("shed: nobody waits for it")
        if not ready.poll(WANTED_CHECK_MS):
            continue
        chunk = os.read(descriptor, CHUNK_BYTES)
        if not chunk:
            return bytes(data)
        data += chunk
        check_size(data, max_bytes)
