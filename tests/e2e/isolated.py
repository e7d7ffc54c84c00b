"""For where there is no network: a service asked by its own machine, without credentials."""

import fcntl
import json
import socket
import struct
import sys
import tempfile
from pathlib import Path

from model.checkpoints.checkpoint import BUILTIN
from tests.e2e.service import started
from tests.images import png

IFF_UP, SIOCSIFFLAGS = 0x1, 0x8914

if __name__ == "__main__":
    with socket.socket() as one:
        fcntl.ioctl(one, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
    folder = Path(tempfile.mkdtemp())
    sizes = ("--batch-size", "1", "--text-batch-size", "1")  # so that none has to be measured
    with started(folder, "--model", BUILTIN, "--allow-bucket", "*", *sizes) as service:
        headers = {"Content-Type": "image/png"}
        image = service.session.post(service.url("/invocations"), png(), headers=headers).json()
        urls = ["https://example.com/a.png", "s3://bucket/key"]
        away = service.invoke({"urls": urls, "parameters": {"deadline_ms": 20_000}}).json()
    sys.stdout.write(json.dumps([image["results"], away["results"]]))
