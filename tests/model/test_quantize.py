"""int8: the gate lets through what is near, keeps in float32 what hurts, or refuses."""

import shutil

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from model.backends.export import copy_checkpoint, save
from model.backends.openvino_encoder import OpenVinoEncoder
from model.backends.runtime import cpu_has_bfloat16
from model.checkpoints.checkpoint import BUILTIN_FOLDER, verify
from model.config import ModelConfig
from model.fidelity.cosines import Cosines, Fidelity
from model.fidelity.quantize import BelowFloors, Floors, QuantizedTower, as_report, quantize
from model.load import load
from model.synthetic.thumbnails import sample
from model.training.builtin_model.retrieval import embed, evaluation_set, recalls
from tests.checkpoints import make_checkpoint

# A layer whose input has channels far from the rest.
HURT = "encoder.layers.0.mlp.fc1"
OUTLIER, CHANNELS = 10_000.0, (3, 20)


def calibration(encoder, count):
    some = [sample(seed) for seed in range(count)]
    pixels = np.stack([encoder.spec.preprocessing(one.data) for one in some])
    return pixels, [one.caption for one in some]


def float32(folder):
    return OpenVinoEncoder(verify(folder), ModelConfig(precision="float32"))


def plant_outliers(folder):
    """Shift channels between a normalisation and the layer it feeds; float32 does not notice."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    layer = f"vision_model.{HURT}"
    shift = f"{layer.removesuffix('mlp.fc1')}layer_norm2.bias"
    for channel in CHANNELS:
        weights[shift][channel] += OUTLIER
        weights[f"{layer}.bias"] -= OUTLIER * weights[f"{layer}.weight"][:, channel]
    save_file(weights, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("p1", "overlap", "margin"),
    [(1.0, 1.0, 1.0), (0.99, 1.0, 0.0), (1.0, 0.9, 0.0), (1.0, 0.5, -4.0), (0.98, 1.0, -1.0)],
)
def test_the_nearer_floor_decides(p1, overlap, margin):
    cosines = Cosines(min=p1, p1=p1, mean=1.0)
    found = Fidelity(50, cosines, cosines, max_difference=0.0, overlap=overlap)
    assert Floors(min_cosine=0.99, min_overlap=0.9).margin(found) == pytest.approx(margin)


def test_the_built_in_keeps_its_recall_in_int8(tmp_path):
    encoder = float32(BUILTIN_FOLDER)
    floors = Floors()
    towers = quantize(encoder, *calibration(encoder, 60), floors)
    checkpoint = verify(BUILTIN_FOLDER)
    copy_checkpoint(checkpoint, tmp_path)
    graphs = {name: tower.graph for name, tower in towers.items()}
    report = as_report(towers, floors, generated=True)
    save(tmp_path, "int8", checkpoint, graphs, encoder.tokenizer, report)

    quantized = load(ModelConfig(model=str(tmp_path), device="cpu"))
    assert (quantized.spec.precision, quantized.spec.backend) == ("int8", "openvino")
    assert quantized.spec.fingerprint != encoder.spec.fingerprint
    evaluation = evaluation_set()
    found = {}
    for name, one in (("int8", quantized), ("float32", encoder)):
        images, texts = embed(one, evaluation)
        found[name] = recalls(texts @ images.T)
    print(found)
    assert abs(found["int8"].text_to_image_1 - found["float32"].text_to_image_1) <= 0.02
    assert abs(found["int8"].image_to_text_1 - found["float32"].image_to_text_1) <= 0.02

    pixels, texts = calibration(quantized, 12)
    together = quantized.encode_images(pixels)
    for row, image in zip(together, pixels, strict=True):
        np.testing.assert_allclose(quantized.encode_images(image[None])[0], row, atol=1e-2)
    rows, _ = quantized.encode_texts(texts)
    for row, text in zip(rows, texts, strict=True):
        np.testing.assert_allclose(quantized.encode_texts([text])[0][0], row, atol=1e-2)

    plain = load(ModelConfig(model=str(tmp_path), precision="float32", device="cpu"))
    assert plain.spec.fingerprint == encoder.spec.fingerprint
    assert report["image"]["plain"]["p1"] >= floors.min_cosine
    assert report["floors"] == {"min_cosine": 0.99, "min_overlap": 0.9}
    assert report["bfloat16"] == cpu_has_bfloat16()


def test_the_rest_runs_in_bfloat16_only_if_both_towers_keep_the_floors_in_it():
    near, far = (
        Fidelity(50, Cosines(p1, p1, p1), Cosines(p1, p1, p1), max_difference=0.0, overlap=1.0)
        for p1 in (0.995, 0.98)
    )
    for in_bfloat16, expected in (
        ((near, near), True),
        ((near, far), False),
        ((near, None), False),
    ):
        pairs = zip(("image", "text"), in_bfloat16, strict=True)
        towers = {name: QuantizedTower(None, near, (), one) for name, one in pairs}
        assert as_report(towers, Floors(), generated=True)["bfloat16"] is expected


def test_int8_beside_bfloat16_has_a_fingerprint_of_its_own(
    small_checkpoint, small_on_openvino, tmp_path, caplog
):
    """Graphs of any precision will do: these are float32's under the name of int8."""
    encoder = small_on_openvino
    shutil.copytree(small_checkpoint, tmp_path / "small")
    graphs = {name: encoder.graph(name) for name in ("image", "text")}
    checkpoint = verify(tmp_path / "small")
    pixels, _ = calibration(encoder, 4)
    found = {}
    for note in (False, True):
        save(checkpoint.folder, "int8", checkpoint, graphs, encoder.tokenizer, {"bfloat16": note})
        one = OpenVinoEncoder(checkpoint, ModelConfig(precision="int8"))
        found[note] = one.spec.fingerprint, one.encode_images(pixels)
    same_numbers = np.array_equal(found[True][1], found[False][1])
    assert same_numbers != cpu_has_bfloat16()
    assert (found[True][0] == found[False][0]) == same_numbers
    assert ("this one has none" in caplog.text) == same_numbers


def test_layers_that_hurt_are_kept_in_float32(tmp_path):
    original = float32(make_checkpoint(tmp_path, "shallow", num_hidden_layers=2, seed=1))
    pixels, texts = calibration(original, 66)
    expected = original.encode_images(pixels[:8])
    plant_outliers(tmp_path)
    encoder = float32(tmp_path)
    np.testing.assert_allclose(encoder.encode_images(pixels[:8]), expected, atol=1e-3)
    image = quantize(encoder, pixels, texts, Floors())["image"]
    # The first layer is never quantized; all others are.
    assert image.in_float32 == ("tower.embeddings.patch_embedding", f"tower.{HURT}")
    assert image.fidelity.plain.p1 >= 0.99


def test_floors_that_cannot_be_kept_are_refused(tmp_path):
    # The search for harmful layers tries each half, to the last layer: here there are two.
    encoder = float32(make_checkpoint(tmp_path, "no blocks"))
    pixels, texts = calibration(encoder, 9)
    with pytest.raises(
        BelowFloors, match="the image tower in int8 .* layers in float32; the floors"
    ):
        quantize(encoder, pixels, texts, Floors(min_cosine=0.9999999))
