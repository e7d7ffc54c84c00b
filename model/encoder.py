"""The seam between the model and everything above it: what an encoder is and announces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from model.config import Precision

UInt8Array = NDArray[np.uint8]
Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
TowerName = Literal["image", "text"]


@dataclass(frozen=True)
class EncoderSpec:
    """What callers may know of an encoder.

    image_size: S, side of the square pixels, px. dimension: D, length of an embedding.
    context_length: tokens a text is cut to. mean, std: of the pixels over 255, per RGB channel.
    fingerprint: embeddings compare only where it is equal.
    preprocessing: policy, version, geometry; encoders for which it is equal read the same pixels.
    """

    name: str
    image_size: int
    dimension: int
    context_length: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    backend: str
    device: str
    precision: Precision
    fingerprint: str
    preprocessing: str = ""


class Encoder(Protocol):
    """Turns batches into embeddings.

    `preprocess` may run in many threads, the towers in as many as there are streams, the rest in
    one.
    """

    @property
    def spec(self) -> EncoderSpec:
        """Sizes and identity, constant over the encoder's life."""

    def preprocess(self, data: bytes) -> UInt8Array:
        """Decode one image. Returns uint8 [S, S, 3] RGB. Raises DecodeError."""

    def encode_images(self, pixels: UInt8Array) -> Float32Array:
        """Embed a batch. pixels: uint8 [N, S, S, 3] RGB. Returns float32 [N, D], unit norm."""

    def encode_texts(self, texts: Sequence[str]) -> tuple[Float32Array, BoolArray]:
        """Embed N texts. Returns float32 [N, D], unit norm, and bool [N]: cut to the context."""

    def use_threads(self, threads: int, streams: int = 1) -> None:
        """Run each of so many forward passes at once on so many CPU threads.

        Holds for threads that have not yet called.
        """

    def warm_up(self) -> None:
        """Run each tower once, so that the first caller does not pay for it."""

    def close(self) -> None:
        """Give back memory. No call may follow."""
