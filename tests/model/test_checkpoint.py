"""Finding and verifying a checkpoint: sizes from the weights, one sentence when it is broken."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from model.checkpoints.checkpoint import BUILTIN_FOLDER, fingerprint, locate, verify
from model.errors import CheckpointError
from tests.checkpoints import make_checkpoint


@pytest.fixture
def checkpoint(small_checkpoint, tmp_path):
    """A copy that may be damaged."""
    return Path(shutil.copytree(small_checkpoint, tmp_path / "copy"))


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_sizes_come_from_the_weights(small_checkpoint):
    found = verify(small_checkpoint)
    assert (found.image_size, found.dimension, found.context_length) == (32, 24, 77)
    assert found.mean == (0.48145466, 0.4578275, 0.40821073)
    assert found.name == small_checkpoint.name


def test_sharded_weights_are_one_checkpoint(small_checkpoint, tmp_path):
    from transformers import CLIPModel

    folder = Path(shutil.copytree(small_checkpoint, tmp_path / "sharded"))
    (folder / "model.safetensors").unlink()
    CLIPModel.from_pretrained(small_checkpoint).save_pretrained(folder, max_shard_size="100KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    assert verify(folder).dimension == 24


def test_a_processor_saved_as_one_file_is_read(checkpoint):
    """transformers 5 writes processor_config.json with the image processor inside."""
    old = checkpoint / "preprocessor_config.json"
    new = {"image_processor": json.loads(old.read_text())}
    old.unlink()
    (checkpoint / "processor_config.json").write_text(json.dumps(new))
    assert verify(checkpoint).image_size == 32


def test_old_style_sizes_are_read(checkpoint):
    edit(checkpoint / "preprocessor_config.json", size=32, crop_size=32)
    assert verify(checkpoint).image_size == 32


def reindex(folder, weight_map):
    (folder / "model.safetensors").unlink()
    index = json.dumps({"weight_map": weight_map})
    (folder / "model.safetensors.index.json").write_text(index)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 605157884\n"
BREAKAGES = {
    "no config": (lambda f: (f / "config.json").unlink(), "config.json is missing"),
    "half a config": (
        lambda f: (f / "config.json").write_text('{"model_type"'),
        "config.json is not valid JSON",
    ),
    "another model": (
        lambda f: edit(f / "config.json", model_type="bert"),
        "a model of type 'bert'; served are 'clip', 'siglip', 'clip_resnet', 'clip_convnext'",
    ),
    "a pointer as weights": (
        lambda f: (f / "model.safetensors").write_text(POINTER),
        "model.safetensors is a Git LFS pointer; get the file itself: git lfs pull",
    ),
    "a pointer as tokenizer": (
        lambda f: (f / "tokenizer.json").write_text(POINTER),
        "tokenizer.json is a Git LFS pointer; get the file itself: git lfs pull",
    ),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "model.safetensors is missing"),
    "half the weights": (
        lambda f: (f / "model.safetensors").write_bytes(
            (f / "model.safetensors").read_bytes()[:-1000]
        ),
        "model.safetensors is damaged or half-written",
    ),
    "empty weights": (
        lambda f: (f / "model.safetensors").write_bytes(b""),
        "model.safetensors is damaged or half-written",
    ),
    "a pickle": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        "pytorch_model.bin is a pickle.*convert it once",
    ),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    "half a tokenizer": (
        lambda f: (f / "tokenizer.json").write_text("{"),
        "tokenizer.json is not valid JSON",
    ),
    "vocabulary without merges": (
        lambda f: (f / "tokenizer.json").rename(f / "vocab.json"),
        "merges.txt is missing",
    ),
    "no preprocessor": (
        lambda f: (f / "preprocessor_config.json").unlink(),
        "preprocessor_config.json is missing",
    ),
    "another size": (
        lambda f: edit(f / "preprocessor_config.json", crop_size=48),
        'preprocessor_config.json: "crop_size" is 48: the image tower takes 32 x 32 px',
    ),
    "an unknown filter": (
        lambda f: edit(f / "preprocessor_config.json", resample=6),
        'preprocessor_config.json: "resample" is 6: it must be one of 0 .nearest., 1 .lanczos',
    ),
    "no deviation": (
        lambda f: edit(f / "preprocessor_config.json", image_std=[0, 1, 1]),
        'preprocessor_config.json: "image_std" is .0, 1, 1.: it must be above 0',
    ),
    "a size of another type": (
        lambda f: edit(f / "preprocessor_config.json", size=[[]]),
        'preprocessor_config.json: "size" is ....: it is not a supported form of a size',
    ),
    "endless nesting": (
        lambda f: (f / "config.json").write_text("[" * 100_000),
        "is not a checkpoint",
    ),
    "an index of something else": (
        lambda f: reindex(f, [1]),
        "is not a checkpoint",
    ),
    "an index that leads outside": (
        lambda f: reindex(f, {"a": "../outside.safetensors"}),
        "index.json names files outside the folder",
    ),
    "no mean": (
        lambda f: edit(f / "preprocessor_config.json", image_mean=[0.5]),
        'preprocessor_config.json: "image_mean" is .0.5.: it must be three numbers',
    ),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_broken_checkpoint_is_refused_in_one_sentence(checkpoint, name):
    breakage, message = BREAKAGES[name]
    breakage(checkpoint)
    with pytest.raises(CheckpointError, match=message) as caught:
        verify(checkpoint)
    assert "\n" not in str(caught.value)


def test_only_one_tower_is_refused(checkpoint):
    from safetensors.torch import load_file, save_file

    weights = load_file(checkpoint / "model.safetensors")
    kept = {key: value for key, value in weights.items() if not key.startswith("text_")}
    save_file(kept, checkpoint / "model.safetensors")
    with pytest.raises(CheckpointError, match="holds no text_.*not the weights of a whole"):
        verify(checkpoint)


def test_locating(tmp_path, monkeypatch):
    monkeypatch.setattr("model.checkpoints.checkpoint.PLATFORM_FOLDER", tmp_path / "platform")
    assert locate(None) == BUILTIN_FOLDER
    assert locate("builtin") == BUILTIN_FOLDER
    (tmp_path / "platform").mkdir()
    assert locate(None) == BUILTIN_FOLDER
    # Whatever is in there, it was meant: a wrong layout is not to be passed over.
    (tmp_path / "platform" / "config.json").write_text("{}")
    assert locate(None) == tmp_path / "platform"
    assert locate(str(tmp_path)) == tmp_path
    assert locate("openai/clip-vit-base-patch32") == "openai/clip-vit-base-patch32"
    assert locate("owner/name@v1.2") == "owner/name@v1.2"
    for wrong in ("/no/such/folder", "./nothing", "name", "a/b/c", "owner/name@"):
        with pytest.raises(CheckpointError, match="no such folder"):
            locate(wrong)
    with pytest.raises(CheckpointError, match="is a file"):
        locate(str(tmp_path / "platform" / "config.json"))


def test_the_fingerprint_is_of_what_changes_an_embedding(checkpoint, tmp_path):
    first = fingerprint(verify(checkpoint), "display-1")
    assert first == fingerprint(verify(checkpoint, name="another name"), "display-1")
    assert first != fingerprint(verify(checkpoint), "reference-1")
    other = make_checkpoint(tmp_path / "other", seed=1)
    assert first != fingerprint(verify(other), "display-1")
    edit(checkpoint / "tokenizer_config.json", eos_token="x")
    second = fingerprint(verify(checkpoint), "display-1")
    assert first != second
    edit(checkpoint / "config.json", text_config_dict={"hidden_act": "gelu"})
    assert second != fingerprint(verify(checkpoint), "display-1")
    config = json.loads((checkpoint / "config.json").read_text())
    config["vision_config"]["hidden_act"] = "gelu"
    (checkpoint / "config.json").write_text(json.dumps(config))
    assert first != fingerprint(verify(checkpoint), "display-1")


def test_verifying_needs_neither_torch_nor_numpy(small_checkpoint):
    program = (
        "import sys; from pathlib import Path; from model.checkpoints.checkpoint import verify; "
        f"verify(Path({str(small_checkpoint)!r})); "
        "assert not {'torch', 'numpy', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize("name", ["model.tar.gz", "Model.TGZ", "model.tar"])
def test_an_archive_is_named_for_what_it_is(tmp_path, name):
    archive = tmp_path / name
    archive.touch()
    said = f"{archive} is a packed artifact; unpack it: mkdir FOLDER && tar -xf {archive} -C FOLDER"
    with pytest.raises(CheckpointError) as caught:
        locate(str(archive))
    assert str(caught.value) == said
