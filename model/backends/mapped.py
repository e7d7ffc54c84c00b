"""Files that a library has mapped into memory: have their pages given back once they were read."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

MAPS = Path("/proc/self/maps")
MADV_DONTNEED = 4  # <asm-generic/mman-common.h>


def release_pages(folder: Path) -> int:
    """Give back the pages of the folder's files; whoever touches one reads it from the file again.

    Only of mappings that nobody can write to, so nothing is lost; while a model loads, when nobody
    opens or closes another of the folder. Returns bytes of mappings; 0
    where there is no /proc.
    """
    if not MAPS.exists():
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    total = 0
    for start, size in _mappings(folder.resolve()):
        if libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), MADV_DONTNEED) == 0:
            total += size
        else:
            log.warning("pages of %s stay in memory: error %d", folder, ctypes.get_errno())
    return total


def _mappings(folder: Path) -> Iterator[tuple[int, int]]:
    """Address and size of each; a line is `start-end perms offset device inode path` (proc(5))."""
    for line in MAPS.read_text().splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[1].startswith("r--") and Path(fields[5]).parent == folder:
            start, end = (int(one, 16) for one in fields[0].split("-"))
            yield start, end - start
