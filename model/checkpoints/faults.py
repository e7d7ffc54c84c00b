"""Translation of library errors over a checkpoint's file to one error that names the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.errors import CheckpointError, ModelError


@contextmanager
def checkpoint_faults(what: str, path: Path) -> Iterator[None]:
    """Translate errors of a library that reads a checkpoint's file or folder.

    Raises:
        CheckpointError: it cannot be loaded, or needs a package that is not installed.
        OutOfMemory, MemoryError: unchanged.
    """
    try:
        yield
    except (ModelError, MemoryError):
        raise
    except ImportError as exc:
        raise CheckpointError(f"{what} in {path} needs a package that is missing: {exc}") from exc
    except Exception as exc:  # tokenizers raises bare Exception, transformers nearly every type
        raise CheckpointError(f"{what} in {path} cannot be loaded: {exc}") from exc
