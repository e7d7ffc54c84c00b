"""The families of checkpoints: how each names its weights, and how its towers are fed.

Light to import. What computes is in `model/backends/towers/load.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from model.images.geometry import FILTERS

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
# Of the px that an image tower takes, for one place of its attention pooling.
RESNET_STRIDE = 32


class Sizes(NamedTuple):
    """image_size: S, px. image, text: dimensions of a tower's embedding. context_length: tokens."""

    image_size: int
    image: int
    text: int
    context_length: int


@dataclass(frozen=True, eq=False)
class Family:
    """Checkpoints of one architecture.

    name: `model_type` in config.json. words: what people call it. image_size: reads S, px, from the
    shapes of the weights. image_end, text_end: a weight whose first side is the dimension of that
    tower's embedding, and its rank. image_processors: what their types begin with. image_defaults:
    of absent keys. pads_texts: to the context length, as in training; else a text ends with its end
    token.
    """

    name: str
    words: str
    image_size: Callable[[Shapes], int]
    image_end: tuple[str, int]
    text_end: tuple[str, int]
    image_processors: tuple[str, ...]
    image_defaults: Mapping[str, Any]
    pads_texts: bool = False

    def sizes(self, shapes: Shapes) -> Sizes:
        """Read the sizes from the shapes of the weights. Raises LookupError: as `shape_of`."""
        return Sizes(
            self.image_size(shapes),
            shape_of(shapes, *self.image_end)[0],
            shape_of(shapes, *self.text_end)[0],
            shape_of(shapes, _TOKEN_POSITIONS, 2)[0],
        )


def shape_of(shapes: Shapes, key: str, rank: int) -> tuple[int, ...]:
    """Return the shape of a weight. Raises LookupError with its name if there is none such."""
    shape = shapes.get(key, ())
    if len(shape) != rank:
        raise LookupError(key)
    return shape


def _vit_size(shapes: Shapes, class_tokens: int) -> int:
    """Return S = patch side x patches a side."""
    patch = shape_of(shapes, _PATCH, 4)[-1]
    positions = shape_of(shapes, _PATCH_POSITIONS, 2)[0]
    return patch * math.isqrt(positions - class_tokens)


def _resnet_size(shapes: Shapes) -> int:
    """Return S. The mean of all places has a position, too."""
    places = shape_of(shapes, "visual.attnpool.positional_embedding", 2)[0] - 1
    return RESNET_STRIDE * math.isqrt(places)


CLIP = Family(
    name="clip",
    words="CLIP",
    image_size=partial(_vit_size, class_tokens=1),
    image_end=("visual_projection.weight", 2),
    text_end=("text_projection.weight", 2),
    image_processors=("CLIPImageProcessor", "CLIPFeatureExtractor"),
    image_defaults=CLIP_IMAGES,
)
SIGLIP = Family(
    name="siglip",
    words="SigLIP",
    image_size=partial(_vit_size, class_tokens=0),
    image_end=("vision_model.head.layernorm.weight", 1),
    text_end=("text_model.head.weight", 2),
    image_processors=("SiglipImageProcessor",),
    image_defaults=SIGLIP_IMAGES,
    pads_texts=True,
)
# transformers has no such model: the text tower is its CLIP's, the image tower has OpenAI's names.
RESNET = replace(
    CLIP,
    name="clip_resnet",
    words="CLIP's ResNet",
    image_size=_resnet_size,
    image_end=("visual.attnpool.c_proj.weight", 2),
)
FAMILIES = {one.name: one for one in (CLIP, SIGLIP, RESNET)}
