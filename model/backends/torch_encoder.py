"""Both towers on torch: the reference back end on a CPU in float32, and the CUDA back end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from model.backends.cuda.cuda_graphs import CudaGraphs
from model.backends.cuda.driver import check_driver, driver_cuda, has_bfloat16
from model.backends.cuda.staging import Staging
from model.backends.memory_errors import memory_errors
from model.backends.spec import spec_of
from model.backends.towers.load import Towers, Vocabulary, load_towers
from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.tokenizer import Tokenizer
from model.config import ModelConfig, Precision
from model.encoder import EncoderSpec, Float32Array, Int64Array, Pixels
from model.errors import CheckpointError

DTYPES: dict[Precision, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
# The factor for pixels before the first layer, whose weights are folded to match. In float16 the
# weights for 0..255 would be too small to be exact; pixels / 256 are exact in 8 bits. bfloat16 has
# the exponents of float32, so it needs no factor.
PIXEL_UNITS = {torch.float32: 1.0, torch.bfloat16: 1.0, torch.float16: 1 / 256}


class TorchEncoder:
    """The towers of `towers`, on a CPU or a card."""

    def __init__(self, checkpoint: Checkpoint, config: ModelConfig) -> None:
        if config.threads:
            self.use_threads(config.threads)
        self._device = _device(config.device)
        precision = _precision(config.precision, self._device)
        self._dtype = DTYPES[precision]
        self.staging = Staging(self._device)
        self._captures = config.cuda_graphs
        self.graphs: CudaGraphs | None = None
        towers = load_towers(checkpoint, PIXEL_UNITS[self._dtype])
        self.model = place(towers, self._device, self._dtype)
        self.tokenizer = Tokenizer.of_checkpoint(checkpoint)
        _check_vocabulary(checkpoint, towers.vocabulary, self.tokenizer)
        device = _device_name(self._device)
        self._spec = spec_of(checkpoint, config, "torch", device, precision)

    @property
    def spec(self) -> EncoderSpec:
        """Sizes and identity."""
        return self._spec

    @torch.inference_mode()
    def encode_images(self, pixels: Pixels) -> Float32Array:
        """Embed a batch. pixels: N x uint8 [S, S, 3] RGB. Returns float32 [N, D], unit norm."""
        with memory_errors(), self.staging.stream():
            forward = self.graphs or self.embed_pixels
            return _to_host(forward(self.staging.upload(pixels)))

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> tuple[Float32Array, Int64Array]:
        """Embed N texts. Returns float32 [N, D], unit norm, and int64 [N]: tokens of each."""
        tokens, lengths = self.tokenizer(texts)
        with memory_errors(), self.staging.stream():
            return _to_host(self.embed_tokens(self.staging.upload(tokens))), lengths

    @torch.inference_mode()
    def embed_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """The image tower alone. uint8 [N, S, S, 3] to float32 [N, D], both on the device."""
        planes = pixels.permute(0, 3, 1, 2).to(self._dtype)  # [N, 3, S, S], 0..255
        planes = planes * PIXEL_UNITS[self._dtype]
        return _unit_norm(self.model.image(planes))

    @torch.inference_mode()
    def embed_tokens(self, tokens: torch.Tensor) -> torch.Tensor:
        """The text tower alone. int64 [N, L] to float32 [N, D], both on the device."""
        return _unit_norm(self.model.text(tokens))

    def use_threads(self, threads: int, streams: int = 1) -> None:  # noqa: ARG002 - torch has one
        """Set torch's own number, which a thread reads at its first forward pass."""
        torch.set_num_threads(threads)

    def warm_up(self) -> None:
        """Run each tower once; capture CUDA graphs of the image tower, if asked to."""
        side = self._spec.image_size
        if self._captures:
            self.graphs = self.captured()
        self.encode_images(np.zeros((1, side, side, 3), dtype=np.uint8))
        self.encode_texts(["warm-up"])

    @torch.inference_mode()
    def captured(self) -> CudaGraphs:
        """Return the image tower's CUDA graphs. Raises OutOfMemory."""
        with memory_errors():
            return CudaGraphs(self.embed_pixels, self._spec.image_size, self._device)

    def close(self) -> None:
        """Drop the weights."""
        self.graphs = None
        del self.model
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def place(model: Towers, device: torch.device, dtype: torch.dtype) -> Towers:
    """Move the model to a device and wait until it is there. Raises OutOfMemory."""
    with memory_errors():
        placed = model.to(device, dtype)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return placed


def _check_vocabulary(checkpoint: Checkpoint, expected: Vocabulary, tokenizer: Tokenizer) -> None:
    """Check that tokenizer and text tower match: a row for every id, and the same end token."""
    if tokenizer.size > expected.rows:
        raise CheckpointError(
            f"the tokenizer in {checkpoint.folder} has {tokenizer.size} tokens, the weights "
            f"{expected.rows}"
        )
    if expected.end not in (None, tokenizer.end):
        raise CheckpointError(
            f"{checkpoint.folder / 'config.json'} ends texts with token {expected.end}, "
            f"the tokenizer with {tokenizer.end}"
        )


def _device(name: str) -> torch.device:
    if name == "cuda":
        check_driver(driver_cuda(), torch.version.cuda)
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise CheckpointError("device cuda was requested, but torch finds no CUDA device")
    if not found or name == "cpu":
        return torch.device("cpu")
    # TF32 is torch's default and too coarse for parity: 10 bits of mantissa in the first layer.
    torch.backends.cudnn.allow_tf32 = False
    return torch.device("cuda")


def _precision(asked: Precision, device: torch.device) -> Precision:
    """Resolve `auto` and check that the card supports the precision. Raises CheckpointError."""
    if asked == "auto":
        return "float32" if device.type == "cpu" else "float16"
    if asked == "bfloat16" and device.type == "cuda" and not has_bfloat16():
        raise CheckpointError(
            f"{torch.cuda.get_device_name(device)} does not support precision bfloat16; "
            "it supports float32, float16"
        )
    return asked


def _device_name(device: torch.device) -> str:
    """Return `cpu`, or `cuda` with the card's name: service times hold for one kind of card."""
    if device.type == "cpu":
        return "cpu"
    return f"cuda ({torch.cuda.get_device_name(device)})"


def _unit_norm(features: torch.Tensor) -> torch.Tensor:
    """Convert [N, D] of any precision to float32 of unit norm."""
    return nn.functional.normalize(features.float(), dim=-1)


def _to_host(features: torch.Tensor) -> Float32Array:
    """Copy to the host; waits for the stream."""
    result: Float32Array = features.cpu().numpy()
    return result
