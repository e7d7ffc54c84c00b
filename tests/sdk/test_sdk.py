"""The SageMaker Python SDK's predictors, unmodified, against `serve --local-endpoint`.

`make sdk-test` makes the SDK's environment and says where it is.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from model.backends.fake import FakeEncoder
from tests.e2e.service import started, without_proxies
from tests.e2e.test_local_endpoint import s3, s3_url  # noqa: F401 - fixtures

pytestmark = pytest.mark.sdk
TEXTS = ["a dark login screen", "pricing cards"]


def test_the_sdks_predictors_work_unchanged(tmp_path, s3, s3_url):  # noqa: F811
    environ = without_proxies() | {"AWS_ENDPOINT_URL_S3": s3_url}
    with started(tmp_path, "--backend", "fake", "--local-endpoint", env=environ) as service:
        script = str(Path(__file__).with_name("predict.py"))
        asked = subprocess.run(
            [os.environ["SDK_PYTHON"], script, service.url(""), s3_url],
            env=without_proxies(), capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    found = json.loads(asked.stdout.splitlines()[-1])
    expected = FakeEncoder().encode_texts(TEXTS)[0]
    for way in ("whole", "later"):
        vectors = np.float32([one["embedding"] for one in found[way]])
        np.testing.assert_array_equal(vectors, expected)
    np.testing.assert_array_equal(np.float32(found["npy"]), expected)
    assert found["lines"][0]["id"] == "7"
    assert found["lines"][0]["error"]["code"] == "fetch_blocked"
    assert found["refused"] == 400
