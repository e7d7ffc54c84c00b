"""An encoder without a model: deterministic, instant or with a set service time.

It ships with the package and is selected like any other (`--backend fake`), for load tests of
everything around the model and for a service that starts at once.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence

import numpy as np

from model.config import POLICY_VERSIONS, ModelConfig, Scores
from model.encoder import EncoderSpec, Float32Array, Int64Array, Pixels
from model.images.geometry import Geometry
from model.images.preprocess import ImagePreprocessing

IMAGE_SIZE = 32
DIMENSION = 16
CONTEXT_LENGTH = 77
# The scale is the largest that OpenAI's CLIPs may have.
SCORES = Scores("softmax", scale=100.0, bias=0.0)


class FakeEncoder:
    """Embeds by hashing content: equal content gives equal embeddings in any batch.

    The checkpoint's name is part of the hash, so each checkpoint has its own embeddings.

    A batch of n takes `fixed_s` + n * `per_item_s` seconds of `sleep`.
    """

    def __init__(
        self,
        config: ModelConfig | None = None,
        fixed_s: float = 0.0,
        per_item_s: float = 0.0,
        size: int = IMAGE_SIZE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        config = config or ModelConfig(backend="fake")
        self._fixed_s = fixed_s
        self._per_item_s = per_item_s
        self._sleep = sleep
        self._salt = f"-{config.model}" if config.model else ""
        self._spec = EncoderSpec(
            name=config.name or "fake",
            image_size=size,
            dimension=DIMENSION,
            context_length=CONTEXT_LENGTH,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            backend="fake",
            device="cpu",
            precision="float32",
            fingerprint=f"fake{self._salt}-{POLICY_VERSIONS[config.policy]}",
            # light: the service starts without importing torch.
            preprocessing=ImagePreprocessing(
                Geometry.clip(size), config.policy, config.max_image_pixels, light=True
            ),
            scores=SCORES,
        )

    @property
    def spec(self) -> EncoderSpec:
        """Sizes and identity."""
        return self._spec

    def encode_images(self, pixels: Pixels) -> Float32Array:
        """Embed a batch. pixels: N x uint8 [S, S, 3]. Returns float32 [N, D], unit norm."""
        self._serve(len(pixels))
        return np.stack([_embedding(image.tobytes() + self._salt.encode()) for image in pixels])

    def encode_texts(self, texts: Sequence[str]) -> tuple[Float32Array, Int64Array]:
        """Embed N texts; a word is a token, and so are start and end. Returns as any encoder."""
        self._serve(len(texts))
        lengths = [2 + len(text.split()) for text in texts]
        embeddings = np.stack([_embedding((text + self._salt).encode()) for text in texts])
        return embeddings, np.array(lengths, dtype=np.int64)

    def use_threads(self, threads: int, streams: int = 1) -> None:
        """Do nothing: there is no computation."""

    def warm_up(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: there are no resources."""

    def _serve(self, count: int) -> None:
        duration_s = self._fixed_s + count * self._per_item_s
        if duration_s > 0:
            self._sleep(duration_s)


def _embedding(content: bytes) -> Float32Array:
    seed = int.from_bytes(hashlib.sha256(content).digest()[:8], "little")
    vector = np.random.default_rng(seed).standard_normal(DIMENSION)
    return (vector / np.linalg.norm(vector)).astype(np.float32)
