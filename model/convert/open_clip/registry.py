"""open_clip's own names of trained models, and the repositories on the hub that hold them.

The list is that of open_clip 3.3.0 (`open_clip.pretrained`).
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path

from model.errors import CheckpointError

PREFIX = "openclip:"
LIST = Path(__file__).with_name("hub.json")


def hub_id(source: str) -> str:
    """Return the hub id of `openclip:MODEL/TAG`. Raises CheckpointError: open_clip has no such."""
    repositories: dict[str, str] = json.loads(LIST.read_text(encoding="utf-8"))
    name = source.removeprefix(PREFIX)
    if name in repositories:
        return repositories[name]
    near = difflib.get_close_matches(name, repositories, 3, 0.5)
    hint = f"; near it are {', '.join(near)}" if near else ""
    raise CheckpointError(f"open_clip has no model and tag {name!r}{hint}")
