"""Runs in an environment of open_clip's own: makes a model, and embeds with open_clip's code.

`python -m tests.openclip.embed NAME FOLDER` finds `pictures/`, `texts.json` and `tokenizer/`, which
may be empty, in FOLDER. There it writes `model/`, a folder of open_clip with random weights, and
what open_clip makes of it:

- `found.npz`: images and texts, float32 [N, D], unit norm; pixels, uint8 [N, S, S, 3]; ids,
  int64 [N, L], filled up as open_clip does
- `cleaned.json`: the texts as open_clip repairs them before it looks for tokens
"""

import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.openclip.torchvision_ops import name_missing_operators
from tests.openclip.weights import weights

name_missing_operators()
import open_clip  # noqa: E402 - it imports torchvision
from open_clip.tokenizer import basic_clean  # noqa: E402
from timm.models import convnext, vision_transformer  # noqa: E402

COLOURS = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
SQUASHED = {
    "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash",
}  # fmt: skip
SIGLIP_TEXT = {
    "no_causal_mask": True, "pool_type": "last", "hf_tokenizer_name": "timm/a-siglip",
    "tokenizer_kwargs": {"clean": "canonicalize"},
}  # fmt: skip
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
# Every setting that `sweetspot convert` follows has two values in these.
SMALL = {
    "small-vit": {
        "model_cfg": {
            "embed_dim": 24,
            "quick_gelu": True,
            "vision_cfg": {"image_size": 32, "layers": 2, "width": 128, "patch_size": 8},
            "text_cfg": TEXT,
        },
        "preprocess_cfg": COLOURS,
    },
    "small-vit-squash": {
        "model_cfg": {
            "embed_dim": 16,
            "custom_text": True,
            "vision_cfg": {
                "image_size": 48, "layers": 1, "width": 64, "head_width": 16, "patch_size": 12,
                "mlp_ratio": 2.0,
            },
            "text_cfg": TEXT | {"context_length": 24, "heads": 4, "layers": 1},
        },
        "preprocess_cfg": {
            "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.5, 0.5], "interpolation": "bilinear",
            "resize_mode": "squash",
        },
    },
    "small-rn": {
        "model_cfg": {
            "embed_dim": 24,
            "vision_cfg": {
                "image_size": 64, "layers": [1, 2, 1, 1], "width": 8, "patch_size": None,
            },
            "text_cfg": TEXT,
        },
        "preprocess_cfg": COLOURS | {"interpolation": "bicubic", "resize_mode": "shortest"},
    },
    "small-siglip": {
        "model_cfg": {
            "embed_dim": 48,
            "init_logit_bias": -10,
            "custom_text": True,
            "vision_cfg": {
                "image_size": 32, "timm_model_name": "vit_base_patch16_siglip_224",
                "timm_model_pretrained": False, "timm_pool": "map", "timm_proj": "none",
            },
            "text_cfg": SIGLIP_TEXT | {
                "context_length": 64, "vocab_size": 300, "width": 32, "heads": 2, "layers": 2,
                "proj_bias": True, "norm_kwargs": {"eps": 1e-6},
            },
        },
        "preprocess_cfg": SQUASHED,
    },
    # Its image tower looks at 32 of 37 px, and its texts are not projected.
    "small-siglip2": {
        "model_cfg": {
            "embed_dim": 64,
            "init_logit_bias": -10,
            "custom_text": True,
            "vision_cfg": {
                "image_size": 37, "timm_model_name": "vit_so400m_patch16_siglip_256",
                "timm_model_pretrained": False, "timm_pool": "map", "timm_proj": "none",
            },
            "text_cfg": SIGLIP_TEXT | {
                "context_length": 16, "vocab_size": 400, "width": 64, "heads": 4, "layers": 1,
                "mlp_ratio": 3.7362, "proj_type": "none", "act_kwargs": {"approximate": "tanh"},
            },
        },
        "preprocess_cfg": SQUASHED,
    },
    "small-convnext": {
        "model_cfg": {
            "embed_dim": 24,
            "vision_cfg": {
                "image_size": 64, "timm_model_name": "convnext_base",
                "timm_model_pretrained": False, "timm_pool": "", "timm_proj": "linear",
                "timm_drop": 0.0, "timm_drop_path": 0.1,
            },
            "text_cfg": TEXT,
        },
        "preprocess_cfg": COLOURS,
    },
    # Of another epsilon, and of pictures that leave px over in its strides.
    "small-convnext-mlp": {
        "model_cfg": {
            "embed_dim": 20,
            "custom_text": True,
            "quick_gelu": True,
            "vision_cfg": {
                "image_size": 70, "timm_model_name": "convnext_xxlarge",
                "timm_model_pretrained": False, "timm_pool": "avg", "timm_proj": "mlp",
                "timm_proj_bias": True,
            },
            "text_cfg": TEXT | {"context_length": 24},
        },
        "preprocess_cfg": COLOURS | {"interpolation": "bicubic", "resize_mode": "squash"},
    },
}  # fmt: skip
# How much smaller timm builds its towers: heads, activation, epsilon stay as their names say.
SMALLER = {
    "small-siglip": {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2},
    "small-siglip2": {"img_size": 37, "patch_size": 8, "embed_dim": 64, "depth": 1},
    "small-convnext": {"depths": (1, 1, 2, 1), "dims": (8, 16, 24, 32)},
    "small-convnext-mlp": {"depths": (1, 2, 1, 1), "dims": (8, 12, 16, 24)},
}


def main(name, folder):
    folder = Path(folder)
    source = folder / "model"
    build_smaller(SMALLER.get(name, {}))
    write_model(name, source)
    shutil.copytree(folder / "tokenizer", source, dirs_exist_ok=True)
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{source}")
    model.eval()  # open_clip leaves a model in training, where a ResNet normalises by the batch
    tokenizer = open_clip.get_tokenizer(f"local-dir:{source}")
    pictures = sorted((folder / "pictures").iterdir())
    normal = torch.stack([preprocess(Image.open(io.BytesIO(p.read_bytes()))) for p in pictures])
    texts = json.loads((folder / "texts.json").read_text())
    ids = tokenizer(texts)
    with torch.inference_mode():
        images = torch.cat([model.encode_image(one[None], normalize=True) for one in normal])
        found = {
            "images": images.numpy(),
            "texts": model.encode_text(ids, normalize=True).numpy(),
            "pixels": pixels(normal, preprocess.transforms[-1]),
            "ids": ids.numpy(),
        }
    np.savez_compressed(folder / "found.npz", **found)
    (folder / "cleaned.json").write_text(json.dumps([basic_clean(text) for text in texts]))


def build_smaller(sizes):
    """Let timm build its image towers with some other sizes."""
    for module, name in (
        (vision_transformer, "_create_vision_transformer"), (convnext, "_create_convnext"),
    ):  # fmt: skip
        setattr(module, name, changed(getattr(module, name), sizes))


def changed(create, sizes):
    return lambda *args, **kwargs: create(*args, **kwargs | sizes)


def write_model(name, folder):
    """Write a folder of open_clip, as `open_clip.push_to_hf_hub.save_for_hf` does."""
    config = SMALL.get(name) or {
        "model_cfg": open_clip.get_model_config(name),
        "preprocess_cfg": SQUASHED if "SigLIP" in name else COLOURS,
    }
    settings = dict(config["model_cfg"])
    custom = settings.pop("custom_text", False)
    model = (open_clip.CustomTextCLIP if custom else open_clip.CLIP)(**settings)
    shapes = {key: tuple(one.shape) for key, one in model.state_dict().items()}
    folder.mkdir()
    save_file(weights(shapes), folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")


def pixels(normal, normalize):
    """Undo the normalisation of float32 [N, 3, S, S]."""
    mean, std = (torch.tensor(one)[:, None, None] for one in (normalize.mean, normalize.std))
    return (255 * (normal * std + mean)).round().byte().permute(0, 2, 3, 1).numpy()


if __name__ == "__main__":
    main(*sys.argv[1:])
