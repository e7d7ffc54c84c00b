"""What is done to the service and its image server while clients ask."""

from __future__ import annotations

import itertools
import random
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.chaos.image_server import MOODS, MoodyServer
from tests.chaos.journal import DRAIN, KILL, Journal
from tests.chaos.worker import Service

# Of a mood and of the peace after it, s.
MOOD_S, PEACE_S = (0.3, 4.0), (0.2, 3.0)
SIGNALS = {KILL: signal.SIGKILL, DRAIN: signal.SIGTERM}
# How workers end, round and round.
ENDS = (KILL, DRAIN, KILL)
# Goes on until told to stop.
Loop = Callable[[threading.Event], None]


@contextmanager
def beside(*loops: Loop) -> Iterator[None]:
    """Run loops beside the block, each in a thread; what one raised is raised at the end."""
    stopping = threading.Event()
    with ThreadPoolExecutor(len(loops)) as pool:
        futures = [pool.submit(loop, stopping) for loop in loops]
        try:
            yield
        finally:
            stopping.set()
        for future in futures:
            future.result()


def flap(server: MoodyServer, journal: Journal, dice: random.Random) -> Loop:
    """One mood after another, with times of peace."""

    def loop(stopping: threading.Event) -> None:
        while not stopping.wait(dice.uniform(*PEACE_S)):
            with journal.during(mood := dice.choice(MOODS)):
                server.mood = mood
                stopping.wait(dice.uniform(*MOOD_S))
                server.mood = None

    return loop


def end_workers(service: Service, journal: Journal, every_s: float, dice: random.Random) -> Loop:
    """After a while the end of the worker, and a wait until the next one serves."""

    def loop(stopping: threading.Event) -> None:
        faults = itertools.cycle(ENDS)
        while not stopping.wait(dice.uniform(0.5, 1.5) * every_s):
            with journal.during(fault := next(faults)):
                service.end_worker(SIGNALS[fault])

    return loop
