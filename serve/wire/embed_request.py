"""What a caller asks for, parsed."""

from __future__ import annotations

from dataclasses import dataclass

from inference.types import Item, Lane

# As it was received.
Body = bytes | bytearray


@dataclass(frozen=True)
class Parameters:
    """How to answer. lane: `interactive`, `bulk`, or None for the service to tell.

    model: one by its name, several for a result with the embeddings of each, () for the default.
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
