"""Handle Ctrl-C and SIGTERM in a run. Imports little: it is loaded before the heavy modules."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)
EXIT_CODE = 130
# Signals closer than this count as one: `timeout` and others repeat the terminal's signal.
SAME_S = 0.2
# The most time for the removal of temporary files.
GRACE_S = 3.0
UNBEGUN = b"interrupted: nothing was embedded\n"


class Interrupted(BaseException):
    """The run ends at once, without waiting for items in flight."""


@contextmanager
def guarded(words: bytes = UNBEGUN) -> Iterator[None]:
    """On a signal anywhere in the block, end the process with 130 and without a traceback.

    At first, before any work, the handler exits at once: an exception that is raised during an
    import may be lost. words: what it prints then.
    """

    def exit_at_once(*_: Any) -> None:
        os.write(2, words)
        os._exit(EXIT_CODE)

    before = {one: signal.getsignal(one) for one in SIGNALS}
    _set(exit_at_once)
    try:
        yield
    except Interrupted:
        os._exit(EXIT_CODE)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def unwind(words: bytes = UNBEGUN) -> None:
    """Make signals print that nothing was embedded, or other words, and raise Interrupted."""

    def tell_and_leave(*_: Any) -> None:
        os.write(2, words)
        leave()

    _set(tell_and_leave)


def tell(listener: Callable[[], object]) -> None:
    """Make the first signal call the listener, and a second one raise Interrupted.

    listener: may interrupt any code, so it must not take a lock.
    """
    heard_s: list[float] = []

    def hear(*_: Any) -> None:
        if not heard_s:
            listener()
        elif time.monotonic() - heard_s[0] > SAME_S:
            leave()
        heard_s.append(time.monotonic())

    _set(hear)


def leave() -> NoReturn:
    """Raise Interrupted. A callback may lose it, so the process ends after GRACE_S in any case."""
    _set(signal.SIG_IGN)
    threading.Timer(GRACE_S, os._exit, (EXIT_CODE,)).start()
    raise Interrupted


def _set(handler: Any) -> None:
    for one in SIGNALS:
        signal.signal(one, handler)
