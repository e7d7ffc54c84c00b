"""Quantization to int8 graphs: static scales from calibration, and a gate on fidelity.

Scales are static because dynamic ones depend on the whole batch: an embedding would depend on its
batch mates. Needs nncf (the extra `quantize`); serving the result does not.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from model.backends.openvino_encoder import OpenVinoEncoder
from model.backends.runtime import core, cpu_has_bfloat16
from model.encoder import Float32Array, TowerName, UInt8Array
from model.errors import ModelError
from model.fidelity.cosines import Fidelity, fidelity

# The first layer is 3 % of ViT-B/32's work and causes most of its error in int8: pixels of 0..255,
# far from zero, multiply the rounding errors of the weights (docs/performance.md).
CONVOLUTION = "Convolution"
# What the names of a tower begin with in a traced graph (`model.backends.convert`).
TRACED = "__module.tower."
WITH_WEIGHTS = ("MatMul", CONVOLUTION)
# Calibration items per trial of a few layers. The search for harmful layers takes many trials.
TRIAL_ITEMS = 16
# A layer stays in float32 if it alone costs more than this share of the margin, which is 1 for
# float32 and 0 at the floors. While the other layers cost too much, the next share is tried.
SHARES = (1.0, 0.5, 0.25, 0.1)


class BelowFloors(ModelError):
    """No quantized graph keeps the floors. The message gives the values of the last try."""


@dataclass(frozen=True)
class Floors:
    """Limits of int8. min_cosine: to float32, at the first percentile of the held-out items.

    min_overlap: mean share, 0..1, of each item's ten nearest neighbours that stay the same.
    """

    min_cosine: float = 0.99
    min_overlap: float = 0.9

    def margin(self, found: Fidelity) -> float:
        """Return 1 if equal to float32, 0 at the nearer floor, a negative number below it."""
        cosine = (found.plain.p1 - self.min_cosine) / (1 - self.min_cosine)
        if found.overlap is None:
            return cosine
        return min(cosine, (found.overlap - self.min_overlap) / (1 - self.min_overlap))


@dataclass(frozen=True)
class QuantizedTower:
    """fidelity: on the held-out items. in_float32: layers that stay in float32.

    in_bfloat16: the fidelity with everything that is not int8 in bfloat16; None if not measured.
    """

    graph: Any
    fidelity: Fidelity
    in_float32: tuple[str, ...]
    in_bfloat16: Fidelity | None = None


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
        pixels: uint8 [N, S, S, 3], of images like those that the service receives.
        texts: like those that the service receives. Every third image and text is held out.
        floors: harmful layers stay in float32 until the floors are kept.
        report: called with messages about the progress.

    Returns:
        The towers `image` and `text`.

    Raises:
        BelowFloors: the floors cannot be kept.
    """
    images = [one[None] for one in pixels]
    tokens = [encoder.tokenizer([text])[0] for text in texts]
    items_of: dict[TowerName, Sequence[Any]] = {"image": images, "text": tokens}
    towers: dict[TowerName, QuantizedTower] = {}
    for name, items in items_of.items():
        report(f"the {name} tower")
        gate = _Gate(encoder.graph(name), items, floors)
        with contextlib.redirect_stdout(sys.stderr):  # nncf draws its progress there
            towers[name] = gate.quantized()
        _check(name, towers[name], floors)
        if cpu_has_bfloat16():
            towers[name] = gate.beside_bfloat16(towers[name])
    return towers


def as_report(
    towers: Mapping[TowerName, QuantizedTower], floors: Floors, *, generated: bool
) -> dict[str, Any]:
    """Return the report saved with the graphs. generated: all measured items were generated.

    Its `bfloat16` says whether both towers keep the floors in bfloat16; the encoder then uses it.
    """
    rest = [tower.in_bfloat16 for tower in towers.values()]
    found: dict[str, Any] = {
        name: tower.fidelity.as_dict()
        | {"in_float32": list(tower.in_float32)}
        | {"in_bfloat16": tower.in_bfloat16.as_dict() if tower.in_bfloat16 else None}
        for name, tower in towers.items()
    }
    keeps = all(one is not None and floors.margin(one) >= 0 for one in rest)
    return {"floors": asdict(floors), "generated": generated, "bfloat16": keeps, **found}


def _check(name: str, tower: QuantizedTower, floors: Floors) -> None:
    """Raise BelowFloors if a tower is below the floors or has no layer in int8."""
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
    """Quantizes one graph repeatedly and measures the loss."""

    def __init__(self, graph: Any, items: Sequence[Any], floors: Floors) -> None:
        self._graph = graph
        self._held_out = list(items[::3])
        self._calibration = [item for index, item in enumerate(items) if index % 3]
        self._floors = floors
        self._rows = _run(graph, self._held_out)
        self._alone: dict[tuple[str, ...], float] = {}

    def quantized(self) -> QuantizedTower:
        """Return the first try that keeps the floors, or the last try below them."""
        layers = [op.get_friendly_name() for op in _layers(self._graph)]
        kept: list[str] = []
        tower = self._try(kept, self._calibration)
        for share in SHARES:
            if self._floors.margin(tower.fidelity) >= 0 or len(kept) == len(layers):
                break
            kept = self._culprits(layers, layers, share)
            tower = self._try(kept, self._calibration)
        return tower

    def beside_bfloat16(self, tower: QuantizedTower) -> QuantizedTower:
        """Return the tower with its fidelity when the rest is in bfloat16, which is faster."""
        rows = _run(tower.graph, self._held_out, "bf16")
        return replace(tower, in_bfloat16=fidelity(rows, self._rows))

    def _culprits(self, some: Sequence[str], layers: Sequence[str], share: float) -> list[str]:
        """Find by bisection the layers that alone cost more than a share of the margin."""
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
        """Return the margin with only these layers in int8. Measured once, for all shares."""
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
    """Return a copy in int8, except the first layer and the layers in `kept`."""
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    # Its own function would also set the level of handlers that are not its own.
    logging.getLogger(nncf.__name__).setLevel(logging.ERROR)
    return nncf.quantize(
        graph,
        nncf.Dataset(calibration),
        subset_size=len(calibration),
        model_type=nncf.ModelType.TRANSFORMER,
        ignored_scope=nncf.IgnoredScope(names=[*kept, *_first(graph)], validate=False),
        advanced_parameters=AdvancedQuantizationParameters(
            # A mean of the ranges over images would clip white in the brightest images.
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
            disable_bias_correction=True,  # no gain measured
        ),
    )


def _first(graph: Any) -> list[str]:
    """Return the name of the first layer of an image tower; a text tower has none like it."""
    ops = graph.get_ordered_ops()
    return [op.get_friendly_name() for op in ops if op.get_type_name() == CONVOLUTION][:1]


def _layers(graph: Any) -> list[Any]:
    """Return the layers with weights: MatMul of a constant, and convolutions."""
    return [op for op in graph.get_ordered_ops() if op.get_type_name() in WITH_WEIGHTS]


def _run(graph: Any, items: Sequence[Any], hint: str = "f32") -> Float32Array:
    """Embed items one by one, because texts differ in length. Returns float32 [N, D].

    hint: OpenVINO's precision of what is not int8.
    """
    compiled = core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": hint})
    return np.concatenate([compiled(item)[0] for item in items])


def _in_float32(graph: Any) -> tuple[str, ...]:
    """Return the torch names of the layers with weights whose input is not quantized."""
    return tuple(
        op.get_friendly_name().removeprefix(TRACED).split("/")[0]
        for op in _layers(graph)
        if op.input_value(0).get_node().get_type_name() != "FakeQuantize"
    )
