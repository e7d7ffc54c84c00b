"""Which errors of a codec are the image's fault, and which are the service's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from model.errors import CorruptImage, DecodeError


@contextmanager
def picture_faults() -> Iterator[None]:
    """Raise CorruptImage for errors of Pillow and its codecs over an image's bytes.

    Keep our own code outside such blocks, so that its errors keep their type.

    Raises:
        CorruptImage: the image is at fault. ImportError, MemoryError, OSError with an errno:
        unchanged, because an image cannot cause them.
    """
    try:
        yield
    except DecodeError:
        raise
    except Exception as exc:  # Pillow raises nearly every type for damaged files
        if _is_of_this_machine(exc):
            raise
        raise CorruptImage(f"damaged image: {_reason(exc)}") from exc


def _is_of_this_machine(exc: Exception) -> bool:
    """Whether the cause is a lack of a package, memory, files or disk."""
    if isinstance(exc, OSError):  # Pillow's own have no errno
        return exc.errno is not None
    return isinstance(exc, ImportError | MemoryError)


def _reason(exc: Exception) -> str:
    """Return a library's message, short and on one line."""
    return " ".join(str(exc).split())[:120] or type(exc).__name__
