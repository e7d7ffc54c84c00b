"""Peak matrix-product rates of this machine, to compare encoders with."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from inference.profile.machine import cores
from model.backends.runtime import openvino

ops = openvino.opset13
SIDE = 2048
OPERATIONS = 2 * SIDE**3
BUDGET_S = 2.0


def float32_gops() -> float:
    """Measure giga-operations/s of torch's float32 matrix product; a multiply-add is two."""
    matrix = torch.randn(SIDE, SIDE)
    return _best_gops(lambda: matrix @ matrix)


def int8_gops() -> float:
    """Measure the same of a quantized product as nncf writes it: uint8 by int8, both scaled."""
    dice = np.random.default_rng(0)
    batch = ops.parameter([SIDE, SIDE], np.float32)
    low, high = np.float32(0), np.float32(255)
    quantized = ops.fake_quantize(batch, low, high, low, high, 256)
    weights = ops.constant(dice.integers(-127, 128, (SIDE, SIDE), dtype=np.int8))
    scaled = ops.multiply(ops.convert(weights, "f32"), np.full((SIDE, 1), 0.01, np.float32))
    product = ops.matmul(quantized, scaled, False, True)
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": cores()}
    compiled = openvino.Core().compile_model(openvino.Model([product], [batch]), "CPU", options)
    request = compiled.create_infer_request()
    values = dice.integers(0, 256, (SIDE, SIDE)).astype(np.float32)
    return _best_gops(lambda: request.infer({0: values}, share_inputs=True, share_outputs=True))


def _best_gops(run: Callable[[], object]) -> float:
    """Return the rate of the fastest of many runs."""
    run()
    best_s, end_s = float("inf"), time.perf_counter() + BUDGET_S
    while time.perf_counter() < end_s:
        start_s = time.perf_counter()
        run()
        best_s = min(best_s, time.perf_counter() - start_s)
    return OPERATIONS / best_s / 1e9
