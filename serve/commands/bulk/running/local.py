"""A job in this process: one engine with all cores, several parts at once."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue

from inference.engine.engine import Engine
from serve.commands import signals
from serve.commands.bulk.embedding.worker import OPEN_PARTS, Work, Worker
from serve.commands.bulk.errors import Stopped
from serve.commands.bulk.inputs.splits import Split
from serve.commands.bulk.output.part_files import PartReport

TICK_S = 0.2

# A part that is whole, and the rows of this run so far by `embedded` and `failed`.
Event = tuple[PartReport | None, Mapping[str, int]]


def embed(engine: Engine, work: Work, splits: Sequence[Split]) -> Generator[Event]:
    """Embed parts and yield each report, and several times a second the count of rows.

    Raises:
        Stopped: by the first signal from now on; what is done is saved. JobError, OSError.
    """
    worker = Worker(engine, work)
    ended: SimpleQueue[Future[PartReport] | Stopped] = SimpleQueue()
    signals.tell(lambda: ended.put(Stopped("interrupted")))
    waiting = iter(splits)
    with ThreadPoolExecutor(OPEN_PARTS, "part") as pool:

        def start() -> bool:
            if (split := next(waiting, None)) is None:
                return False
            pool.submit(worker.run, split).add_done_callback(ended.put)
            return True

        open_parts = sum(start() for _ in range(OPEN_PARTS))
        try:
            while open_parts:
                try:
                    event = ended.get(timeout=TICK_S)
                except Empty:
                    yield None, worker.seen
                    continue
                if isinstance(event, Stopped):
                    raise event
                open_parts -= 1
                yield event.result(), worker.seen
                open_parts += start()
        except BaseException as exc:
            worker.stop(exc if isinstance(exc, Exception) else Stopped("interrupted"))
            raise
    worker.stop(Stopped("done"))
