"""Zero-shot classification, in our form and in Hugging Face's, asked of the real application."""

import base64
from dataclasses import replace

import numpy as np
import pytest
import transformers
from hypothesis import given
from hypothesis import strategies as st

from model.backends.fake import SCORES, FakeEncoder
from model.checkpoints.checkpoint import BUILTIN_FOLDER
from model.config import Scores
from serve.compose import open_engine
from serve.errors import BadRequest
from serve.http.app import create_app
from serve.http.service import Service
from serve.settings import Settings
from serve.wire.embed_request import Parameters
from serve.wire.forms.labels import MAX_LABELS, Labelled
from serve.wire.scores import score
from tests.images import jpeg, png

IMAGE, OTHER = (base64.b64encode(data).decode() for data in (png(), jpeg(300, 200)))
LABELS = ["a login", "a chart", "a list"]
TEMPLATE = "a picture of {}"
NO_LABELS = "must be a list of labels, not an empty list"


def ask(client, body, **options):
    return client.post("/invocations", json=body, **options)


def expected(data, texts):
    encoder = FakeEncoder()
    image = encoder.encode_images(encoder.spec.preprocessing(data)[None])[0]
    return score(image, encoder.encode_texts(texts)[0], SCORES)


def test_images_have_scores_beside_their_embeddings(client):
    body = {"images": [IMAGE, "!", OTHER], "labels": LABELS, "template": TEMPLATE}
    answer = ask(client, body)
    assert answer.status_code == 200
    plain = ask(client, {"images": [IMAGE, "!", OTHER]}).json["results"]
    first, second, third = answer.json["results"]
    assert second == plain[1]
    for found, without, data in ((first, plain[0], png()), (third, plain[2], jpeg(300, 200))):
        scores = found.pop("scores")
        assert found == without
        assert list(scores) == LABELS
        texts = [TEMPLATE.replace("{}", one) for one in LABELS]
        np.testing.assert_allclose(list(scores.values()), expected(data, texts), atol=1e-6)
        assert sum(scores.values()) == pytest.approx(1)


def test_the_form_of_hugging_face_is_answered_by_its_list(client):
    parameters = {"candidate_labels": LABELS, "hypothesis_template": TEMPLATE}
    ranked = ask(client, {"inputs": IMAGE, "parameters": parameters}).json
    ours = ask(client, {"image": IMAGE, "labels": LABELS, "template": TEMPLATE}).json
    scores = ours["results"][0]["scores"]
    assert {one["label"]: one["score"] for one in ranked} == scores
    assert [one["score"] for one in ranked] == sorted(scores.values(), reverse=True)
    joined = {
        "candidate_labels": ", ".join([*LABELS, "", LABELS[0]]),
        "hypothesis_template": TEMPLATE,
    }
    several = ask(client, {"inputs": [IMAGE, OTHER], "parameters": joined}).json
    assert several[0] == ranked
    assert len(several) == 2


def test_a_label_is_embedded_once(client, service):
    body = {"image": IMAGE, "labels": ["seen before"]}
    ask(client, body)
    before = service.engine.text_cache_report()
    ask(client, body)
    after = service.engine.text_cache_report()
    assert (after.hits, after.misses) == (before.hits + 1, before.misses)


def test_a_label_that_fails_fails_the_images_and_is_named(client):
    """Too long a text is the usual reason."""
    labels = ["fine", "x" * 70_000]
    (result,) = ask(client, {"image": IMAGE, "labels": labels}).json["results"]
    assert result["error"]["code"] == "text_invalid"
    assert result["error"]["message"].startswith("label 'xxx")
    answer = ask(client, {"inputs": IMAGE, "parameters": {"candidate_labels": labels}})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"text": "a", "labels": ["x"]}, "one of the items is a text"),
        ({"image": IMAGE, "labels": []}, f"labels {NO_LABELS}"),
        ({"image": IMAGE, "labels": "a,b"}, "labels must be a list of labels, not a string"),
        ({"image": IMAGE, "labels": ["a", ""]}, "labels[1] must be a text"),
        ({"image": IMAGE, "labels": ["a", "\ud800"]}, "labels[1] must be a text"),
        ({"image": IMAGE, "labels": ["a", "a"]}, "labels has a label twice"),
        ({"image": IMAGE, "labels": ["a"], "template": "no place"}, "template must be a string"),
        ({"image": IMAGE, "template": "{}"}, "template is for labels"),
        ({"inputs": 5, "parameters": {"candidate_labels": ["a"]}}, "inputs must be an image"),
        ({"inputs": [], "parameters": {"candidate_labels": ["a"]}}, "inputs must be an image"),
        (
            {"inputs": IMAGE, "parameters": {"candidate_labels": []}},
            f"candidate_labels {NO_LABELS}",
        ),
        (
            {"inputs": IMAGE, "parameters": {"candidate_labels": " , "}},
            f"candidate_labels {NO_LABELS}",
        ),
        (
            {"inputs": IMAGE, "model": "fake", "parameters": {"candidate_labels": ["a"]}},
            "unknown field 'model' beside candidate_labels",
        ),
        (
            {"inputs": IMAGE, "parameters": {"candidate_labels": ["a"], "timeout": 5}},
            "unknown field 'timeout'",
        ),
    ],
)
def test_what_is_malformed_is_refused_by_its_name(client, body, message):
    answer = ask(client, body)
    assert answer.status_code == 400
    assert message in answer.json["error"]["message"]


def test_too_many_labels(client):
    labels = [str(number) for number in range(MAX_LABELS + 1)]
    assert ask(client, {"image": IMAGE, "labels": labels}).status_code == 413


def test_scores_are_json_alone(client):
    body = {"image": IMAGE, "labels": ["a"]}
    assert ask(client, body, headers={"Accept": "text/csv"}).status_code == 406


def test_a_checkpoint_without_a_logit_scale_cannot_score():
    spec = replace(FakeEncoder().spec, scores=None)
    with pytest.raises(BadRequest, match="'x' cannot score labels"):
        Labelled(("a",)).check(Parameters(), {"x": spec})


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 9),
    st.sampled_from(["softmax", "sigmoid"]),
    st.floats(0, 1000),
    st.floats(-50, 50),
)
def test_scores_are_probabilities_in_the_order_of_the_cosines(seed, labels, kind, scale, bias):
    vectors = np.random.default_rng(seed).standard_normal((labels + 1, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = score(vectors[0], vectors[1:], Scores(kind, scale, bias))
    assert np.all((found >= 0) & (found <= 1))
    order = np.argsort(vectors[1:] @ vectors[0], kind="stable")
    assert np.all(np.diff(found[order]) >= -1e-6)
    if kind == "softmax":
        assert found.sum() == pytest.approx(1, abs=1e-5)


def test_scores_are_those_of_transformers_pipeline():
    """On the built-in model, with the reference's pixels."""
    settings = Settings(model="builtin", preprocess="reference", backend="torch")
    service = Service(settings)
    data = jpeg(300, 200)
    with open_engine(settings, may_tune=False) as service.engine:
        parameters = {"candidate_labels": LABELS}
        image = base64.b64encode(data).decode()
        client = create_app(service).test_client()
        ours = ask(client, {"inputs": image, "parameters": parameters}).json
    pipeline = transformers.pipeline(
        "zero-shot-image-classification", model=str(BUILTIN_FOLDER), use_fast=False
    )
    theirs = pipeline(image, candidate_labels=LABELS)
    assert [one["label"] for one in ours] == [one["label"] for one in theirs]
    np.testing.assert_allclose(
        [one["score"] for one in ours], [one["score"] for one in theirs], atol=1e-4
    )
