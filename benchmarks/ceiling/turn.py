"""One turn of the benchmark: an engine is started, warmed up, and measured from outside."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.ceiling.load import Load, Reading, loaded
from benchmarks.ceiling.lock import held_share
from benchmarks.ceiling.pictures import Pictures
from benchmarks.ceiling.processes import Memory, cpu_s, memory
from benchmarks.containers.processes import machine_cpu_s

Value = TypeVar("Value")


@dataclass(frozen=True)
class Turn:
    """What was measured; by the role of a process: `encoder`, or as of `Engine.processes`.

    core_ms: an image's, in all processes of a role. lock_ms: for which the encoder's process holds
    its interpreter lock, an image's. memory: of the largest process of a role. pictures_core_ms: an
    image's, in the server of pictures. foreign_cores: those that other processes took.
    """

    images_s: float
    core_ms: Mapping[str, float]
    lock_ms: float
    memory: Mapping[str, Memory]
    pictures_core_ms: float
    foreign_cores: float


@dataclass(frozen=True)
class _Moment:
    """cpu_s: of each process so far. machine_s: of all processes of the machine."""

    reading: Reading
    cpu_s: Mapping[int, float]
    machine_s: float


def take_turn(processes: int, pictures: Pictures, duration_s: float, lock_s: int) -> Turn:
    """Measure an engine with so many preparing processes; 0 prepares in threads.

    Raises:
        ChildProcessError: a process has ended meanwhile.
    """
    with loaded(processes, pictures.urls) as load:
        start = _at(load.read(), pictures)
        time.sleep(duration_s)
        end = _at(load.read_after(start.reading), pictures)
        sizes = {pid: memory(pid) for pid in end.reading.roles}
        lock_ms = _lock_ms(load, lock_s)
    roles = end.reading.roles
    if start.reading.roles != roles:
        raise ChildProcessError("a preparing process has ended and was replaced")
    images = end.reading.images - start.reading.images
    took_s = end.reading.at_s - start.reading.at_s
    spent_s = {pid: end.cpu_s[pid] - start.cpu_s[pid] for pid in end.cpu_s}
    return Turn(
        images_s=images / took_s,
        core_ms=_by_role(roles, {pid: 1000 * spent_s[pid] / images for pid in roles}, sum),
        lock_ms=lock_ms,
        memory=_by_role(roles, sizes, max),
        pictures_core_ms=1000 * spent_s[pictures.pid] / images,
        foreign_cores=(end.machine_s - start.machine_s - sum(spent_s.values())) / took_s,
    )


def _at(reading: Reading, pictures: Pictures) -> _Moment:
    clocks = {pid: cpu_s(pid) for pid in (*reading.roles, pictures.pid)}
    return _Moment(reading, clocks, machine_cpu_s())


def _lock_ms(load: Load, duration_s: int) -> float:
    """Return the ms an image for which the encoder's process holds its interpreter lock."""
    start = load.read()
    pid = next(pid for pid, role in start.roles.items() if role == "encoder")
    share = held_share(pid, duration_s)
    end = load.read_after(start)
    return 1000 * share * (end.at_s - start.at_s) / (end.images - start.images)


def _by_role(
    roles: Mapping[int, str], values: Mapping[int, Value], join: Callable[[list[Value]], Value]
) -> dict[str, Value]:
    found: dict[str, list[Value]] = defaultdict(list)
    for pid, role in roles.items():
        found[role].append(values[pid])
    return {role: join(some) for role, some in found.items()}
