import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from model.training.fine_tune import fine_tune
from model.training.learning.loss import MAX_LOGIT_SCALE
from model.training.options import TrainOptions
from tests.model.training.coloured import coloured, losses
from tests.model.training.two import train
from tests.ports import free_port


@pytest.mark.parametrize("base", ["shallow", "siglip"])
def test_caching_gradients_changes_nothing(request, tmp_path, base):
    folder = request.getfixturevalue(base)
    options = {"batch_size": 24, "epochs": 5}  # 5 x 4 batches of 108 pairs
    whole = losses(folder, tmp_path / "whole", chunk_size=24, **options)
    cached = losses(folder, tmp_path / "cached", chunk_size=7, **options)
    assert len(whole) == 20
    assert whole[-1] < 0.9 * whole[0]
    np.testing.assert_allclose(cached, whole, rtol=0, atol=1e-4)


def test_two_processes_train_as_one_does(shallow, tmp_path):
    script = [sys.executable, "-m", "tests.model.training.two", str(free_port())]
    paths = map(str, (shallow, tmp_path / "two", tmp_path))
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([*script, *paths], env=environment, start_new_session=True) as two:
        try:
            one = train(shallow, tmp_path / "one")
            assert two.wait(timeout=300) == 0
        finally:
            with suppress(ProcessLookupError):
                os.killpg(two.pid, signal.SIGKILL)
    assert len(one.losses) == 20
    reports = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert reports[0]["epochs"] == reports[1]["epochs"]
    for found in reports:
        np.testing.assert_allclose(found["losses"], one.losses, rtol=0, atol=1e-4)
        assert found["processes"] == 2
    expected, weights = (
        load_file(tmp_path / name / "model.safetensors") for name in ("one", "two")
    )
    for name, weight in weights.items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=1e-4)


def test_the_temperature_never_passes_its_limit(shallow, tmp_path):
    path = shutil.copytree(shallow, tmp_path / "hot") / "model.safetensors"
    weights = load_file(path)
    weights["logit_scale"].fill_(9.0)
    save_file(weights, path, metadata={"format": "pt"})
    options = TrainOptions(learning_rate=1e-5, batch_size=54, epochs=1, keep_worse=True)
    pairs = coloured()
    fine_tune(str(path.parent), pairs, pairs, options, tmp_path / "tuned")
    found = load_file(tmp_path / "tuned" / "model.safetensors")["logit_scale"]
    assert 4.6 < found.item() <= MAX_LOGIT_SCALE + 1e-6
