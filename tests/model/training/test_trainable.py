import pytest
import torch
from safetensors.torch import load_file
from transformers import CLIPModel

from model.checkpoints.checkpoint import verify
from model.errors import CheckpointError, TrainingError
from model.training.dual_encoder import DualEncoder
from model.training.learning.trainable import (
    choose,
    interpolated,
    plain_weights,
    put,
    restore,
    trained,
)
from model.training.options import TrainOptions
from tests.checkpoints import make_checkpoint, make_resnet

PIXELS = torch.randint(0, 256, (3, 32, 32, 3), generator=torch.manual_seed(0), dtype=torch.uint8)
TOKENS = torch.arange(12).view(3, 4) + 40


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("small"))


def changed(base, **options):
    """The names of the weights that a step changes, by their names in the checkpoint."""
    model = DualEncoder(verify(base))
    choose(model, TrainOptions(**options))
    before = plain_weights(model)
    for _ in range(2):  # LoRA's first step changes one half, the second the other
        optimizer = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], 1.0)
        found = model(PIXELS, TOKENS)
        (found.images * found.texts.roll(1, 0)).sum().mul(found.scale).backward()
        optimizer.step()
        optimizer.zero_grad()
    after = plain_weights(model)
    return {name for name, one in after.items() if not torch.equal(one, before[name])}


def test_all_weights_change(base):
    names = set(load_file(base / "model.safetensors"))
    # Of a key's bias every query has the same, so softmax loses it.
    assert {name for name in names - changed(base) if not name.endswith("k_proj.bias")} == set()


@pytest.mark.parametrize(("tower", "other"), [("image", "text"), ("text", "image")])
def test_a_frozen_tower_stays(base, tower, other):
    prefixes = {"image": ("vision", "visual"), "text": ("text",)}
    found = changed(base, what=tower)
    assert any(name.startswith(prefixes[tower]) for name in found)
    assert not any(name.startswith(prefixes[other]) for name in found)
    assert "logit_scale" in found


def test_the_last_blocks_change_and_what_comes_after_them(base):
    found = changed(base, last_blocks=1)
    assert not any(".layers.0." in name or ".embeddings." in name for name in found)
    assert not any("pre_layrnorm" in name for name in found)
    assert any("vision_model.encoder.layers.1." in name for name in found)
    assert any("text_model.encoder.layers.1." in name for name in found)
    assert {"visual_projection.weight", "text_model.final_layer_norm.weight"} <= found


def test_more_blocks_than_there_are_fail(base):
    with pytest.raises(TrainingError, match="the image tower has 2 blocks, not 3"):
        changed(base, last_blocks=3)


def test_lora_changes_linear_layers_alone_and_merges_to_what_it_computes(base):
    model = DualEncoder(verify(base))
    choose(model, TrainOptions(lora=4))
    assert sum(one.numel() for one in trained(model).values()) < 20_000
    plain = plain_weights(model)
    assert set(plain) == set(load_file(base / "model.safetensors"))
    for name, one in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(one, std=0.1, generator=torch.manual_seed(1))
    with torch.no_grad():
        computed = model(PIXELS, TOKENS)
        merged = plain_weights(model)
        put(model, merged)
        plainly = model(PIXELS, TOKENS)
    torch.testing.assert_close(plainly.images, computed.images)
    torch.testing.assert_close(plainly.texts, computed.texts)
    different = {name for name in merged if not torch.equal(merged[name], plain[name])}
    layers = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2", "projection")
    assert {name.split(".")[-2] for name in different} >= {"q_proj", "fc1", "visual_projection"}
    assert all(name.removesuffix(".weight").endswith(layers) for name in different)


@pytest.mark.parametrize("lora", [None, 4])
def test_what_was_trained_can_be_put_back(base, lora):
    model = DualEncoder(verify(base))
    choose(model, TrainOptions(lora=lora))
    before, kept = plain_weights(model), trained(model)
    with torch.no_grad():
        for one in model.parameters():
            if one.requires_grad:
                one.add_(1)
    restore(model, kept)
    after = plain_weights(model)
    assert all(torch.equal(after[name], one) for name, one in before.items())


def test_interpolation_is_the_mean_of_the_weights(base):
    mine = load_file(base / "model.safetensors")
    other = {name: one + 1 for name, one in mine.items()}
    half = interpolated(mine, other, 0.5)
    for name, one in mine.items():
        torch.testing.assert_close(half[name], one + 0.5)
    assert all(torch.equal(one, other[name]) for name, one in interpolated(mine, other, 1).items())
    assert all(torch.equal(one, mine[name]) for name, one in interpolated(mine, other, 0).items())


def test_it_computes_what_transformers_does(base):
    model = DualEncoder(verify(base))
    reference = CLIPModel.from_pretrained(base).eval()
    checkpoint = verify(base)
    planes = PIXELS.permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(one).view(3, 1, 1) for one in (checkpoint.mean, checkpoint.std))
    with torch.no_grad():
        expected = reference(TOKENS, (planes - mean) / std, torch.ones_like(TOKENS))
        found = model(PIXELS, TOKENS)
    torch.testing.assert_close(found.images, expected.image_embeds)
    torch.testing.assert_close(found.texts, expected.text_embeds)


def test_a_resnet_says_that_it_cannot_be_trained(tmp_path):
    with pytest.raises(CheckpointError, match="holds CLIP's ResNet, which cannot be fine-tuned"):
        DualEncoder(verify(make_resnet(tmp_path)))
