"""Connections whose address was checked: one look-up, and what it gave is connected to.

requests and urllib3 do all the rest: pools, keep-alive, TLS with the name of the URL for SNI and
the certificate. Only how a connection finds its peer is ours.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import Timeout

from inference.errors import FetchConnect, FetchDns, FetchTimeout
from inference.urls import UrlPolicy

# A name and a port to addresses: IPv4 or IPv6, as text.
Resolver = Callable[[str, int], list[str]]


def system_resolver(host: str, port: int) -> list[str]:
    """Look a name up as the operating system does, both families, in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedAdapter(HTTPAdapter):
    """An adapter for requests that connects only to addresses the policy lets through.

    on_use: told of the socket of every request before it is sent, new or kept.
    """

    def __init__(
        self,
        policy: UrlPolicy,
        resolver: Resolver,
        pool_size: int,
        on_use: Callable[[socket.socket], None],
    ) -> None:
        self._policy = policy
        self._resolver = resolver
        self._on_use = on_use
        super().__init__(pool_connections=pool_size, pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Give urllib3 pools whose connections come from `_connect`."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _guarded(HTTPConnectionPool, HTTPConnection, self._connect, self._on_use),
            "https": _guarded(HTTPSConnectionPool, HTTPSConnection, self._connect, self._on_use),
        }

    def _connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """Resolve once, check every address, connect to the first that answers."""
        addresses = self._resolve(host, port)
        self._policy.check_addresses(host, port, addresses)
        limit_s = time.monotonic() + timeout_s
        errors: list[OSError] = []
        for address in addresses:
            try:
                return _open(address, port, limit_s - time.monotonic())
            except OSError as exc:
                errors.append(exc)
        if isinstance(errors[-1], TimeoutError):
            raise FetchTimeout(f"no connection to {host} within {timeout_s:g} s") from errors[-1]
        raise FetchConnect(f"no connection to {host}") from errors[-1]

    def _resolve(self, host: str, port: int) -> list[str]:
        try:
            addresses = self._resolver(host, port)
        except socket.gaierror as exc:
            passing = exc.errno == socket.EAI_AGAIN
            raise FetchDns(f"the name {host} cannot be resolved", retryable=passing) from exc
        except (OSError, UnicodeError) as exc:
            raise FetchDns(f"the name {host} cannot be resolved") from exc
        if not addresses:
            raise FetchDns(f"the name {host} has no address")
        return addresses


def _open(address: str, port: int, timeout_s: float) -> socket.socket:
    """Connect to an address, never to a name: nothing is looked up a second time."""
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


def _guarded(
    pool: type[HTTPConnectionPool],
    connection: type[HTTPConnection],
    connect: Callable[[str, int, float], socket.socket],
    on_use: Callable[[socket.socket], None],
) -> type[HTTPConnectionPool]:
    """urllib3's pool class with connections that are opened by `connect`."""

    def new_connection(self: HTTPConnection) -> socket.socket:
        timeout_s = Timeout.resolve_default_timeout(self.timeout) or 0.0
        opened = connect(self.host, self.port, timeout_s)
        on_use(opened)
        return opened

    def request(self: HTTPConnection, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            on_use(self.sock)
        connection.request(self, *args, **kwargs)

    methods = {"_new_conn": new_connection, "request": request}
    guarded = type(f"Guarded{connection.__name__}", (connection,), methods)
    return type(f"Guarded{pool.__name__}", (pool,), {"ConnectionCls": guarded})
