"""What can go wrong between a checkpoint and an embedding.

ModelError
├── CheckpointError        the start stops: which file is wrong, and how
└── DecodeError            one image cannot become pixels; `code` is part of the interface
    ├── UnsupportedImage   not a picture, or a format or mode that is not read
    ├── CorruptImage       a picture of a known format, damaged
    └── TooManyPixels      decoding or resizing it would cost too much
"""

from __future__ import annotations


class ModelError(Exception):
    """Base of every error this package raises on purpose."""


class CheckpointError(ModelError):
    """The checkpoint cannot be used. The message is one sentence that names the file."""


class OutOfMemory(ModelError):
    """A batch does not fit into the device's memory."""


class DecodeError(ModelError):
    """One image cannot become pixels."""

    code = "decode_corrupt"


class UnsupportedImage(DecodeError):
    """The bytes are no picture, or one of a kind that is not read."""

    code = "decode_unsupported"


class CorruptImage(DecodeError):
    """The bytes begin like a picture and do not hold what they promise."""

    code = "decode_corrupt"


class TooManyPixels(DecodeError):
    """The picture is within its byte limit and beyond its pixel limit."""

    code = "decode_too_many_pixels"
