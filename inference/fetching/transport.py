"""HTTP connections to checked addresses: each connects to the result of a single look-up.

requests and urllib3 do the rest: pools, keep-alive, TLS with the URL's name for SNI and the
certificate. This module replaces only the choice of the address.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import Timeout

from inference.errors import FetchConnect, FetchTimeout
from inference.fetching.dns import NameLookups
from inference.fetching.urls import UrlPolicy


class GuardedAdapter(HTTPAdapter):
    """An adapter for requests that connects only to addresses that the policy allows.

    on_use: called with the socket of every request before it is sent, new or kept alive.
    """

    def __init__(
        self,
        policy: UrlPolicy,
        names: NameLookups,
        pool_size: int,
        on_use: Callable[[socket.socket], None],
    ) -> None:
        self._policy = policy
        self._names = names
        self._on_use = on_use
        super().__init__(pool_connections=pool_size, pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Give urllib3 pools whose connections come from `_connect` and share one TLS context.

        By default, each connection of requests reads all certificates again: 21 ms and 0.8 MiB.
        """
        super().init_poolmanager(*args, ssl_context=_tls_context(), **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": watched(HTTPConnectionPool, self._on_use, self._open),
            "https": watched(HTTPSConnectionPool, self._on_use, self._open),
        }

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Do nothing: the TLS context verifies, by the certificates it was made with."""

    def _open(self, connection: HTTPConnection) -> socket.socket:
        timeout_s = Timeout.resolve_default_timeout(connection.timeout) or 0.0
        return self._connect(connection.host, connection.port, timeout_s)

    def _connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """Resolve once, check every address, connect to the first that answers."""
        limit_s = time.monotonic() + timeout_s
        addresses = self._names.addresses(host, port, timeout_s)
        self._policy.check_addresses(host, port, addresses)
        errors: list[OSError] = []
        for address in addresses:
            try:
                return _dial(address, port, limit_s - time.monotonic())
            except OSError as exc:
                errors.append(exc)
        if isinstance(errors[-1], TimeoutError):
            raise FetchTimeout(f"no connection to {host} within {timeout_s:g} s") from errors[-1]
        raise FetchConnect(f"no connection to {host}") from errors[-1]


def _tls_context() -> ssl.SSLContext:
    """Return a context that verifies by requests' own bundle and ignores the environment."""
    return ssl.create_default_context(cafile=requests.utils.DEFAULT_CA_BUNDLE_PATH)


def _dial(address: str, port: int, timeout_s: float) -> socket.socket:
    """Connect to an IP address, never to a name, so that there is no second look-up."""
    if timeout_s <= 0:
        raise TimeoutError
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect((address, port))
    except BaseException:
        connection.close()
        raise
    return connection


def watched(
    pool: type[HTTPConnectionPool],
    on_use: Callable[[socket.socket], None],
    opening: Callable[[Any], socket.socket] | None = None,
) -> type[HTTPConnectionPool]:
    """Return a subclass of urllib3's pool whose connections call `on_use` for each request.

    opening: opens the socket of a connection; None is the pool's own function.
    """
    base: Any = pool.ConnectionCls
    opening = opening or base._new_conn

    def new_connection(self: HTTPConnection) -> socket.socket:
        opened = opening(self)
        on_use(opened)
        return opened

    def request(self: HTTPConnection, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            on_use(self.sock)
        base.request(self, *args, **kwargs)

    methods = {"_new_conn": new_connection, "request": request}
    connection = type(f"Watched{base.__name__}", (base,), methods)
    return type(f"Watched{pool.__name__}", (pool,), {"ConnectionCls": connection})
