"""One training job, from its folder to its exit code."""

from __future__ import annotations

import socket
import sys
import tarfile
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import click

from inference.profile.machine import cores
from serve.commands.tables.errors import JobError
from serve.commands.train.job.folder import MODEL, PAIRS, Cluster, Folder
from serve.commands.train.job.hyperparameters import HyperparameterError, words_of
from serve.commands.train.job.processes import ERROR, PORT, Places, Processes

# SageMaker shows this much of the reason.
REASON_CHARS = 1024
ARCHIVE = ".tar.gz"
# Names of the other instances may be known a while after this one has started.
NAMES_S, PAUSE_S = 300.0, 1.0


def run(command: click.Command, root: Path, port: int = PORT) -> int:
    """Run the job of a folder. Returns its exit code; the reason of a failure is in the folder.

    command: `train`. root: as /opt/ml. port: of the first instance, where the processes meet.
    """
    folder = Folder(root)
    with suppress(OSError):
        folder.failure.unlink()
    try:
        with tempfile.TemporaryDirectory(prefix="sweetspot-train-") as scratch:
            return _run(command, folder, Path(scratch), port)
    except (JobError, HyperparameterError) as exc:
        reason = str(exc)
    except OSError as exc:
        reason = f"a file cannot be read or written: {exc}"
    click.echo(f"{ERROR}{reason}", err=True)
    _tell(folder, reason)
    return 1


def _run(command: click.Command, folder: Folder, scratch: Path, port: int) -> int:
    cluster = folder.cluster()
    channels = folder.channels(cluster)
    words = words_of(folder.hyperparameters(), command)
    words += _channel_words(channels, words, scratch)
    words += [f"--work={scratch / 'work'}", f"--checkpoints={folder.checkpoints}"]
    for one in (folder.model, folder.checkpoints, folder.page.parent):
        one.mkdir(parents=True, exist_ok=True)
    _wait_for_name(cluster)
    places = Places(cluster, _processes(), port)
    commands = [
        [sys.executable, "-m", "sweetspot", "train", *words, *_results(folder, scratch, rank)]
        for rank in map(places.rank, range(places.local))
    ]
    environs = [places.environ(number, cores()) for number in range(places.local)]
    end = Processes().run(commands, environs)
    if end.code and not end.stopped:
        _tell(folder, end.reason)
    return end.code


def _results(folder: Folder, scratch: Path, rank: int) -> list[str]:
    """Return where a process puts its results: the first one's are those of the job."""
    if rank:
        unused = scratch / f"rank-{rank}"
        unused.mkdir()
        return [f"--output={unused}"]
    return [f"--output={folder.model}", f"--report={folder.page}"]


def _processes() -> int:
    """Return how many processes train on this instance: one a card, else one."""
    from model.training.cards import count

    return max(1, count())


def _channel_words(channels: dict[str, Path], words: list[str], scratch: Path) -> list[str]:
    found = [f"--{PAIRS[name]}={path}" for name, path in channels.items() if name in PAIRS]
    if MODEL not in channels:
        return found
    if any(word.startswith("--model=") for word in words):
        raise JobError("the base is both a hyperparameter and a channel; name it once")
    return [*found, f"--model={_base(channels[MODEL], scratch / 'base')}"]


def _base(channel: Path, unpacked: Path) -> Path:
    """Return the base's folder: the channel, or what the one archive in it holds."""
    files = list(channel.iterdir())
    if len(files) != 1 or not files[0].name.endswith(ARCHIVE):
        return channel
    try:
        with tarfile.open(files[0], "r:gz") as archive:
            archive.extractall(unpacked, filter="data")
    except (tarfile.TarError, EOFError, OSError) as exc:
        raise JobError(f"channel {MODEL}: {files[0].name} cannot be unpacked: {exc}") from exc
    return unpacked


def _wait_for_name(cluster: Cluster) -> None:
    """Wait until the first instance's name is known. Raises JobError: it is not."""
    first, until_s = cluster.hosts[0], time.monotonic() + NAMES_S
    while len(cluster.hosts) > 1:
        try:
            socket.getaddrinfo(first, None)
            return
        except OSError as exc:
            if time.monotonic() > until_s:
                raise JobError(f"the name of the instance {first} is unknown: {exc}") from exc
            time.sleep(PAUSE_S)


def _tell(folder: Folder, reason: str) -> None:
    """Write why the job failed, where SageMaker takes it from."""
    with suppress(OSError):
        folder.failure.parent.mkdir(parents=True, exist_ok=True)
        folder.failure.write_text(reason[:REASON_CHARS], encoding="utf-8")
