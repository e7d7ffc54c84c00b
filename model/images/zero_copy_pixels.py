"""The pixels of a Pillow image without a copy, by the Arrow C data interface.

`numpy.asarray(image)` packs four bytes a pixel into three, holding the GIL, into memory that has
to be mapped first: as long as a third of a resize.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image

from model.encoder import UInt8Array


class ArrowArray(ctypes.Structure):
    """The head of `struct ArrowArray`, whose layout is frozen."""


ArrowArray._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(ArrowArray))),
]
_pointer: Any = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


@contextmanager
def zero_copy_pixels(rgb: Image.Image) -> Iterator[UInt8Array]:
    """uint8 [H, W, 3 or 4] over the memory of an RGB image, the fourth channel padding.

    To be read only, and only inside `with`. Pillow holds 16 MiB and more in pieces; such an image
    is packed after all.
    """
    try:
        _, owner = rgb.__arrow_c_array__()
    except ValueError:
        packed = np.asarray(rgb)
        yield _at(packed.ctypes.data, packed.shape)
        return
    array = ArrowArray.from_address(_pointer(owner, b"arrow_array"))
    yield _at(array.children[0].contents.buffers[1], (rgb.height, rgb.width, 4))
    del owner  # frees the image's memory, if nobody else holds it


def _at(address: int, shape: tuple[int, ...]) -> UInt8Array:
    """Writable, as torch wants it: it warns of an array that is not."""
    memory = (ctypes.c_uint8 * int(np.prod(shape))).from_address(address)
    return np.ctypeslib.as_array(memory).reshape(shape)
