"""Messages on a stream socket between two processes: four bytes of length, then the message."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

LENGTH = struct.Struct("<I")
RECV_BYTES = 256 * 1024


def framed(message: bytes) -> bytes:
    """Return a message as it is sent."""
    return LENGTH.pack(len(message)) + message


class Frames:
    """Cuts received bytes into messages."""

    def __init__(self) -> None:
        self._received = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the messages that are complete with these bytes."""
        self._received += data
        start = 0
        try:
            while (begin := start + LENGTH.size) <= len(self._received):
                (length,) = LENGTH.unpack_from(self._received, start)
                if begin + length > len(self._received):
                    return
                start = begin + length
                yield bytes(memoryview(self._received)[begin:start])
        finally:
            del self._received[:start]


def messages(connection: socket.socket) -> Iterator[bytes]:
    """Yield the messages of a blocking connection until its other end is closed."""
    frames = Frames()
    while data := connection.recv(RECV_BYTES):
        yield from frames.feed(data)
