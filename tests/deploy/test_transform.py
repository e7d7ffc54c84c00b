"""A batch transform: what is asked, how it is waited for, what is said of its outputs."""

import json

import boto3
import pytest
from click.testing import CliRunner
from moto import mock_aws

from deploy.job import job_request
from deploy.transform import TransformError, follow, report
from sweetspot import main
from tests.deploy.requests import check

FLAGS = ("--model", "designs", "--input", "s3://jobs/urls.jsonl", "--output", "s3://jobs/out")


def transform(*words):
    return CliRunner().invoke(main, ["deploy", "transform", *words])


def joined(**result):
    return json.dumps({"url": "https://a.example/", "SageMakerOutput": result})


OUTPUT = "\n".join(
    [joined(embedding=[1.0, 0.0])] * 5
    + [joined(error={"code": "fetch_timeout"})]
    + [joined(error={"code": "decode_corrupt"})] * 2
)


@pytest.fixture
def s3():
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="jobs")
        yield client


def test_the_report_counts_failures_by_code_over_all_outputs(s3):
    s3.put_object(Bucket="jobs", Key="out/monday/a.jsonl.out", Body=OUTPUT)
    s3.put_object(Bucket="jobs", Key="out/monday/b/c.jsonl.out", Body=OUTPUT + "\nnothing\n")
    s3.put_object(Bucket="jobs", Key="out/tuesday/a.jsonl.out", Body=OUTPUT)
    ran = transform("monday", *FLAGS, "--json")
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout) == {
        "job": "monday",
        "status": "Completed",
        "reason": None,
        "output": "s3://jobs/out/monday/",
        "embedded": 10,
        "failed": {"decode_corrupt": 4, "fetch_timeout": 2, "unreadable": 1},
    }


def test_people_see_a_table(s3):
    s3.put_object(Bucket="jobs", Key="out/monday/a.jsonl.out", Body=OUTPUT)
    shown = [line.split() for line in transform("monday", *FLAGS).stdout.splitlines()]
    assert ["embedded", "5"] in shown
    assert ["decode_corrupt", "2"] in shown


def test_the_job_that_was_sent_is_the_one_asked_for(s3):
    transform("monday", *FLAGS, "--instances", "3")
    said = boto3.client("sagemaker").describe_transform_job(TransformJobName="monday")
    assert said["TransformResources"] == {"InstanceType": "ml.c7i.xlarge", "InstanceCount": 3}
    assert said["TransformOutput"]["S3OutputPath"] == "s3://jobs/out/monday/"
    assert said["DataProcessing"] == {"JoinSource": "Input"}


@pytest.mark.parametrize("machine_image", [None, "al2-ami-sagemaker-batch-gpu-535"])
def test_the_request_is_of_the_shape_of_the_api(machine_image):
    request = job_request(
        name="monday", model="designs", source="s3://jobs/urls.jsonl", output="s3://jobs/out/",
        instance_type="ml.g5.xlarge", instances=2, machine_image=machine_image, timeout_s=600,
    )  # fmt: skip
    assert check("sagemaker", "CreateTransformJob", request) == ""
    # The container says these itself.
    assert not {"BatchStrategy", "MaxPayloadInMB", "MaxConcurrentTransforms"} & set(request)


class Slow:
    """A job of three states."""

    def __init__(self):
        self._states = iter(["InProgress", "InProgress", "Failed"])

    def describe_transform_job(self, **_):
        return {"TransformJobStatus": next(self._states)}


def test_a_job_is_followed_to_its_end():
    pauses = []
    seen = [said["TransformJobStatus"] for said in follow(Slow(), "monday", pauses.append)]
    assert seen == ["InProgress", "InProgress", "Failed"]
    assert pauses == [15.0, 15.0]


def test_a_job_that_nobody_started_cannot_be_followed(s3):
    with pytest.raises(TransformError, match="monday cannot be followed"):
        list(follow(boto3.client("sagemaker"), "monday", lambda _: None))


def test_an_output_that_cannot_be_read_is_named_and_why_the_job_failed(s3):
    said = {"TransformJobName": "monday", "TransformJobStatus": "Failed", "FailureReason": "full"}
    said["TransformOutput"] = {"S3OutputPath": "s3://gone/out/"}
    with pytest.raises(TransformError, match="monday: full; s3://gone/out/ cannot"):
        report(s3, said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a_b", *FLAGS), "a name has up to"),
        (("monday", *FLAGS, "--input", "urls.jsonl"), "--input urls.jsonl: must look like"),
        (("monday", *FLAGS, "--instances", "0"), "--instances"),
        (("monday",), "Missing option '--model'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(words, said):
    ran = transform(*words)
    assert ran.exit_code != 0
    assert said in ran.output.splitlines()[-1]
