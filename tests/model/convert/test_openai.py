"""OpenAI's files and open_clip's folders: the embeddings of OpenAI's own forward pass."""

import json
from dataclasses import replace

import pytest
import torch

from model.checkpoints.checkpoint import verify
from model.checkpoints.families import RESNET
from model.checkpoints.tokenizer import Tokenizer
from model.config import ModelConfig
from model.convert.convert import convert, write
from model.convert.openai.plan import plan_open_clip
from model.convert.openai.tokenizer import write_tokenizer
from model.errors import CheckpointError
from model.fidelity.cosines import fidelity
from model.load import load
from model.synthetic.thumbnails import sample
from tests.checkpoints import OPENAI_TOKENIZER
from tests.model.convert.sources import (
    archive,
    held,
    open_clip,
    openai_resnet_state,
    openai_state,
)


@pytest.fixture(scope="module")
def state():
    return openai_state()


@pytest.fixture(scope="module")
def made(state, tmp_path_factory):
    """A checkpoint from an archive of TorchScript, and what was said of it."""
    folder = tmp_path_factory.mktemp("openai")
    said = []
    row = convert(str(archive(state, folder / "ViT.pt")), folder / "target", None, said.append)
    assert row.below == []
    return folder / "target", said[0]


def test_an_archive_of_torchscript_is_converted(made):
    folder, said = made
    assert said.endswith(
        "OpenAI's archive of TorchScript: ViT, 2 layers of 128, patches of 8 px, images of 32 px, "
        "quick_gelu"
    )
    found = verify(folder)
    assert (found.image_size, found.dimension, found.context_length) == (32, 24, 77)
    assert found.mean == (0.48145466, 0.4578275, 0.40821073)


def test_the_tokens_are_openais(made):
    tokens, lengths = Tokenizer.of_checkpoint(verify(made[0]))(
        ["a photo of a cat", "Hello  WORLD!"]
    )
    assert tokens.tolist() == [
        [49406, 320, 1125, 539, 320, 2368, 49407],
        [49406, 3306, 1002, 256, 49407, 49407, 49407],
    ]
    assert lengths.tolist() == [7, 5]


@pytest.mark.skipif(not OPENAI_TOKENIZER.is_dir(), reason="the published files are not at hand")
def test_the_vocabulary_is_the_published_one(tmp_path):
    write_tokenizer(tmp_path, 77)
    ours = json.loads((tmp_path / "tokenizer.json").read_text())["model"]
    theirs = json.loads((OPENAI_TOKENIZER / "tokenizer.json").read_text())["model"]
    assert ours["vocab"] == theirs["vocab"]
    pairs = [one.split() if isinstance(one, str) else one for one in theirs["merges"]]
    assert [one.split() if isinstance(one, str) else one for one in ours["merges"]] == pairs


def test_a_state_dict_is_converted(made, state, tmp_path):
    torch.save({key: one.half() for key, one in state.items()}, tmp_path / "a.pt")
    said = []
    assert convert(str(tmp_path / "a.pt"), tmp_path / "target", None, said.append).below == []
    assert "a state dict of OpenAI's: ViT" in said[0]
    assert verify(tmp_path / "target").digest == verify(made[0]).digest


REFUSED = {
    "a part of a ResNet": (
        {"visual.layer1.0.conv1.weight": torch.zeros(2)},
        "holds no visual.conv3.weight: not OpenAI's layout",
    ),
    "a layer scale": (
        {"transformer.resblocks.0.ls_1.gamma": torch.zeros(2)},
        "holds transformer.resblocks.0.ls_1.gamma, which OpenAI's CLIP does not have",
    ),
    "another vocabulary": (
        {"token_embedding.weight": torch.zeros(9, 64)},
        r"holds token_embedding.weight of shape \(9, 64\), not \(49408, 64\)",
    ),
    "a cut projection": ({"visual.proj": torch.zeros(9)}, r"visual.proj of shape \(9,\), not"),
    "part of a block": (
        {"visual.transformer.resblocks.2.ln_1.bias": torch.zeros(128)},
        "holds no visual.transformer.resblocks.2.ln_1.weight: not all weights of a CLIP",
    ),
    "17 patches": (
        {"visual.positional_embedding": torch.zeros(18, 128)},
        r"visual.positional_embedding of shape \(18, 128\), not \(17, 128\)",
    ),
    "a training": ({"state_dict": {}}, "is from a training, and does not say which activation"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_files_are_refused_in_one_sentence(state, tmp_path, name):
    more, message = REFUSED[name]
    torch.save(state | more, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=message) as caught:
        convert(str(tmp_path / "a.pt"), tmp_path / "target", None, str)
    assert "\n" not in str(caught.value)
    assert held(tmp_path) == ["a.pt"]


def test_a_file_of_something_else_is_refused(tmp_path):
    torch.save({"weight": torch.zeros(2)}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="holds no visual.conv1.weight: not OpenAI's layout"):
        convert(str(tmp_path / "a.pt"), tmp_path / "target", None, str)


@pytest.mark.parametrize("form", ["archive", "state dict", "open_clip"])
def test_a_resnet_is_converted_and_served(form, tmp_path):
    state = openai_resnet_state()
    if form == "open_clip":
        towers = {"vision_cfg": {
            "image_size": 64, "layers": [1, 1, 2, 1], "width": 8, "patch_size": None,
        }}  # fmt: skip
        source = open_clip(tmp_path / "source", state, model=towers | {"quick_gelu": True})
    elif form == "archive":
        source = archive(state, tmp_path / "RN.pt")
    else:
        torch.save(state, source := tmp_path / "RN.pt")
    said = []
    assert convert(str(source), tmp_path / "target", None, said.append).below == []
    assert "ResNet, 1 + 1 + 2 + 1 blocks, width 8, images of 64 px, quick_gelu" in said[0]
    assert verify(tmp_path / "target").family is RESNET
    # tests/model/test_parity.py runs ResNets on OpenVINO.
    encoder = load(ModelConfig(model=str(tmp_path / "target"), device="cpu", backend="torch"))
    assert encoder.encode_texts(["a login"])[0].shape == (1, 24)


@pytest.mark.parametrize("activation", ["gelu", "quick_gelu"])
def test_a_folder_of_open_clip_is_converted(tmp_path, activation):
    """One with the text tower in a module of its own, as a training on several devices saves it."""
    state = openai_state(activation)
    if activation == "gelu":
        inside = ("visual.", "logit_scale")
        custom = {
            f"module.{key}" if key.startswith(inside) else f"module.text.{key}": one
            for key, one in state.items()
        }
        source = open_clip(
            tmp_path / "source",
            {"epoch": 3, "state_dict": custom},
            "open_clip_pytorch_model.bin",
            model={"custom_text": True},
            images={"resize_mode": "squash", "interpolation": "bilinear"},
        )
    else:
        source = open_clip(tmp_path / "source", state, model={"quick_gelu": True})
    said = []
    assert convert(str(source), tmp_path / "target", None, said.append).below == []
    assert said[0].endswith(f"a checkpoint of open_clip: ViT, 2 layers of 128, patches of 8 px, "
                            f"images of 32 px, {activation}")  # fmt: skip
    found = verify(tmp_path / "target")
    assert found.std == (0.5, 0.5, 0.5)
    assert found.geometry == ((32, (32, 32), "bilinear") if activation == "gelu" else
                              (32, 32, "bicubic"))  # fmt: skip


OTHERS = {
    "timm": (
        {"model": {"vision_cfg": {"timm_model_name": "vit_base"}}},
        "describes timm's image tower 'vit_base', which is not supported yet",
    ),
    "a foreign text tower": (
        {"model": {"text_cfg": {"hf_model_name": "roberta-base"}}},
        "describes Hugging Face's text tower 'roberta-base', which is not supported yet",
    ),
    "CoCa": ({"model": {"multimodal_cfg": {"width": 2}}}, "describes a CoCa"),
    "a pooling": (
        {"model": {"vision_cfg": {"pool_type": "avg"}}},
        "\"pool_type\" is 'avg', which is not supported",
    ),
    "a new setting": ({"model": {"novelty": 3}}, '"novelty" is 3, which is not supported'),
    "another size": ({"model": {"embed_dim": 7}}, '"embed_dim" is 7, and the weights say 24'),
    "images that patches cut": (
        {"model": {"vision_cfg": {"image_size": 36}}},
        '"vision_cfg.image_size" is 36, and the weights say 32',
    ),
    "heads": (
        {"model": {"text_cfg": {"width": 64, "heads": 5}}},
        '"heads" is 5, which does not divide 64',
    ),
    "padded images": ({"images": {"resize_mode": "longest"}}, "resize_mode 'longest'"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_models_of_open_clip_are_refused_by_name(state, tmp_path, name):
    changes, message = OTHERS[name]
    source = open_clip(tmp_path / "source", state, **changes)
    path = source / "open_clip_config.json"
    config = json.loads(path.read_text())
    for tower, sizes in (
        ("vision_cfg", {"image_size": 32, "width": 128, "patch_size": 8}),
        ("text_cfg", {"width": 64}),
    ):
        config["model_cfg"][tower] = sizes | config["model_cfg"][tower]
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        convert(str(source), tmp_path / "target", None, str)
    assert held(tmp_path) == ["source"]


def test_the_comparison_sees_a_wrong_activation(state, tmp_path):
    """The source is computed by code of its own, so that what config.json says wrongly shows."""
    right = open_clip(tmp_path / "right", state, model={"quick_gelu": True})
    wrong = open_clip(tmp_path / "wrong", state, model={"quick_gelu": False})
    mixed = replace(plan_open_clip(wrong), source=plan_open_clip(right).source)
    with pytest.raises(CheckpointError, match="was not kept: image cosine .* text cosine"):
        write(mixed, tmp_path / "target")
    assert held(tmp_path) == ["right", "wrong"]


def test_the_comparison_sees_a_wrong_number_of_heads(made, state, tmp_path):
    images = [sample(seed).data for seed in range(3)]
    checkpoint = verify(made[0])
    tokenizer = Tokenizer.of_checkpoint(checkpoint)
    found = []
    for head_width in (32, 64):
        tower = {"image_size": 32, "width": 128, "patch_size": 8, "head_width": head_width}
        folder = open_clip(tmp_path / f"{head_width}", state, model={"vision_cfg": tower})
        source = plan_open_clip(folder).source(checkpoint, tokenizer)
        found.append(source.embed_images(images))
    assert fidelity(*found).plain.min < 0.999
