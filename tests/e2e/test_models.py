"""One container, two models: designs and components."""

import json
import re
import time
from array import array

import boto3
import numpy as np
import pytest
from click.testing import CliRunner

from deploy.client import Client, EndpointError
from inference.loadtest.thumbnail_server import Reply, ThumbnailServer
from inference.types import ImageUrl
from model.config import ModelConfig
from model.load import load
from serve.compose import open_engine
from serve.settings import Settings
from sweetspot import main
from tests.e2e.service import started
from tests.images import jpeg

SWIFT = ("--batch-size", "4", "--text-batch-size", "4", "--preprocess", "reference")
BOTH = ["designs", "components"]
TARGET = "X-Amzn-SageMaker-Target-Model"
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


@pytest.fixture(scope="module")
def pair(tmp_path_factory, way):
    models = "designs=first,components=second"
    folder = tmp_path_factory.mktemp("models")
    flags = ("--backend", "fake", "--models", models, "--local-endpoint", *way)
    with started(folder, *flags) as running:
        yield running


@pytest.fixture(scope="module")
def alone(pair):
    """What each model says of a text, asked by its name."""
    asked = {name: pair.invoke({"text": "a login", "model": name}).json() for name in BOTH}
    assert [asked[name]["model"] for name in BOTH] == BOTH
    vectors = {name: asked[name]["results"][0]["embedding"] for name in BOTH}
    assert np.dot(*vectors.values()) < 0.9
    return vectors


def first(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["results"][0]["embedding"]


def test_the_first_is_the_default(pair, alone):
    assert first(pair.invoke({"text": "a login"})) == alone["designs"]


def test_a_model_is_chosen_by_attribute_by_header_and_first_of_all_by_the_body(pair, alone):
    attribute, header = {ATTRIBUTES: "model=components"}, {TARGET: "components"}
    for headers in (attribute, header, header | {ATTRIBUTES: "lane=bulk"}):
        assert first(pair.invoke({"text": "a login"}, headers=headers)) == alone["components"]
    asked = {"text": "a login", "model": "designs"}
    assert first(pair.invoke(asked, headers=attribute | header)) == alone["designs"]
    both = {ATTRIBUTES: "model=designs"} | header
    assert first(pair.invoke({"text": "a login"}, headers=both)) == alone["designs"]


def test_the_client_chooses_a_model_by_url_and_by_name(pair, alone):
    runtime = boto3.client("sagemaker-runtime", endpoint_url=pair.url(""))
    for name, chosen in (*zip(BOTH, BOTH, strict=True), ("designs", None)):
        by_url = Client(pair.url(""), model=chosen)
        by_name = Client("anything", client=runtime, model=chosen)
        for client in (by_url, by_name):
            with client:
                (result,) = client.embed_texts(["a login"])
            assert result.embedding == array("f", alone[name])
    with pytest.raises(ValueError, match="is no model's name"):
        Client(pair.url(""), model="a b")
    with (
        Client(pair.url(""), model="nobody") as client,
        pytest.raises(EndpointError, match="model"),
    ):
        list(client.embed_texts(["a login"]))


def test_the_commands_choose_a_model(pair, alone):
    words = ["deploy", "invoke", pair.url(""), "--text", "a login", "--json"]
    ran = CliRunner().invoke(main, [*words, "--model", "components"])
    assert json.loads(ran.stdout)["embedding"] == pytest.approx(alone["components"])
    ran = CliRunner().invoke(main, [*words, "--model", "a b"])
    assert "is no model's name" in ran.output


def test_both_at_once_say_what_each_says_alone(pair, alone):
    answer = pair.invoke({"inputs": [{"text": "a login"}, {"text": ""}], "model": BOTH})
    told = answer.json()
    assert list(told) == ["models", "results"]
    assert list(told["models"]) == BOTH
    prints = {name: one["fingerprint"] for name, one in told["models"].items()}
    assert len(set(prints.values())) == 2
    assert {one["dimension"] for one in told["models"].values()} == {16}
    assert told["results"][0]["embeddings"] == alone
    assert told["results"][1]["error"]["code"] == "text_invalid"
    expected = ",".join(f"{name}:{prints[name]}" for name in BOTH)
    assert f"fingerprint={expected};" in answer.headers[ATTRIBUTES]


def test_a_list_of_one_still_names_it(pair, alone):
    told = pair.invoke({"text": "a login", "model": ["components"]}).json()
    assert told["results"][0]["embeddings"] == {"components": alone["components"]}


def test_both_are_streamed_too(pair, alone):
    body = {"text": "a login", "model": BOTH, "parameters": {"stream": True}}
    line, summary = pair.invoke(body, headers={"Accept": "application/jsonlines"}).text.splitlines()
    assert all(name in summary and name in line for name in BOTH)
    assert '"models"' in summary


def decoded(pair):
    text = pair.session.get(pair.url("/metrics"), timeout=10).text
    return float(re.search(r"^sweetspot_images_decoded_total (\S+)$", text, re.MULTILINE)[1])


def test_each_thumbnail_is_fetched_once_and_decoded_once_for_both(pair):
    with ThumbnailServer() as server:
        urls = server.thumbnails(20)
        before = decoded(pair)
        results = pair.invoke({"urls": urls, "model": BOTH}).json()["results"]
        assert server.requests == 20
        assert decoded(pair) - before == 20
        for name in BOTH:
            alone = pair.invoke({"urls": urls, "model": name}).json()["results"]
            assert [one["embeddings"][name] for one in results] == [
                one["embedding"] for one in alone
            ]


@pytest.mark.parametrize("accept", ["application/x-npy", "text/csv"])
def test_rows_of_numbers_are_of_one_model(pair, accept):
    answer = pair.invoke({"text": "a", "model": BOTH}, headers={"Accept": accept})
    assert (answer.status_code, answer.json()["error"]["code"]) == (406, "not_acceptable")
    answer = pair.invoke({"text": "a", "model": "designs"}, headers={"Accept": accept})
    assert answer.status_code == 200


@pytest.mark.parametrize("model", ["icons", ["designs", "icons"]])
def test_an_unknown_model_is_not_found_and_told_which_there_are(pair, model):
    answer = pair.invoke({"text": "a", "model": model})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert "'icons'; loaded models: designs, components" in answer.json()["error"]["message"]


@pytest.mark.parametrize("model", [[], "", 7, None, ["designs", "designs"], ["designs", 1], {}])
def test_what_names_no_model_is_refused(pair, model):
    answer = pair.invoke({"text": "a", "model": model})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")
    assert answer.json()["error"]["message"].startswith("model ")


def test_each_has_its_own_series(pair):
    text = pair.session.get(pair.url("/metrics"), timeout=10).text
    for name in BOTH:
        assert f'sweetspot_sweet_spot{{model="{name}",tower="image"}}' in text
        assert f'sweetspot_text_cache_hits_total{{model="{name}"}}' in text


def test_one_that_cannot_be_loaded_says_why_and_leaves_the_other_serving(tmp_path):
    """The default is absent: nobody who meant it is answered by the other."""
    models = f"designs={tmp_path}/nothing,components=builtin"
    with started(tmp_path, "--models", models, *SWIFT) as running:
        assert len(first(running.invoke({"text": "a login", "model": "components"}))) == 128
        for body in ({"text": "a"}, {"text": "a", "model": "designs"}):
            answer = running.invoke(body)
            assert answer.status_code == 404
            assert "'designs' was not loaded" in answer.json()["error"]["message"]
            assert "nothing" in answer.json()["error"]["message"]
    assert "model designs is left out" in running.log.read_text()


def test_where_none_can_be_loaded_the_start_fails(tmp_path):
    with started(tmp_path, "--models", f"a={tmp_path}/x,b={tmp_path}/y", ready=False) as running:
        assert running.process.wait(60) != 0
    told = running.log.read_text()
    assert "cannot start: none of the models can be loaded" in told
    assert "model a is left out" in told


def test_two_real_models_share_one_engine():
    settings = Settings(models=("designs=builtin", "components=builtin"), precision="float32")
    with open_engine(settings, may_tune=False) as engine:
        assert list(engine.models) == BOTH


def test_models_of_several_families_share_one_fetch(tmp_path):
    """A CLIP of each kind and a SigLIP over the same thumbnails, each with its preprocessing.

    By processes alone, and without graphs: making, tracing and loading the models takes long. The
    engine is of this process, which has imported what makes the models.
    """
    from tests.checkpoints import make_checkpoint, make_convnext, make_resnet, make_siglip

    makers = {
        "clip": make_checkpoint, "siglip": make_siglip, "resnet": make_resnet,
        "convnext": make_convnext,
    }  # fmt: skip
    folders = {name: make(tmp_path / name) for name, make in makers.items()}
    settings = Settings(
        models=tuple(f"{name}={folder}" for name, folder in folders.items()),
        backend="torch", device="cpu", allow_host=("127.0.0.1",), preprocess_processes=2,
        batch_size=4, text_batch_size=4,
    )  # fmt: skip
    reply = Reply(jpeg(90, 60))
    with ThumbnailServer({"/one": reply}) as server, open_engine(settings) as engine:
        item, limit_s = ImageUrl(server.url("/one")), time.monotonic() + 60
        (result,) = engine.embed([item], limit_s, models=[*makers]).results
        assert server.requests == 1
    found = {name: one.vector for name, one in result.by_model.items()}
    assert {name: len(vector) for name, vector in found.items()} == {
        "clip": 24, "siglip": 32, "resnet": 24, "convnext": 24,
    }  # fmt: skip
    for name, folder in folders.items():
        encoder = load(ModelConfig(model=str(folder), backend="torch", device="cpu"))
        pixels = encoder.spec.preprocessing(reply.body)
        expected = encoder.encode_images(pixels[None])[0]
        np.testing.assert_allclose(found[name], expected, atol=1e-4)
