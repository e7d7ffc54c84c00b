"""What graphs keep of the weights that they were made from, so that they serve without them.

It stands in the manifest of the graphs: `openvino/*/graphs.json`, under `weights`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.checkpoints.families import Sizes
from model.checkpoints.layouts import GRAPHS, MANIFEST, read_json


@dataclass(frozen=True)
class WeightsRecord:
    """sha256: of each file of the weights, concatenated. scale, bias: of `Scores`, if any."""

    sizes: Sizes
    sha256: bytes
    scale: float | None
    bias: float | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        sides = self.sizes.image_sides
        return {
            "sizes": self.sizes._asdict() | {"image_sides": [sides.start, sides.stop, sides.step]},
            "sha256": self.sha256.hex(),
            "scale": self.scale,
            "bias": self.bias,
        }


def read_record(folder: Path) -> WeightsRecord | None:
    """Return the record in the graphs of a checkpoint's folder; None if they have none.

    Raises:
        CheckpointError: a manifest is broken. ValueError, TypeError, KeyError: its record is.
    """
    for manifest in sorted((folder / GRAPHS).glob(f"*/{MANIFEST}")):
        if found := read_json(manifest).get("weights"):
            return _record(found)
    return None


def _record(found: dict[str, Any]) -> WeightsRecord:
    sizes = {name: int(found["sizes"][name]) for name in ("image", "text", "context_length")}
    return WeightsRecord(
        sizes=Sizes(image_sides=range(*found["sizes"]["image_sides"]), **sizes),
        sha256=bytes.fromhex(found["sha256"]),
        scale=_finite(found["scale"]),
        bias=_finite(found["bias"]),
    )


def _finite(value: Any) -> float | None:
    if value is None:
        return None
    if not math.isfinite(number := float(value)):
        raise ValueError(f"{value} is no scale of scores")
    return number
