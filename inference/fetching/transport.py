"""HTTP connections to checked addresses: each connects to the result of a single look-up.

urllib3 does the rest: pools, keep-alive, TLS with the URL's name for SNI and the certificate. This
module replaces only the choice of the address.
"""

from __future__ import annotations

import functools
import operator
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any

import certifi
from urllib3 import PoolManager, Retry, Timeout
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import BaseHTTPResponse

from inference.errors import FetchConnect, FetchTimeout
from inference.fetching.answer_head import LeanResponse
from inference.fetching.dns import NameLookups
from inference.fetching.urls import Target, UrlPolicy

# Raise urllib3's errors as they are, and follow nothing.
ONCE = Retry(total=False, redirect=False)


class GuardedPools(PoolManager):
    """Kept connections by scheme, host and port, to addresses that the policy allows.

    urllib3 reads no proxy, .netrc or cookie of the environment, and keeps no cookies.
    on_use: called with the socket of every request before it is sent, new or kept alive.
    """

    def __init__(
        self,
        policy: UrlPolicy,
        names: NameLookups,
        pool_size: int,
        on_use: Callable[[socket.socket], None],
    ) -> None:
        super().__init__(num_pools=pool_size, maxsize=pool_size, ssl_context=tls_context())
        self._policy = policy
        self._names = names
        pools: dict[str, Any] = {
            "http": watched(HTTPConnectionPool, on_use, self._open),
            "https": watched(HTTPSConnectionPool, on_use, self._open),
        }
        for pool in pools.values():
            pool.ConnectionCls.response_class = LeanResponse
        self.pool_classes_by_scheme = pools
        # urllib3's own key has 27 parts. All but these are the same in all of these pools.
        key: Any = operator.itemgetter("scheme", "host", "port")
        self.key_fn_by_scheme = {"http": key, "https": key}

    def get(
        self, target: Target, headers: Mapping[str, str], connect_s: float, read_s: float
    ) -> BaseHTTPResponse:
        """Send a request and read the head of its answer. The body is the caller's to read.

        connect_s, read_s: seconds to connect, and for each read.

        Raises:
            HTTPError: of urllib3. FetchError: the address is blocked or cannot be connected to.
        """
        return self.connection_from_host(target.host, target.port, target.scheme).urlopen(
            "GET",
            target.path,
            headers=headers,
            retries=ONCE,
            redirect=False,
            assert_same_host=False,
            timeout=Timeout(connect=connect_s, read=read_s),
            preload_content=False,
        )

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


def tls_context() -> ssl.SSLContext:
    """Return the context that verifies by certifi's bundle, whatever the environment says.

    It is read once in a process and those that it forks: that takes 21 ms and 0.8 MiB.
    """
    return _tls_context(certifi.where())


@functools.cache
def _tls_context(cafile: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=cafile)


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
