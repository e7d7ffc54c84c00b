"""Sources to convert, in the layouts of others, made of small random checkpoints."""

import json
import shutil
import warnings
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPConfig, CLIPModel

from tests.checkpoints import RESNET_SIZES, resnet_weights
from tests.openclip.weights import weights

GOLDEN = Path(__file__).with_name("golden")
LAYER = "vision_model.encoder.layers.0.self_attn.q_proj"
TEXT_LAYER = "text_model.encoder.layers.1.mlp.fc1"


class Creates:
    """Its unpickling creates a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def weights_of(checkpoint):
    return load_file(checkpoint / "model.safetensors")


def pickled(checkpoint, folder, shards=1):
    """The same checkpoint with its weights in pickles, and a buffer of old versions."""
    shutil.copytree(checkpoint, folder)
    state = weights_of(folder) | {"vision_model.embeddings.position_ids": torch.arange(17)[None]}
    (folder / "model.safetensors").unlink()
    if shards == 1:
        torch.save(state, folder / "pytorch_model.bin")
        return folder
    names = [f"pytorch_model-{index + 1:05}-of-{shards:05}.bin" for index in range(shards)]
    weight_map = {key: names[index % shards] for index, key in enumerate(state)}
    for name in names:
        shard = {key: one for key, one in state.items() if weight_map[key] == name}
        torch.save(shard, folder / name)
    index = json.dumps({"metadata": {}, "weight_map": weight_map})
    (folder / "pytorch_model.bin.index.json").write_text(index)
    return folder


def sentence_transformers(checkpoint, folder, more=(), inner="0_CLIPModel"):
    """A folder of sentence-transformers around a checkpoint of any form."""
    shutil.copytree(checkpoint, folder / inner)
    modules = [("CLIPModel", inner), *more]
    listed = [
        {"idx": index, "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (kind, path) in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "config_sentence_transformers.json").write_text("{}")
    return folder


def adapter(folder, base, rank=4, pickle=False, extra=(), **changes):
    """A LoRA adapter of PEFT on a layer of each tower. extra: more weights by name."""
    folder.mkdir()
    weights = {}
    generator = torch.Generator().manual_seed(1)
    for layer in (LAYER, TEXT_LAYER):
        out, into = weights_of(base)[f"{layer}.weight"].shape
        a = 0.1 * torch.randn(rank, into, generator=generator)
        b = 0.1 * torch.randn(out, rank, generator=generator)
        weights[f"base_model.model.{layer}.lora_A.weight"] = a
        weights[f"base_model.model.{layer}.lora_B.weight"] = b
    weights |= dict(extra)
    if pickle:
        torch.save(weights, folder / "adapter_model.bin")
    else:
        save_file(weights, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA", "base_model_name_or_path": str(base), "r": rank, "lora_alpha": 8,
        "bias": "none", "fan_in_fan_out": False, "use_dora": False, "use_rslora": False,
        "rank_pattern": {}, "alpha_pattern": {}, "modules_to_save": None, "task_type": None,
        "target_modules": ["q_proj", "fc1"], "init_lora_weights": True, "lora_dropout": 0.1,
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(config | changes))
    return folder


def openai_state(activation="quick_gelu", context_length=77, seed=0):
    """A state dict with OpenAI's names: a ViT of two layers, with OpenAI's vocabulary.

    Weights are large enough that a wrong activation, or a wrong number of heads, shows.
    """
    shared = {"num_hidden_layers": 2, "hidden_act": activation}
    config = CLIPConfig(
        vision_config={
            "hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 2,
            "image_size": 32, "patch_size": 8,
        } | shared,
        text_config={
            "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 1,
            "max_position_embeddings": context_length,
        } | shared,
        projection_dim=24,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = CLIPModel(config)
    with torch.no_grad():
        for one in model.parameters():
            one.add_(torch.randn_like(one) * 0.1)
    return _inverse(model.state_dict())


def openai_resnet_state():
    """The same with a ResNet of five blocks; its normalisations have seen something."""
    text = {key: one for key, one in openai_state().items() if not key.startswith("visual.")}
    return text | resnet_weights(RESNET_SIZES["resnet"][0])


def _inverse(state):
    """OpenAI's names and shapes of what transformers has."""
    found = {
        "logit_scale": state["logit_scale"],
        "visual.proj": state["visual_projection.weight"].T.contiguous(),
        "text_projection": state["text_projection.weight"].T.contiguous(),
    }
    for ours, prefix in (("vision_model", "visual."), ("text_model", "")):
        inside = {
            name.removeprefix(f"{ours}."): one
            for name, one in state.items()
            if name.startswith(f"{ours}.")
        }
        found |= _tower(inside, prefix)
    return found


def _tower(state, prefix):
    plain = {
        "embeddings.class_embedding": "class_embedding",
        "embeddings.patch_embedding.weight": "conv1.weight",
        "embeddings.position_embedding.weight": "positional_embedding",
        "embeddings.token_embedding.weight": "token_embedding.weight",
    }
    norms = {"pre_layrnorm": "ln_pre", "post_layernorm": "ln_post", "final_layer_norm": "ln_final"}
    parts = {
        "layer_norm1": "ln_1", "layer_norm2": "ln_2", "self_attn.out_proj": "attn.out_proj",
        "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
    }  # fmt: skip
    found = {prefix + new: state[old] for old, new in plain.items() if old in state}
    for kind in ("weight", "bias"):
        for old, new in norms.items():
            if f"{old}.{kind}" in state:
                found[f"{prefix}{new}.{kind}"] = state[f"{old}.{kind}"]
        for index in range(2):
            layer, block = f"encoder.layers.{index}.", f"{prefix}transformer.resblocks.{index}."
            for old, new in parts.items():
                found[f"{block}{new}.{kind}"] = state[f"{layer}{old}.{kind}"]
            three = [state[f"{layer}self_attn.{one}_proj.{kind}"] for one in "qkv"]
            found[f"{block}attn.in_proj_{kind}"] = torch.cat(three)
    return found


class Node(nn.Module):
    """A part of a model with OpenAI's names."""


def archive(state, path):
    """An archive of TorchScript with the tensors of a state dict, in float16 as OpenAI's."""
    root = Node()
    for name, tensor in state.items():
        *parts, last = name.split(".")
        at = root
        for part in parts:
            if not hasattr(at, part):
                at.add_module(part, Node())
            at = getattr(at, part)
        if tensor.is_floating_point():
            at.register_parameter(last, nn.Parameter(tensor.half(), requires_grad=False))
        else:
            at.register_buffer(last, tensor)
    root.register_buffer("input_resolution", torch.tensor(32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(root), str(path))
    return path


def open_clip(folder, state, name="open_clip_model.safetensors", **changes):
    """A folder of open_clip. changes: parts of its configuration."""
    folder.mkdir()
    if name.endswith(".bin"):
        torch.save(state, folder / name)
    else:
        save_file(state, folder / name)
    model = {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 128, "patch_size": 8},
        "text_cfg": {
            "context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2,
        },
    }  # fmt: skip
    preparation = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bicubic"}
    config = {
        "model_cfg": model | changes.pop("model", {}),
        "preprocess_cfg": preparation | changes.pop("images", {}),
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


def golden(name, folder, weights_of=lambda found: found, **changes):
    """A folder of open_clip with a model of the golden vectors.

    weights_of: changes its weights. changes: of its settings, by the part that holds them.
    """
    shutil.copytree(GOLDEN / name, folder)
    found = weights(json.loads((folder / "model.json").read_text())["shapes"])
    save_file(weights_of(found), folder / "open_clip_model.safetensors")
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    model = config["model_cfg"]
    for part, settings in changes.items():
        holder = {"model": model, "images": config["preprocess_cfg"]}.get(part) or model[part]
        holder |= settings
    path.write_text(json.dumps(config))
    return folder


def held(folder: Path):
    return sorted(path.name for path in folder.iterdir())
