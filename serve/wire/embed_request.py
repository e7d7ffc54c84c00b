"""A parsed request, and the form that its answer takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inference.types import Answer, Item, Lane
from model.encoder import EncoderSpec
from serve.errors import BadRequest

# A body as received.
Body = bytes | bytearray
# The specs of the models that a request chose, by their names.
Specs = Mapping[str, EncoderSpec]


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


class Form:
    """A form of JSON answers, for clients of other toolkits: of one model, as a whole."""

    def check(self, parameters: Parameters, specs: Specs) -> None:
        """Refuse, before any work, what cannot be answered in this form. Raises BadRequest."""
        if parameters.stream:
            raise BadRequest("an answer of this form cannot be streamed")
        if parameters.several or len(specs) != 1:
            raise BadRequest("a request of this form takes one model by its name")

    def render(self, request: EmbedRequest, answer: Answer, specs: Specs) -> bytes:
        """Return the answer's body. Raises ItemFailed if the form has no place for a failure."""
        raise NotImplementedError


@dataclass(frozen=True)
class EmbedRequest:
    """A parsed request.

    ids: the caller's, at the index of their items. Items without an id there, at the end, have no
    result of their own: texts that the results are compared with. form: None is `Results`.
    """

    items: list[Item]
    ids: list[str | None]
    parameters: Parameters
    form: Form | None = None

    @property
    def own_items(self) -> list[Item]:
        """The items that have results of their own."""
        return self.items[: len(self.ids)]
