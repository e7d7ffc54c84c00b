"""Encode frames of AWS event streams (`application/vnd.amazon.eventstream`); botocore decodes.

A frame: frame length and headers length (uint32 each), the CRC32 of these two, headers, payload,
the CRC32 of all that. A header: length of the name (uint8), name, 7 for a string, length of the
value (uint16), value. Numbers are big-endian. Source: the specification of the Smithy protocol.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

import orjson

STRING = 7
# Lengths and their checksum before the headers, and the checksum after the payload.
OVERHEAD_BYTES = 16


def part_frame(data: bytes) -> bytes:
    """Encode a `PayloadPart` of a response stream."""
    return _frame(
        {
            ":message-type": "event",
            ":event-type": "PayloadPart",
            ":content-type": "application/octet-stream",
        },
        data,
    )


def error_frame(kind: str, code: str, message: str) -> bytes:
    """Encode an exception in the middle of a stream."""
    return _frame(
        {
            ":message-type": "exception",
            ":exception-type": kind,
            ":content-type": "application/json",
        },
        orjson.dumps({"Message": message, "ErrorCode": code}),
    )


def _frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    head = b"".join(
        struct.pack("!B", len(name)) + name.encode()
        + struct.pack("!BH", STRING, len(value)) + value.encode()
        for name, value in headers.items()
    )  # fmt: skip
    lengths = struct.pack("!II", len(head) + len(payload) + OVERHEAD_BYTES, len(head))
    frame = lengths + struct.pack("!I", zlib.crc32(lengths)) + head + payload
    return frame + struct.pack("!I", zlib.crc32(frame))
