"""Minimal HTTP client, cheap enough for hundreds of clients on one thread."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

HOST = "127.0.0.1"
# More than SageMaker's limit for a container: a longer wait is a hang.
TIMEOUT_S = 70.0
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: close\r\n", re.IGNORECASE)
_FAILURES = re.compile(rb";failures=(\d+)")
BROKEN = (OSError, EOFError, TimeoutError)


@dataclass(frozen=True)
class Reply:
    """An answer. failures: failed items, from its custom attributes."""

    status: int
    body: bytes
    failures: int
    closes: bool


class Connection:
    """A connection to the service. Its methods raise one of BROKEN."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect."""
        return cls(*await asyncio.open_connection(HOST, port))

    async def ask(self, request: bytes) -> Reply:
        """Send a whole request and read the answer."""
        self._writer.write(request)
        async with asyncio.timeout(TIMEOUT_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
            body = await self._reader.readexactly(_number(_LENGTH, head))
        closes = _CLOSE.search(head) is not None
        return Reply(_number(_STATUS, head), body, _number(_FAILURES, head), closes)

    async def send_and_wait(self, begun: bytes) -> None:
        """Send part of a request (may be empty); wait until the service answers or closes."""
        self._writer.write(begun)
        await self._reader.read(1)

    def close(self) -> None:
        """Close at once."""
        with suppress(OSError):
            self._writer.close()


def post(body: bytes, length: int | None = None) -> bytes:
    """Return an invocation; if `length` exceeds the body, an incomplete one."""
    head = (
        f"POST /invocations HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    return head.encode() + body


PING = f"GET /ping HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()


def _number(pattern: re.Pattern[bytes], head: bytes) -> int:
    found = pattern.search(head)
    return int(found.group(1)) if found else 0
