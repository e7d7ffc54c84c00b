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
from tests.chaos.journal import DRAIN, FORK, KILL, PROCESS, Journal
from tests.chaos.worker import Service
from tests.e2e.service import FORK_SERVER, PREPARING

# Of a mood and of the peace after it, s.
MOOD_S, PEACE_S = (0.3, 4.0), (0.2, 3.0)
SIGNALS = {KILL: signal.SIGKILL, DRAIN: signal.SIGTERM}
# How workers end, round and round.
ENDS = (KILL, DRAIN, KILL)
# Between two kills of processes that prepare images, s; how many of these are of the fork server.
PROCESS_S, FORKS = (0.1, 1.5), 0.04
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


def kill_processes(service: Service, journal: Journal, dice: random.Random) -> Loop:
    """Now and then the end of a process that prepares images, or of the one that forks them."""

    def loop(stopping: threading.Event) -> None:
        while not stopping.wait(dice.uniform(*PROCESS_S)):
            fault = FORK if dice.random() < FORKS else PROCESS
            if service.kill(PREPARING if fault == PROCESS else FORK_SERVER, dice):
                journal.note(fault)

    return loop
