"""The first frame of a WebP image, decoded by libwebp without the interpreter lock.

Pillow opens the file, so its checks and error codes stay. Its own decoder draws the frame on one
canvas, copies it to another, and copies that into `bytes` while it holds the interpreter lock.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
from PIL import Image
from PIL.WebPImagePlugin import WebPImageFile

from model.encoder import UInt8Array

# libwebpdemux refuses callers of another major version, which is the upper byte.
DEMUX_ABI_VERSION = 0x0107


def decode_first_frame(image: WebPImageFile, data: bytes) -> Image.Image | None:
    """Decode to the pixels that `image.load()` would give.

    Args:
        image: opened, not loaded.
        data: the whole file.

    Returns:
        An RGB or RGBA image. None if Pillow must decode: a damaged frame, or a Pillow whose libwebp
        cannot be called.
    """
    libwebp = _libwebp()
    if libwebp is None:
        return None
    canvas = np.zeros((image.height, image.width, 4), np.uint8)
    with libwebp.first_frame(data) as frame:
        if frame is None or not libwebp.decode(frame, canvas):
            return None
    return Image.frombytes(image.mode, image.size, canvas, "raw", image.rawmode)


class Data(ctypes.Structure):
    """`struct WebPData`."""

    _fields_ = (("bytes", ctypes.c_char_p), ("size", ctypes.c_size_t))


class Frame(ctypes.Structure):
    """`struct WebPIterator`: a frame's place on the canvas, and its encoded bytes."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("number", "count", "x", "y", "width", "height")),
        *((name, ctypes.c_int) for name in ("duration", "dispose", "complete")),
        ("bytes", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("has_alpha", ctypes.c_int),
        ("blend", ctypes.c_int),
        ("pad", ctypes.c_uint32 * 2),
        ("private", ctypes.c_void_p),
    )


class Libwebp:
    """Functions of libwebp and libwebpdemux. Only the long one releases the interpreter lock."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """Raises AttributeError if the library does not export these functions."""
        number, size, pointer = ctypes.c_int, ctypes.c_size_t, ctypes.c_void_p
        file, frame = ctypes.POINTER(Data), ctypes.POINTER(Frame)
        short, long = ctypes.PYFUNCTYPE, ctypes.CFUNCTYPE
        demux = short(pointer, file, number, pointer, number)
        self._demux = demux(("WebPDemuxInternal", library))
        self._get_frame = short(number, pointer, number, frame)(("WebPDemuxGetFrame", library))
        self._release = short(None, frame)(("WebPDemuxReleaseIterator", library))
        self._delete = short(None, pointer)(("WebPDemuxDelete", library))
        decode = long(pointer, pointer, size, pointer, size, number)
        self._decode = decode(("WebPDecodeRGBAInto", library))

    @contextmanager
    def first_frame(self, data: bytes) -> Iterator[Frame | None]:
        """Yield the first frame, which points into `data`; None if the file is damaged."""
        demuxer = self._demux(Data(data, len(data)), 0, None, DEMUX_ABI_VERSION)
        frame = Frame()
        try:
            yield frame if self._get_frame(demuxer, 1, frame) else None
        finally:
            self._release(frame)
            self._delete(demuxer)

    def decode(self, frame: Frame, canvas: UInt8Array) -> bool:
        """Decode a frame to its place on a canvas [H, W, 4]. Returns whether it is whole."""
        place = canvas[frame.y : frame.y + frame.height, frame.x : frame.x + frame.width]
        if place.shape[:2] != (frame.height, frame.width):
            return False
        start, stride = place.ctypes.data, canvas.strides[0]
        room = canvas.ctypes.data + canvas.nbytes - start
        return self._decode(frame.bytes, frame.size, start, room, stride) is not None


@cache
def _libwebp() -> Libwebp | None:
    """Return what Pillow's module is linked to; None if its symbols are hidden."""
    try:
        from PIL import _webp

        return Libwebp(ctypes.CDLL(_webp.__file__))
    except (ImportError, AttributeError):
        return None
