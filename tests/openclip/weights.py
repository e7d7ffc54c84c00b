"""Weights of a model from names, shapes and a seed. Plain torch, used on both sides.

Only uniform numbers are drawn, which torch makes alike on every CPU. Their spread keeps signals of
about one size through all layers, and no normalisation or bias is left at a value without effect.
"""

import math

import torch

SEED = 7


def weights(shapes):
    """Return tensors by name. shapes: by name, in any order."""
    generator = torch.Generator().manual_seed(SEED)
    return {name: _drawn(name, shapes[name], generator) for name in sorted(shapes)}


def _drawn(name, shape, generator):
    last = name.rsplit(".", 1)[-1]
    if last == "num_batches_tracked":
        return torch.tensor(100)
    if last == "logit_scale":
        return torch.tensor(math.log(100))
    uniform = 2 * torch.rand(tuple(shape), generator=generator) - 1
    if len(shape) == 1:
        return _vector(name, uniform)
    if "embedding" in name or last in {"pos_embed", "latent"}:
        return 0.5 * uniform
    # Of the two projections, torch's [out, in] is turned.
    inputs = shape[0] if last in {"proj", "text_projection"} else math.prod(shape[1:])
    # A convolution reads what a ReLU halved.
    return uniform * math.sqrt((6 if len(shape) == 4 else 3) / inputs)


def _vector(name, uniform):
    """The last factors of convolutional blocks are weak: else blocks add up to large numbers."""
    if name.endswith(("running_var", "weight", "gamma")):
        return (1 + 0.5 * uniform) * (0.3 if name.endswith(("bn3.weight", "gamma")) else 1)
    return 0.1 * uniform
