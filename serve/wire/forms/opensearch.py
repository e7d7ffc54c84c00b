"""The default forms of OpenSearch's connectors to SageMaker endpoints.

Texts: `["a", "b"]` is answered by `[[...], [...]]`, as ml-commons' functions
`connector.pre_process.default.embedding` and `connector.post_process.default.embedding` write and
read it. A text and an image: `{"inputText", "inputImage"}` is answered by `{"embedding": [...]}`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from inference.types import Answer, Embedding, Item, Text
from serve.errors import BadRequest, ItemFailed
from serve.wire.embed_request import EmbedRequest, Form, Parameters, Specs
from serve.wire.forms.images import image_of
from serve.wire.forms.whole import embeddings
from serve.wire.refusing import check_fields
from serve.wire.wording import kind

INPUTS = ("inputText", "inputImage")
# The sum of two vectors of unit norm that is too short to have a direction.
NO_DIRECTION = 1e-6


class Vectors(Form):
    """A list of embeddings, in the order of the texts."""

    def render(self, _: EmbedRequest, answer: Answer, __: Specs) -> bytes:
        """Return `[[...], ...]`."""
        return _dump([one.vector for one in embeddings(answer)])


class Joint(Form):
    """One embedding of a text, an image, or both: then the mean of the two, of unit norm."""

    def render(self, _: EmbedRequest, answer: Answer, __: Specs) -> bytes:
        """Return `{"embedding": [...]}`."""
        return _dump({"embedding": mean(embeddings(answer))})


def parse_texts(body: list[Any], parameters: Parameters) -> EmbedRequest:
    """Parse a list of texts. Raises BadRequest, which names the index."""
    for index, one in enumerate(body):
        if not isinstance(one, str):
            raise BadRequest(f"[{index}] must be a string, not {kind(one)}")
    if not body:
        raise BadRequest("the body is an empty list")
    return EmbedRequest([Text(one) for one in body], [None] * len(body), parameters, Vectors())


def parse_joint(body: dict[str, Any], parameters: Parameters) -> EmbedRequest:
    """Parse a text, an image (base64, or a URL), or both; null is absent. Raises BadRequest."""
    check_fields(body, INPUTS, f" beside {' and '.join(INPUTS)}")
    given = {name: value for name, value in body.items() if value is not None}
    for name, value in given.items():
        if not isinstance(value, str):
            raise BadRequest(f"{name} must be a string or null, not {kind(value)}")
    items: list[Item] = []
    if "inputText" in given:
        items.append(Text(given["inputText"]))
    if "inputImage" in given:
        items.append(image_of(given["inputImage"]))
    if not items:
        raise BadRequest("give inputText, inputImage or both")
    return EmbedRequest(items, [None] * len(items), parameters, Joint())


def mean(found: list[Embedding]) -> NDArray[np.float32]:
    """Return the mean of embeddings, of unit norm, float32 [D]. Raises ItemFailed if it is zero."""
    if len(found) == 1:
        return found[0].vector
    total = np.sum([one.vector for one in found], axis=0, dtype=np.float64)
    norm = float(np.linalg.norm(total))
    if norm < NO_DIRECTION:
        raise ItemFailed(0, "encode_failed", "text and image cancel each other", retryable=False)
    return np.asarray(total / norm, np.float32)


def _dump(body: Any) -> bytes:
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
