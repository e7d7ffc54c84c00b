"""The model's configuration, frozen and created once by the composition root; its scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Device = Literal["auto", "cpu", "cuda"]
Backend = Literal["auto", "torch", "openvino", "fake"]
Precision = Literal["auto", "float32", "bfloat16", "float16", "int8"]
Policy = Literal["display", "reference"]
ScoreKind = Literal["softmax", "sigmoid"]
# Part of the fingerprint. Raise the number with every change in preprocess.py that changes the
# pixels of a policy.
POLICY_VERSIONS: dict[Policy, str] = {"display": "display-2", "reference": "reference-1"}


@dataclass(frozen=True)
class ModelConfig:
    """What `model.load.load` needs.

    model: a folder, a hub id (`owner/name` or `owner/name@revision`), `builtin`, or None for
    the platform's folder if it holds a checkpoint, else the built-in.
    name: the name that callers see; None takes it from the checkpoint.
    backend: auto is torch on CUDA, else OpenVINO if it is installed, else torch.
    precision: auto is float16 on CUDA; int8 on OpenVINO if the checkpoint has quantized graphs;
        else float32.
    max_image_pixels: the largest width x height that is decoded.
    threads: CPU threads of one forward pass; 0 leaves the choice to the library.
    cuda_graphs: run images from CUDA graphs, which only a CUDA device has.
    """

    model: str | None = None
    name: str | None = None
    device: Device = "auto"
    backend: Backend = "auto"
    precision: Precision = "auto"
    policy: Policy = "display"
    max_image_pixels: int = 50_000_000
    threads: int = 0
    cuda_graphs: bool = False


@dataclass(frozen=True)
class Scores:
    """How the cosine of an image and a text becomes a score: scale x cosine + bias, then `kind`.

    softmax: over the texts that are compared. sigmoid: of each text by itself.
    """

    kind: ScoreKind
    scale: float
    bias: float
