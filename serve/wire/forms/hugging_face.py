"""Zero-shot classification in the form of Hugging Face's toolkit for SageMaker.

The pipeline is "zero-shot-image-classification" of transformers: its parameters, and its answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from inference.types import Answer, Failure, Item
from serve.errors import BadRequest
from serve.wire.embed_request import EmbedRequest, Parameters, Specs
from serve.wire.forms.images import image_of
from serve.wire.forms.labels import Labelled, check_scores, label_names, label_texts
from serve.wire.forms.whole import item_failed
from serve.wire.parameters import from_body
from serve.wire.refusing import check_count, check_fields

TEMPLATE = "This is a photo of {}."


@dataclass(frozen=True)
class Ranked(Labelled):
    """Labels with their scores, the highest first.

    alone: whether `inputs` was one image, so that the answer is its list alone.
    """

    alone: bool

    def render(self, request: EmbedRequest, answer: Answer, specs: Specs) -> bytes:
        """Return `[{"score", "label"}, ...]`, or a list of such lists. Raises ItemFailed."""
        lists = []
        for index, one in enumerate(self.scored(request, answer, specs)):
            if isinstance(one, Failure):
                raise item_failed(index, one)
            ranked = np.argsort(-one.scores, kind="stable")
            lists.append([{"score": one.scores[at], "label": self.labels[at]} for at in ranked])
        body = lists[0] if self.alone else lists
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def is_ranking(body: dict[str, Any]) -> bool:
    """Return whether a body asks for zero-shot classification in this form."""
    parameters = body.get("parameters")
    return isinstance(parameters, dict) and "candidate_labels" in parameters


def parse_ranking(body: dict[str, Any], parameters: Parameters, max_items: int) -> EmbedRequest:
    """Parse `{"inputs", "parameters": {"candidate_labels", "hypothesis_template"}}`.

    inputs: an image or a list of images, each a URL or base64. candidate_labels: a list, or labels
    joined by commas. Other parameters are those of docs/protocol.md.

    Raises:
        HttpError: `bad_request` names the field; `payload_too_large`.
    """
    check_fields(body, ("inputs", "parameters"), " beside candidate_labels")
    images, alone = _images(body.get("inputs"), max_items)
    given = dict(body["parameters"])
    labels = given.pop("candidate_labels")
    if isinstance(labels, str):
        labels = [one for one in dict.fromkeys(map(_stripped, labels.split(","))) if one]
    names = label_names("parameters.candidate_labels", labels)
    template = given.pop("hypothesis_template", TEMPLATE)
    texts = label_texts(names, "parameters.hypothesis_template", template)
    check_scores(len(images), len(names))
    items: list[Item] = [*map(image_of, images), *texts]
    parameters = from_body(given, parameters)
    return EmbedRequest(items, [None] * len(images), parameters, Ranked(names, alone))


def _stripped(label: str) -> str:
    return label.strip(" ")


def _images(inputs: Any, max_items: int) -> tuple[list[str], bool]:
    """Return the images, and whether it was one without a list."""
    if isinstance(inputs, str):
        return [inputs], True
    if not isinstance(inputs, list) or not inputs or not all(isinstance(x, str) for x in inputs):
        raise BadRequest("inputs must be an image or a list of images, each a URL or base64")
    check_count(len(inputs), max_items)
    return inputs, False
