"""Comparison of a container's embeddings with those of transformers' own code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import requests

from benchmarks.containers.running import LeftOut, Running
from inference.loadtest.summary import RequestFailed
from model.encoder import Float32Array
from model.fidelity.cosines import fidelity
from model.fidelity.parity import Reference


def reference(checkpoint: Path, urls: Sequence[str]) -> Float32Array:
    """Return the expected embeddings of the images of URLs. float32 [N, D], unit norm."""
    images = [requests.get(url, timeout=10).content for url in urls]
    return Reference(checkpoint).embed_images(images)


def cosine(running: Running, urls: Sequence[str], wanted: Float32Array) -> float:
    """Return the smallest cosine over the images. Raises LeftOut when it is too small."""
    try:
        found = running.embed(urls)
    except RequestFailed as exc:
        raise LeftOut(f"it does not answer: {exc}") from exc
    if None in found:
        raise LeftOut(f"{found.count(None)} of {len(found)} images failed")
    matrix = np.asarray(found, np.float32)
    if matrix.shape != wanted.shape:
        raise LeftOut(f"it answers with embeddings of shape {matrix.shape}, not {wanted.shape}")
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    smallest = fidelity(matrix / norms, wanted).plain.min
    if not smallest > running.container.min_cosine:
        raise LeftOut(f"wrong embeddings: cosine to the reference {smallest:.4f}")
    return smallest
