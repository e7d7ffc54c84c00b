"""Reads an image's bytes from a local file or pipe, bounded in size and time."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from pathlib import Path

from inference.errors import DeadlineExceeded, FileUnreadable
from inference.fetching.inline import check_size

CHUNK_BYTES = 1024 * 1024
# How often a wait for a pipe checks whether the item is still wanted.
WANTED_CHECK_MS = 100


def as_others_see(path: str) -> str:
    """Return a path under which other processes find the same file as this one.

    `/dev/stdin`, `/dev/fd/63` and `/proc/self/...` mean another file in each process.
    """
    if path == "/dev/stdin":
        path = "/dev/fd/0"
    for own, anybodys in (("/dev/fd/", "fd/"), ("/proc/self/", "")):
        if path.startswith(own) and Path("/proc/self").exists():
            return f"/proc/{os.getpid()}/{anybodys}{path.removeprefix(own)}"
    return path


def read_file(path: str, max_bytes: int, is_wanted: Callable[[], bool]) -> bytes:
    """Read a file or pipe to its end. Wait for a pipe's data only while the item is wanted.

    Raises:
        FileUnreadable: missing, not permitted, a folder. FetchTooLarge: more than `max_bytes`.
        DeadlineExceeded: no longer wanted.
    """
    try:
        # Non-blocking: otherwise opening a pipe would wait for a writer without a limit.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return _read(descriptor, max_bytes, is_wanted)
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise FileUnreadable(f"cannot be read: {exc.strerror}") from exc
    except ValueError as exc:  # an invalid file name
        raise FileUnreadable(f"cannot be read: {exc}") from exc


def _read(descriptor: int, max_bytes: int, is_wanted: Callable[[], bool]) -> bytes:
    data = bytearray()
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    while True:
        if not is_wanted():
            raise DeadlineExceeded("shed: the request has ended")
        if not ready.poll(WANTED_CHECK_MS):
            continue
        chunk = os.read(descriptor, CHUNK_BYTES)
        if not chunk:
            return bytes(data)
        data += chunk
        check_size(data, max_bytes)
