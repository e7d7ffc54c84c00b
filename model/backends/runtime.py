"""OpenVINO without its telemetry. Import OpenVINO only from here.

On import, and at each conversion, OpenVINO (and nncf) report to an analytics server over the
network unless the user has opted out, and leave files in the home folder. A service in a user's
network must not do that: docs/decisions/0008.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

# None makes `import openvino_telemetry` fail, and both packages then continue without it.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # what Python documents

import openvino  # noqa: E402 - after the line above

if TYPE_CHECKING:
    import torch

__all__ = ["core", "cpu_has_bfloat16", "openvino", "traced"]


@cache
def core() -> openvino.Core:
    """Return the only core of this process. Never create a second one: it can crash the process.

    A core's CPU plugin sets a signal stack in the thread that creates it, and restores the old one
    when destroyed. If two are destroyed in the order of creation, the second restores the first's
    freed stack, and the next signal, such as Ctrl-C, ends the process. Seen in OpenVINO 2026.4.
    """
    return openvino.Core()


def cpu_has_bfloat16() -> bool:
    """Whether this CPU computes in bfloat16; without it, OpenVINO would use float32."""
    return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def traced(module: torch.nn.Module, example: torch.Tensor, shape: list[int]) -> openvino.Model:
    """Convert a torch module by tracing it with an example; shape: of its input, -1 is any.

    `openvino.convert_model` alone would have torch trace it a second time and compare both, which
    took half of the conversion, and says nothing about inputs of other shapes.
    """
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    once = {"check_trace": False}
    decoder = TorchScriptPythonDecoder(module, example_input=example, trace_kwargs=once)
    return openvino.convert_model(decoder, input=[shape])
