"""The service with an encoder that breaks when asked to: `python -m tests.e2e.faulty --port 8080`.

Pictures break it as in `tests.faulty_pictures`, and the text DIES ends the batching thread.
"""

import socket
import sys

from inference.config import EngineConfig
from inference.engine.engine import Engine
from serve.http.server import Server
from serve.observe.telemetry import configure_logging
from serve.settings import load
from tests.faulty_pictures import FaultyEncoder

DIES = "dies"


class Encoder(FaultyEncoder):
    def encode_texts(self, texts):
        if DIES in texts:
            raise SystemExit
        return super().encode_texts(texts)


def opening(settings):
    from serve.compose import fetch_config

    processes = settings.preprocess_processes
    config = EngineConfig(stall_s=1.0, processes=0 if processes == "auto" else processes)
    return Engine(Encoder(), fetch_config(settings, 4), config)


if __name__ == "__main__":
    flags = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    configure_logging()
    settings, _ = load({name.strip("-").replace("-", "_"): value for name, value in flags.items()})
    Server(settings, socket.create_server((settings.host, settings.port)), opening).run()
