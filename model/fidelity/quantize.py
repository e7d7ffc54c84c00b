"""int8 graphs of a checkpoint: static scales from calibration, and a gate they must pass.

Static scales, since dynamic ones are of the whole batch: an embedding would depend on its batch
mates. Needs nncf, the extra `quantize`; serving the result does not.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from model.backends.openvino_encoder import OpenVinoEncoder
from model.backends.runtime import core
from model.encoder import Float32Array, TowerName, UInt8Array
from model.errors import ModelError
from model.fidelity.cosines import Fidelity, fidelity

# The first layer is 3 % of ViT-B/32's work and most of its error in int8: its weights' rounding
# meets pixels of 0..255, far from zero (docs/performance.md).
FIRST_LAYER = "Convolution"
WITH_WEIGHTS = ("MatMul", FIRST_LAYER)
# To find layers that hurt, so many items calibrate: many a trial, and each is only of a few layers.
TRIAL_ITEMS = 16
# A layer stays in float32 that on its own costs more than this of the way from float32 (margin 1)
# to the floors (0): all of it, or, when the rest together still cost too much, less and less.
SHARES = (1.0, 0.5, 0.25, 0.1)


class BelowFloors(ModelError):
    """No quantized graph keeps the floors. The message says how near the best came."""


@dataclass(frozen=True)
class Floors:
    """What int8 must keep. min_cosine: of the first percentile of held-out items, to float32.

    min_overlap: mean share of each item's ten nearest neighbours that stay.
    """

    min_cosine: float = 0.99
    min_overlap: float = 0.9

    def margin(self, found: Fidelity) -> float:
        """1 of what equals float32, 0 at the nearer floor, below it negative."""
        cosine = (found.plain.p1 - self.min_cosine) / (1 - self.min_cosine)
        if found.overlap is None:
            return cosine
        return min(cosine, (found.overlap - self.min_overlap) / (1 - self.min_overlap))


@dataclass(frozen=True)
class QuantizedTower:
    """fidelity: on the items held out. in_float32: layers that were kept so."""

    graph: Any
    fidelity: Fidelity
    in_float32: tuple[str, ...]


def quantize(
    encoder: OpenVinoEncoder,
    pixels: UInt8Array,
    texts: Sequence[str],
    floors: Floors,
    report: Callable[[str], None] = lambda _: None,
) -> dict[TowerName, QuantizedTower]:
    """Quantize both towers of a float32 encoder.

    Args:
        encoder: in float32.
        pixels: uint8 [N, S, S, 3], of images as the service is sent them.
        texts: as the service is asked. Of both, every third is held out to measure by.
        floors: layers that hurt stay in float32 until they are kept.
        report: told in words what goes on.

    Returns:
        The towers `image` and `text`.

    Raises:
        BelowFloors: not even so.
    """
    images = [one[None] for one in pixels]
    tokens = [encoder.tokenizer([text])[0] for text in texts]
    items_of: dict[TowerName, Sequence[Any]] = {"image": images, "text": tokens}
    towers: dict[TowerName, QuantizedTower] = {}
    for name, items in items_of.items():
        report(f"the {name} tower")
        with contextlib.redirect_stdout(sys.stderr):  # nncf draws its progress there
            towers[name] = _Gate(encoder.graph(name), items, floors).quantized()
        _check(name, towers[name], floors)
    return towers


def as_report(
    towers: Mapping[TowerName, QuantizedTower], floors: Floors, *, generated: bool
) -> dict[str, Any]:
    """What is kept beside the graphs. generated: whether all it was measured on was drawn."""
    found: dict[str, Any] = {
        name: tower.fidelity.as_dict() | {"in_float32": list(tower.in_float32)}
        for name, tower in towers.items()
    }
    return {"floors": asdict(floors), "generated": generated, **found}


def _check(name: str, tower: QuantizedTower, floors: Floors) -> None:
    """Raise BelowFloors, also when nothing is left in int8."""
    found, kept, layers = tower.fidelity, len(tower.in_float32), len(_layers(tower.graph))
    if floors.margin(found) >= 0 and kept < layers:
        return
    overlap = "" if found.overlap is None else f" and {found.overlap:.1%} of the neighbours"
    raise BelowFloors(
        f"the {name} tower in int8 keeps a cosine of {found.plain.p1:.6f} (first percentile)"
        f"{overlap} with {kept} of {layers} layers in float32; the floors are "
        f"{floors.min_cosine} and {floors.min_overlap:.1%}"
    )


class _Gate:
    """Quantizes one graph again and again, and measures what was lost."""

    def __init__(self, graph: Any, items: Sequence[Any], floors: Floors) -> None:
        self._graph = graph
        self._held_out = list(items[::3])
        self._calibration = [item for index, item in enumerate(items) if index % 3]
        self._floors = floors
        self._rows = _run(graph, self._held_out)
        self._alone: dict[tuple[str, ...], float] = {}

    def quantized(self) -> QuantizedTower:
        """As much in int8 as keeps the floors, or the last try below them."""
        layers = [op.get_friendly_name() for op in _layers(self._graph)]
        kept: list[str] = []
        tower = self._try(kept, self._calibration)
        for share in SHARES:
            if self._floors.margin(tower.fidelity) >= 0 or len(kept) == len(layers):
                break
            kept = self._culprits(layers, layers, share)
            tower = self._try(kept, self._calibration)
        return tower

    def _culprits(self, some: Sequence[str], layers: Sequence[str], share: float) -> list[str]:
        """Those of some layers that alone cost more than a share of the margin; by halves."""
        if self._margin_of(some, layers) >= 1 - share:
            return []
        if len(some) == 1:
            return list(some)
        half = len(some) // 2
        return [
            *self._culprits(some[:half], layers, share),
            *self._culprits(some[half:], layers, share),
        ]

    def _margin_of(self, some: Sequence[str], layers: Sequence[str]) -> float:
        """With these alone in int8; tried once, for every share."""
        key = tuple(some)
        if key not in self._alone:
            others = [name for name in layers if name not in some]
            trial = self._try(others, self._calibration[:TRIAL_ITEMS])
            self._alone[key] = self._floors.margin(trial.fidelity)
        return self._alone[key]

    def _try(self, kept: Sequence[str], calibration: Sequence[Any]) -> QuantizedTower:
        graph = _quantized(self._graph, kept, calibration)
        return QuantizedTower(
            graph, fidelity(_run(graph, self._held_out), self._rows), _in_float32(graph)
        )


def _quantized(graph: Any, kept: Sequence[str], calibration: Sequence[Any]) -> Any:
    """A copy in int8 but for the first layer and those named."""
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    nncf.set_log_level(logging.ERROR)
    return nncf.quantize(
        graph,
        nncf.Dataset(calibration),
        subset_size=len(calibration),
        model_type=nncf.ModelType.TRANSFORMER,
        ignored_scope=nncf.IgnoredScope(names=list(kept), types=[FIRST_LAYER], validate=False),
        advanced_parameters=AdvancedQuantizationParameters(
            # A mean over images would clip the white of all but the brightest.
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
            disable_bias_correction=True,  # no gain measured
        ),
    )


def _layers(graph: Any) -> list[Any]:
    """What multiplies by weights: MatMul of a constant, and the first layer."""
    return [op for op in graph.get_ordered_ops() if op.get_type_name() in WITH_WEIGHTS]


def _run(graph: Any, items: Sequence[Any]) -> Float32Array:
    """float32 [N, D] of items one by one: texts differ in length, and batch mates do not matter."""
    compiled = core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([compiled(item)[0] for item in items])


def _in_float32(graph: Any) -> tuple[str, ...]:
    """Layers with weights whose input is not quantized, by the name they had in torch."""
    return tuple(
        op.get_friendly_name().removeprefix("__module.").split("/")[0]
        for op in _layers(graph)
        if op.input_value(0).get_node().get_type_name() != "FakeQuantize"
    )
