"""Containers by name; those that cannot run are recorded with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from rich.console import Console

from benchmarks.containers import ours
from benchmarks.containers.container import Container
from benchmarks.containers.others import OTHERS
from benchmarks.containers.prepare import LOGS, model_of, python_of
from benchmarks.containers.running import LeftOut, Running, up

CONTAINERS: dict[str, Container] = {
    one.name: one for one in (*OTHERS, *map(ours.container, ours.VARIANTS))
}


@dataclass
class Fleet:
    """running: containers that answer, in order. left_out: reasons of the others, by name."""

    running: list[Running] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def leave_out(self, name: str, reason: str) -> None:
        """Record and print why a container is left out."""
        self.left_out[name] = reason
        Console().print(f"[yellow]{name} is left out:[/] {reason}", highlight=False)


def prepared(names: Sequence[str], fleet: Fleet, *, tune: bool) -> list[Container]:
    """Make environments and models; return the containers for which both succeeded."""
    ready = []
    for name in names:
        Console().print(f"preparing {name}", highlight=False)
        try:
            python_of(CONTAINERS[name])
            model_of(CONTAINERS[name], tune=tune)
            ready.append(CONTAINERS[name])
        except LeftOut as exc:
            fleet.leave_out(name, str(exc))
    return ready


@contextmanager
def started(container: Container) -> Iterator[Running]:
    """Start a container that `prepared` returned. Raises LeftOut."""
    LOGS.mkdir(parents=True, exist_ok=True)
    model = model_of(container, tune=False)
    with up(container, python_of(container), model, LOGS) as running:
        yield running


@contextmanager
def all_started(
    containers: Sequence[Container], fleet: Fleet, check: Callable[[Running], None]
) -> Iterator[None]:
    """Start all, one after another; add those that start and pass the check to the fleet."""
    with ExitStack() as stack:
        for container in containers:
            own = ExitStack()
            try:
                running = own.enter_context(started(container))
                check(running)
                running.sleep()
            except LeftOut as exc:
                own.close()
                fleet.leave_out(container.name, str(exc))
                continue
            stack.enter_context(own)
            fleet.running.append(running)
        yield
