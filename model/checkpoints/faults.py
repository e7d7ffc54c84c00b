"""What a library raises over a file of a checkpoint, as one error that names the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.errors import CheckpointError, ModelError


@contextmanager
def checkpoint_faults(what: str, path: Path) -> Iterator[None]:
    """Run a library over a file of a checkpoint, or a folder of them.

    Raises:
        CheckpointError: it cannot be loaded, or takes a package that is not installed.
        OutOfMemory, MemoryError: as they are.
    """
    try:
        yield
    except (ModelError, MemoryError):
        raise
    except ImportError as exc:
        raise CheckpointError(f"{what} in {path} takes a package that is missing: {exc}") from exc
    except Exception as exc:  # tokenizers raises bare Exception, transformers nearly every type
        raise CheckpointError(f"{what} in {path} cannot be loaded: {exc}") from exc
