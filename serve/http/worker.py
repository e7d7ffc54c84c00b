"""gunicorn's threaded worker, changed to wait for slow clients in its event loop.

gthread gives a thread to every connection it accepts, so idle and half-sent requests hold threads
that a ping needs. Here the worker's event loop holds a connection until the headers and a small
body have arrived. Threads only get requests they can work on. `serve.http.body` reads large bodies
in a thread, with a deadline.
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

# Longer headers are refused here; gunicorn would wait for their end.
MAX_HEADER_BYTES = 64 * 1024
HEADERS_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"Connection: close\r\n"
    b"Content-Length: 0\r\n\r\n"
)
# The event loop waits for bodies up to this size.
SMALL_BODY_BYTES = 64 * 1024
RECV_BYTES = 64 * 1024
# How long a client may take to send headers and a small body.
REQUEST_TIMEOUT_S = 10.0
# How long a request's headers may still take to arrive once the worker stops.
STOP_LINGER_S = 1.0
# How long to read from a closed connection, so that its client gets the answer and no reset.
CLOSE_LINGER_S = 2.0
# How long a thread drains an unread body. A small one has already arrived.
DRAIN_S = 0.05
# How often waiting connections are checked for timeouts, and the pause when no file descriptor is
# left to accept one.
LOOK_OVER_S = 0.25
NO_DESCRIPTOR_PAUSE_S = 0.02

_END_OF_HEADERS = b"\r\n\r\n"
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,12})[ \t]*\r\n", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:", re.IGNORECASE)
_ENCODED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)


def is_whole(received: bytes | bytearray) -> bool:
    """Return whether the headers have arrived, and the body unless a thread has to read it."""
    headers = _headers(received)
    return bool(headers) and (_awaits_a_thread(headers) or _has_body(received, headers))


def is_complete(received: bytes | bytearray) -> bool:
    """Return whether the whole request has arrived, by its headers."""
    headers = _headers(received)
    to_come = _awaits_a_thread(headers) or _ENCODED.search(headers)
    return bool(headers) and not to_come and _has_body(received, headers)


def _headers(received: bytes | bytearray) -> bytes:
    """Return the headers with the blank line after them, or nothing before it has arrived."""
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
        """Load the app, wrapped so that it closes the connection after an unread large body."""
        super().load_wsgi()
        self.wsgi = _closing_over_unread(self.wsgi)

    def set_accept_enabled(self, enabled: bool) -> None:
        """When stopping, accept all waiting connections before closing the listeners.

        Closing first would reset connections whose clients may have sent their request already.
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
        """Accept a connection, and wait in the event loop for its request."""
        self._accept(listener)

    def _accept(self, listener: socket.socket) -> bool:
        """Accept one connection. Return whether more may be waiting."""
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
        """Treat a kept-alive connection that sends again like a new one."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_request(conn)
        self._receive(conn, client)

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """Keep or close a connection after a thread is done with it, without blocking here."""
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
        """Close connections that timed out; when stopping, those without headers time out soon."""
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
        """On SIGTERM, drain the service first, so that kept-alive clients are refused."""
        self.app.drain()
        super().handle_exit(sig, frame)

    def _keepalive_after(self, conn: Any, keepalive: Any) -> bool:
        """Keep a connection only if its whole request has arrived.

        A complete request has no deadline: on busy cores this thread may not run within DRAIN_S,
        and would close a connection that its answer promised to keep.
        """
        deadline_s = None if conn.complete else time.monotonic() + DRAIN_S
        return bool(keepalive) and conn.parser.finish_body(deadline=deadline_s)

    def _await_request(self, conn: Any, begun: bytes = b"") -> None:
        # Ignore blank lines before a request line (RFC 9112, 2.2).
        conn.received = bytearray(begun.lstrip(b"\r\n"))
        self._watch(conn, self._receive, REQUEST_TIMEOUT_S)

    def _watch(self, conn: Any, callback: Any, timeout_s: float) -> None:
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + timeout_s
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(callback, conn))

    def _receive(self, conn: Any, client: socket.socket) -> None:
        """Read what has arrived."""
        data = _recv(client)
        if data is None:
            return
        if not data:
            self._drop(conn)
            return
        conn.received += data
        self._check(conn)

    def _check(self, conn: Any) -> None:
        """Hand a connection to a thread once its request has arrived; refuse endless headers."""
        if is_whole(conn.received):
            self._unwatch(conn)
            conn.complete = is_complete(conn.received)
            conn.init()
            conn.parser.unreader.unread(bytes(conn.received))
            conn.data_ready = True
            self.enqueue_req(conn)
        elif len(conn.received) > MAX_HEADER_BYTES and _END_OF_HEADERS not in conn.received:
            self._unwatch(conn)
            # Nothing was sent on it before, so this fits into the socket's buffer.
            _try(lambda: conn.sock.send(HEADERS_TOO_LARGE))
            self._close_later(conn)

    def _close_later(self, conn: Any) -> None:
        """Shut the sending side, and read on for a moment: a reset could destroy the answer."""
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
    """Close the connection after an unread large body, which may arrive for over `DRAIN_S`."""

    def wsgi(environ: Any, start_response: Any) -> Any:
        def start(*answer: Any) -> Any:
            unread_bytes = getattr(environ["wsgi.input"].reader, "length", 0)
            if unread_bytes > SMALL_BODY_BYTES:
                start_response.__self__.force_close()
            return start_response(*answer)

        return app(environ, start)

    return wsgi


def _recv(client: socket.socket) -> bytes | None:
    """Return what has arrived: empty at the end or after an error, None if nothing is there yet."""
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
