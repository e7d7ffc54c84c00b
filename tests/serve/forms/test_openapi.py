"""What /openapi.json says of requests and answers is what the service takes and gives."""

import json

import pytest
from hypothesis import HealthCheck, assume, given, settings
from jsonschema import Draft202012Validator

from inference.types import is_unicode
from model.backends.fake import FakeEncoder
from serve.errors import HttpError
from serve.settings import Settings
from serve.wire.openapi.document import document
from serve.wire.protocol import parse
from tests.serve.any_request import anything, nearly_valid_requests, valid_requests

MAX_ITEMS = 20
SPECS = {"fake": FakeEncoder().spec}
DOCUMENT = document("1", Settings(max_items=MAX_ITEMS, multi_model=True), SPECS)


def validator(name):
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return Draft202012Validator(schema)


INVOCATION, ANSWER, ERROR = map(validator, ("Invocation", "InvocationAnswer", "Error"))


@pytest.fixture(scope="module")
def described(client):
    return client.get("/openapi.json").json


def test_it_is_served(described):
    assert described["openapi"] == "3.1.0"
    assert "/models" not in described["paths"]
    assert (
        described["components"]["schemas"]["Invocation"]
        == DOCUMENT["components"]["schemas"]["Invocation"]
    )


def test_every_schema_is_one_and_every_reference_leads_to_one():
    schemas = DOCUMENT["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    words = json.dumps(DOCUMENT)
    named = {part.partition('"')[0] for part in words.split("#/components/schemas/")[1:]}
    assert named == set(schemas)


def test_every_route_of_the_application_is_described(client, described):
    routes = {
        (rule.rule.replace("<path:name>", "{name}"), method.lower())
        for rule in client.application.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert routes == {
        (path, method)
        for path, operations in described["paths"].items()
        for method in operations.keys() - {"parameters"}
    }


def taken(body):
    """Whether the service takes a body; None if it is refused for its size."""
    try:
        request = parse("application/json", "", json.dumps(body).encode(), MAX_ITEMS)
        model = request.parameters.model
        if not SPECS.keys() >= ({model} if isinstance(model, str) else {*model}):
            return False
        if request.form is not None:
            request.form.check(request.parameters, SPECS)
    except HttpError as exc:
        return None if exc.code == "payload_too_large" else False
    return True


def numbers(value):
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [number for one in inner for number in numbers(one)]
    return [value] if isinstance(value, int | float) else []


@given(anything | valid_requests | nearly_valid_requests())
@settings(max_examples=500, suppress_health_check=[HealthCheck.filter_too_much])
def test_a_body_is_taken_if_it_fits_the_description_and_else_refused(body):
    # A schema cannot say that a string has no half of a surrogate pair.
    assume(is_unicode(json.dumps(body, ensure_ascii=False)))
    # Python refuses to parse integers of thousands of digits, and reads 1e400 as infinity.
    assume(all(abs(number) < 1e300 for number in numbers(body)))
    found = taken(body)
    assume(found is not None)
    assert INVOCATION.is_valid(body) == found


@given(valid_requests)
@settings(max_examples=50)
def test_answers_are_as_described(client, body):
    answer = client.post("/invocations", json=body)
    if answer.mimetype == "application/json":
        (ANSWER if answer.status_code == 200 else ERROR).validate(answer.json)
    else:
        assert answer.mimetype == "application/jsonlines"
