"""open_clip's ConvNeXts beside OpenAI's texts."""

import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model.checkpoints.checkpoint import verify
from model.checkpoints.families import CONVNEXT
from model.checkpoints.tokenizer import Tokenizer
from model.config import ModelConfig
from model.convert.convert import convert, write
from model.convert.openai.plan import plan_open_clip
from model.errors import CheckpointError
from model.fidelity.cosines import fidelity
from model.load import load
from model.synthetic.thumbnails import sample
from tests.model.convert.sources import golden, held, open_clip, openai_state


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Converts a golden folder, once. Returns source, checkpoint and what was said."""

    @cache
    def make(name):
        folder, said = tmp_path_factory.mktemp("convnext"), []
        source = golden(name, folder / "source")
        assert convert(str(source), folder / "target", None, said.append).below == []
        return source, folder / "target", said[0]

    return make


def test_a_convnext_is_converted_and_served(made):
    _, target, said = made("small-convnext-mlp")
    assert said.endswith(
        "a checkpoint of open_clip: ConvNeXt, 1 + 2 + 1 + 1 blocks, width 8, images of 70 px, "
        "quick_gelu"
    )
    found = verify(target)
    assert found.family is CONVNEXT
    assert found.geometry == (70, (70, 70), "bicubic")
    encoder = load(ModelConfig(model=str(target), device="cpu", backend="openvino"))
    assert encoder.encode_texts(["a login"])[0].shape == (1, 20)


def test_the_names_of_its_weights_stay(made):
    folder, target, _ = made("small-convnext")
    found = load_file(target / "model.safetensors")
    theirs = load_file(folder / "open_clip_model.safetensors")
    names = {name for name in theirs if name.startswith("visual.")}
    assert names == {name for name in found if name.startswith("visual.")}
    assert all(torch.equal(found[name], theirs[name]) for name in names)


def test_pictures_of_any_size_are_taken_that_give_a_place(made, tmp_path):
    """As people serve a model that was trained with smaller ones."""
    target = Path(shutil.copytree(made("small-convnext")[1], tmp_path / "target"))
    path = target / "preprocessor_config.json"
    config = json.loads(path.read_text())
    for side in (32, 96):
        sides = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
        path.write_text(json.dumps(config | sides))
        assert verify(target).image_size == side
    path.write_text(json.dumps(config | {"crop_size": {"height": 31, "width": 31}}))
    with pytest.raises(CheckpointError, match="the image tower takes 32 x 32 to 4000 x 4000 px"):
        verify(target)


REFUSED = {
    "another trunk": (
        {"vision_cfg": {"timm_model_name": "convnextv2_base"}},
        "describes timm's image tower 'convnextv2_base', which is not supported yet",
    ),
    "convolutions for matrices": (
        {"vision_cfg": {"timm_model_name": "convnext_nano"}}, "timm's image tower 'convnext_nano'",
    ),
    "attention at its end": (
        {"vision_cfg": {"timm_pool": "abs_attn"}}, "\"timm_pool\" is 'abs_attn', which is not",
    ),
    "a classifier for a head": (
        {"vision_cfg": {"timm_proj": None}}, '"timm_proj" is None, which is not supported',
    ),
    "no head": ({"vision_cfg": {"timm_proj": "none"}}, "\"timm_proj\" is 'none', which is not"),
    "pictures that are too small": (
        {"vision_cfg": {"image_size": 31}}, '"vision_cfg.image_size" is 31, not a side in px',
    ),
    "another size": ({"model": {"embed_dim": 7}}, '"embed_dim" is 7, and the weights say 24'),
    "a ViT": (
        {"vision_cfg": {"timm_model_name": None}},
        "describes another image tower than the weights are of",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_other_settings_are_refused_by_name(name, tmp_path):
    changes, message = REFUSED[name]
    folder = golden("small-convnext", tmp_path / "source", **changes)
    with pytest.raises(CheckpointError, match=message) as caught:
        convert(str(folder), tmp_path / "target", None, str)
    assert "\n" not in str(caught.value)
    assert held(tmp_path) == ["source"]


def without(part):
    return lambda found: {key: one for key, one in found.items() if part not in key}


OTHER_WEIGHTS = {
    "a stage less": (
        without("stages.2."),
        "holds no visual.trunk.stages.2.blocks.0.conv_dw.weight: not open_clip's layout of a CLIP "
        "with a ConvNeXt",
    ),
    "a factor less": (
        without("gamma"), "holds no visual.trunk.stages.0.blocks.0.gamma: not all weights",
    ),
    "no head": (without("visual.head"), "is not a checkpoint: 'head.mlp.fc1.weight'"),
    "a norm more": (
        lambda found: found | {"visual.trunk.norm_pre.weight": torch.zeros(32)},
        "holds visual.trunk.norm_pre.weight, which open_clip's CLIP with a ConvNeXt does not have",
    ),
    "other kernels": (
        lambda found: found
        | {"visual.trunk.stages.1.blocks.0.conv_dw.weight": torch.zeros(16, 1, 5, 5)},
        r"conv_dw.weight of shape \(16, 1, 5, 5\), not \(16, 1, 7, 7\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER_WEIGHTS)
def test_other_weights_are_refused_by_name(name, tmp_path):
    change, message = OTHER_WEIGHTS[name]
    folder = golden("small-convnext", tmp_path / "source", weights_of=change)
    with pytest.raises(CheckpointError, match=message):
        convert(str(folder), tmp_path / "target", None, str)
    assert held(tmp_path) == ["source"]


def test_a_vit_is_no_convnext(tmp_path):
    tower = {"timm_model_name": "convnext_base", "image_size": 32}
    folder = open_clip(tmp_path / "source", openai_state(), model={"vision_cfg": tower})
    with pytest.raises(CheckpointError, match="another image tower than the weights are of"):
        convert(str(folder), tmp_path / "target", None, str)


def test_a_file_alone_does_not_say_enough(tmp_path):
    folder = golden("small-convnext", tmp_path / "source")
    file = folder / "open_clip_model.safetensors"
    with pytest.raises(CheckpointError, match="is of a ConvNeXt, and does not say which pictures"):
        convert(str(file), tmp_path / "target", None, str)


def test_epsilon_makes_a_difference_and_a_result_that_differs_is_not_kept(made, tmp_path):
    """timm's largest has another; the source is computed by code of its own."""
    right, target, _ = made("small-convnext-mlp")
    smaller = {"vision_cfg": {"timm_model_name": "convnext_base"}}
    wrong = golden("small-convnext-mlp", tmp_path / "wrong", **smaller)
    checkpoint = verify(target)
    tokenizer = Tokenizer.of_checkpoint(checkpoint)
    images = [sample(seed).data for seed in range(4)]
    one, other = (
        plan_open_clip(folder).source(checkpoint, tokenizer).embed_images(images)
        for folder in (right, wrong)
    )
    assert fidelity(one, other).max_difference > 1e-6
    planned = plan_open_clip(right)
    mixed = replace(planned, source=plan_open_clip(golden(
        "small-convnext-mlp", tmp_path / "texts", model={"quick_gelu": False},
    )).source)  # fmt: skip
    with pytest.raises(CheckpointError, match="was not kept: text"):
        write(mixed, tmp_path / "second")
