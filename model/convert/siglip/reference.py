"""open_clip's SigLIP in plain functions of torch on its own names, to compare with.

It shares no code with transformers' model or with the conversion of names, so that a weight at the
wrong place, a wrong activation or a wrong number of heads shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from model.convert.plan import Weights
from model.convert.siglip.settings import IMAGE_EPSILON, Form
from model.encoder import Float32Array

Activation = Callable[[torch.Tensor], torch.Tensor]
ACTIVATIONS: Mapping[str, Activation] = {
    "gelu": functional.gelu,
    "gelu_pytorch_tanh": partial(functional.gelu, approximate="tanh"),
}


class OpenClipSiglip:
    """The model. pixels: turns an image into uint8 [S, S, 3]; tokens: texts into int64 [N, L].

    mean, std: RGB, of pixels / 255.
    """

    def __init__(
        self,
        weights: Weights,
        form: Form,
        pixels: Callable[[bytes], NDArray[np.uint8]],
        tokens: Callable[[Sequence[str]], NDArray[np.int64]],
        normalization: tuple[Sequence[float], Sequence[float]],
    ) -> None:
        self._weights, self._form = weights, form
        self._pixels, self._tokens = pixels, tokens
        self._mean, self._std = map(torch.tensor, normalization)

    @torch.inference_mode()
    def embed_images(self, images: Sequence[bytes]) -> Float32Array:
        """Embed N encoded images. Returns float32 [N, D], unit norm."""
        pixels = torch.from_numpy(np.stack([self._pixels(one) for one in images]))
        planes = ((pixels / 255 - self._mean) / self._std).permute(0, 3, 1, 2)
        w, trunk, form = self._weights, "visual.trunk", self._form
        kernel = w[f"{trunk}.patch_embed.proj.weight"]
        bias = w[f"{trunk}.patch_embed.proj.bias"]
        x = functional.conv2d(planes, kernel, bias, stride=kernel.shape[-1])
        x = x.flatten(2).mT + w[f"{trunk}.pos_embed"]  # [N, patches, W]
        act, index = ACTIVATIONS[form.image_activation], 0
        while f"{trunk}.blocks.{index}.norm1.weight" in w:
            block = f"{trunk}.blocks.{index}"
            qkv = _linear(w, f"{block}.attn.qkv", _norm(w, f"{block}.norm1", x, IMAGE_EPSILON))
            mixed = _attend(form.image_heads, *qkv.chunk(3, dim=-1))
            x = x + _linear(w, f"{block}.attn.proj", mixed)
            x = x + _mlp(w, f"{block}.mlp", _norm(w, f"{block}.norm2", x, IMAGE_EPSILON), act)
            index += 1
        return _unit(self._pool(_norm(w, f"{trunk}.norm", x, IMAGE_EPSILON)))

    def _pool(self, x: torch.Tensor) -> torch.Tensor:
        """Let a query of its own ask all patches. [N, patches, W] to [N, W]."""
        w, pool, form = self._weights, "visual.trunk.attn_pool", self._form
        asked = _linear(w, f"{pool}.q", w[f"{pool}.latent"]).expand(len(x), -1, -1)
        mixed = _attend(form.image_heads, asked, *_linear(w, f"{pool}.kv", x).chunk(2, dim=-1))
        x = _linear(w, f"{pool}.proj", mixed)
        inner = _norm(w, f"{pool}.norm", x, IMAGE_EPSILON)
        return (x + _mlp(w, f"{pool}.mlp", inner, ACTIVATIONS[form.image_activation]))[:, 0]

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Float32Array:
        """Embed N texts, padded to the context. Returns float32 [N, D], unit norm."""
        w, form = self._weights, self._form
        tokens = torch.from_numpy(self._tokens(texts))
        norm, act = partial(_norm, w, epsilon=form.text_epsilon), ACTIVATIONS[form.text_activation]
        x, index = w["token_embedding.weight"][tokens] + w["positional_embedding"], 0
        while f"transformer.resblocks.{index}.ln_1.weight" in w:
            block = f"transformer.resblocks.{index}"
            joined = (w[f"{block}.attn.in_proj_weight"], w[f"{block}.attn.in_proj_bias"])
            qkv = functional.linear(norm(f"{block}.ln_1", x), *joined)
            mixed = _attend(form.text_heads, *qkv.chunk(3, dim=-1))
            x = x + _linear(w, f"{block}.attn.out_proj", mixed)
            inner = act(_linear(w, f"{block}.mlp.c_fc", norm(f"{block}.ln_2", x)))
            x = x + _linear(w, f"{block}.mlp.c_proj", inner)
            index += 1
        pooled = norm("ln_final", x)[:, -1]
        projected = "text_projection.weight" in w
        return _unit(_linear(w, "text_projection", pooled) if projected else pooled)


def _attend(heads: int, *qkv: torch.Tensor) -> torch.Tensor:
    """Mix values. qkv: [N, L, W] each, with another L of the queries. Returns [N, L, W]."""
    q, k, v = (one.reshape(len(one), one.shape[1], heads, -1).transpose(1, 2) for one in qkv)
    weights = (q @ k.mT * q.shape[-1] ** -0.5).softmax(dim=-1)  # [N, heads, L, L]
    mixed: torch.Tensor = weights @ v
    return mixed.transpose(1, 2).flatten(2)


def _mlp(w: Weights, name: str, x: torch.Tensor, activation: Activation) -> torch.Tensor:
    return _linear(w, f"{name}.fc2", activation(_linear(w, f"{name}.fc1", x)))


def _linear(w: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    return functional.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])


def _norm(w: Weights, name: str, x: torch.Tensor, epsilon: float) -> torch.Tensor:
    weight, bias = w[f"{name}.weight"], w[f"{name}.bias"]
    return functional.layer_norm(x, weight.shape, weight, bias, epsilon)


def _unit(features: torch.Tensor) -> Float32Array:
    result: Float32Array = (features / features.norm(dim=-1, keepdim=True)).numpy()
    return result
