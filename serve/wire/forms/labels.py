"""Zero-shot classification: images scored against labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from inference.types import Answer, Embedding, Failure, Result, Text, is_unicode
from model.config import Scores
from serve.errors import BadRequest, HttpError
from serve.wire.answers import render_json, render_result
from serve.wire.embed_request import EmbedRequest, Form, Parameters, Specs
from serve.wire.scores import score
from serve.wire.wording import clip, kind

MAX_LABELS = 1000
# Images x labels of one request; the answer then has some 30 MB.
MAX_SCORES = 1_000_000
BLANK = "{}"


class Scored(NamedTuple):
    """An image's embedding, and its score of each label, float32 [M]."""

    embedding: Embedding
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class Labelled(Form):
    """Our form: each image's result also has `scores` by label."""

    labels: tuple[str, ...]

    def check(self, parameters: Parameters, specs: Specs) -> None:
        """Refuse also a model without a logit scale."""
        super().check(parameters, specs)
        ((name, spec),) = specs.items()
        if spec.scores is None:
            raise BadRequest(f"model {clip(name)} cannot score labels: it has no logit scale")

    def render(self, request: EmbedRequest, answer: Answer, specs: Specs) -> bytes:
        """Return the answer's object; a label that failed fails the images."""
        return render_json(request, self._bodies(request, answer, specs), answer.times, specs)

    def _bodies(
        self, request: EmbedRequest, answer: Answer, specs: Specs
    ) -> Iterator[dict[str, Any]]:
        encoding = request.parameters.encoding
        for index, one in enumerate(self.scored(request, answer, specs)):
            if isinstance(one, Failure):
                yield render_result(index, request.ids[index], one, encoding)
            else:
                body = render_result(index, request.ids[index], one.embedding, encoding)
                yield body | {"scores": dict(zip(self.labels, one.scores, strict=True))}

    def scored(
        self, request: EmbedRequest, answer: Answer, specs: Specs
    ) -> Iterator[Failure | Scored]:
        """Yield each image's embedding and scores, or why it has none."""
        (spec,) = specs.values()
        how = cast("Scores", spec.scores)  # `check` refused None, and several models
        count = len(request.ids)
        labels = self._label_vectors(answer.results[count:])
        for result in answer.results[:count]:
            if isinstance(result, Failure):
                yield result
            elif isinstance(labels, Failure):
                yield labels
            else:
                image = cast("Embedding", result)
                yield Scored(image, score(image.vector, labels, how))

    def _label_vectors(self, results: list[Result]) -> NDArray[np.float32] | Failure:
        for label, result in zip(self.labels, results, strict=True):
            if isinstance(result, Failure):
                message = f"label {clip(label)}: {result.message}"
                return Failure(result.code, message, result.retryable)
        return np.stack([cast("Embedding", result).vector for result in results])


def with_labels(request: EmbedRequest, labels: Any, template: Any) -> EmbedRequest:
    """Return a request for images that also scores them against labels. Raises HttpError."""
    if any(isinstance(item, Text) for item in request.items):
        raise BadRequest("labels score images, and one of the items is a text")
    names = label_names("labels", labels)
    texts = label_texts(names, "template", template)
    check_scores(len(request.items), len(names))
    items = [*request.items, *texts]
    return EmbedRequest(items, request.ids, request.parameters, Labelled(names))


def label_names(path: str, value: Any) -> tuple[str, ...]:
    """Check a list of labels. path: its name in error messages. Raises HttpError."""
    if not isinstance(value, list) or not value:
        found = "an empty list" if value == [] else kind(value)
        raise BadRequest(f"{path} must be a list of labels, not {found}")
    for index, one in enumerate(value):
        if not isinstance(one, str) or not one or not is_unicode(one):
            raise BadRequest(f"{path}[{index}] must be a text")
    if len(set(value)) < len(value):
        raise BadRequest(f"{path} has a label twice")
    if len(value) > MAX_LABELS:
        raise HttpError("payload_too_large", f"{len(value)} labels, the limit is {MAX_LABELS}")
    return tuple(value)


def label_texts(names: Sequence[str], path: str, template: Any) -> list[Text]:
    """Return the text of each label, in the template. Raises BadRequest, which names its `path`."""
    if not isinstance(template, str) or BLANK not in template:
        raise BadRequest(f"{path} must be a string with {BLANK} in the place of the label")
    return [Text(template.replace(BLANK, name)) for name in names]


def check_scores(images: int, labels: int) -> None:
    """Refuse an answer that is too large. Raises HttpError, `payload_too_large`."""
    if images * labels > MAX_SCORES:
        raise HttpError(
            "payload_too_large", f"{images} images x {labels} labels, the limit is {MAX_SCORES:,}"
        )
