"""OpenAI's CLIP in plain functions of torch on its own names, to compare with.

It shares no code with transformers' model or with the conversion of names, so that a weight at the
wrong place, a wrong activation or a wrong number of heads shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from model.backends.towers.visual import inside
from model.checkpoints.families import CONVNEXT, RESNET
from model.convert.openai.form import Form
from model.convert.openai.names import tower_of
from model.convert.plan import Weights
from model.encoder import Float32Array
from model.fidelity import convnext_reference, resnet_reference

Activation = Callable[[torch.Tensor], torch.Tensor]
ACTIVATIONS: dict[str, Activation] = {
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "gelu": functional.gelu,
}


class OpenAiClip:
    """The model. pixels: turns an image into uint8 [S, S, 3]; tokens: texts into int64 [N, L].

    A text is ended by the token of the highest id. mean, std: RGB, of pixels / 255.
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
        normal = (pixels / 255 - self._mean) / self._std  # [N, S, S, 3]
        planes = normal.permute(0, 3, 1, 2)
        family, of_image = tower_of(self._weights).FAMILY, inside(self._weights)
        if family is RESNET:
            return _unit(resnet_reference.embed(of_image, planes))
        if family is CONVNEXT:
            epsilon = self._form.image_epsilon
            return _unit(convnext_reference.embed(of_image, planes, epsilon))
        return _unit(self._vit(planes))

    def _vit(self, planes: torch.Tensor) -> torch.Tensor:
        """Embed normalised pixels, [N, 3, S, S]. Returns [N, D]."""
        w = self._weights
        kernel = w["visual.conv1.weight"]
        x = functional.conv2d(planes, kernel, stride=kernel.shape[-1])
        x = x.flatten(2).transpose(1, 2)  # [N, patches, W]
        x = torch.cat([w["visual.class_embedding"].expand(len(x), 1, -1), x], dim=1)
        x = self._norm(x + w["visual.positional_embedding"], "visual.ln_pre")
        x = self._blocks(x, "visual.transformer", self._form.image_heads, None)
        return self._norm(x[:, 0], "visual.ln_post") @ w["visual.proj"]

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Float32Array:
        """Embed N texts. Returns float32 [N, D], unit norm."""
        tokens = torch.from_numpy(self._tokens(texts))
        length, w = tokens.shape[1], self._weights
        x = w["token_embedding.weight"][tokens] + w["positional_embedding"][:length]
        mask = torch.full((length, length), -torch.inf).triu(1)
        x = self._norm(self._blocks(x, "transformer", self._form.text_heads, mask), "ln_final")
        return _unit(x[torch.arange(len(x)), tokens.argmax(dim=-1)] @ w["text_projection"])

    def _blocks(
        self, x: torch.Tensor, tower: str, heads: int, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Run all residual blocks. x: [N, L, W]. mask: [L, L], added to the attention."""
        index = 0
        while f"{tower}.resblocks.{index}.ln_1.weight" in self._weights:
            block = f"{tower}.resblocks.{index}"
            x = x + self._attention(self._norm(x, f"{block}.ln_1"), f"{block}.attn", heads, mask)
            inner = self._linear(self._norm(x, f"{block}.ln_2"), f"{block}.mlp.c_fc")
            inner = ACTIVATIONS[self._form.activation](inner)
            x = x + self._linear(inner, f"{block}.mlp.c_proj")
            index += 1
        return x

    def _attention(
        self, x: torch.Tensor, name: str, heads: int, mask: torch.Tensor | None
    ) -> torch.Tensor:
        w, x = self._weights, x.transpose(0, 1)  # [L, N, W]
        x, _ = functional.multi_head_attention_forward(
            x, x, x, x.shape[-1], heads,
            w[f"{name}.in_proj_weight"], w[f"{name}.in_proj_bias"],
            None, None, False, 0.0,  # no bias of keys, no attention to zeros
            w[f"{name}.out_proj.weight"], w[f"{name}.out_proj.bias"],
            training=False, need_weights=False, attn_mask=mask,
        )  # fmt: skip
        return x.transpose(0, 1)

    def _linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return functional.layer_norm(x, weight.shape, weight, bias)


def _unit(features: torch.Tensor) -> Float32Array:
    result: Float32Array = (features / features.norm(dim=-1, keepdim=True)).numpy()
    return result
