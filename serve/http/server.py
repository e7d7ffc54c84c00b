"""gunicorn, configured in code: one worker process with threads and one service."""

from __future__ import annotations

import logging
import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from serve.settings import INTERACTIVE_REQUESTS, RECEIVING_REQUESTS, Settings

if TYPE_CHECKING:
    from flask import Flask

    from inference.engine.engine import Engine
    from serve.http.service import Service
    from serve.observe.tracing.tracing import Tracing

log = logging.getLogger(__name__)

# Threads beyond those for admitted requests, so that refusals and pings always get one.
SPARE_THREADS = 16
CONNECTIONS = 2000
RESERVED_FILES = 512
KEEP_ALIVE_S = 75
# The platform sends SIGKILL 30 s after SIGTERM.
GRACEFUL_S = 25
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - gunicorn's heartbeat file, not ours


class RootLogger(Logger):  # type: ignore[misc]  # gunicorn is untyped
    """gunicorn's log messages in the format of all others."""

    def setup(self, cfg: Any) -> None:
        """Send them to the root logger's handlers."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn is untyped
    """`sweetspot serve`. opening: loads the engine in the worker; None is the default loader."""

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        opening: Callable[[Settings], Engine] | None = None,
    ) -> None:
        self._settings = settings
        self._opening = opening
        self._listener = listener
        self._service: Service | None = None
        self._tracing: Tracing | None = None
        super().__init__()

    def load_config(self) -> None:
        """Hand our settings to gunicorn; it reads no flags, files or variables of its own."""
        for name, value in _options(self._settings, self._listener).items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Make the application in the worker; the port is already open during the slow imports."""
        from serve.compose import within_memory
        from serve.http.app import create_app
        from serve.http.service import Service

        if self._settings.otel:
            self._tracing = _open_tracing()
        self._service = Service(within_memory(self._settings), self._opening, self._tracing)
        self._service.start()
        app = create_app(self._service)
        return _as_endpoint(app) if self._settings.local_endpoint else app

    def drain(self) -> None:
        """Called by the worker on SIGTERM."""
        if self._service is not None:
            self._service.drain()

    def close(self) -> None:
        """Called when the worker exits: send the last metrics and spans."""
        if self._service is not None:
            self._service.close()
        if self._tracing is not None:
            self._tracing.close()


def _open_tracing() -> Tracing | None:
    """Open it in the worker, which its thread belongs to. None if OTEL_SDK_DISABLED says so."""
    from serve.http.service import BOOT_ERROR

    try:
        from serve.observe.tracing.export import Export
        from serve.observe.tracing.tracing import Tracing

        export = Export()
    except (ValueError, RuntimeError, ImportError) as exc:
        log.error("cannot start: OpenTelemetry: %s", exc)  # noqa: TRY400 - one sentence, no stack
        raise SystemExit(BOOT_ERROR) from exc
    return None if export.is_disabled else Tracing(export)


def _as_endpoint(app: Flask) -> Any:
    from serve.local_endpoint.asynchronous import LocalAsync
    from serve.local_endpoint.routes import LocalEndpoint

    return LocalEndpoint(app, LocalAsync(app))


def _options(settings: Settings, listener: socket.socket) -> dict[str, Any]:
    return {
        "bind": f"fd://{listener.fileno()}",
        "workers": 1,
        "worker_class": f"{__package__}.worker.BufferingWorker",
        "threads": settings.max_requests
        + INTERACTIVE_REQUESTS
        + RECEIVING_REQUESTS
        + SPARE_THREADS,
        "worker_connections": _connections(),
        "keepalive": KEEP_ALIVE_S,
        "graceful_timeout": GRACEFUL_S,
        "worker_tmp_dir": str(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None,
        "errorlog": "-",
        "control_socket_disable": True,
        "logger_class": RootLogger,
        "worker_exit": _leave,
    }


def _connections() -> int:
    """Return how many connections the file descriptors allow, with some left for fetching."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + RESERVED_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return min(CONNECTIONS, max(64, soft - RESERVED_FILES))
    return CONNECTIONS


def _leave(_: Any, worker: Any) -> None:
    """Exit without waiting for abandoned fetches: all accepted requests are answered by now."""
    if worker.booted:
        worker.app.close()
        logging.shutdown()
        os._exit(0)
