"""The scores of images and texts are the reference's."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from model.checkpoints.checkpoint import BUILTIN_FOLDER, verify
from model.checkpoints.safetensors_header import read_header
from model.checkpoints.tokenizer import Tokenizer
from model.config import ModelConfig, Scores
from model.load import load
from tests.checkpoints import make_checkpoint, make_resnet, make_siglip
from tests.images import jpeg

TEXTS = ["a dark login", "a chart", "red"]


def scored(encoder, similarities):
    """Return what `Scores` says that scores are. similarities: float32 [images, texts]."""
    scores = encoder.spec.scores
    logits = scores.scale * similarities + scores.bias
    if scores.kind == "sigmoid":
        return 1 / (1 + np.exp(-logits))
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("backend", ["torch", "openvino"])
@pytest.mark.parametrize("make", [make_checkpoint, make_siglip])
def test_scores_are_those_of_transformers(tmp_path, make, backend):
    folder = make(tmp_path)
    encoder = load(ModelConfig(model=str(folder), backend=backend, device="cpu"))
    pixels = np.stack([encoder.spec.preprocessing(jpeg(side, 60)) for side in (60, 90)])
    texts, _ = encoder.encode_texts(TEXTS)
    found = scored(encoder, encoder.encode_images(pixels) @ texts.T)

    reference = AutoModel.from_pretrained(folder).eval()
    mean, std = (torch.tensor(one).view(3, 1, 1) for one in (encoder.spec.mean, encoder.spec.std))
    inputs = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std
    tokenizer = Tokenizer.of_checkpoint(verify(folder))
    tokens = [tokenizer([text])[0] for text in TEXTS]
    with torch.inference_mode():
        logits = torch.cat(
            [
                reference(
                    input_ids=torch.from_numpy(ids)[None], pixel_values=inputs
                ).logits_per_image
                for ids in tokens
            ],
            dim=1,
        )
    expected = logits.sigmoid() if encoder.spec.scores.kind == "sigmoid" else logits.softmax(1)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_number_is_read_in_any_type(tmp_path, dtype, shape):
    path = tmp_path / "model.safetensors"
    weights = {"first": torch.zeros(3), "logit_scale": torch.full(shape, 2.75, dtype=dtype)}
    save_file(weights, path)
    header = read_header(path)
    assert header.number("logit_scale") == 2.75
    assert header.number("first") is None
    assert header.number("missing") is None


def test_a_resnet_is_scored_as_clip_and_a_checkpoint_without_a_scale_says_nothing(tmp_path):
    folder = make_resnet(tmp_path)
    path = folder / "model.safetensors"
    weights = load_file(path)
    assert verify(folder).scores is None
    save_file(weights | {"logit_scale": torch.tensor(4.0)}, path, metadata={"format": "pt"})
    assert verify(folder).scores == Scores("softmax", math.exp(4), 0.0)
    assert verify(BUILTIN_FOLDER).scores.scale > 1
