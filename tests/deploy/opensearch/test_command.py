"""The command as a user meets it: offline, and asking a deployment."""

import base64
import io
import json
from array import array

import pytest

from tests.deploy.cloud import FLAGS, SKIPPED_BY_MOTO, UP, deploy, ran, refused
from tests.deploy.opensearch.kinds import FINGERPRINT, ROLE
from tests.deploy.opensearch.test_requests import GOLDEN

pytestmark = SKIPPED_BY_MOTO
OFFLINE = ("--dimension", "128", "--fingerprint", FINGERPRINT)
DESIGNS = ("opensearch", "designs", "--region", "eu-west-1", "--role-arn", ROLE)


def test_it_prints_for_the_console_or_as_json():
    assert ran(deploy(*DESIGNS, *OFFLINE)) == (GOLDEN / "console.txt").read_text()
    golden = json.loads((GOLDEN / "texts-only.json").read_text())
    assert json.loads(ran(deploy(*DESIGNS, *OFFLINE, "--texts-only", "--json"))) == golden


def test_model_and_vectors_are_those_of_the_flags():
    flags = ("--model", "components", "--vectors", "byte", "--dimension", "512")
    both = ("opensearch", "Both-Models", "--region", "eu-west-1", "--role-arn", ROLE)
    printed = ran(deploy(*both, *flags, "--fingerprint", FINGERPRINT, "--json"))
    golden = (GOLDEN / "one-of-several-models-byte.json").read_text()
    assert json.loads(printed) == json.loads(golden)


def answer(**result):
    """What the container says of one text."""
    body = {"fingerprint": FINGERPRINT, "dimension": 128, "results": [{"index": 0} | result]}
    return {"Body": io.BytesIO(json.dumps(body).encode()), "ContentType": "application/json"}


def test_dimension_fingerprint_and_region_come_from_the_deployment(cloud):
    ran(deploy(*UP, *FLAGS["realtime"]))
    embedding = base64.b64encode(array("f", [0.0] * 128).tobytes()).decode()
    cloud.answer("InvokeEndpoint", answer(embedding=embedding))
    asked = ran(deploy("opensearch", "designs", "--json"))
    assert cloud.calls[-1] == "InvokeEndpoint"
    told = ran(deploy("opensearch", "designs", *OFFLINE, "--region", "us-east-1", "--json"))
    assert asked == told


def test_a_text_that_fails_is_said(cloud):
    ran(deploy(*UP, *FLAGS["realtime"]))
    error = {"code": "encode_failed", "message": "no memory", "retryable": False}
    cloud.answer("InvokeEndpoint", answer(error=error))
    refused(deploy("opensearch", "designs"), "cannot embed a text: encode_failed: no memory")


def test_a_deployment_that_does_not_answer_at_once_is_refused(cloud):
    refused(deploy("opensearch", "designs"), "no such deployment here")
    ran(deploy(*UP, *FLAGS["async"]))
    refused(deploy("opensearch", "designs"), "designs is asynchronous")


@pytest.mark.parametrize("words", [("--dimension", "128"), ("--fingerprint", FINGERPRINT)])
def test_dimension_and_fingerprint_go_together(words):
    shown = deploy("opensearch", "designs", *words)
    assert shown.exit_code == 2
    assert "give both --dimension and --fingerprint" in shown.output
