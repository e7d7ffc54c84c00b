"""Ports of this machine: one to serve on, and one where nobody listens."""

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Below those that Linux gives to connections and to servers that take any port: other tests open
# hundreds of these while a service starts.
SERVED = range(12_000, 32_000)


def free_port() -> int:
    while True:
        port = secrets.choice(SERVED)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextmanager
def refusing() -> Iterator[str]:
    """The origin of a URL whose port is taken and refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
