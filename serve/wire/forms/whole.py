"""For forms without a place for a failure: a failed item fails the request."""

from __future__ import annotations

from typing import cast

from inference.types import Answer, Embedding, Failure
from serve.errors import ItemFailed


def embeddings(answer: Answer) -> list[Embedding]:
    """Return the embeddings of all items of one model. Raises ItemFailed for the first failure."""
    for index, result in enumerate(answer.results):
        if isinstance(result, Failure):
            raise item_failed(index, result)
    return cast("list[Embedding]", answer.results)  # `Form.check` refused several models


def item_failed(index: int, failure: Failure) -> ItemFailed:
    """Return an item's failure as the error that ends the request."""
    return ItemFailed(index, failure.code, failure.message, retryable=failure.retryable)
