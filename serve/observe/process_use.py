"""What the service's processes use, by role."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass

from inference.engine.engine import Engine
from inference.profile.machine import cpu_s, dead_children_cpu_s, shared_out_bytes

# `service` is this process, which encodes; for the others see `Engine.processes`.
SERVICE, PREPROCESS, FORK_SERVER = "service", "preprocess", "fork_server"


@dataclass(frozen=True)
class ProcessUse:
    """All processes of a role.

    cpu_s: CPU time so far, also of those that have ended. memory_bytes: of memory that processes
    share, each one's share.
    """

    role: str
    number: int
    cpu_s: float
    memory_bytes: int


def process_uses(engine: Engine) -> list[ProcessUse]:
    """Return what the processes of each role use now."""
    number: Counter[str] = Counter()
    memory: Counter[str] = Counter()
    spent_s = dict.fromkeys((SERVICE, PREPROCESS, FORK_SERVER), 0.0)
    for pid, role in {os.getpid(): SERVICE, **engine.processes()}.items():
        number[role] += 1
        memory[role] += shared_out_bytes(pid)
        spent_s[role] += cpu_s(pid)
        if role == FORK_SERVER:  # its children fetch and decode
            spent_s[PREPROCESS] += dead_children_cpu_s(pid)
    return [ProcessUse(role, number[role], spent_s[role], memory[role]) for role in number]
