"""The service with an encoder that breaks when asked to: `python -m tests.e2e.faulty --port 8080`.

It takes the settings of `sweetspot serve`, and `--stall-s`: after so long a decoding has hung.
Pictures break it as in `tests.faulty_pictures`, and the text DIES ends the batching thread.
"""

import socket
import sys
from dataclasses import replace
from functools import partial

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


def opening(settings, stall_s):
    from serve.compose import engine_config, fetch_config
    from serve.plan import plan

    encoder = Encoder()
    planned = plan(settings, encoder)
    config = replace(engine_config(settings, planned), stall_s=stall_s)
    return Engine(encoder, fetch_config(settings, planned.threads.io), config)


if __name__ == "__main__":
    flags = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    stall_s = float(flags.pop("--stall-s", EngineConfig.stall_s))
    configure_logging()
    settings, _ = load({name.strip("-").replace("-", "_"): value for name, value in flags.items()})
    listener = socket.create_server((settings.host, settings.port))
    Server(settings, listener, partial(opening, stall_s=stall_s)).run()
