"""Both towers on OpenVINO: the fastest exact back end on a CPU, and the one that runs int8.

Graphs come from the checkpoint's `openvino/` folder, or are converted from the torch model when
there are none; then neither torch's model nor transformers is needed any more.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from model.checkpoint import Checkpoint
from model.config import ModelConfig, Precision
from model.encoder import BoolArray, EncoderSpec, Float32Array, UInt8Array
from model.errors import CheckpointError, OutOfMemory
from model.graphs import TOKENIZER, Graphs, find
from model.preprocess import preprocess
from model.runtime import openvino
from model.spec import spec_of
from model.tokenizer import Tokenizer

log = logging.getLogger(__name__)

# Of what is not int8. Its own default is bfloat16 wherever the CPU has it: 0.02 off in a raw text
# embedding.
HINTS = {"float32": "f32", "int8": "f32", "bfloat16": "bf16"}
TowerName = Literal["image", "text"]


class OpenVinoEncoder:
    """Compiles each tower at its first batch, for the threads in force then."""

    def __init__(self, checkpoint: Checkpoint, config: ModelConfig) -> None:
        self._config = config
        self._threads, self._streams = max(1, config.threads), 1
        self._lock = threading.Lock()
        self._towers: dict[tuple[TowerName, int, int], _Tower] = {}
        graphs = _graphs(checkpoint, config.precision)
        precision = config.precision
        if precision == "auto":
            precision = graphs.precision if graphs else "float32"
        self._hint = HINTS[precision]
        read = _read(checkpoint, graphs) if graphs else _convert(checkpoint)
        self.models, self.tokenizer = read
        quantized = graphs.digest if graphs and precision == "int8" else ""
        self._spec = spec_of(checkpoint, config, "openvino", "cpu", precision, quantized)

    @property
    def spec(self) -> EncoderSpec:
        """Sizes and identity."""
        return self._spec

    def preprocess(self, data: bytes) -> UInt8Array:
        """Decode one image. Returns uint8 [S, S, 3] RGB. Raises DecodeError."""
        config = self._config
        return preprocess(data, self._spec.image_size, config.policy, config.max_image_pixels)

    def encode_images(self, pixels: UInt8Array) -> Float32Array:
        """Embed a batch. pixels: uint8 [N, S, S, 3] RGB. Returns float32 [N, D], unit norm."""
        return self._tower("image").run(pixels)

    def encode_texts(self, texts: Sequence[str]) -> tuple[Float32Array, BoolArray]:
        """Embed N texts. Returns float32 [N, D], unit norm, and bool [N]: cut to the context."""
        tokens, truncated = self.tokenizer(texts)
        return self._tower("text").run(tokens), truncated

    def use_threads(self, threads: int, streams: int = 1) -> None:
        """Compile anew for the next batch; what was compiled for other numbers is kept."""
        self._threads, self._streams = threads, streams

    def warm_up(self) -> None:
        """Compile both towers and run them once."""
        side = self._spec.image_size
        self.encode_images(np.zeros((1, side, side, 3), dtype=np.uint8))
        self.encode_texts(["warm-up"])

    def close(self) -> None:
        """Drop the graphs."""
        self._towers.clear()
        self.models.clear()

    def _tower(self, name: TowerName) -> _Tower:
        key = (name, self._threads, self._streams)
        if key not in self._towers:
            with self._lock:
                if key not in self._towers:
                    self._towers[key] = _Tower(self.models[name], *key[1:], hint=self._hint)
        return self._towers[key]


class _Tower:
    """One compiled graph. A forward pass borrows a request, which holds its buffers."""

    def __init__(self, model: Any, threads: int, streams: int, hint: str) -> None:
        self._compiled = openvino.Core().compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": hint,
                "NUM_STREAMS": streams,
                "INFERENCE_NUM_THREADS": threads * streams,
                # Decoding threads share the cores, and the scheduler knows better where.
                "ENABLE_CPU_PINNING": False,
            },
        )
        self._idle: list[Any] = []

    def run(self, batch: UInt8Array | np.ndarray[Any, np.dtype[np.int64]]) -> Float32Array:
        """Returns float32 [N, D] in memory of its own."""
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        try:
            result: Float32Array = request.infer({0: batch}, share_inputs=True)[0]
        except RuntimeError as exc:
            if "alloc" not in str(exc):
                raise
            raise OutOfMemory("the batch does not fit into memory") from exc
        self._idle.append(request)
        return result


def _graphs(checkpoint: Checkpoint, precision: Precision) -> Graphs | None:
    """Those asked for; of `auto` int8 where the artifact holds it, else float32, if any."""
    if precision in ("auto", "int8") and (quantized := find(checkpoint, "int8")):
        return quantized
    if precision == "int8":
        raise CheckpointError(
            f"precision int8 was asked for, and {checkpoint.folder} holds no int8 graphs; "
            f"make some: sweetspot quantize --model {checkpoint.folder} -o DIR"
        )
    return find(checkpoint, "float32")


def _read(checkpoint: Checkpoint, graphs: Graphs) -> tuple[dict[str, Any], Tokenizer]:
    """Graphs from their files; the weights stay on disk, mapped into memory."""
    core = openvino.Core()
    try:
        image = core.read_model(graphs.folder / "image.xml")
        text = core.read_model(graphs.folder / "text.xml")
    except RuntimeError as exc:
        raise CheckpointError(f"the graphs in {graphs.folder} cannot be read: {exc}") from exc
    path = graphs.folder / TOKENIZER
    tokenizer = Tokenizer.of_file(path, graphs.end, checkpoint.context_length)
    return {"image": image, "text": text}, tokenizer


def _convert(checkpoint: Checkpoint) -> tuple[dict[str, Any], Tokenizer]:
    """Graphs from the weights, by way of torch."""
    from model.convert import convert
    from model.torch_encoder import TorchEncoder

    log.info("converting for OpenVINO; `sweetspot export` saves the result for the next start")
    encoder = TorchEncoder(checkpoint, ModelConfig(device="cpu"))
    return convert(encoder), encoder.tokenizer
