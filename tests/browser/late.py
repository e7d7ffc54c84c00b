"""The service whose model loads once a file exists: `python -m tests.browser.late --may-load F`."""

import socket
import sys
import time
from functools import partial
from pathlib import Path

from serve.compose import open_engine
from serve.http.server import Server
from serve.observe.telemetry import configure_logging
from serve.settings import load


def opening(settings, may_load):
    while not may_load.exists():
        time.sleep(0.02)
    return open_engine(settings)


if __name__ == "__main__":
    flags = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    may_load = Path(flags.pop("--may-load"))
    configure_logging()
    settings, _ = load({name.strip("-").replace("-", "_"): value for name, value in flags.items()})
    listener = socket.create_server((settings.host, settings.port))
    Server(settings, listener, partial(opening, may_load=may_load)).run()
