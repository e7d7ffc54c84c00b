"""What Ctrl-C and SIGTERM do to a run. Light: it is imported before all that is heavy."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)
EXIT_CODE = 130
# `timeout` and other parents pass a signal on that the terminal has sent already.
SAME_S = 0.2
UNBEGUN = b"interrupted: nothing was embedded\n"


class Interrupted(BaseException):
    """The run ends at once; nobody waits for what is still on its way."""


@contextmanager
def guarded() -> Iterator[None]:
    """Whatever a signal meets in the block, the process ends with 130 and without a traceback.

    At first nothing is at stake, so that it ends on the spot: an error raised in the midst of an
    import may be lost in there.
    """
    before = {one: signal.getsignal(one) for one in SIGNALS}
    _set(_leave)
    try:
        yield
    except Interrupted:
        os._exit(EXIT_CODE)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def unwind() -> None:
    """From now on a signal says that nothing was embedded, and raises Interrupted."""
    _set(_unwind)


def tell(listener: Callable[[], object]) -> None:
    """From now on the first signal calls the listener, and a second raises Interrupted.

    listener: called in the midst of anything, so that it may take no lock.
    """
    heard_s: list[float] = []

    def hear(*_: Any) -> None:
        if not heard_s:
            listener()
        elif time.monotonic() - heard_s[0] > SAME_S:
            _interrupt()
        heard_s.append(time.monotonic())

    _set(hear)


def leave() -> NoReturn:
    """All is said. Raises Interrupted."""
    _interrupt()


def _leave(*_: Any) -> None:
    os.write(2, UNBEGUN)
    os._exit(EXIT_CODE)


def _unwind(*_: Any) -> None:
    os.write(2, UNBEGUN)
    _interrupt()


def _interrupt(*_: Any) -> NoReturn:
    _set(signal.SIG_IGN)
    raise Interrupted


def _set(handler: Any) -> None:
    for one in SIGNALS:
        signal.signal(one, handler)
