"""gunicorn's threaded worker, with the waiting for slow clients taken out of its threads.

gthread gives a thread to every connection it accepts, so idle and half-sent ones hold threads
that a ping needs. Here the worker's own event loop holds a connection until a request is there:
its headers, and as much of its body as is small. Threads only ever see requests they can work
on; the rest of a large body is read by `serve.http.body`, with a deadline.
"""

from __future__ import annotations

import logging
import re
import selectors
import socket
import time
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)

# Headers that are not whole after this are refused here; gunicorn would wait for their end.
MAX_HEADER_BYTES = 64 * 1024
HEADERS_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"Connection: close\r\n"
    b"Content-Length: 0\r\n\r\n"
)
# Bodies up to this are awaited in the event loop.
SMALL_BODY_BYTES = 64 * 1024
RECV_BYTES = 64 * 1024
# How long a client may take to send headers and a small body.
REQUEST_TIMEOUT_S = 10.0
# How long headers may go on to arrive once the worker stops: they are not accepted yet.
STOP_LINGER_S = 1.0
# How long a closed connection is read from, so that its client gets the answer and no reset.
CLOSE_LINGER_S = 2.0
# How long a thread drains a body that nobody wanted; a small one is there already.
DRAIN_S = 0.05
# How often waiting connections are looked over for time-outs, and the pause when none can be
# accepted for want of file descriptors.
LOOK_OVER_S = 0.25
NO_DESCRIPTOR_PAUSE_S = 0.02

_END_OF_HEADERS = b"\r\n\r\n"
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,12})[ \t]*\r\n", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:", re.IGNORECASE)
_ENCODED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)


def is_whole(received: bytes | bytearray) -> bool:
    """Whether a thread may have it: headers and a small body are there, or waiting is no use."""
    headers = _headers(received)
    return bool(headers) and (_awaits_a_thread(headers) or _has_body(received, headers))


def is_complete(received: bytes | bytearray) -> bool:
    """Whether nothing of the request is still to come, by what its headers say."""
    headers = _headers(received)
    to_come = _awaits_a_thread(headers) or _ENCODED.search(headers)
    return bool(headers) and not to_come and _has_body(received, headers)


def _headers(received: bytes | bytearray) -> bytes:
    """With the blank line behind them; empty when that is still to come."""
    end = received.find(_END_OF_HEADERS)
    return b"" if end < 0 else bytes(received[: end + len(_END_OF_HEADERS)])


def _awaits_a_thread(headers: bytes) -> bool:
    return bool(_EXPECT.search(headers)) or _body_bytes(headers) > SMALL_BODY_BYTES


def _has_body(received: bytes | bytearray, headers: bytes) -> bool:
    return len(received) >= len(headers) + _body_bytes(headers)


def _body_bytes(headers: bytes) -> int:
    found = _CONTENT_LENGTH.search(headers)
    return int(found.group(1)) if found else 0


class BufferingWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn is untyped
    """A gthread worker whose threads never wait for a client, and whose loop never blocks."""

    wsgi: WSGIApplication

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._look_over_s = 0.0

    def load_wsgi(self) -> None:
        """Load the app; of a body that nobody read, its answer says that the connection closes."""
        super().load_wsgi()
        self.wsgi = _closing_over_unread(self.wsgi)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Once stopping, take what the kernel has accepted before the door is closed.

        Closing it would reset connections whose clients may have sent their request already.
        """
        super().set_accept_enabled(enabled)
        if self.alive or enabled:
            return
        for listener in self.sockets:
            while self._accept(listener):
                pass
            listener.close()
        self.sockets.clear()

    def accept(self, listener: socket.socket) -> None:
        """Take a connection and wait in the event loop for its request."""
        self._accept(listener)

    def _accept(self, listener: socket.socket) -> bool:
        """Whether there may be more."""
        try:
            client, address = listener.accept()
            name = listener.getsockname()
        except BlockingIOError:
            return False
        except ConnectionAbortedError:
            return True
        except OSError as exc:  # no file descriptor left, most likely
            log.warning("cannot accept a connection: %s", exc.strerror)
            time.sleep(NO_DESCRIPTOR_PAUSE_S)
            return False
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.nr_conns += 1
        self._await_request(TConn(self.cfg, client, address, name))
        return True

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """A kept-alive connection speaks again: as a new one."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_request(conn)
        self._receive(conn, client)

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """A thread is done with a connection: keep it, or close it without waiting here."""
        keep = not fs.cancelled() and fs.exception() is None and fs.result()
        if not keep:
            self._close_later(conn)
            return
        # A thread may have read the beginning of the next request.
        begun = conn.parser.unreader.take_buffered()
        if begun:
            self._await_request(conn, begun)
            self._check(conn)
            return
        conn.sock.setblocking(False)
        conn.set_timeout()
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
        self.keepalived_conns.append(conn)
        callback = partial(self.on_client_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, callback)

    def murder_pending(self) -> None:
        """Close connections whose time is over; soon, once stopping, those not yet accepted."""
        now = time.monotonic()
        if now < self._look_over_s:
            return
        self._look_over_s = now + LOOK_OVER_S
        for conn in list(self.pending_conns):
            if not self.alive and _END_OF_HEADERS not in conn.received:
                conn.timeout = min(conn.timeout, now + STOP_LINGER_S)
            if conn.timeout <= now:
                self._drop(conn)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: tell the service first, so that kept-alive clients hear it."""
        self.app.drain()
        super().handle_exit(sig, frame)

    def _keepalive_after(self, conn: Any, keepalive: Any) -> bool:
        """Keep a connection only when nothing of its request is still to come.

        One that is complete has no deadline: on busy cores this thread may not get its turn within
        DRAIN_S, and would close a connection that its answer said to be kept.
        """
        deadline_s = None if conn.complete else time.monotonic() + DRAIN_S
        return bool(keepalive) and conn.parser.finish_body(deadline=deadline_s)

    def _await_request(self, conn: Any, begun: bytes = b"") -> None:
        # Blank lines before a request line are to be ignored (RFC 9112, 2.2).
        conn.received = bytearray(begun.lstrip(b"\r\n"))
        self._watch(conn, self._receive, REQUEST_TIMEOUT_S)

    def _watch(self, conn: Any, callback: Any, timeout_s: float) -> None:
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + timeout_s
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(callback, conn))

    def _receive(self, conn: Any, client: socket.socket) -> None:
        """Take what has arrived."""
        data = _recv(client)
        if data is None:
            return
        if not data:
            self._drop(conn)
            return
        conn.received += data
        self._check(conn)

    def _check(self, conn: Any) -> None:
        """Hand a connection over once its request is there; refuse endless headers."""
        if is_whole(conn.received):
            self._unwatch(conn)
            conn.complete = is_complete(conn.received)
            conn.init()
            conn.parser.unreader.unread(bytes(conn.received))
            conn.data_ready = True
            self.enqueue_req(conn)
        elif len(conn.received) > MAX_HEADER_BYTES and _END_OF_HEADERS not in conn.received:
            self._unwatch(conn)
            # Nothing was sent to it before, so this fits into the socket's buffer.
            _try(lambda: conn.sock.send(HEADERS_TOO_LARGE))
            self._close_later(conn)

    def _close_later(self, conn: Any) -> None:
        """Say that no more comes, and read on for a moment: a reset would cost the answer."""
        conn.received = bytearray()
        if _try(lambda: conn.sock.shutdown(socket.SHUT_WR)):
            self._watch(conn, self._discard, CLOSE_LINGER_S)
        else:
            self.nr_conns -= 1
            conn.close()

    def _discard(self, conn: Any, client: socket.socket) -> None:
        if _recv(client) == b"":
            self._drop(conn)

    def _drop(self, conn: Any) -> None:
        self._unwatch(conn)
        self.nr_conns -= 1
        conn.close()

    def _unwatch(self, conn: Any) -> None:
        self.poller.unregister(conn.sock)
        self.pending_conns.remove(conn)


def _closing_over_unread(app: WSGIApplication) -> WSGIApplication:
    """Such a body may go on to arrive for longer than `DRAIN_S`; a small one is there already."""

    def wsgi(environ: Any, start_response: Any) -> Any:
        def start(*answer: Any) -> Any:
            unread_bytes = getattr(environ["wsgi.input"].reader, "length", 0)
            if unread_bytes > SMALL_BODY_BYTES:
                start_response.__self__.force_close()
            return start_response(*answer)

        return app(environ, start)

    return wsgi


def _recv(client: socket.socket) -> bytes | None:
    """What has arrived; empty at the end or when it broke; None when there is nothing yet."""
    try:
        return client.recv(RECV_BYTES)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:
        return b""


def _try(action: Any) -> bool:
    try:
        action()
    except OSError:
        return False
    return True
