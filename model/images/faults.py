"""Whose fault an error is that a codec raised: the picture's, or this service's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from model.errors import CorruptImage, DecodeError


@contextmanager
def picture_faults() -> Iterator[None]:
    """Run code of Pillow and its codecs over an image's bytes; what they raise is the image's.

    Our own code stays outside of such blocks, so that a mistake in it keeps its type.

    Raises:
        CorruptImage: the image is at fault. ImportError, MemoryError, OSError with an errno: an
        image cannot cause them.
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
    """Whether it was raised for lack of a package, memory, files or disk."""
    if isinstance(exc, OSError):  # Pillow's own have no number
        return exc.errno is not None
    return isinstance(exc, ImportError | MemoryError)


def _reason(exc: Exception) -> str:
    """A library's message, short and on one line."""
    return " ".join(str(exc).split())[:120] or type(exc).__name__
