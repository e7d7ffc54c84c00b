"""Which precisions would make the encoder faster on the same machine."""

from __future__ import annotations

from model.config import ModelConfig
from model.encoder import EncoderSpec
from model.load import runnable

# Of ViT-B/32 and larger on CPUs with VNNI: docs/performance.md.
INT8 = "int8 (sweetspot quantize, three to four times the images)"


def faster_precisions(config: ModelConfig, spec: EncoderSpec) -> tuple[str, ...]:
    """Return what to use instead of float32, the fastest first; nothing in other precisions.

    config: of the model. spec: of the encoder that runs it now.
    """
    if spec.precision != "float32" or spec.backend == "fake":
        return ()
    found = {one.precision for one in runnable(config) if one.device == spec.device}
    if spec.device != "cpu":
        return tuple(f"--precision {one}" for one in ("float16", "bfloat16") if one in found)
    int8 = "--precision int8" if "int8" in found else INT8
    return (int8, "--precision bfloat16") if "bfloat16" in found else (int8,)
