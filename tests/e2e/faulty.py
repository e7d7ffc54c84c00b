"""The service with an encoder that breaks when asked to: `python -m tests.e2e.faulty --port 8080`.

An image of HANGS never comes back from its decoder, one of CRASHES ends the process there, and the
text DIES ends the batching thread.
"""

import os
import signal
import socket
import sys
import threading

from inference.config import EngineConfig
from inference.engine.engine import Engine
from inference.fetching.fetcher import Fetcher
from model.backends.fake import FakeEncoder
from serve.http.server import Server
from serve.observe.telemetry import configure_logging
from serve.settings import load

HANGS, CRASHES, DIES = b"hangs", b"crashes", "dies"


class FaultyEncoder(FakeEncoder):
    def preprocess(self, data):
        if data == HANGS:
            threading.Event().wait()
        if data == CRASHES:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().preprocess(data)

    def encode_texts(self, texts):
        if DIES in texts:
            raise SystemExit
        return super().encode_texts(texts)


def opening(settings):
    from serve.compose import fetch_config

    return Engine(FaultyEncoder(), Fetcher(fetch_config(settings, 4)), EngineConfig(stall_s=1.0))


if __name__ == "__main__":
    flags = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    configure_logging()
    settings, _ = load({name.strip("-").replace("-", "_"): value for name, value in flags.items()})
    Server(settings, socket.create_server((settings.host, settings.port)), opening).run()
