"""The interface between the model and the code above it: the encoder and its spec."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from model.config import Precision, Scores
from model.memory_budget import UNLIMITED, MemoryBudget

UInt8Array = NDArray[np.uint8]
Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
Int64Array = NDArray[np.int64]
# N images, each uint8 [S, S, 3] RGB: one array, or arrays in memory of their own.
Pixels = UInt8Array | Sequence[UInt8Array]
TowerName = Literal["image", "text"]
# Takes the width and height of a picture, px.
TellSize = Callable[[int, int], None]


class Preprocessing(Protocol):
    """How encoded images become the pixels of an encoder. Equal values give equal pixels.

    Small, hashable and without state. It can be pickled, so that other processes can preprocess.
    """

    @property
    def size(self) -> int:
        """S, the side of the pixels."""

    def __call__(
        self, data: bytes, budget: MemoryBudget = UNLIMITED, tell_size: TellSize | None = None
    ) -> UInt8Array:
        """Decode one image. Returns uint8 [S, S, 3] RGB. Raises DecodeError.

        budget: memory shared with other images; waits until enough is free. tell_size: called with
        the size of the whole picture as a viewer shows it, once it is decoded.
        """


@dataclass(frozen=True)
class EncoderSpec:
    """An encoder's sizes and identity, as callers see them.

    image_size: S, side of the square pixels, px. dimension: D, length of an embedding.
    context_length: tokens a text is cut to. mean, std: of pixels / 255, per RGB channel.
    fingerprint: only embeddings with equal fingerprints are comparable.
    preprocessing: makes the pixels; encoders with equal values take the same pixels.
    scores: as in training; None if the checkpoint does not say.
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
    preprocessing: Preprocessing
    scores: Scores | None = None


class Encoder(Protocol):
    """Turns batches into embeddings.

    A tower may run in as many threads as there are streams, the other methods in one thread.
    """

    @property
    def spec(self) -> EncoderSpec:
        """Sizes and identity; they never change."""

    def encode_images(self, pixels: Pixels) -> Float32Array:
        """Embed a batch. pixels: N x uint8 [S, S, 3] RGB. Returns float32 [N, D], unit norm.

        Arrays in memory of their own are copied once, to where the forward pass reads them.
        """

    def encode_texts(self, texts: Sequence[str]) -> tuple[Float32Array, Int64Array]:
        """Embed N texts. Returns float32 [N, D], unit norm, and int64 [N]: tokens of each text.

        Texts with more tokens than `context_length` were cut to it.
        """

    def use_threads(self, threads: int, streams: int = 1) -> None:
        """Run up to `streams` forward passes at once, each on `threads` CPU threads.

        Takes effect in calling threads that have not run a forward pass yet.
        """

    def warm_up(self) -> None:
        """Run each tower once, so that the first request is not slow."""

    def close(self) -> None:
        """Free the memory. No method may be called after this."""
