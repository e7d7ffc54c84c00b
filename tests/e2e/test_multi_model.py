"""SageMaker's multi-model API on a real service: each fact of it has a test here."""

import json
import os
import re
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests

from model.backends.fake import FakeEncoder
from model.config import ModelConfig
from tests.e2e.service import ROOT, command, started, without_proxies

TARGET = "X-Amzn-SageMaker-Target-Model"
HOSTED = {"SAGEMAKER_MULTI_MODEL": "true"}


class Api:
    """The calls of the platform."""

    def __init__(self, running):
        self.running, self.session = running, running.session

    def load(self, name, url, shown=None):
        headers = {TARGET: shown} if shown else {}
        body = {"model_name": name, "url": url}
        return self._ask("POST", "/models", json=body, headers=headers)

    def unload(self, name, shown="designs.tar.gz"):
        return self._ask("DELETE", f"/models/{name}", headers={TARGET: shown})

    def about(self, name):
        return self._ask("GET", f"/models/{name}")

    def page(self, **query):
        return self._ask("GET", "/models", params=query)

    def invoke(self, name, body, **options):
        return self._ask("POST", f"/models/{name}/invoke", json=body, **options)

    def _ask(self, method, path, **options):
        return self.session.request(method, self.running.url(path), timeout=60, **options)


@pytest.fixture(scope="module")
def hosted(tmp_path_factory, way):
    folder = tmp_path_factory.mktemp("hosted")
    options = {"env": without_proxies() | HOSTED}
    with started(folder, "--backend", "fake", *way, **options) as running:
        yield running


@pytest.fixture
def api(hosted):
    """With no model loaded, before and after."""
    one = Api(hosted)
    yield one
    for found in one.page().json()["models"]:
        assert one.unload(found["modelName"]).status_code == 200


def code_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


def vector_of(url, text):
    return FakeEncoder(ModelConfig(model=url, backend="fake")).encode_texts([text])[0][0]


def check(answer, url, text):
    assert answer.status_code == 200, answer.text
    (result,) = answer.json()["results"]
    np.testing.assert_array_equal(np.float32(result["embedding"]), vector_of(url, text))


def test_with_no_models_ping_is_200_and_invocations_404(api, hosted):
    assert hosted.ping().status_code == 200
    assert api.page().json() == {"models": []}
    assert code_of(hosted.invoke({"text": "a"})) == (404, "model_not_found")


def test_a_model_is_loaded_listed_described_invoked_and_unloaded(api):
    url = "/opt/ml/models/5f3e/model"
    assert api.load("5f3e", url).status_code == 200
    about = {"modelName": "5f3e", "modelUrl": url}
    assert api.page().json() == {"models": [about]}
    assert api.about("5f3e").json() == about
    check(api.invoke("5f3e", {"text": "a login"}), url, "a login")
    assert api.unload("5f3e").status_code == 200
    assert api.page().json() == {"models": []}


def test_what_is_loaded_is_not_loaded_again(api):
    assert api.load("a", "/x").status_code == 200
    assert code_of(api.load("a", "/x")) == (409, "model_exists")
    check(api.invoke("a", {"text": "b"}), "/x", "b")


def test_what_is_not_loaded_is_not_found(api):
    assert code_of(api.about("gone")) == (404, "model_not_found")
    assert code_of(api.unload("gone")) == (404, "model_not_found")
    assert code_of(api.invoke("gone", {"text": "a"})) == (404, "model_not_found")


def test_models_are_listed_in_pages(api):
    for number in range(5):
        assert api.load(f"m{number}", f"/{number}").status_code == 200
    seen, query = [], {"limit": 2}
    while query:
        page = api.page(**query).json()
        seen += [one["modelName"] for one in page["models"]]
        token = page.get("nextPageToken")
        query = {"limit": 2, "next_page_token": token} if token else None
    assert seen == [f"m{number}" for number in range(5)]
    for wrong in ({"limit": 0}, {"limit": "x"}, {"next_page_token": "-1"}):
        assert code_of(api.page(**wrong)) == (400, "bad_request")


def test_names_are_opaque_and_the_readable_one_is_logged_and_answered(api, hosted):
    name = "0f9e8d7c6b5a.v-1_x"
    assert api.load(name, "/d", shown="team/designs.tar.gz").status_code == 200
    answer = api.invoke(name, {"text": "a"}, headers={TARGET: "team/designs.tar.gz"})
    check(answer, "/d", "a")
    assert answer.json()["model"] == "team/designs.tar.gz"
    assert api.unload(name, "team/designs.tar.gz").status_code == 200
    log = hosted.log.read_text()
    assert "loaded model 'team/designs.tar.gz' as '0f9e" in log
    assert "unloaded model 'team/designs.tar.gz'" in log


def test_the_path_wins_over_what_the_body_names(api):
    for name in ("a", "b"):
        assert api.load(name, f"/{name}").status_code == 200
    check(api.invoke("b", {"text": "x", "model": "a"}), "/b", "x")


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"model_name": "a"}', b'{"model_name": 7, "url": "/x"}',
     b'{"model_name": "a/b", "url": "/x"}',
     json.dumps({"model_name": "a" * 600, "url": "/x"}).encode()],
)  # fmt: skip
def test_a_load_that_says_too_little_is_refused(api, body):
    answer = api.session.post(api.running.url("/models"), data=body, timeout=10)
    assert code_of(answer) == (400, "bad_request")
    assert api.page().json() == {"models": []}


def test_a_load_may_come_in_chunks(api):
    body = json.dumps({"model_name": "a", "url": "/x"}).encode()
    answer = api.session.post(api.running.url("/models"), data=iter([body]), timeout=10)
    assert answer.status_code == 200
    check(api.invoke("a", {"text": "b"}), "/x", "b")


def test_a_load_of_too_many_bytes_is_refused(api):
    body = {"model_name": "a", "url": "x" * 100_000}
    # On a connection of its own, which closes where what was not read does not come in time.
    answer = requests.post(api.running.url("/models"), json=body, timeout=10)
    assert code_of(answer) == (413, "payload_too_large")


def test_without_the_platforms_word_there_is_no_such_api(service):
    assert Api(service).load("a", "/x").status_code == 404


def test_the_platforms_word_is_for_the_service_alone():
    """Other commands in such a container embed with the model they are told."""
    asked = command("embed", "--backend", "fake", "--text", "a login", "--format", "jsonl")
    done = subprocess.run(asked, cwd=ROOT, env=without_proxies() | HOSTED, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["embedding"]) == 16


def test_under_load_models_come_and_go_and_every_answer_is_of_its_own_model(api):
    """Two stay, one comes and goes: none is lost, none answered by another."""
    for name in ("designs", "components"):
        assert api.load(name, f"/{name}").status_code == 200
    stop, counts = threading.Event(), {200: 0, 404: 0}

    def ask(name):
        while not stop.is_set():
            text = os.urandom(4).hex()
            answer = api.invoke(name, {"text": text})
            if answer.status_code == 404 and name == "passing":
                counts[404] += 1
            else:
                check(answer, f"/{name}", text)
                counts[200] += 1

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, name) for name in ("designs", "components", *["passing"] * 2)]
        try:
            for _ in range(6):
                assert api.load("passing", "/passing").status_code == 200
                check(api.invoke("passing", {"text": "mine"}), "/passing", "mine")
                assert api.unload("passing").status_code == 200
        finally:
            stop.set()
        for one in asking:
            one.result(60)
    assert counts[200] > 20
    assert counts[404] > 0


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    swift = ("--batch-size", "4", "--text-batch-size", "4", "--preprocess", "reference")
    with started(folder, *swift, env=without_proxies() | HOSTED) as running:
        yield Api(running)


def resident_mib(running):
    status = Path(f"/proc/{running.worker()}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def test_the_memory_of_a_model_comes_back_when_it_is_unloaded(real):
    """The first load imports what all need; from then on it is the model's own."""
    base = None
    for _ in range(4):
        assert real.load("m", "builtin").status_code == 200
        assert real.invoke("m", {"text": "a login"}).status_code == 200
        assert real.unload("m").status_code == 200
        base = base or resident_mib(real.running)
    assert resident_mib(real.running) < 1.1 * base


def test_what_is_no_checkpoint_is_refused_with_the_reason_and_the_rest_serves(real, tmp_path):
    assert real.load("good", "builtin").status_code == 200
    answer = real.load("bad", str(tmp_path))
    assert code_of(answer) == (400, "bad_request")
    assert "config.json" in answer.json()["error"]["message"]
    assert code_of(real.about("bad")) == (404, "model_not_found")
    assert real.invoke("good", {"text": "a"}).status_code == 200
    assert real.unload("good").status_code == 200


def test_a_model_larger_than_the_memory_left_is_507_before_it_is_read(real, tmp_path):
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(2**42)  # a sparse file of 4 TiB
    answer = real.load("huge", str(tmp_path))
    assert code_of(answer) == (507, "insufficient_memory")
    assert "are free" in answer.json()["error"]["message"]
