"""What to load and how to run it: frozen, made once by the composition root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model.memory_budget import UNLIMITED, MemoryBudget

Device = Literal["auto", "cpu", "cuda"]
Backend = Literal["auto", "torch", "openvino", "fake"]
Precision = Literal["auto", "float32", "bfloat16", "float16", "int8"]
Policy = Literal["display", "reference"]
# Part of the fingerprint: the number to be raised with any change of preprocess.py that changes a
# policy's pixels.
POLICY_VERSIONS: dict[Policy, str] = {"display": "display-2", "reference": "reference-1"}


@dataclass(frozen=True)
class ModelConfig:
    """What `model.load.load` needs.

    model: a folder, a hub id (`owner/name` or `owner/name@revision`), `builtin`, or None for
    the platform's folder when it holds a checkpoint, else the built-in.
    name: what callers see; None takes it from the checkpoint.
    backend: auto is torch on CUDA, else OpenVINO where it is installed, else torch.
    precision: auto is float16 on CUDA; on OpenVINO int8 where the checkpoint holds quantized
        graphs; else float32.
    max_image_pixels: the largest width x height that is decoded.
    budget: memory for decoding, shared by all that decode.
    threads: of one forward pass on CPU; 0 is the library's own choice.
    """

    model: str | None = None
    name: str | None = None
    device: Device = "auto"
    backend: Backend = "auto"
    precision: Precision = "auto"
    policy: Policy = "display"
    max_image_pixels: int = 50_000_000
    budget: MemoryBudget = UNLIMITED
    threads: int = 0
