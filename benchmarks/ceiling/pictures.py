"""A web server of pictures that takes little of the cores that are measured, as its own process.

One thread serves all connections, and every reply is ready before the first request. The server
with a thread a connection, which the other benchmarks use, takes 0.22 to 0.27 core-ms a picture.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from model.synthetic.mixes import MIXES, Picture

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: {mime}\r\nContent-Length: {length}\r\n\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class Pictures(NamedTuple):
    """A running server. pid: of its process. urls: of different pictures."""

    pid: int
    urls: Sequence[str]


@contextmanager
def pictures(mix: str, count: int, latency_s: float) -> Iterator[Pictures]:
    """Draw pictures of a mix and serve each `latency_s` after its request."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, mix, str(count), str(latency_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:  # closes its standard input, at which it ends
        port = process.stdout.readline().strip() if process.stdout else ""
        if not port:
            raise ChildProcessError("the server of pictures did not start")
        urls = [f"http://127.0.0.1:{port}/{number}" for number in range(count)]
        yield Pictures(process.pid, urls)


class _Connection(asyncio.Protocol):
    """Answers the requests of one client, which sends the next one after a reply."""

    def __init__(self, replies: Mapping[bytes, bytes], latency_s: float) -> None:
        self._replies, self._latency_s = replies, latency_s
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received.endswith(b"\r\n\r\n"):
            path, self._received = self._received.split(b" ", 2)[1], b""
            reply = self._replies.get(path, NOT_FOUND)
            asyncio.get_running_loop().call_later(self._latency_s, self._transport.write, reply)


async def serve(replies: Mapping[bytes, bytes], latency_s: float) -> None:
    """Print the port, and serve until the parent closes standard input. replies: by path."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Connection(replies, latency_s), "127.0.0.1", 0, backlog=256
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


def reply(picture: Picture) -> bytes:
    """Return a whole HTTP response."""
    return HEAD.format(mime=picture.mime, length=len(picture.data)).encode() + picture.data


def main(mix: str, count: int, latency_s: float) -> None:
    draw = MIXES[mix].draw
    replies = {b"/%d" % number: reply(draw(number)) for number in range(count)}
    asyncio.run(serve(replies, latency_s))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
