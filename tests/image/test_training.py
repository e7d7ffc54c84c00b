"""A training job in the container, as SageMaker runs one: its folder, its signal, its exit code."""

import json
import signal
import subprocess
from contextlib import contextmanager

import pytest

from tests.image.engine import ENGINE, IMAGE, MEMORY, engine, served
from tests.ports import free_port
from tests.serve.train.job.layout import QUICK, lay_out

pytestmark = pytest.mark.image


@contextmanager
def training(root):
    """The container that trains on a job's folder, whose input it cannot write."""
    name = f"sweetspot-train-{free_port()}"
    mounts = ("-v", f"{root}:/opt/ml", "-v", f"{root}/input:/opt/ml/input:ro")
    words = [ENGINE, "run", "--name", name, "--network", "none", *MEMORY, *mounts, IMAGE, "train"]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )  # fmt: skip
    try:
        yield process
    finally:
        engine("rm", "-f", "-t", "5", name, check=False)
        process.communicate(timeout=60)


def test_a_job_is_stopped_goes_on_and_its_artifact_is_served(tmp_path):
    root = lay_out(tmp_path / "ml")
    with training(root) as process:
        for line in process.stdout:
            if line.startswith("step "):
                process.send_signal(signal.SIGTERM)  # the engine passes it on
                break
        said, _ = process.communicate(timeout=1200)
        assert process.returncode == 130, said
    assert "interrupted: /opt/ml/checkpoints keeps what is done" in said
    assert not (root / "output" / "failure").exists()
    with training(root) as process:
        said, _ = process.communicate(timeout=1200)
        assert process.returncode == 0, said
    assert "step 1 of" not in said
    record = json.loads((root / "model" / "training.json").read_text())
    assert record["options"]["epochs"] == 4
    with served(options=("-v", f"{root}/model:/opt/ml/model:ro")) as container:
        assert "embedding" in container.invoke({"text": "login screen"}).json()["results"][0]


def test_a_job_that_fails_leaves_its_sentence(tmp_path):
    root = lay_out(tmp_path / "ml", QUICK | {"epoch": "2"})
    with training(root) as process:
        said, _ = process.communicate(timeout=1200)
        assert process.returncode == 1, said
    sentence = "hyperparameter epoch: train has no such option; did you mean epochs?"
    assert (root / "output" / "failure").read_text() == sentence
    assert said.endswith(f"Error: {sentence}\n")  # an engine may say something before
