"""The caller's own id of a request, for the log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# SageMaker's InferenceId, then what proxies send.
HEADERS = ("X-Amzn-SageMaker-Inference-Id", "X-Request-Id")
MAX_ID_CHARS = 128
_NOT_VISIBLE = re.compile(r"[^!-~]")


def request_id_of(environ: Mapping[str, Any]) -> str | None:
    """Return the id in visible ASCII, cut to MAX_ID_CHARS; None without one. environ: of WSGI."""
    for name in HEADERS:
        given = environ.get(f"HTTP_{name.upper().replace('-', '_')}", "").strip()
        if given:
            return _NOT_VISIBLE.sub("?", given[:MAX_ID_CHARS])
    return None
