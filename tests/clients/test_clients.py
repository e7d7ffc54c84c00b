"""Clients of OpenAI's embeddings API, unmodified, and docs/openai.md, run as written.

`make clients-test` makes their environment and says where it is.
"""

import base64
import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from inference.loadtest.thumbnail_server import ThumbnailServer
from tests.e2e.service import started, without_proxies

pytestmark = pytest.mark.clients
# Those of ask.py, which this environment cannot import.
TEXTS = ["a dark login screen", "pricing cards", "a bar chart"]
PAGE = (Path(__file__).parents[2] / "docs" / "openai.md").read_text()
SNIPPETS = [
    re.sub(r"^    ", "", block, flags=re.MULTILINE)
    for block in re.findall(r"(?:^(?:    .*)?\n)+", PAGE, re.MULTILINE)
    if "localhost:8080" in block
]
SAID = ['{"object":"list","data":[{', "2 128 ", "pricing cards", "pricing cards"]


@pytest.fixture(scope="module")
def pictures():
    with ThumbnailServer() as server:
        yield server.thumbnails(3)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with started(tmp_path_factory.mktemp("service"), "--model", "builtin") as running:
        yield running


def run(*words):
    ran = subprocess.run(words, env=without_proxies(), capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_each_form_is_answered_as_by_invocations(service, pictures):
    script = str(Path(__file__).with_name("ask.py"))
    found = json.loads(run(os.environ["CLIENTS_PYTHON"], script, service.url(""), *pictures))
    inputs = [{"text": text} for text in TEXTS] + [{"url": picture} for picture in pictures]
    body = {"inputs": inputs, "parameters": {"encoding": "base64"}}
    results = service.invoke(body).json()["results"]
    every = np.stack([np.frombuffer(base64.b64decode(one["embedding"]), "<f4") for one in results])
    expected = {"openai": every, "float": every[:3], "infinity": every[3:], "vllm": every[3:]}
    for form, rows in expected.items():
        np.testing.assert_allclose(np.float32(found[form]), rows, atol=1e-6, err_msg=form)
    assert found["models"] == ["builtin"]
    assert found["refused"] == [422, "text_invalid", "input[1]"]


@pytest.mark.parametrize(
    ("snippet", "said"),
    list(zip(SNIPPETS, SAID, strict=True)),
    ids=["curl", "openai", "langchain", "llama_index"],
)
def test_each_snippet_of_the_page_runs(service, pictures, tmp_path, snippet, said):
    (tmp_path / "urls.txt").write_text("\n".join(pictures))
    snippet = snippet.replace("http://localhost:8080", service.url("")).replace(
        "demo/urls.txt", str(tmp_path / "urls.txt")
    )
    words = (
        ["sh", "-c"]
        if snippet.lstrip().startswith("curl")
        else [os.environ["CLIENTS_PYTHON"], "-c"]
    )
    assert run(*words, snippet).startswith(said)
