"""An engine for one run of a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from inference.engine.engine import Engine
from serve.commands import signals
from serve.compose import open_engine
from serve.settings import Settings


@contextmanager
def opened_engine(settings: Settings) -> Iterator[Engine]:
    """Open an engine; close it and wait for running fetches, except after a signal."""
    engine = open_engine(settings, may_tune=False)
    try:
        yield engine
    except signals.Interrupted:
        raise
    except BaseException:
        engine.close()
        raise
    engine.close()
