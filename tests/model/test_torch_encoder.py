"""The towers on torch: folding, padding, truncation, batch mates, and what stops the start."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from model.backends.memory_errors import memory_errors
from model.backends.torch_encoder import DTYPES, PIXEL_UNITS, TorchEncoder, place
from model.backends.towers.fold import fold_normalization
from model.checkpoints.checkpoint import BUILTIN_FOLDER, verify
from model.config import ModelConfig
from model.errors import CheckpointError, OutOfMemory
from model.fidelity.parity import Reference, compare
from model.load import CUDA_DRIVERS, card_precisions, load, precheck, settle
from tests.checkpoints import make_checkpoint
from tests.images import jpeg, png

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
TEXTS = ["login", "a dark login screen on a phone", "!", "naïve café ☕ UPPER", "x " * 500]


@pytest.fixture(scope="module")
def encoder(small_checkpoint):
    config = ModelConfig(
        model=str(small_checkpoint), policy="reference", device="cpu", backend="torch"
    )
    return load(config)


@pytest.mark.parametrize("unit", [1.0, 1 / 256])
@pytest.mark.parametrize("bias", [False, True])
def test_the_folded_convolution_equals_the_unfolded_one(bias, unit):
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 64, kernel_size=8, stride=8, bias=bias)
    pixels = torch.randint(0, 256, (4, 3, 32, 32)).float()
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    with torch.inference_mode():
        expected = convolution((pixels / 255 - mean) / std)
        folded = fold_normalization(convolution, MEAN, STD, unit)(unit * pixels)
    torch.testing.assert_close(folded, expected, rtol=1e-5, atol=1e-5)


def test_folding_in_double_precision_is_exact_to_rounding():
    convolution = nn.Conv2d(3, 16, kernel_size=4, stride=4, bias=False).double()
    pixels = torch.randint(0, 256, (2, 3, 16, 16)).double()
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in (MEAN, STD))
    with torch.inference_mode():
        expected = convolution((pixels / 255 - mean) / std)
        folded = fold_normalization(convolution, MEAN, STD)(pixels)
    torch.testing.assert_close(folded, expected, rtol=1e-12, atol=1e-12)


def test_pixels_and_embeddings_are_the_references(encoder, small_checkpoint):
    images = [jpeg(100, 60), png(33, 80, seed=3), png(32, 32, seed=5)]
    parity = compare(encoder, Reference(small_checkpoint), images, TEXTS)
    assert parity.max_pixel_difference == 0
    assert parity.images.plain.min >= 0.99999
    assert parity.texts.plain.min >= 0.99999
    assert max(parity.images.max_difference, parity.texts.max_difference) <= 1e-4


def test_embeddings_are_float32_of_unit_norm(encoder):
    images = encoder.encode_images(
        np.stack([encoder.spec.preprocessing(png(seed=s)) for s in range(3)])
    )
    texts, _ = encoder.encode_texts(TEXTS)
    for embeddings in (images, texts):
        assert embeddings.dtype == np.float32
        assert embeddings.shape[1] == encoder.spec.dimension
        np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)


def test_an_embedding_does_not_depend_on_its_batch_mates(encoder):
    """Padding to the longest text is exact, wherever the text stands."""
    together, _ = encoder.encode_texts(TEXTS)
    for row, text in zip(together, TEXTS, strict=True):
        alone, _ = encoder.encode_texts([text])
        np.testing.assert_allclose(alone[0], row, atol=1e-5)
    pixels = np.stack([encoder.spec.preprocessing(png(seed=seed)) for seed in range(5)])
    together = encoder.encode_images(pixels)
    for row, image in zip(together, pixels, strict=True):
        np.testing.assert_allclose(encoder.encode_images(image[None])[0], row, atol=1e-5)


def test_a_long_text_has_more_tokens_than_the_context(encoder):
    _, lengths = encoder.encode_texts(["short", "x " * 500])
    assert (lengths > encoder.spec.context_length).tolist() == [False, True]


def test_a_text_of_exactly_the_context_is_not_cut(tmp_path):
    folder = make_checkpoint(tmp_path / "short", context_length=6)
    encoder = load(ModelConfig(model=str(folder), device="cpu", backend="torch"))
    texts = ["a b c d", "a b c d e"]
    _, lengths = encoder.encode_texts(texts)
    assert lengths.tolist() == [6, 7]
    reference = Reference(folder).embed_texts(texts)
    np.testing.assert_allclose(encoder.encode_texts(texts)[0], reference, atol=1e-4)


def test_padding_is_exact_for_legacy_configurations_too(tmp_path):
    """Before transformers 4.31 every CLIP said eos_token_id 2 and took the highest id instead."""
    folder = make_checkpoint(tmp_path / "legacy", eos_token_id=2, bos_token_id=0, pad_token_id=1)
    encoder = load(ModelConfig(model=str(folder), device="cpu", backend="torch"))
    reference = Reference(folder).embed_texts(TEXTS)
    np.testing.assert_allclose(encoder.encode_texts(TEXTS)[0], reference, atol=1e-4)


def test_sizes_come_from_the_checkpoint(encoder, small_checkpoint):
    assert encoder.spec.image_size == 32
    assert encoder.spec.dimension == 24
    assert encoder.spec.context_length == 77
    assert encoder.spec.name == small_checkpoint.name
    assert encoder.spec.precision == "float32"


def test_weights_of_another_shape_stop_the_start(small_checkpoint, tmp_path):
    folder = Path(shutil.copytree(small_checkpoint, tmp_path / "copy"))
    weights = load_file(folder / "model.safetensors")
    del weights["vision_model.post_layernorm.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="lack vision_model.post_layernorm.weight"):
        TorchEncoder(verify(folder), ModelConfig(device="cpu"))


def edit_config(folder, tower, **changes):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config[tower] |= changes
    path.write_text(json.dumps(config))


def test_a_configuration_of_fewer_layers_than_the_weights_is_refused(small_checkpoint, tmp_path):
    folder = Path(shutil.copytree(small_checkpoint, tmp_path / "copy"))
    edit_config(folder, "vision_config", num_hidden_layers=1)
    with pytest.raises(CheckpointError, match="more layers than config.json says"):
        TorchEncoder(verify(folder), ModelConfig(device="cpu"))


def test_a_tokenizer_of_another_model_is_refused(small_checkpoint, tmp_path):
    folder = Path(shutil.copytree(small_checkpoint, tmp_path / "copy"))
    edit_config(folder, "text_config", eos_token_id=7)
    with pytest.raises(CheckpointError, match="ends texts with token 7, the tokenizer with"):
        TorchEncoder(verify(folder), ModelConfig(device="cpu"))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(BUILTIN_FOLDER / name, folder / name)
    with pytest.raises(CheckpointError, match="has 963 tokens, the weights"):
        TorchEncoder(verify(folder), ModelConfig(device="cpu"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_cuda_without_a_device_is_refused(small_checkpoint):
    with pytest.raises(CheckpointError, match="finds no CUDA device"):
        load(ModelConfig(model=str(small_checkpoint), device="cuda"))


@pytest.mark.skipif(any(map(Path.exists, CUDA_DRIVERS)), reason="this machine has a CUDA driver")
def test_cuda_without_a_driver_is_refused_before_the_fork(small_checkpoint):
    with pytest.raises(CheckpointError, match="there is no CUDA driver here"):
        precheck(ModelConfig(model=str(small_checkpoint), device="cuda"))


@pytest.mark.parametrize(("precision", "cosine"), [("float16", 0.9999), ("bfloat16", 0.9995)])
def test_half_precisions_are_close_and_say_what_they_are(small_checkpoint, precision, cosine):
    """Meant for CUDA; their arithmetic runs on a CPU, too."""
    config = ModelConfig(precision=precision, device="cpu", policy="reference")
    encoder = TorchEncoder(verify(small_checkpoint), config)
    parity = compare(encoder, Reference(small_checkpoint), [png(), jpeg()], TEXTS)
    assert min(parity.images.plain.min, parity.texts.plain.min) >= cosine
    assert encoder.spec.precision == precision


@pytest.mark.parametrize("dtype", DTYPES.values())
def test_every_pixel_is_exact_in_every_precision(dtype):
    pixels = torch.arange(256, dtype=torch.uint8)
    exact = pixels.double() * PIXEL_UNITS[dtype]
    assert torch.equal((pixels.to(dtype) * PIXEL_UNITS[dtype]).double(), exact)


def test_weights_that_do_not_fit_are_out_of_memory():
    """One number that stands for 2**46: a copy of them has no room in any machine."""
    layer = nn.Linear(1, 1)
    layer.weight = nn.Parameter(torch.zeros(1).expand(2**23, 2**23), requires_grad=False)
    with pytest.raises(OutOfMemory):
        place(layer, torch.device("cpu"), torch.float16)


def test_a_batch_that_does_not_fit_is_out_of_memory_and_the_next_one_is_embedded(encoder):
    pixels = np.stack([encoder.spec.preprocessing(png(seed=seed)) for seed in range(2)])
    before = encoder.encode_images(pixels)
    with pytest.raises(OutOfMemory), pytest.warns(UserWarning, match="not writable"):
        encoder.encode_images(np.broadcast_to(pixels[:1], (2**35, *pixels.shape[1:])))
    np.testing.assert_array_equal(encoder.encode_images(pixels), before)


@pytest.mark.parametrize(
    "words",
    [
        "CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation' in the manual",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    ],
)
def test_memory_that_libraries_take_themselves_counts_as_memory(words):
    with pytest.raises(OutOfMemory), memory_errors():
        raise RuntimeError(words)


def test_other_errors_of_a_device_are_no_lack_of_memory():
    with pytest.raises(RuntimeError, match="illegal"), memory_errors():
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize(
    ("precision", "cosine"), [("float32", 0.99999), ("bfloat16", 0.9995), ("float16", 0.9999)]
)
def test_cuda_agrees_with_the_reference(small_checkpoint, precision, cosine):
    if precision not in card_precisions():
        pytest.skip("this card has no bfloat16")
    config = ModelConfig(
        model=str(small_checkpoint), device="cuda", precision=precision, policy="reference"
    )
    parity = compare(load(config), Reference(small_checkpoint), [png(), jpeg()], TEXTS)
    assert min(parity.images.plain.min, parity.texts.plain.min) >= cosine


@pytest.mark.gpu
@needs_cuda
def test_threads_on_cuda_get_each_their_own_embeddings(small_checkpoint):
    """Streams and pinned memory are a thread's own, and memory grows with the batch."""
    encoder = load(ModelConfig(model=str(small_checkpoint), device="cuda", precision="float32"))
    pixels = np.stack([encoder.spec.preprocessing(png(seed=seed)) for seed in range(16)])
    expected = encoder.encode_images(pixels)

    def run(number):
        sizes = [1 + (number * step) % 16 for step in range(1, 40)]
        return all(
            np.allclose(encoder.encode_images(pixels[:n]), expected[:n], atol=1e-5) for n in sizes
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(run, range(1, 5)))


@pytest.mark.gpu
@needs_cuda
def test_auto_takes_the_card_for_what_it_has():
    for precision in ("auto", *card_precisions()):
        settled = settle(ModelConfig(precision=precision))
        assert (settled.backend, settled.device) == ("torch", "cuda")


@pytest.mark.gpu
@needs_cuda
def test_a_card_that_is_too_small_for_a_batch_embeds_the_next_one(small_checkpoint):
    encoder = load(ModelConfig(model=str(small_checkpoint), device="cuda", precision="float32"))
    pixels = np.stack([encoder.spec.preprocessing(png(seed=seed)) for seed in range(4)])
    before = encoder.encode_images(pixels)
    room = torch.cuda.memory_reserved() + 2**24
    torch.cuda.set_per_process_memory_fraction(room / torch.cuda.mem_get_info()[1])
    try:
        with pytest.raises(OutOfMemory):
            encoder.encode_images(np.zeros((2**14, *pixels.shape[1:]), dtype=np.uint8))
        np.testing.assert_allclose(encoder.encode_images(pixels), before, atol=1e-5)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
