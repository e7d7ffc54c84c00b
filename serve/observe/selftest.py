"""The self-test: whether a loaded model embeds an image and a text."""

from __future__ import annotations

import io
import time

import numpy as np
from PIL import Image

from inference.engine.engine import Engine
from inference.types import Embedding, ImageBytes, Item, Text
from model.errors import CheckpointError

TIMEOUT_S = 60.0


def self_test(engine: Engine, model: str) -> None:
    """Embed an image and a text as a request would; a new model has no text in its cache."""
    picture = io.BytesIO()
    Image.new("RGB", (64, 48), (20, 120, 220)).save(picture, "PNG")
    items: list[Item] = [ImageBytes(picture.getvalue()), Text("a blue screen")]
    answer = engine.embed(items, time.monotonic() + TIMEOUT_S, models=model)
    for result in answer.results:
        if not isinstance(result, Embedding):
            raise RuntimeError(f"the self-test failed: {result}")  # noqa: TRY004 - not a type error
        if not abs(float(np.linalg.norm(result.vector)) - 1) < 0.01:
            raise CheckpointError(f"the embeddings of model {model} are not finite numbers")
