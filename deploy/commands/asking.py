"""Asks a deployment, or the URL of a container, on behalf of a command."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deploy.smoke import Ask

# A user waits for the answer; a serverless endpoint takes this long to start.
PATIENCE_S = 30.0


@contextmanager
def asking(endpoint: str, model: str | None) -> Iterator[Ask]:
    """Yield a function that sends one request to an endpoint, with retries."""
    from deploy.client.retrying import Patience, ask
    from deploy.stack.resolve_target import resolve_target

    transport, leaving = resolve_target(endpoint, model), threading.Event()
    try:
        yield lambda items: ask(transport, items, Patience(total_s=PATIENCE_S), leaving, bulk=False)
    finally:
        transport.close()
