"""A job on a Ray cluster: Ray Data deals the parts out to actors, each with one engine.

Ray starts and restarts the actors and deals out parts again whose actor or node is lost. An actor
saves and writes parts as a job in one process does, so a part that is dealt out twice is embedded
once, but for the rows that were not saved yet.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

# Ray's own log tells of every start. Its processes read these once, before they start.
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
# Else a thread that still waits for a job would connect anew after the end.
os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")

import ray
from ray.data import ActorPoolStrategy, DataContext
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from model.load import load
from serve.commands import signals
from serve.commands.bulk.embedding.worker import OPEN_PARTS, Work, Worker
from serve.commands.bulk.errors import EncoderGone, Stopped
from serve.commands.bulk.inputs.splits import Split
from serve.commands.bulk.job import Model, model_of
from serve.commands.bulk.output.part_files import PartReport
from serve.commands.bulk.running.local import TICK_S, Event
from serve.commands.tables.errors import JobError
from serve.compose import model_config, open_engine
from serve.settings import Settings

TELL_EVERY_S = 1.0
CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Share:
    """What each engine gets. engines: as many as fit into the cluster now."""

    engines: int
    cpus: int
    gpus: int


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to a cluster, or start Ray on this machine if `address` is None.

    What Ray prints of nodes and actors meanwhile goes to standard error.

    Raises:
        JobError: no cluster is there.
    """
    with Path(os.devnull).open("wb") as nowhere, _written_to(2, nowhere.fileno()):
        try:
            _check_reachable(address)
            ray.init(address=address, logging_level="ERROR", log_to_driver=False)
        except (OSError, ValueError, RuntimeError) as exc:
            raise JobError(f"no Ray cluster at {address}: {exc}") from exc
    with _written_to(1, 2):
        try:
            yield
        finally:
            ray.shutdown()


def _check_reachable(address: str | None) -> None:
    """Raise OSError if nobody listens at HOST:PORT: Ray itself would wait for minutes."""
    host, _, port = (address or "").rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S).close()


@contextmanager
def _written_to(descriptor: int, other: int) -> Iterator[None]:
    """Write to another file what this process, in any language, writes to a descriptor."""
    sys.stdout.flush()
    kept = os.dup(descriptor)
    try:
        os.dup2(other, descriptor)
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)


def describe(settings: Settings) -> Model:
    """Load the model on a node and return what a job keeps of it. Raises CheckpointError."""
    share = share_of(settings)
    task = ray.remote(num_cpus=share.cpus, num_gpus=share.gpus, max_retries=1)(_describe)
    try:
        found: Model = ray.get(task.remote(settings))
        return found
    except ray.exceptions.RayTaskError as exc:
        raise exc.cause if isinstance(exc.cause, Exception) else exc from exc


def share_of(settings: Settings) -> Share:
    """Divide the cluster: an engine a node with all its cores, or one a GPU with its share.

    Raises:
        JobError: it has no core.
    """
    nodes = [one["Resources"] for one in ray.nodes() if one["Alive"]]
    cards = [int(one.get("GPU", 0)) for one in nodes]
    cores = [int(one.get("CPU", 0)) for one in nodes]
    if settings.device != "cpu" and any(cards):
        cpus = min(core // card for core, card in zip(cores, cards, strict=True) if card) or 1
        return Share(sum(cards), cpus, 1)
    if not any(cores):
        raise JobError("the Ray cluster has no CPU for an engine")
    cpus = min(core for core in cores if core)
    return Share(sum(core // cpus for core in cores), cpus, 0)


def embed(settings: Settings, work: Work, splits: Sequence[Split]) -> Generator[Event]:
    """Embed parts and yield each report, and several times a second the count of rows.

    Raises:
        Stopped: by the first signal from now on. JobError: no engine can go on.
    """
    share = share_of(settings)
    per_host = work.per_host and max(1, work.per_host // share.engines)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    tally = ray.remote(num_cpus=0, scheduling_strategy=here)(_Tally).remote()
    dataset = _dataset(splits).map_batches(
        _Actor,
        fn_constructor_args=(settings, work.of_host(per_host), tally),
        batch_size=1,
        compute=ActorPoolStrategy(
            min_size=1,
            max_size=share.engines,
            initial_size=share.engines,
            max_tasks_in_flight_per_actor=2 * OPEN_PARTS,
            max_concurrent_calls_per_actor=OPEN_PARTS,
            enable_true_multi_threading=True,
        ),
        num_cpus=share.cpus,
        num_gpus=share.gpus,
    )
    yield from _followed(dataset, tally)


def _dataset(splits: Sequence[Split]) -> Any:
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # errors are raised, too
    rows = [{"split": json.dumps(split._asdict())} for split in splits]
    return ray.data.from_items(rows, override_num_blocks=len(rows))


def _followed(dataset: Any, tally: Any) -> Iterator[Event]:
    """Yield reports as Ray Data yields them, in a thread of its own, and counts meanwhile."""
    events: SimpleQueue[PartReport | Exception | None] = SimpleQueue()
    signals.tell(lambda: events.put(Stopped("interrupted")))

    def read() -> None:
        try:
            for row in dataset.iter_rows():
                events.put(PartReport(**json.loads(row["report"])))
            events.put(None)
        except Exception as exc:  # noqa: BLE001 - raised below
            events.put(exc)

    threading.Thread(target=read, name="ray-data", daemon=True).start()
    while True:
        try:
            event = events.get(timeout=TICK_S)
        except Empty:
            yield None, ray.get(tally.total.remote())
            continue
        if event is None:
            return
        if isinstance(event, Stopped):
            raise event
        if isinstance(event, Exception):
            raise JobError(f"Ray gave the job up: {_cause(event)}") from event
        yield event, ray.get(tally.total.remote())


def _cause(exc: Exception) -> str:
    """Return the last line of an error, which names its cause; Ray's own has a stack trace."""
    return str(exc).strip().splitlines()[-1]


def _describe(settings: Settings) -> Model:
    encoder = load(model_config(settings))
    try:
        return model_of(encoder.spec)
    finally:
        encoder.close()


class _Tally:
    """Counts the rows of all actors."""

    def __init__(self) -> None:
        self._seen: dict[str, Mapping[str, int]] = {}

    def tell(self, actor: str, seen: Mapping[str, int]) -> None:
        self._seen[actor] = seen

    def total(self) -> dict[str, int]:
        return dict(sum((Counter(seen) for seen in self._seen.values()), Counter()))


class _Actor:
    """One engine. Its calls run in threads, several at once."""

    def __init__(self, settings: Settings, work: Work, tally: Any) -> None:
        self._engine = open_engine(settings, may_tune=False)
        found = self._engine.spec.fingerprint
        if found != work.parts.fingerprint:
            raise JobError(f"this node embeds as {found}, the job as {work.parts.fingerprint}")
        self._worker = Worker(self._engine, work)
        name = ray.get_runtime_context().get_actor_id()
        threading.Thread(target=self._tell, args=(tally, name), daemon=True).start()

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[str]]:
        (split,) = batch["split"]
        try:
            report = self._worker.run(Split(**json.loads(split)))
            return {"report": [json.dumps(asdict(report))]}
        except EncoderGone:
            os._exit(1)  # Ray starts another actor, which takes its parts

    def _tell(self, tally: Any, name: str) -> None:
        stop = threading.Event()
        while not stop.wait(TELL_EVERY_S):
            tally.tell.remote(name, dict(self._worker.seen))
