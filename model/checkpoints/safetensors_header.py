"""The header of a safetensors file, and single numbers of it.

The library's own reader imports NumPy. Format: a little-endian uint64 length, that many bytes of
JSON, then the tensors (https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_HEADER_BYTES = 100_000_000
# Formats of `struct` by safetensors' names of types. A bfloat16 is the first half of a float32.
FORMATS = {"F64": "<d", "F32": "<f", "F16": "<e"}
BFLOAT16 = "BF16"


@dataclass(frozen=True)
class Header:
    """tensors: what is said of each by name. start: the byte at which the first one begins."""

    path: Path
    tensors: Mapping[str, Any]
    start: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each tensor."""
        return {name: tuple(one["shape"]) for name, one in self.tensors.items()}

    def number(self, name: str) -> float | None:
        """Read a tensor of one number. None if there is none, or no such. Raises OSError."""
        one = self.tensors.get(name)
        if one is None or (one["dtype"] not in FORMATS and one["dtype"] != BFLOAT16):
            return None
        begin, end = one["data_offsets"]
        with self.path.open("rb") as file:
            file.seek(self.start + begin)
            data = file.read(end - begin)
        if one["dtype"] == BFLOAT16:
            data = b"\0\0" + data
        kind = FORMATS.get(one["dtype"], FORMATS["F32"])
        return float(*struct.unpack(kind, data)) if len(data) == struct.calcsize(kind) else None


def read_header(path: Path) -> Header:
    """Read the header, and check the file's length.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it is damaged. OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= min(size - 8, MAX_HEADER_BYTES):
            raise ValueError(f"{size} bytes cannot hold its header")
        header = json.loads(file.read(length))
    tensors = {name: one for name, one in header.items() if name != "__metadata__"}
    start = 8 + length
    expected = start + max((one["data_offsets"][1] for one in tensors.values()), default=0)
    if size != expected:
        raise ValueError(f"{size} bytes of {expected}")
    return Header(path, tensors, start)
