"""What the service says of itself in its log: one line a request, none for a ping."""

from __future__ import annotations

import logging
import sys

from inference.types import Answer, Failure
from serve.protocol import EmbedRequest

log = logging.getLogger("sweetspot.request")


def configure_logging() -> None:
    """Log to standard error, where the platform and `docker logs` look."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )
    # Its warnings name whole URLs, signatures of presigned ones included.
    logging.getLogger("urllib3").setLevel(logging.ERROR)


def log_answered(request: EmbedRequest, answer: Answer) -> None:
    """Items, failures by code, and the span of each stage; never a URL or a text."""
    codes: dict[str, int] = {}
    for result in answer.results:
        if isinstance(result, Failure):
            codes[result.code] = codes.get(result.code, 0) + 1
    times = " ".join(f"{name}={value:.1f}" for name, value in answer.times.as_ms().items())
    failures = ",".join(f"{code}:{count}" for code, count in sorted(codes.items())) or "none"
    log.info("status=200 items=%d failures=%s %s", len(request.items), failures, times)


def log_refused(status: int, code: str, message: str) -> None:
    """A request that ended without results."""
    log.info("status=%d code=%s message=%r", status, code, message)
