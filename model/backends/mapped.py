"""Release of memory pages of files that a library has mapped and read."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

MAPS = Path("/proc/self/maps")
MADV_DONTNEED = 4  # <asm-generic/mman-common.h>


def release_pages(folder: Path) -> int:
    """Release the pages of the folder's mapped files. A later access reads the file again.

    Only read-only mappings are released, so no data is lost. Call it while a model loads, when no
    other thread opens or closes a file of the folder. Returns bytes of mappings; 0 without /proc.
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
    """Yield address and size; a line is `start-end perms offset device inode path` (proc(5))."""
    for line in MAPS.read_text().splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[1].startswith("r--") and Path(fields[5]).parent == folder:
            start, end = (int(one, 16) for one in fields[0].split("-"))
            yield start, end - start
