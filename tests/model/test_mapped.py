"""Pages that are given back are read again, and only those of the folder asked for."""

import mmap
from pathlib import Path

import pytest

from model.backends.mapped import MAPS, release_pages

SIZE = 64 * mmap.PAGESIZE


def resident_kib(path):
    """Of the mapping of a file: the line `Rss:` that follows it in smaps."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    at = next(index for index, line in enumerate(lines) if line.endswith(str(path)))
    return next(int(line.split()[1]) for line in lines[at:] if line.startswith("Rss:"))


@pytest.mark.skipif(not MAPS.exists(), reason="no /proc")
@pytest.mark.parametrize("flags", [mmap.MAP_PRIVATE, mmap.MAP_SHARED])
def test_pages_are_given_back_and_read_again(tmp_path, flags):
    content = bytes(range(256)) * (SIZE // 256)
    for name in ("asked", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.bin").write_bytes(content)
    asked, other = (tmp_path / name / "weights.bin" for name in ("asked", "other"))
    with asked.open("rb") as one, other.open("rb") as two:
        maps = [
            mmap.mmap(file.fileno(), 0, flags=flags, prot=mmap.PROT_READ) for file in (one, two)
        ]
        assert all(bytes(found) == content for found in maps)
        before = resident_kib(asked)
        assert release_pages(tmp_path / "asked") == SIZE
        assert resident_kib(asked) < before
        assert resident_kib(other) == SIZE // 1024
        assert all(bytes(found) == content for found in maps)
        for found in maps:
            found.close()
    assert release_pages(tmp_path / "asked") == 0
