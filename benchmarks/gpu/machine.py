"""The machine: card, driver, versions, and the flags that change results."""

from __future__ import annotations

import shutil
import subprocess
import time

import torch

from benchmarks.gpu.plan import Box, Found, Numbers, Plan
from inference.profile.machine import cores, cpu_name, memory_in_words
from model.backends.cuda.driver import check_driver, driver_cuda, has_bfloat16

MIB = 2**20


def run(plan: Plan, box: Box) -> Found:
    """Describe the machine. Raises if the requested device or its driver is unusable."""
    numbers: Numbers = {"cpu": cpu_name(), "cores": cores(), "memory": memory_in_words()}
    box.note(numbers)
    numbers["flags"] = _flags()
    if plan.device == "cpu":
        return Found(numbers, f"{cpu_name()}, {cores()} cores; no card is measured")
    check_driver(driver_cuda(), torch.version.cuda)
    if not torch.cuda.is_available():
        raise RuntimeError("torch finds no CUDA device")
    numbers["card"] = card = _card()
    return Found(numbers, f"{card['name']}, driver {card['driver']}, CUDA {card['torch_cuda']}")


def _card() -> Numbers:
    start_s = time.monotonic()
    torch.zeros(1, device="cuda")
    torch.cuda.synchronize()
    started_s = time.monotonic() - start_s
    free, total = torch.cuda.mem_get_info()
    return {
        "name": torch.cuda.get_device_name(),
        "capability": list(torch.cuda.get_device_capability()),
        "memory_mib": total // MIB,
        "free_mib": free // MIB,
        "bfloat16": has_bfloat16(),
        "driver": _driver(),
        "driver_cuda": driver_cuda(),
        "torch_cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]  # torch's
        "start_s": round(started_s, 3),
    }


def _driver() -> str:
    """Return the driver's version, from nvidia-smi."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return "unknown"
    asked = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False)
    except subprocess.TimeoutExpired:
        return "unknown"
    return (done.stdout.splitlines() or ["unknown"])[0].strip()


def _flags() -> Numbers:
    """Return torch's flags that allow less precise arithmetic."""
    matmul = torch.backends.cuda.matmul
    return {
        "matmul_allow_tf32": matmul.allow_tf32,
        "cudnn_allow_tf32": torch.backends.cudnn.allow_tf32,
        "float16_reduced_sums": matmul.allow_fp16_reduced_precision_reduction,
        "bfloat16_reduced_sums": matmul.allow_bf16_reduced_precision_reduction,
    }
