"""One run at a time on an output.

_lock    pid and host of the run that has locked it, or was the last to do so
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from serve.commands.tables.errors import JobError
from serve.commands.tables.place import Place

LOCK = "_lock"


@contextmanager
def locked(output: Place) -> Iterator[None]:
    """Keep other runs from an output while the block runs. The system unlocks it for a killed run.

    S3 has no locks, and some file systems have none either; there all runs go on.

    Raises:
        JobError: another run has locked it. OSError: the folder cannot be written.
    """
    if not output.is_local:
        yield
        return
    path = Path(output.path(LOCK))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise JobError(f"another run works on {output.root}{_holder(path)}") from exc
        except OSError:
            yield  # no locks here
            return
        file.truncate(0)
        json.dump({"pid": os.getpid(), "host": socket.gethostname()}, file)
        file.flush()
        yield


def _holder(path: Path) -> str:
    """Say who has locked a file, if it can be read."""
    with suppress(OSError, ValueError, KeyError):
        holder = json.loads(path.read_text())
        return f": process {holder['pid']} on {holder['host']}"
    return ""
