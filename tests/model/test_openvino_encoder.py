"""The towers on OpenVINO: as torch's, alone or in company, from files or converted."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from model.backends.convert import convert
from model.backends.export import save
from model.backends.openvino_encoder import OpenVinoEncoder
from model.backends.torch_encoder import TorchEncoder
from model.checkpoints.checkpoint import BUILTIN_FOLDER, verify
from model.checkpoints.graphs import find, graphs_folder
from model.config import ModelConfig
from model.errors import CheckpointError
from model.load import load, precheck
from tests.checkpoints import make_checkpoint
from tests.images import png

TEXTS = ["login", "a dark login screen on a phone", "!", "naïve café ☕ UPPER", "x " * 500]


@pytest.fixture(scope="module")
def exported(tmp_path_factory, small_checkpoint):
    """The small checkpoint with its graphs."""
    folder = shutil.copytree(small_checkpoint, tmp_path_factory.mktemp("exported") / "small")
    checkpoint = verify(Path(folder))
    encoder = TorchEncoder(checkpoint, ModelConfig(device="cpu"))
    save(checkpoint.folder, "float32", checkpoint, convert(encoder), encoder.tokenizer)
    return checkpoint.folder


def opened(folder, **options):
    return load(ModelConfig(model=str(folder), backend="openvino", **options))


@pytest.fixture(scope="module")
def encoder(exported):
    return opened(exported)


@pytest.fixture(scope="module")
def torch_encoder(exported):
    return load(ModelConfig(model=str(exported), backend="torch"))


def pixels_of(encoder, count=5):
    return np.stack([encoder.spec.preprocessing(png(seed=seed)) for seed in range(count)])


def test_it_agrees_with_torch_at_every_length_of_text(encoder, torch_encoder):
    """Tracing takes conditions on shapes for constants: every length is tried."""
    pixels = pixels_of(encoder)
    np.testing.assert_allclose(
        encoder.encode_images(pixels), torch_encoder.encode_images(pixels), atol=1e-6
    )
    for words in range(1, encoder.spec.context_length + 2):
        texts = ["a " * words, "b"]
        ours, lengths = encoder.encode_texts(texts)
        theirs, expected = torch_encoder.encode_texts(texts)
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
        assert lengths.tolist() == expected.tolist()


def test_an_embedding_does_not_depend_on_its_batch_mates(encoder):
    pixels = pixels_of(encoder, 9)
    together = encoder.encode_images(pixels)
    for row, image in zip(together, pixels, strict=True):
        np.testing.assert_allclose(encoder.encode_images(image[None])[0], row, atol=1e-5)
    np.testing.assert_allclose(
        encoder.encode_images(pixels[::-1].copy())[::-1], together, atol=1e-5
    )
    texts, _ = encoder.encode_texts(TEXTS)
    for row, text in zip(texts, TEXTS, strict=True):
        np.testing.assert_allclose(encoder.encode_texts([text])[0][0], row, atol=1e-5)


def test_converted_in_memory_it_is_the_same_as_from_files(encoder, small_checkpoint):
    converted = opened(small_checkpoint)
    pixels = pixels_of(encoder)
    np.testing.assert_allclose(
        converted.encode_images(pixels), encoder.encode_images(pixels), atol=1e-6
    )
    np.testing.assert_allclose(
        converted.encode_texts(TEXTS)[0], encoder.encode_texts(TEXTS)[0], atol=1e-6
    )
    assert converted.spec.fingerprint == encoder.spec.fingerprint


def test_the_same_weights_have_one_fingerprint_on_every_back_end(encoder, torch_encoder):
    assert encoder.spec.fingerprint == torch_encoder.spec.fingerprint
    assert (encoder.spec.backend, encoder.spec.precision) == ("openvino", "float32")


def test_many_threads_get_each_its_own_embeddings(encoder):
    encoder.use_threads(1, streams=2)
    batches = [pixels_of(encoder, 6)[start:] for start in range(6)]
    expected = [encoder.encode_images(batch) for batch in batches]
    wrong = []

    def run(batch, rows):
        turns = (encoder.encode_images(batch) for _ in range(20))
        wrong.extend(len(batch) for turn in turns if not np.allclose(turn, rows, atol=1e-5))

    pairs = zip(batches, expected, strict=True)
    threads = [threading.Thread(target=run, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_in_int8_an_image_that_comes_alone_has_the_threads_of_all_streams(exported, tmp_path):
    """Graphs of any precision will do: these are float32's under the name of int8."""
    checkpoint = verify(Path(shutil.copytree(exported, tmp_path / "int8")))
    plain = opened(checkpoint.folder)
    save(
        checkpoint.folder,
        "int8",
        checkpoint,
        {name: plain.graph(name) for name in ("image", "text")},
        plain.tokenizer,
    )
    encoder = opened(checkpoint.folder, precision="int8")
    encoder.use_threads(2, streams=2)
    pixels = pixels_of(encoder)
    expected = plain.encode_images(pixels)

    def ran(count):
        """Return the threads and streams of the graphs that embed so many images."""
        encoder._towers.clear()
        np.testing.assert_allclose(encoder.encode_images(pixels[:count]), expected[:count], 0, 1e-5)
        return [key[1:] for key in encoder._towers]

    assert ran(1) == [(4, 1)]
    assert ran(2) == [(2, 2)]
    with encoder._counted():  # another batch runs
        assert ran(1) == [(2, 2)]
    assert ran(1) == [(4, 1)]
    encoder.use_threads(2)
    assert ran(1) == ran(2) == [(2, 1)]


def test_embeddings_outlive_the_next_batch(encoder):
    pixels = pixels_of(encoder)
    first = encoder.encode_images(pixels[:2])
    kept = first.copy()
    encoder.encode_images(pixels[2:4])
    np.testing.assert_array_equal(first, kept)


def test_bfloat16_is_close_and_says_what_it_is(exported, torch_encoder):
    encoder = opened(exported, precision="bfloat16")
    pixels = pixels_of(encoder)
    cosines = (encoder.encode_images(pixels) * torch_encoder.encode_images(pixels)).sum(axis=1)
    assert cosines.min() > 0.99
    assert encoder.spec.precision == "bfloat16"


def test_graphs_of_other_weights_are_refused(exported, tmp_path):
    other = make_checkpoint(tmp_path / "other", seed=1)
    shutil.copytree(exported / "openvino", other / "openvino")
    with pytest.raises(CheckpointError, match="float32 was made from other weights"):
        opened(other)


@pytest.mark.parametrize("damage", ["cut", "mixed", "missing", "manifest", "no manifest", "graph"])
def test_half_written_graphs_are_refused(exported, tmp_path, damage):
    folder = Path(shutil.copytree(exported, tmp_path / "copy"))
    graphs = graphs_folder(folder, "float32")
    if damage == "cut":
        (graphs / "image.bin").write_bytes((graphs / "image.bin").read_bytes()[:-1])
    elif damage == "mixed":
        content = (graphs / "image.bin").read_bytes()
        (graphs / "image.bin").write_bytes(content[::-1])
    elif damage == "missing":
        (graphs / "text.bin").unlink()
    elif damage == "manifest":
        (graphs / "graphs.json").write_text("[]")
    elif damage == "no manifest":
        (graphs / "graphs.json").unlink()
    else:
        size = (graphs / "text.xml").stat().st_size
        (graphs / "text.xml").write_text("<" * size)
    with pytest.raises(CheckpointError, match=str(graphs)):
        opened(folder).warm_up()


def test_int8_that_is_not_there_names_the_command(exported):
    with pytest.raises(CheckpointError, match="sweetspot quantize --model"):
        opened(exported, precision="int8")
    with pytest.raises(CheckpointError, match="sweetspot quantize --model"):
        precheck(ModelConfig(model=str(exported), device="cpu", precision="int8"))


def test_the_built_in_ships_exported():
    """What is beside the weights is made from them, and is what converting gives."""
    checkpoint = verify(BUILTIN_FOLDER)
    assert find(checkpoint, "float32") is not None
    shipped = OpenVinoEncoder(checkpoint, ModelConfig())
    reference = TorchEncoder(checkpoint, ModelConfig(device="cpu"))
    pixels = pixels_of(shipped)
    np.testing.assert_allclose(
        shipped.encode_images(pixels), reference.encode_images(pixels), atol=1e-6
    )
    np.testing.assert_allclose(
        shipped.encode_texts(TEXTS)[0], reference.encode_texts(TEXTS)[0], atol=1e-6
    )


QUIET_START = """
import sys
from model.config import ModelConfig
from model.load import load
encoder = load(ModelConfig(model="builtin", device="cpu"))
encoder.warm_up()
print(*(name for name in ("transformers", "torch", "openvino_telemetry.main", "requests")
        if sys.modules.get(name)))
"""


def test_a_start_from_graphs_imports_no_transformers_and_reports_to_nobody(tmp_path):
    """OpenVINO's own import would load its reporter and write into the home folder."""
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    result = subprocess.run(
        [sys.executable, "-c", QUIET_START], capture_output=True, text=True, env=environment,
        cwd=Path(__file__).parents[2], check=True,
    )  # fmt: skip
    assert result.stdout.strip() == ""
    assert list(tmp_path.iterdir()) == []


def test_a_signal_after_the_encoder_was_closed_is_a_signal():
    """In a process of its own: where this fails the process is gone, without a word."""
    program = (
        "import signal\n"
        "from model.config import ModelConfig\n"
        "from model.load import load\n"
        "for _ in range(2):\n"
        "    encoder = load(ModelConfig(model='builtin', backend='openvino'))\n"
        "    encoder.warm_up()\n"
        "    encoder.close()\n"
        "    del encoder\n"
        "try:\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("interrupted\n", 0), done.stderr
