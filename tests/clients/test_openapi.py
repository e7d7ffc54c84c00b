"""Schemathesis against a running service: every answer is one that /openapi.json describes.

SCHEMATHESIS_EXAMPLES is how many requests are made up for each route, beside those that cover its
description systematically.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.service import started, without_proxies

pytestmark = pytest.mark.clients
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "50")
CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.parametrize("multi_model", [False, True], ids=["one model", "multi-model API"])
def test_no_answer_is_a_fault_or_undocumented(tmp_path, multi_model):
    env = without_proxies() | ({"SAGEMAKER_MULTI_MODEL": "true"} if multi_model else {})
    flags = ("--backend", "fake", "--only-host", "nowhere.invalid", "--max-items", "20")
    program = Path(os.environ["CLIENTS_PYTHON"]).absolute().with_name("schemathesis")
    with started(tmp_path, *flags, env=env) as service:
        ran = subprocess.run(
            [
                str(program), "--config-file", str(CONFIG), "run", service.url("/openapi.json"),
                "--phases", "coverage,fuzzing", "--max-examples", EXAMPLES, "--warnings", "off",
                "--continue-on-failure", "--no-color",
            ],
            cwd=tmp_path, env=env, capture_output=True, text=True,
        )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-5000:]
    tested = re.search(r"Operations:\s+(\d+) selected", ran.stdout)
    count = re.search(r"([\d,]+) generated", ran.stdout)
    assert int(tested[1]) == (13 if multi_model else 8)
    print(f"{count[1]} requests")
