"""gunicorn's threaded worker, with the waiting for slow clients taken out of its threads.

gthread gives a thread to every connection it accepts, so idle and half-sent ones hold threads
that a ping needs. Here the worker's own event loop holds a connection until a request is there:
its headers, and as much of its body as is small. Threads only ever see requests they can work
on; the rest of a large body is read by `serve.body`, with a deadline.
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

# Headers that are not whole after this are gunicorn's to refuse.
MAX_HEADER_BYTES = 64 * 1024
# Bodies up to this are awaited in the event loop.
SMALL_BODY_BYTES = 64 * 1024
RECV_BYTES = 64 * 1024
# How long a client may take to send headers and a small body.
REQUEST_TIMEOUT_S = 10.0
# How long a half-sent request may go on once the worker stops.
STOP_LINGER_S = 1.0

_END_OF_HEADERS = b"\r\n\r\n"
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,12})[ \t]*\r\n", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:", re.IGNORECASE)


def is_whole(received: bytes | bytearray) -> bool:
    """Whether a thread may have it: headers and a small body are there, or waiting is no use."""
    end = received.find(_END_OF_HEADERS)
    if end < 0:
        return len(received) > MAX_HEADER_BYTES
    headers = bytes(received[: end + len(_END_OF_HEADERS)])
    if _EXPECT.search(headers):
        return True
    found = _CONTENT_LENGTH.search(headers)
    length = int(found.group(1)) if found else 0
    return length > SMALL_BODY_BYTES or len(received) >= len(headers) + length


class BufferingWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn is untyped
    """A gthread worker whose threads never wait for a request to arrive."""

    def accept(self, listener: socket.socket) -> None:
        """Take a connection and wait in the event loop for its request."""
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError, InterruptedError):
            return
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.nr_conns += 1
        self._await_request(TConn(self.cfg, client, address, listener.getsockname()))

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """A kept-alive connection speaks again: as a new one."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_request(conn)
        self._receive(conn, client)

    def murder_pending(self) -> None:
        """Close connections whose request did not come in time; soon, once stopping."""
        if not self.alive:
            soon = time.monotonic() + STOP_LINGER_S
            for conn in self.pending_conns:
                conn.timeout = min(conn.timeout, soon)
        super().murder_pending()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: tell the service first, so that kept-alive clients hear it."""
        self.app.drain()
        super().handle_exit(sig, frame)

    def _await_request(self, conn: Any) -> None:
        conn.received = bytearray()
        conn.timeout = time.monotonic() + REQUEST_TIMEOUT_S
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._receive, conn))

    def _receive(self, conn: Any, client: socket.socket) -> None:
        """Take what has arrived; hand over when it is a request, or the end of one."""
        try:
            data = client.recv(RECV_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        conn.received += data
        if data and not is_whole(conn.received):
            return
        self.poller.unregister(client)
        self.pending_conns.remove(conn)
        if not conn.received:
            self.nr_conns -= 1
            conn.close()
            return
        self._hand_over(conn)

    def _hand_over(self, conn: Any) -> None:
        conn.init()
        conn.parser.unreader.unread(bytes(conn.received))
        conn.received = bytearray()
        conn.data_ready = True
        self.enqueue_req(conn)
