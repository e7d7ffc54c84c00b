"""open_clip's SigLIPs: what is not followed is refused, and what is wrong is seen."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from model.checkpoints.checkpoint import verify
from model.checkpoints.families import SIGLIP
from model.checkpoints.tokenizer import Tokenizer
from model.config import ModelConfig
from model.convert.convert import convert, write
from model.convert.siglip import plan as siglip
from model.errors import CheckpointError
from model.fidelity.cosines import fidelity
from model.load import load
from model.synthetic.thumbnails import caption_of, sample
from tests.model.convert.sources import golden, held

source = partial(golden, "small-siglip")


def test_a_siglip_is_converted_and_served(tmp_path):
    said = []
    folder = golden("small-siglip2", tmp_path / "source")
    assert convert(str(folder), tmp_path / "target", None, said.append).below == []
    assert said[0].endswith(
        "a checkpoint of open_clip: SigLIP, 1 layers of 64, patches of 8 px, images of 37 px, "
        "gelu_pytorch_tanh"
    )
    found = verify(tmp_path / "target")
    assert found.family is SIGLIP
    assert found.geometry == (37, (37, 37), "bicubic")
    encoder = load(ModelConfig(model=str(tmp_path / "target"), device="cpu", backend="openvino"))
    assert encoder.encode_texts(["a login"])[0].shape == (1, 64)
    assert held(tmp_path / "target") == [
        "config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json",
        "tokenizer_config.json",
    ]  # fmt: skip


def test_texts_are_read_without_punctuation_and_in_small_letters(tmp_path):
    target = tmp_path / "target"
    convert(str(golden("small-siglip2", tmp_path / "source")), target, None, str)
    tokenizer = Tokenizer.of_checkpoint(verify(target))
    plain = tokenizer(["sign in form new"])[0].tolist()
    for text in ("Sign_in FORM: <b>new</b>!".replace("<b>", "").replace("</b>", ""),
                 "  sign in\n\nform\u00a0NEW ", "(sign) in\tform - new?"):  # fmt: skip
        assert tokenizer([text])[0].tolist() == plain
    tag, letter = tokenizer(["<b>"])[0].tolist(), tokenizer(["b"])[0].tolist()
    assert tag == letter
    # A special token is found in any text, as transformers finds it; open_clip would read `eos`.
    assert tokenizer(["<eos>"])[0].tolist()[0][0] == tokenizer.end


@pytest.mark.parametrize("of_pieces", [False, True])
def test_tokens_that_have_no_row_are_left_out(of_pieces, tmp_path):
    """T5's extra ones: added by transformers, or pieces, as in the multilingual vocabulary."""
    folder = source(tmp_path / "source")
    if of_pieces:
        path = folder / "tokenizer.json"
        described = json.loads(path.read_text())
        vocabulary = described["model"]["vocab"]
        vocabulary += [[f"\u2581<extra_id_{index}>", 0.0] for index in range(400 - len(vocabulary))]
        path.write_text(json.dumps(described))
    else:
        config = json.loads((folder / "tokenizer_config.json").read_text())
        config |= {"extra_ids": 150}
        del config["extra_special_tokens"]
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert len(siglip.read_tokenizer(folder)) > 300
    convert(str(folder), tmp_path / "target", None, str)
    tokenizer = Tokenizer.of_checkpoint(verify(tmp_path / "target"))
    assert tokenizer.size <= 300
    with np.load(folder / "found.npz") as found:
        texts = json.loads((folder / "model.json").read_text())["texts"]
        np.testing.assert_array_equal(tokenizer(texts)[0], found["ids"])


def test_numbers_of_a_training_may_be_lists_of_one(tmp_path):
    def listed(found):
        return found | {"logit_scale": found["logit_scale"][None], "logit_bias": torch.ones(1)}

    folder = source(tmp_path / "source", weights_of=listed)
    convert(str(folder), tmp_path / "target", None, str)
    assert load_file(tmp_path / "target" / "model.safetensors")["logit_bias"].tolist() == [1]


REFUSED = {
    "an average": (
        {"vision_cfg": {"timm_pool": "avg"}}, "\"timm_pool\" is 'avg', which is not supported",
    ),
    "a projection of images": (
        {"vision_cfg": {"timm_proj": "linear"}}, "\"timm_proj\" is 'linear'",
    ),
    "a causal mask": (
        {"text_cfg": {"no_causal_mask": False}},
        '"no_causal_mask" is False, which is not supported for a SigLIP',
    ),
    "another end": ({"text_cfg": {"pool_type": "argmax"}}, "\"pool_type\" is 'argmax'"),
    "other rewriting": (
        {"text_cfg": {"tokenizer_kwargs": {"clean": "lower"}}}, "\"tokenizer_kwargs\" is {'clean'",
    ),
    "no rewriting": ({"text_cfg": {"tokenizer_kwargs": {}}}, '"tokenizer_kwargs" is {}'),
    "another activation": (
        {"text_cfg": {"act_kwargs": {"approximate": "sigmoid"}}}, '"act_kwargs" is',
    ),
    "another epsilon": ({"text_cfg": {"norm_kwargs": {"eps": 0.0}}}, '"norm_kwargs" is'),
    "a foreign text tower": (
        {"text_cfg": {"hf_model_name": "facebook/nllb-200"}},
        "describes Hugging Face's text tower 'facebook/nllb-200', which is not supported yet",
    ),
    "a pooling of averages": (
        {"vision_cfg": {"timm_model_name": "vit_base_patch16_siglip_gap_224"}},
        "describes timm's image tower 'vit_base_patch16_siglip_gap_224', which is not supported",
    ),
    "a novelty": ({"model": {"novelty": 3}}, '"novelty" is 3, which is not supported'),
    "another size": (
        {"vision_cfg": {"image_size": 40}}, '"vision_cfg.image_size" is 40, and the weights say 32',
    ),
    "another context": (
        {"text_cfg": {"context_length": 77}}, '"text_cfg.context_length" is 77, and the .* say 64',
    ),
    "heads": ({"text_cfg": {"heads": 5}}, '"heads" is 5, which does not divide 32'),
    "pictures that are cut": (
        {"images": {"resize_mode": "shortest"}},
        "prepares images with another resize_mode than 'squash', which is not supported for a",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_other_settings_are_refused_by_name(name, tmp_path):
    changes, message = REFUSED[name]
    folder = source(tmp_path / "source", **changes)
    with pytest.raises(CheckpointError, match=message) as caught:
        convert(str(folder), tmp_path / "target", None, str)
    assert "\n" not in str(caught.value)
    assert held(tmp_path) == ["source"]


OTHER_WEIGHTS = {
    "a layer less": (
        lambda found: {key: one for key, one in found.items() if "blocks.1.mlp" not in key},
        "holds no visual.trunk.blocks.1.mlp.fc1.weight: not all weights of a SigLIP",
    ),
    "a norm more": (
        lambda found: found | {"visual.trunk.norm_pre.weight": torch.zeros(48)},
        "holds visual.trunk.norm_pre.weight, which open_clip's SigLIP does not have",
    ),
    "17 patches": (
        lambda found: found | {"visual.trunk.pos_embed": torch.zeros(1, 17, 48)},
        r"visual.trunk.pos_embed of shape \(1, 17, 48\), not \(1, 16, 48\)",
    ),
    "only images": (
        lambda found: {key: one for key, one in found.items() if key.startswith("visual.")},
        "holds no token_embedding.weight: not open_clip's layout of a SigLIP",
    ),
    "a projection without a bias": (
        lambda found: (
            {key: one for key, one in found.items() if "text_projection" not in key}
            | {"text.text_projection": torch.zeros(32, 48)}
        ),
        "holds text_projection, which open_clip's SigLIP does not have",
    ),
}


@pytest.mark.parametrize("name", OTHER_WEIGHTS)
def test_other_weights_are_refused_by_name(name, tmp_path):
    change, message = OTHER_WEIGHTS[name]
    folder = source(tmp_path / "source", weights_of=change)
    with pytest.raises(CheckpointError, match=message):
        convert(str(folder), tmp_path / "target", None, str)
    assert held(tmp_path) == ["source"]


TOKENIZERS = {
    "no": (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    "half a": (
        lambda folder: (folder / "tokenizer.json").write_text("{"), "tokenizer.json is not valid",
    ),
    "one that runs code": (
        lambda folder: (folder / "tokenizer_config.json").write_text(
            json.dumps({"auto_map": {"AutoTokenizer": ["a.B", "a.C"]}})
        ),
        "the tokenizer in .* cannot be loaded",
    ),
    "one without an end": (
        lambda folder: (folder / "tokenizer_config.json").write_text(
            json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"})
        ),
        "the tokenizer in .* does not end texts and pad on the right",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_tokenizer_that_does_not_fit_is_refused(name, tmp_path):
    change, message = TOKENIZERS[name]
    folder = source(tmp_path / "source")
    change(folder)
    with pytest.raises(CheckpointError, match=message):
        convert(str(folder), tmp_path / "target", None, str)
    assert held(tmp_path) == ["source"]


OTHER_FORMS = {
    "the GELU of texts": ({"text_cfg": {"act_kwargs": {"approximate": "tanh"}}}, 2e-5),
    "the GELU of images": (
        {"vision_cfg": {"timm_model_name": "vit_base_patch32_siglip_256"}}, 2e-5,
    ),
    "heads of texts": ({"text_cfg": {"heads": 4}}, 1e-3),
    "heads of images": (
        {"vision_cfg": {"timm_model_name": "vit_large_patch16_siglip_256"}}, 1e-3,
    ),
    "the epsilon of texts": ({"text_cfg": {"norm_kwargs": {"eps": 1e-2}}}, 1e-3),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER_FORMS)
def test_what_the_weights_do_not_say_makes_a_difference(name, tmp_path):
    """More than test_golden.py allows; the source is computed by code of its own."""
    changes, least = OTHER_FORMS[name]
    folders = (
        source(tmp_path / "one"),
        source(tmp_path / "other", **changes),
    )
    convert(str(folders[0]), tmp_path / "target", None, str)
    checkpoint = verify(tmp_path / "target")
    tokenizer = Tokenizer.of_checkpoint(checkpoint)
    one, other = (siglip.plan(folder).source(checkpoint, tokenizer) for folder in folders)
    embed, items = (
        ("embed_texts", [caption_of(seed) for seed in range(4)])
        if name.endswith("texts")
        else ("embed_images", [sample(seed).data for seed in range(4)])
    )
    found = fidelity(getattr(one, embed)(items), getattr(other, embed)(items))
    assert found.max_difference > least


def test_a_result_that_differs_is_not_kept(tmp_path):
    changed = {"text_cfg": {"heads": 4}}
    right, wrong = (
        source(tmp_path / "right"),
        source(tmp_path / "wrong", **changed),
    )
    mixed = replace(siglip.plan(wrong), source=siglip.plan(right).source)
    with pytest.raises(CheckpointError, match="was not kept: text"):
        write(mixed, tmp_path / "target")
    assert held(tmp_path) == ["right", "wrong"]
