"""Errors of the package, from loading a checkpoint to computing an embedding.

ModelError
├── CheckpointError        the service does not start; the message names the file and the fault
├── TrainingError          a training cannot start, or its result is not kept
└── DecodeError            an image cannot be decoded; `code` is part of the interface
    ├── UnsupportedImage   not an image, or an unsupported format or mode
    ├── CorruptImage       an image of a known format that is damaged
    └── TooManyPixels      decoding or resizing it would cost too much
"""

from __future__ import annotations

# The name under which pip knows this package; command and import are `sweetspot`.
DISTRIBUTION = "sweetspot-clip"


def install(extra: str) -> str:
    """Return the command that installs the packages of an extra, for a message.

    pip takes the distribution that is installed, whether from a wheel or from a clone, and adds
    what the extra needs.
    """
    return f"pip install '{DISTRIBUTION}[{extra}]'"


class ModelError(Exception):
    """Base of every error this package raises on purpose."""


class CheckpointError(ModelError):
    """The checkpoint cannot be used. The message is one sentence that names the file."""


class TrainingError(ModelError):
    """A training cannot start, or its result is not kept. The message is one sentence."""


class OutOfMemory(ModelError):
    """A batch does not fit into the device's memory."""


class DecodeError(ModelError):
    """An image cannot be decoded."""

    code = "decode_corrupt"


class UnsupportedImage(DecodeError):
    """The bytes are not an image, or an image of an unsupported kind."""

    code = "decode_unsupported"


class CorruptImage(DecodeError):
    """The bytes begin like an image of a known format, but the data is damaged."""

    code = "decode_corrupt"


class TooManyPixels(DecodeError):
    """The image is within the byte limit, but decoding or resizing it would cost too much."""

    code = "decode_too_many_pixels"
