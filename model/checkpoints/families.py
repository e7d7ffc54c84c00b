"""The families of checkpoints: how each names its weights, and how its towers are fed.

Light to import. What computes is in `model/backends/towers/load.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from model.config import ScoreKind
from model.images.geometry import FILTERS, MAX_SIDE

# Shapes of the weights by name.
Shapes = Mapping[str, tuple[int, ...]]

# The defaults of transformers 5 for absent keys (`CLIPImageProcessorPil`).
CLIP_IMAGES: Mapping[str, Any] = {
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"shortest_edge": 224},
    "use_square_size": False,
    "default_to_square": False,
    "resample": FILTERS.index("bicubic"),
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": (0.48145466, 0.4578275, 0.40821073),
    "image_std": (0.26862954, 0.26130258, 0.27577711),
    "do_pad": False,
}
# The same of `SiglipImageProcessorPil`, which squashes the whole picture to a square.
SIGLIP_IMAGES: Mapping[str, Any] = {
    **{key: value for key, value in CLIP_IMAGES.items() if key != "use_square_size"},
    "size": {"height": 224, "width": 224},
    "do_center_crop": False,
    "image_mean": (0.5, 0.5, 0.5),
    "image_std": (0.5, 0.5, 0.5),
}

_PATCH = "vision_model.embeddings.patch_embedding.weight"
_PATCH_POSITIONS = "vision_model.embeddings.position_embedding.weight"
_TOKEN_POSITIONS = "text_model.embeddings.position_embedding.weight"  # noqa: S105 - no password
# Of the px that an image tower takes, for one place at its end.
RESNET_STRIDE = CONVNEXT_STRIDE = 32


class Sizes(NamedTuple):
    """image_sides: of the pictures that the image tower takes, px. context_length: tokens.

    image, text: dimensions of a tower's embedding.
    """

    image_sides: range
    image: int
    text: int
    context_length: int


@dataclass(frozen=True, eq=False)
class Family:
    """Checkpoints of one architecture.

    name: `model_type` in config.json. words: what people call it. image_sides: reads from the
    shapes of the weights which sides of pictures, px, the image tower takes. image_ends: one of
    these weights is there, and its first side is the dimension of an image's embedding; each with
    its rank. text_end: the same of a text. image_processors: what their types begin with.
    image_defaults: of absent keys. pads_texts: to the context length, as in training; else a text
    ends with its end token. score: how its training turned similarities into scores.
    """

    name: str
    words: str
    image_sides: Callable[[Shapes], range]
    image_ends: tuple[tuple[str, int], ...]
    text_end: tuple[str, int]
    image_processors: tuple[str, ...]
    image_defaults: Mapping[str, Any]
    pads_texts: bool = False
    score: ScoreKind = "softmax"

    def sizes(self, shapes: Shapes) -> Sizes:
        """Read the sizes from the shapes of the weights. Raises LookupError: as `shape_of`."""
        return Sizes(
            self.image_sides(shapes),
            shape_of(shapes, *self._image_end(shapes))[0],
            shape_of(shapes, *self.text_end)[0],
            shape_of(shapes, _TOKEN_POSITIONS, 2)[0],
        )

    def _image_end(self, shapes: Shapes) -> tuple[str, int]:
        return next((one for one in self.image_ends if one[0] in shapes), self.image_ends[0])


def shape_of(shapes: Shapes, key: str, rank: int) -> tuple[int, ...]:
    """Return the shape of a weight. Raises LookupError with its name if there is none such."""
    shape = shapes.get(key, ())
    if len(shape) != rank:
        raise LookupError(key)
    return shape


def _clip_sides(shapes: Shapes) -> range:
    """Return patch side x patches a side alone. The class has a position, too."""
    return _one(_patch(shapes) * math.isqrt(_positions(shapes) - 1))


def _siglip_sides(shapes: Shapes) -> range:
    """Return the same and up to a patch more: px that fill no patch are not looked at."""
    side = _patch(shapes) * math.isqrt(_positions(shapes))
    return range(side, side + _patch(shapes))


def _patch(shapes: Shapes) -> int:
    return shape_of(shapes, _PATCH, 4)[-1]


def _positions(shapes: Shapes) -> int:
    return shape_of(shapes, _PATCH_POSITIONS, 2)[0]


def _resnet_sides(shapes: Shapes) -> range:
    """Return px for a place x places a side alone. The mean of all has a position, too."""
    places = shape_of(shapes, "visual.attnpool.positional_embedding", 2)[0] - 1
    return _one(RESNET_STRIDE * math.isqrt(places))


def _convnext_sides(_: Shapes) -> range:
    """Return all sides of a place or more: it knows no positions."""
    return range(CONVNEXT_STRIDE, MAX_SIDE + 1)


def _one(side: int) -> range:
    return range(side, side + 1)


CLIP = Family(
    name="clip",
    words="CLIP",
    image_sides=_clip_sides,
    image_ends=(("visual_projection.weight", 2),),
    text_end=("text_projection.weight", 2),
    image_processors=("CLIPImageProcessor", "CLIPFeatureExtractor"),
    image_defaults=CLIP_IMAGES,
)
SIGLIP = Family(
    name="siglip",
    words="SigLIP",
    image_sides=_siglip_sides,
    image_ends=(("vision_model.head.layernorm.weight", 1),),
    text_end=("text_model.head.weight", 2),
    image_processors=("SiglipImageProcessor",),
    image_defaults=SIGLIP_IMAGES,
    pads_texts=True,
    score="sigmoid",
)
# transformers has no such models: the text tower is its CLIP's, the image tower has OpenAI's names.
RESNET = replace(
    CLIP,
    name="clip_resnet",
    words="CLIP's ResNet",
    image_sides=_resnet_sides,
    image_ends=(("visual.attnpool.c_proj.weight", 2),),
)
# The same with timm's names.
CONVNEXT = replace(
    CLIP,
    name="clip_convnext",
    words="CLIP's ConvNeXt",
    image_sides=_convnext_sides,
    image_ends=(("visual.head.proj.weight", 2), ("visual.head.mlp.fc2.weight", 2)),
)
FAMILIES = {one.name: one for one in (CLIP, SIGLIP, RESNET, CONVNEXT)}
