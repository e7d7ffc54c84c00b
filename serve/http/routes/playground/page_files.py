"""The files of the page, read once: no request names a path on the disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "page"
INDEX = "index.html"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


@dataclass(frozen=True)
class PageFile:
    """One file of the page. media_type: with its charset."""

    data: bytes
    media_type: str


def page_files() -> dict[str, PageFile]:
    """Return every file of the page by its name."""
    return {
        path.name: PageFile(path.read_bytes(), f"{TYPES[path.suffix]}; charset=utf-8")
        for path in FOLDER.iterdir()
        if path.suffix in TYPES
    }
