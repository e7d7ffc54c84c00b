"""Both towers on OpenVINO: the fastest exact back end on a CPU, and the only one with int8.

Graphs come from the checkpoint's `openvino/` folder. If there are none, they are converted from the
torch model, which is not needed afterwards.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np

from model.backends.gather import Gather
from model.backends.mapped import release_pages
from model.backends.runtime import core, cpu_has_bfloat16
from model.backends.spec import spec_of
from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.graphs import Graphs, check_int8, find
from model.checkpoints.tokenizer import Tokenizer
from model.config import ModelConfig, Precision
from model.encoder import EncoderSpec, Float32Array, Int64Array, Pixels, TowerName, UInt8Array
from model.errors import CheckpointError, OutOfMemory

log = logging.getLogger(__name__)

# OpenVINO's default is bfloat16 if the CPU has it, which changes a raw text embedding by 0.02.
HINTS = {"float32": "f32", "bfloat16": "bf16"}
# Number of kernels kept, each for one shape of batch, with packed weights. 150 shapes of ViT-B/32's
# text tower in int8 took 960 MB without a limit, 240 MB with this one. With 16 alternating lengths
# a text took 8 ms, and 13 ms if the kernels were prepared each time.
PREPARED = 1024
Sources = dict[TowerName, Callable[[], Any]]


class OpenVinoEncoder:
    """Compiles each tower at its first batch, for the number of threads set at that time.

    In int8 on several streams, an image that comes alone, while no other batch runs, has all their
    threads, in a graph of its own. Bulk batches never use it, because the other streams run then.

    graphs: used instead of those in the checkpoint's folder.
    """

    def __init__(
        self, checkpoint: Checkpoint, config: ModelConfig, graphs: Graphs | None = None
    ) -> None:
        self._threads, self._streams = max(1, config.threads), 1
        self._lock = threading.Lock()
        self._gather = Gather()
        self._running, self._counting = 0, threading.Lock()
        self._towers: dict[tuple[TowerName, int, int], _Tower] = {}
        graphs = graphs or _graphs(checkpoint, config.precision)
        precision = config.precision
        if precision == "auto":
            precision = graphs.precision if graphs else "float32"
        quantized = ""
        if graphs and precision == "int8":
            self._hint, quantized = _beside_int8(graphs)
        else:
            self._hint = HINTS[precision]
        # Packed weights are not shared between graphs: 92 MB for ViT-B/32, 4 times in float32.
        self._has_wide = precision == "int8"
        self._folder = graphs.folder if graphs else None
        opened = _open(checkpoint, graphs) if graphs else _convert(checkpoint)
        self._sources, self.tokenizer = opened
        self._spec = spec_of(checkpoint, config, "openvino", "cpu", precision, quantized)

    @property
    def spec(self) -> EncoderSpec:
        """Sizes and identity."""
        return self._spec

    def encode_images(self, pixels: Pixels) -> Float32Array:
        """Embed a batch. pixels: N x uint8 [S, S, 3] RGB. Returns float32 [N, D], unit norm."""
        batch = self._gather(pixels)
        with self._counted() as is_first:
            wide = is_first and len(batch) == 1 and self._has_wide
            return self._tower("image", wide=wide).run(batch)

    def encode_texts(self, texts: Sequence[str]) -> tuple[Float32Array, Int64Array]:
        """Embed N texts. Returns float32 [N, D], unit norm, and int64 [N]: tokens of each."""
        tokens, lengths = self.tokenizer(texts)
        with self._counted():
            return self._tower("text").run(tokens), lengths

    def use_threads(self, threads: int, streams: int = 1) -> None:
        """Compile again at the next batch. Graphs compiled for other numbers are kept."""
        self._threads, self._streams = threads, streams

    def warm_up(self) -> None:
        """Compile both towers, run them once, and release the pages of the graphs' files."""
        side = self._spec.image_size
        for count in (1, 2) if self._has_wide else (1,):  # alone, and in a batch
            self.encode_images(np.zeros((count, side, side, 3), dtype=np.uint8))
            self._let_go()
        self.encode_texts(["warm-up"])
        self._let_go()

    def close(self) -> None:
        """Drop the graphs."""
        self._towers.clear()
        self._sources.clear()

    def graph(self, name: TowerName) -> Any:
        """Return the graph of a tower, not compiled."""
        return self._sources[name]()

    def _let_go(self) -> None:
        if self._folder is not None:
            release_pages(self._folder)

    @contextmanager
    def _counted(self) -> Iterator[bool]:
        """Count the block as a running batch. Yields whether it is the only one now."""
        with self._counting:
            self._running += 1
            is_first = self._running == 1
        try:
            yield is_first
        finally:
            with self._counting:
                self._running -= 1

    def _tower(self, name: TowerName, *, wide: bool = False) -> _Tower:
        """Return the compiled tower; if `wide`, with the threads of all streams on one."""
        threads, streams = self._threads, self._streams
        key = (name, threads * streams, 1) if wide else (name, threads, streams)
        if key not in self._towers:
            with self._lock:
                if key not in self._towers:
                    self._towers[key] = _Tower(self.graph(name), *key[1:], hint=self._hint)
        return self._towers[key]


class _Tower:
    """One compiled graph. A forward pass borrows a request, which holds its buffers."""

    def __init__(self, model: Any, threads: int, streams: int, hint: str) -> None:
        self._compiled = core().compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": hint,
                "NUM_STREAMS": streams,
                "INFERENCE_NUM_THREADS": threads * streams,
                # Decoding threads share the cores, so the scheduler chooses cores better.
                "ENABLE_CPU_PINNING": False,
                "CPU_RUNTIME_CACHE_CAPACITY": PREPARED,
            },
        )
        self._idle: list[Any] = []

    def run(self, batch: UInt8Array | np.ndarray[Any, np.dtype[np.int64]]) -> Float32Array:
        """Run a batch. Returns float32 [N, D] in its own memory."""
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
    """Find the graphs of a precision, if any. `auto` means int8 if the artifact has it."""
    if precision in ("auto", "int8") and (quantized := find(checkpoint, "int8")):
        return quantized
    if precision == "int8":
        check_int8(checkpoint.folder)
    return find(checkpoint, "float32")


def _beside_int8(graphs: Graphs) -> tuple[str, str]:
    """Return the hint for the operations that are not int8, and the identity of the result.

    bfloat16 if the gate of `quantize` has passed it and this CPU has it. It changes the embeddings
    a little, so they have a fingerprint of their own.
    """
    if not graphs.fidelity.get("bfloat16"):
        return "f32", graphs.digest
    if cpu_has_bfloat16():
        return "bf16", f"{graphs.digest}-bfloat16"
    log.warning(
        "the int8 graphs were made for a CPU with bfloat16; this one has none, so fingerprint and "
        "embeddings differ from those of CPUs that have it"
    )
    return "f32", graphs.digest


def _open(checkpoint: Checkpoint, graphs: Graphs) -> tuple[Sources, Tokenizer]:
    """Return sources that read a graph when it is compiled, with its weights mapped into memory."""
    sources: Sources = {name: partial(_read, graphs.folder, name) for name in get_args(TowerName)}
    if graphs.tokenizer is None:
        return sources, Tokenizer.of_checkpoint(checkpoint)
    length = checkpoint.context_length
    return sources, Tokenizer.of_file(graphs.tokenizer, graphs.end, length, graphs.pad)


def _read(folder: Path, name: TowerName) -> Any:
    try:
        return core().read_model(folder / f"{name}.xml")
    except RuntimeError as exc:
        raise CheckpointError(f"the graphs in {folder} cannot be read: {exc}") from exc


def _convert(checkpoint: Checkpoint) -> tuple[Sources, Tokenizer]:
    """Convert the weights to graphs through torch."""
    from model.backends.convert import convert
    from model.backends.torch_encoder import TorchEncoder

    log.info("converting for OpenVINO; `sweetspot export` saves the result for the next start")
    encoder = TorchEncoder(checkpoint, ModelConfig(device="cpu"))
    graphs = convert(encoder)
    return {name: partial(graphs.__getitem__, name) for name in graphs}, encoder.tokenizer
