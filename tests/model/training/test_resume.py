import os
import random
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from model.errors import TrainingError
from model.training.learning.history import History, latest
from model.training.run import Interrupted
from tests.model.training.interruptible import train

SEED = random.SystemRandom().randrange(10**6)
STEPS = 12  # 4 x 3 batches of 108 pairs


@pytest.fixture(scope="module")
def uninterrupted(shallow, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    report = train(shallow, None, folder / "artifact")
    return report, load_file(folder / "artifact" / "model.safetensors")


def check(report, folder, uninterrupted):
    expected, weights = uninterrupted
    assert report.losses == pytest.approx(expected.losses, abs=1e-6)
    assert report.epochs == expected.epochs
    assert report.after == expected.after
    found = load_file(folder / "model.safetensors")
    assert found.keys() == weights.keys()
    assert max((one - weights[name]).abs().max() for name, one in found.items()) <= 1e-6


def test_one_that_is_stopped_five_times_ends_as_one_that_is_not(shallow, tmp_path, uninterrupted):
    dice = random.Random(SEED)
    print(f"seed {SEED}")
    for step in sorted(dice.sample(range(1, STEPS), 5)):
        done = []
        with pytest.raises(Interrupted, match="it goes on from"):
            train(
                shallow,
                tmp_path / "checkpoints",
                tmp_path / "artifact",
                progress=lambda one, done=done: done.append(one.step),
                stop=lambda done=done, step=step: done[-1] == step,
            )
        assert done[-1] == step
        assert not (tmp_path / "artifact").exists()
    report = train(shallow, tmp_path / "checkpoints", tmp_path / "artifact")
    check(report, tmp_path / "artifact", uninterrupted)
    again = train(shallow, tmp_path / "checkpoints", tmp_path / "again")
    check(again, tmp_path / "again", uninterrupted)


def test_one_that_is_killed_ends_as_one_that_is_not(shallow, tmp_path, uninterrupted):
    checkpoints, artifact = tmp_path / "checkpoints", tmp_path / "artifact"
    script = [sys.executable, "-m", "tests.model.training.interruptible"]
    paths = map(str, (shallow, checkpoints, artifact))
    step = random.Random(SEED).randrange(2, STEPS - 4)
    print(f"seed {SEED}")
    with subprocess.Popen([*script, *paths], stdout=subprocess.PIPE, text=True) as process:
        while int(process.stdout.readline()) < step:
            pass
        process.kill()
    assert not artifact.exists()
    first = []
    report = train(shallow, checkpoints, artifact, progress=first.append)
    assert first[0].step > 1
    check(report, artifact, uninterrupted)


def test_checkpoints_of_another_training_are_refused(shallow, siglip, tmp_path):
    with pytest.raises(Interrupted):
        train(shallow, tmp_path / "checkpoints", tmp_path / "artifact", stop=lambda: True)
    with pytest.raises(TrainingError, match="another base, other pairs or other options"):
        train(siglip, tmp_path / "checkpoints", tmp_path / "artifact")


def without_history(folder):
    (folder / "history.json").unlink()


def without_weights(folder):
    (folder / "model.safetensors").unlink()


def with_half_of_the_best(folder):
    os.truncate(folder / "best.safetensors", 10)


@pytest.mark.parametrize("harm", [without_history, without_weights, with_half_of_the_best])
def test_a_checkpoint_that_is_not_whole_is_taken_away(tmp_path, harm):
    """As a process leaves it that ends meanwhile, or a copy that ends meanwhile."""
    whole, half = tmp_path / "checkpoint-9", tmp_path / "checkpoint-10"
    history = History("mine", 0.1, 0.2, {}, losses=[1.5], best={"weight": torch.ones(2)})
    for folder in (whole, half):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"weights")
        (folder / "rng_state_1.pth").write_bytes(b"of another process")
        history.save(folder)
    (whole / "rng_state_1.pth").unlink()
    harm(half)
    folder, found = latest(tmp_path, "mine")
    assert folder == whole
    assert torch.equal(found.best.pop("weight"), history.best.pop("weight"))
    assert found == history
    assert not half.exists()
