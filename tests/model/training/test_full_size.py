"""The memory of a step of a full-size model."""

import subprocess
import sys

import pytest

from tests.e2e.service import ROOT


@pytest.mark.full
def test_256_pairs_of_vit_b_32_take_less_than_6_gib(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.model.training.of_full_size", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.splitlines()[-1]) < 6
