"""LoRA adapters: merged into their base as PEFT computes them; others are refused by name."""

import json
import math

import pytest
import torch

from model.convert.convert import convert
from model.convert.lora import merged, read_adapter
from model.errors import CheckpointError
from tests.model.convert.sources import LAYER, TEXT_LAYER, adapter, held, pickled, weights_of


def changes(folder, base, layer=LAYER):
    """What an adapter adds to a layer, in units of B A."""
    one = read_adapter(folder)
    delta = merged(one, weights_of(base))[f"{layer}.weight"] - weights_of(base)[f"{layer}.weight"]
    product = one.branches[layer].b @ one.branches[layer].a
    found = (delta / product).median()
    torch.testing.assert_close(delta, found * product, atol=1e-6, rtol=1e-3)
    return float(found)


def test_an_adapter_is_merged_into_its_base(small_checkpoint, tmp_path):
    source = adapter(tmp_path / "adapter", small_checkpoint)
    said = []
    row = convert(str(source), tmp_path / "target", None, said.append)
    assert row.below == []
    assert "a LoRA adapter of PEFT for 2 layers" in said[0]
    ours, base = weights_of(tmp_path / "target"), weights_of(small_checkpoint)
    changed = {key for key in ours if not torch.equal(ours[key], base[key])}
    assert changed == {f"{LAYER}.weight", f"{TEXT_LAYER}.weight"}


def test_a_base_in_pickles_and_whole_layers_in_the_adapter(small_checkpoint, tmp_path):
    projection = torch.randn_like(weights_of(small_checkpoint)["visual_projection.weight"])
    source = adapter(
        tmp_path / "adapter",
        small_checkpoint,
        pickle=True,
        extra={"base_model.model.visual_projection.weight": projection},
        modules_to_save=["visual_projection"],
        base_model_name_or_path="/no/such/folder",
    )
    with pytest.raises(CheckpointError, match=r"the adapter's base: .*--base names another"):
        convert(str(source), tmp_path / "target", None, str)
    base = pickled(small_checkpoint, tmp_path / "base")
    row = convert(str(source), tmp_path / "target", str(base), str)
    assert row.below == []
    assert torch.equal(weights_of(tmp_path / "target")["visual_projection.weight"], projection)


@pytest.mark.parametrize(
    ("settings", "scale"),
    [
        ({}, 2),
        ({"use_rslora": True}, 8 / math.sqrt(4)),
        ({"alpha_pattern": {"q_proj": 2}}, 0.5),
        ({"alpha_pattern": {r"vision_model\..*\.q_proj": 2}}, 0.5),
        ({"alpha_pattern": {"k_proj": 2}}, 2),
        ({"r": 16, "rank_pattern": {"q_proj": 4, "fc1": 4}}, 2),
        ({"fan_in_fan_out": True}, 2),
    ],
)
def test_the_scale_is_that_of_peft(small_checkpoint, tmp_path, settings, scale):
    folder = adapter(tmp_path / "adapter", small_checkpoint, **settings)
    assert changes(folder, small_checkpoint) == pytest.approx(scale, rel=1e-3)


REFUSED = {
    "DoRA": ({"use_dora": True}, '"use_dora" is True, which is not supported'),
    "biases": ({"bias": "lora_only"}, "\"bias\" is 'lora_only', which is not supported"),
    "PiSSA": ({"init_lora_weights": "pissa"}, "\"init_lora_weights\" is 'pissa'"),
    "another kind": ({"peft_type": "IA3"}, "an adapter of type 'IA3'; LORA is supported"),
    "another rank": ({"r": 3}, "of another rank than its 3"),
    "no alpha": ({"lora_alpha": None}, '"lora_alpha" of .* is None, not a number'),
    "a broken pattern": ({"alpha_pattern": {"(": 1}}, "adapter_config.json: the pattern .* is not"),
    "endless": ({"alpha_pattern": {"(a*)*b": 1}}, "the pattern .* is not supported"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_is_refused_by_its_name(small_checkpoint, tmp_path, name):
    settings, message = REFUSED[name]
    folder = adapter(tmp_path / "adapter", small_checkpoint, **settings)
    with pytest.raises(CheckpointError, match=message):
        read_adapter(folder)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("x.lora_embedding_A", (2, 2), "neither a branch of a linear layer nor"),
        ("x.lora_magnitude_vector.weight", (2,), "neither a branch of a linear layer nor"),
        ("x.bias", (2,), "neither a branch of a linear layer nor"),
        ("x.lora_A.weight", (4, 3, 2, 2), "holds half|no linear layer"),
    ],
)
def test_a_weight_of_another_kind_is_refused(small_checkpoint, tmp_path, name, shape, message):
    extra = {f"base_model.model.{name}": torch.zeros(shape)}
    folder = adapter(tmp_path / "adapter", small_checkpoint, extra=extra)
    with pytest.raises(CheckpointError, match=message):
        read_adapter(folder)


def test_an_adapter_of_another_base_is_refused(small_checkpoint, tmp_path):
    folder = adapter(tmp_path / "adapter", small_checkpoint)
    base = weights_of(small_checkpoint)
    base[f"{LAYER}.weight"] = torch.zeros(2, 2)
    with pytest.raises(CheckpointError, match="which its base does not have in that shape"):
        merged(read_adapter(folder), base)


def test_an_adapter_without_a_base_asks_for_one(small_checkpoint, tmp_path):
    folder = adapter(tmp_path / "adapter", small_checkpoint, base_model_name_or_path=None)
    with pytest.raises(CheckpointError, match="does not name its base; use --base"):
        convert(str(folder), tmp_path / "target", None, str)


def test_a_base_for_what_is_no_adapter_is_refused(small_checkpoint, tmp_path):
    source = pickled(small_checkpoint, tmp_path / "source")
    with pytest.raises(CheckpointError, match="--base is for adapters"):
        convert(str(source), tmp_path / "target", str(small_checkpoint), str)
    assert held(tmp_path) == ["source"]


def test_the_settings_are_those_of_a_file_of_peft(small_checkpoint, tmp_path):
    folder = adapter(tmp_path / "adapter", small_checkpoint)
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"revision": "v1"}))
    assert read_adapter(folder).base == str(small_checkpoint), "a folder has no revisions"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": "a/b"}))
    assert read_adapter(folder).base == "a/b@v1"
