"""A parsed request."""

from __future__ import annotations

from dataclasses import dataclass

from inference.types import Item, Lane

# A body as received.
Body = bytes | bytearray


@dataclass(frozen=True)
class Parameters:
    """How to answer. lane: `interactive`, `bulk`, or None to let the service choose.

    model: one name, several names for results with an embedding of each, or () for the default.
    """

    encoding: str = "float"
    timings: bool = False
    deadline_ms: int | None = None
    lane: Lane | None = None
    stream: bool = False
    model: str | tuple[str, ...] = ()

    @property
    def several(self) -> bool:
        """Whether results have embeddings by model."""
        return not isinstance(self.model, str) and bool(self.model)


@dataclass(frozen=True)
class EmbedRequest:
    """A parsed request: items, the caller's ids at the same index, parameters."""

    items: list[Item]
    ids: list[str | None]
    parameters: Parameters
