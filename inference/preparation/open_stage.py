"""Opens the stage that prepares images: of processes, or of threads of this process."""

from __future__ import annotations

from inference.config import EngineConfig, FetchConfig
from inference.preparation.in_threads import ThreadCounts, ThreadStage
from inference.preparation.order import Stage
from inference.preparation.processes.forking import ForkServer
from inference.preparation.processes.setup import setup_of
from inference.preparation.processes.stage import ProcessStage
from model.encoder import Preprocessing
from model.memory_budget import MemoryBudget


def open_stage(
    fetch: FetchConfig, config: EngineConfig, way: Preprocessing, forks: ForkServer | None = None
) -> Stage:
    """Return a stage, which the caller closes.

    way: what the processes import before they start. forks: starts them if there are any, and is
    closed with the stage; None starts one.
    """
    if config.processes:
        setup = setup_of(fetch, config)
        return ProcessStage(setup, config.processes, config.stall_s, forks or ForkServer(way))
    threads = ThreadCounts(config.io_threads, config.cpu_threads)
    return ThreadStage(fetch, threads, MemoryBudget(config.decode_bytes))
