"""All that OpenSearch will read: of the documented form, and looked at in every difference."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.errors import ConfigError
from deploy.opensearch.config import Connection
from deploy.opensearch.requests import console, requests
from tests.deploy.opensearch.kinds import DESIGNS, FINGERPRINT, KINDS, connections
from tests.deploy.opensearch.ml_commons import Refused, payload, predict
from tests.deploy.opensearch.schemas import errors

GOLDEN = Path(__file__).parent / "golden"
PLACEHOLDER = re.compile(r'"\{(\w+)\}"')


@pytest.mark.parametrize("kind", KINDS)
def test_the_requests_are_those_that_were_reviewed(kind):
    """Write them anew: python -m tests.deploy.golden."""
    golden = json.loads((GOLDEN / f"{kind}.json").read_text())
    assert [asdict(one) for one in requests(KINDS[kind])] == golden


def test_the_console_shows_what_was_reviewed():
    assert console(requests(DESIGNS)) + "\n" == (GOLDEN / "console.txt").read_text()


def test_there_is_no_golden_request_of_nothing():
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(KINDS)


@given(connections())
@settings(max_examples=50)
def test_the_requests_of_any_connection_are_of_the_documented_form(connection):
    found = requests(connection)
    assert [errors(one.method, one.path, one.body) for one in found] == [[]] * 6


@pytest.mark.parametrize(
    ("number", "path", "value"),
    [
        (0, "credential", {"access_key": "{access_key}"}),
        (0, "parameters.region", None),
        (0, "actions.0.body", "of an unknown field"),
        (2, "connector_id", None),
        (3, "processors.0.text_image_embedding.field_map", {}),
        (4, "request_processors.0.neural_query_enricher", {}),
        (5, "mappings.properties.embedding.compression_level", "4x"),
        (5, "mappings.properties.embedding.space_type", "inner_product"),
    ],
)
def test_a_form_that_is_not_documented_is_found(number, path, value):
    """Of the schemas: they refuse something. Faiss has no level of 4x."""
    request = requests(DESIGNS)[number]
    *steps, last = path.split(".")
    part = request.body
    for step in steps:
        part = part[int(step) if step.isdigit() else step]
    part.pop(last, None)
    part |= {} if value is None else {last: value}
    assert errors(request.method, request.path, request.body)


@given(connections())
@settings(max_examples=50)
def test_every_placeholder_is_a_key_or_in_an_earlier_answer(connection):
    known = {"access_key", "secret_key"}
    for one in requests(connection):
        assert set(PLACEHOLDER.findall(json.dumps(one.body))) <= known
        known |= {one.answer}
    assert {"connector_id", "model_group_id", "model_id"} <= known


@given(connections())
@settings(max_examples=50)
def test_the_console_text_holds_the_requests(connection):
    found = requests(connection)
    parts = console(found).split("\n\n")
    lines = [[line for line in part.splitlines() if not line.startswith("#")] for part in parts]
    read = [(*head.split(" "), json.loads("\n".join(body))) for head, *body in lines]
    assert read == [(one.method, one.path, one.body) for one in found]


def test_two_checkpoints_share_nothing():
    """Names must be unique in OpenSearch, so that the requests of a later checkpoint go through."""
    other = Connection("designs", "eu-west-1", 128, FINGERPRINT[::-1])
    names = [
        {(one.method, one.path, one.body.get("name")) for one in requests(connection)[3:]}
        for connection in (DESIGNS, other)
    ]
    assert not names[0] & names[1]


def test_a_connector_for_texts_is_the_documented_one_for_sagemaker():
    """By ml-commons' blueprint for SageMaker, apart from what it leaves blank."""
    body = requests(KINDS["texts-only"])[0].body
    (action,) = body["actions"]
    assert body["protocol"] == "aws_sigv4"
    assert body["parameters"] == {"region": "eu-west-1", "service_name": "sagemaker"}
    assert action["headers"] == {"content-type": "application/json"}
    assert action["request_body"] == "${parameters.input}"
    assert action["pre_process_function"] == "connector.pre_process.default.embedding"
    assert action["post_process_function"] == "connector.post_process.default.embedding"


def test_a_connector_for_images_has_the_body_of_the_documented_multimodal_one():
    """By ml-commons' blueprint for Titan Multimodal, apart from blanks between the fields."""
    body = requests(DESIGNS)[0].body
    (action,) = body["actions"]
    assert body["parameters"]["input_docs_processed_step_size"] == 2
    assert json.loads(action["request_body"]) == {
        "inputText": "${parameters.inputText:-null}",
        "inputImage": "${parameters.inputImage:-null}",
    }


def sent(kind, documents):
    """What is sent for documents: URL, headers, and the body as the container reads it."""
    connector, seen = requests(KINDS[kind])[0].body, []

    def send(url, headers, body):
        seen.append((url, headers, json.loads(body)))
        return json.dumps([[1.0]] * len(documents) if "only" in kind else {"embedding": [1.0]})

    tensors = predict(connector, documents, send)
    return tensors, seen


def test_texts_are_sent_together_and_each_has_a_tensor():
    tensors, ((url, _, body),) = sent("texts-only", ["login", 'a "dark" one'])
    assert url == "https://runtime.sagemaker.eu-west-1.amazonaws.com/endpoints/designs/invocations"
    assert body == ["login", 'a "dark" one']
    assert [one["shape"] for one in tensors] == [[1], [1]]


@pytest.mark.parametrize(
    ("documents", "body"),
    [
        (["login"], {"inputText": "login", "inputImage": None}),
        ([None, "iVBORw0="], {"inputText": None, "inputImage": "iVBORw0="}),
        (["login", "/9j/4A=="], {"inputText": "login", "inputImage": "/9j/4A=="}),
    ],
    ids=["text", "image", "both"],
)
def test_what_is_missing_of_a_text_and_its_image_is_null(documents, body):
    tensors, ((_, _, found),) = sent("texts-and-images", documents)
    assert found == body
    assert len(tensors) == 1


@given(st.text(min_size=1).filter(lambda text: text.strip()[:1] not in "[{"))
def test_any_text_arrives_as_it_was_written(text):
    for kind, body in (
        ("texts-only", [text]),
        ("texts-and-images", {"inputText": text, "inputImage": None}),
    ):
        _, ((_, _, found),) = sent(kind, [text])
        assert found == body


def test_a_text_that_is_json_is_refused_by_opensearch_beside_images():
    """It puts JSON into the body as it is. docs/opensearch.md says so."""
    connector = requests(DESIGNS)[0].body
    with pytest.raises(Refused):
        payload(connector, connector["actions"][0], ['{"kind": "login"}'])
    _, ((_, _, body),) = sent("texts-only", ['{"kind": "login"}'])
    assert body == ['{"kind": "login"}']


def test_the_model_among_several_is_named_in_the_custom_attributes():
    _, ((url, headers, _),) = sent("one-of-several-models-byte", ["login"])
    assert "/endpoints/Both-Models/" in url
    assert headers["X-Amzn-SageMaker-Custom-Attributes"] == "model=components"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"endpoint": "a_b"}, "a name has up to 54"),
        ({"region": "Ireland"}, "--region Ireland: must look like eu-west-1"),
        ({"region": "cn-north-1"}, "amazonaws.com only"),
        ({"dimension": 0}, "--dimension 0: must be from 1 to 16,000"),
        ({"fingerprint": "F00D"}, "--fingerprint F00D"),
        ({"model": "a/b"}, "--model a/b"),
        ({"role_arn": "arn:aws:iam::1:user/me"}, "must be the ARN of an IAM role"),
    ],
)
def test_what_would_be_refused_later_is_refused_at_once(given, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        Connection(**asdict(DESIGNS) | given)
