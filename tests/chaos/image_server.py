"""A server of images with moods: it goes away, hangs up, answers half, late, or with 503."""

from __future__ import annotations

import functools
import random
import socket
import threading
from collections.abc import Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from inference.loadtest.thumbnail_server import NOT_FOUND, Reply

MOODS = ("gone", "hanging up", "half answers", "slow", "unavailable")
UNAVAILABLE = Reply(b"come again", "text/plain", 503)
SLOW_S = 5.0
# Below the ports that outgoing connections get: one of those could take the place while it is gone.
PORTS = range(20_000, 30_000)


class MoodyServer:
    """Serves `replies` by path on 127.0.0.1 while open; `mood` is one of MOODS, or None."""

    def __init__(self, replies: Mapping[str, Reply], seed: int = 0) -> None:
        self.replies = dict(replies)
        self.dice = random.Random(seed)
        self.changed = threading.Event()  # ends the waits of a slow mood
        self._mood: str | None = None
        self._listener = _first_free(functools.partial(_Handler, self))
        self.port = self._listener.server_address[1]

    @property
    def mood(self) -> str | None:
        """How it is now."""
        return self._mood

    @mood.setter
    def mood(self, mood: str | None) -> None:
        before, self._mood = self._mood, mood
        if mood is None:
            self.changed.set()
        else:
            self.changed.clear()
        if mood == "gone" and before != "gone":
            self._close()
        elif before == "gone" and mood != "gone":
            self._listener = _Listener(("127.0.0.1", self.port), self._listener.RequestHandlerClass)
            self._open()

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self.mood = None
        self._close()

    def url(self, path: str) -> str:
        """The URL of a path that begins with a slash."""
        return f"http://127.0.0.1:{self.port}{path}"

    def _open(self) -> None:
        threading.Thread(
            target=self._listener.serve_forever, args=(0.02,), name="images", daemon=True
        ).start()

    def _close(self) -> None:
        self._listener.shutdown()
        self._listener.server_close()


class _Listener(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """A client that goes away is not worth a stack trace."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, server: MoodyServer, *args: object) -> None:
        self._moody = server
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        reply = self._moody.replies.get(self.path.partition("?")[0], NOT_FOUND)
        half = len(reply.body) // 2
        match self._moody.mood:
            case "gone":  # on connections of before, too
                self.close_connection = True
            case "hanging up":
                self._reset(reply.body[: self._moody.dice.choice((0, half))])
            case "half answers":
                self._answer(replace(reply, body=reply.body[:half], content_length=2 * half))
            case "slow":
                self._moody.changed.wait(self._moody.dice.uniform(0, SLOW_S))
                self._answer(reply)
            case "unavailable":
                self._answer(UNAVAILABLE)
            case _:
                self._answer(reply)

    def _answer(self, reply: Reply) -> None:
        length = len(reply.body) if reply.content_length is None else reply.content_length
        self.send_response(reply.status)
        for name, value in {"Content-Length": length, **reply.headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(reply.body)
        if length != len(reply.body):
            self.close_connection = True

    def _reset(self, begun: bytes) -> None:
        """Break the connection in the middle of an answer, or before one."""
        if begun:
            self._answer(Reply(begun, content_length=2 * len(begun)))
        off = (1).to_bytes(4, "little") + bytes(4)  # a close that waits for nothing is a reset
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, off)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _first_free(handler: functools.partial[_Handler]) -> _Listener:
    for port in random.sample(PORTS, len(PORTS)):
        try:
            return _Listener(("127.0.0.1", port), handler)
        except OSError:
            continue
    raise OSError("no port is free")
