"""What an endpoint answers, and what its container says."""

import base64
import json
import math
from array import array
from datetime import UTC, datetime

import pytest

from deploy.cli import deploy as group
from deploy.smoke import builtin, cosine, smoke
from serve.wire.client_side import Answer, Embedded, Failed
from tests.deploy.cloud import (
    FLAGS,
    SKIPPED_BY_MOTO,
    UP,
    client,
    deploy,
    described,
    ran,
    refused,
    written,
)
from tests.deploy.container import Container, refusal

pytestmark = SKIPPED_BY_MOTO
GROUP = "/aws/sagemaker/Endpoints/designs"


def test_urls_files_and_texts_are_asked_for_in_order(tmp_path):
    file = tmp_path / "shot.png"
    file.write_bytes(b"PNG")
    with Container() as container:
        words = ("invoke", container.url, "https://a.example/1.png", str(file), "--text", "dead x")
        ended = deploy(*words, "--json")
    assert ended.exit_code == 1
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [one["input"] for one in lines] == ["https://a.example/1.png", str(file), "dead x"]
    assert [len(one.get("embedding", ())) for one in lines] == [4, 4, 0]
    assert lines[2]["error"]["code"] == "fetch_http_status"
    (body,) = container.bodies
    sent = json.loads(body)["inputs"]
    assert sent[1] == {"image": base64.b64encode(b"PNG").decode()}


def test_people_see_a_line_for_each_input():
    with Container() as container:
        shown = deploy("invoke", container.url, "--text", "login", "--text", "dead x").output
    good, bad = shown.splitlines()
    assert good.startswith("login: +0.")
    assert good.endswith("4 dimensions")
    assert bad == "dead x: fetch_http_status: as asked"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("invoke", "http://127.0.0.1:1", "nowhere.png"), "nowhere.png cannot be read"),
        (("invoke", "ftp://a.example", "--text", "a"), "is no URL of an endpoint"),
        (("smoke", "a_b"), "a name has up to 54"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(words, said):
    assert said in refused(deploy(*words)).splitlines()[-1]


def test_a_refusal_is_shown_with_its_code():
    with Container([refusal("payload_too_large", 413, retryable=False)]) as container:
        refused(deploy("invoke", container.url, "--text", "a"), "payload_too_large: as asked")


def test_nothing_to_embed_is_said(cloud):
    assert "name files, URLs, or --text" in deploy("invoke", "designs").output


@pytest.mark.parametrize("command", ["invoke", "smoke"])
def test_a_deployment_without_an_endpoint_is_not_asked(cloud, command):
    words = {"invoke": ("invoke", "designs", "--text", "a"), "smoke": ("smoke", "designs")}[command]
    refused(deploy(*words), "no such deployment here")
    s3 = ("--input", "s3://jobs/in/", "--output", "s3://jobs/out/")
    ran(deploy(*UP, "--mode", "transform", *s3))
    refused(deploy(*words), "is for batch transform")
    why = "no more instances"
    cloud.answer("DescribeStacks", described("CREATE_FAILED", StackStatusReason=why))
    refused(deploy(*words), f"designs is CREATE_FAILED: {why}")


def test_an_asynchronous_endpoint_that_refuses_leaves_no_object(cloud):
    ran(deploy(*UP, *FLAGS["async"]))
    refusal = {"Code": "ValidationError", "Message": "Endpoint designs not found."}
    cloud.answer("InvokeEndpointAsync", {"Error": refusal})
    refused(deploy("invoke", "designs", "--text", "a"), "Endpoint designs not found")
    assert cloud.left()["objects"] == []


# What an endpoint answers, by fault: (fingerprint, image, text).
KNOWN = builtin()
OTHER = array("f", reversed(KNOWN.image))


def answering(fingerprint=KNOWN.fingerprint, image=KNOWN.image, text=KNOWN.text):
    """An endpoint that embeds like this."""

    def ask(items):
        vectors = [image, text][: len(items)]
        results = [Embedded(index, None, array("f", one)) for index, one in enumerate(vectors)]
        return Answer(fingerprint, tuple(results))

    return ask


def outcomes(ask, against=None):
    return {one.what: one.ok for one in smoke(ask, against)}


GOOD = {"embeds": True, "unit norm": True, "the same again": True, "parity": True}


def test_the_known_vectors_pass():
    assert outcomes(answering()) == GOOD


@pytest.mark.parametrize(
    ("fault", "failing"),
    [
        ({"image": [2 * one for one in KNOWN.image]}, {"unit norm"}),
        ({"image": OTHER}, {"parity"}),
        ({"text": KNOWN.image}, {"parity"}),
        ({"text": [0.0] * 128}, {"unit norm", "parity"}),
        ({"image": [math.nan] * 128}, {"unit norm", "the same again", "parity"}),
    ],
)
def test_what_is_wrong_with_a_vector_is_found(fault, failing):
    found = outcomes(answering(**fault))
    assert {what for what, good in found.items() if not good} == failing


def test_of_an_unknown_checkpoint_parity_is_not_told_but_by_another_container():
    ask = answering(fingerprint="mine")
    assert outcomes(ask)["parity"] is None
    assert outcomes(ask, answering(fingerprint="mine"))["parity"] is True
    assert outcomes(ask, answering(fingerprint="mine", image=OTHER))["parity"] is False
    assert outcomes(ask, answering())["parity"] is False


def test_two_models_behind_one_endpoint_are_found():
    fingerprints = iter([KNOWN.fingerprint, "another"])

    def ask(items):
        return answering(next(fingerprints))(items)

    assert outcomes(ask)["the same again"] is False


def test_a_failure_of_the_thumbnail_ends_it():
    failed = Failed(0, None, "decode_corrupt", "no image", retryable=False)
    (check,) = smoke(lambda items: Answer("f", (failed, failed)))
    assert not check.ok
    assert "decode_corrupt: no image" in check.said


def test_smoke_ends_with_1_and_shows_what_failed():
    with Container() as container:  # its vectors are of no unit norm
        ended = deploy("smoke", container.url)
    assert ended.exit_code == 1
    assert "unit norm" in ended.output
    assert "failed" in ended.output


def test_the_cosine_of_nothing_is_nothing():
    assert cosine([0.0], [1.0]) == 0.0
    assert cosine([3.0, 4.0], [6.0, 8.0]) == pytest.approx(1)


def test_the_last_lines_of_all_instances_come_in_order_of_time(cloud):
    written(GROUP, *(f"line {number}" for number in range(60)))
    logs = client("logs")
    logs.create_log_stream(logGroupName=GROUP, logStreamName="AllTraffic/i-2")
    (first, *_) = logs.filter_log_events(logGroupName=GROUP)["events"]
    event = {"timestamp": first["timestamp"] + 58, "message": "of another"}
    logs.put_log_events(logGroupName=GROUP, logStreamName="AllTraffic/i-2", logEvents=[event])
    shown = ran(deploy("logs", "designs", "--lines", "3")).splitlines()
    assert [line.split(" ", 2)[2] for line in shown] == ["line 58", "of another", "line 59"]


def test_the_lines_of_one_job_are_told_from_others(cloud):
    group = "/aws/sagemaker/TransformJobs"
    written(group, "of nobody")
    logs = client("logs")
    for job in ("monday", "monday-2"):
        stream = f"{job}/i-1"
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        event = {"timestamp": int(datetime.now(UTC).timestamp() * 1000), "message": f"of {job}"}
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])
    assert ran(deploy("logs", "monday", "--job")).endswith("monday/i-1 of monday\n")


def test_without_a_line_it_says_where_it_looked(cloud):
    refused(deploy("logs", "designs"), f"no line of designs in {GROUP}")


def test_every_command_has_an_example():
    for name, command in group.commands.items():
        assert f"sweetspot deploy {name}" in command.help, name
