"""A batch transform: what is asked, how it is waited for, what is said of its outputs."""

import json
from datetime import UTC, datetime

import boto3
import pytest
from botocore.stub import Stubber
from click.testing import CliRunner
from moto import mock_aws

from deploy.errors import DeployError
from deploy.template.job import job_request
from deploy.transform import follow, report, start
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


def make_model(name, **variables):
    container = {"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/sweetspot:1"}
    boto3.client("sagemaker").create_model(
        ModelName=name,
        ExecutionRoleArn="arn:aws:iam::123456789012:role/sweetspot",
        PrimaryContainer=container | {"Environment": variables},
    )


@pytest.fixture
def s3():
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="jobs")
        client.put_object(Bucket="jobs", Key="urls.jsonl", Body="{}")
        make_model("designs")
        yield client


def test_the_report_counts_failures_by_code_over_all_outputs(s3):
    s3.put_object(Bucket="jobs", Key="out/monday/a.jsonl.out", Body=OUTPUT)
    s3.put_object(Bucket="jobs", Key="out/monday/b/c.jsonl.out", Body=OUTPUT + "\n\nnothing\n")
    s3.put_object(Bucket="jobs", Key="out/monday/notes.jsonl", Body=OUTPUT)
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
    for part in range(3):
        s3.put_object(Bucket="jobs", Key=f"urls/{part}.jsonl", Body="{}")
    transform("monday", *FLAGS, "--input", "s3://jobs/urls/", "--instances", "3")
    said = boto3.client("sagemaker").describe_transform_job(TransformJobName="monday")
    assert said["TransformResources"] == {"InstanceType": "ml.c7i.xlarge", "InstanceCount": 3}
    assert said["TransformOutput"]["S3OutputPath"] == "s3://jobs/out/monday/"
    assert said["DataProcessing"] == {"JoinSource": "Input"}


@pytest.mark.parametrize(
    ("variables", "expected"), [({}, 600), ({"SWEETSPOT_BATCH_TIMEOUT_S": "1800"}, 1800)]
)
def test_the_limit_of_a_request_is_what_the_model_was_told(s3, variables, expected):
    make_model("slow", **variables)
    transform("monday", *FLAGS, "--model", "slow")
    said = boto3.client("sagemaker").describe_transform_job(TransformJobName="monday")
    assert said["ModelClientConfig"] == {"InvocationsTimeoutInSeconds": expected}


@pytest.mark.parametrize("machine_image", [None, "al2-ami-sagemaker-batch-gpu-535"])
def test_the_request_is_of_the_shape_of_the_api(machine_image):
    request = job_request(
        name="monday", model="designs", source="s3://jobs/urls.jsonl", output="s3://jobs/out/",
        instance_type="ml.g5.xlarge", instances=2, machine_image=machine_image, timeout_s=600,
    )  # fmt: skip
    assert check("sagemaker", "CreateTransformJob", request) == ""
    # The container says these itself.
    assert not {"BatchStrategy", "MaxPayloadInMB", "MaxConcurrentTransforms"} & set(request)


REQUEST = job_request(
    name="monday", model="designs", source="s3://jobs/urls.jsonl", output="s3://jobs/out/monday/",
    instance_type="ml.c7i.xlarge", instances=1, machine_image=None, timeout_s=600,
)  # fmt: skip

MORE = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://jobs/more.jsonl"}}


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


def described(request, **more):
    """The answer of DescribeTransformJob, as far as a client reads it."""
    arn = "arn:aws:sagemaker:us-east-1:123456789012:transform-job/monday"
    times = {"CreationTime": datetime(2026, 1, 1, tzinfo=UTC)}
    return request | times | {"TransformJobArn": arn, "TransformJobStatus": "InProgress"} | more


@pytest.fixture
def taken():
    """SageMaker, where the name of a job is taken."""
    sagemaker = boto3.client("sagemaker")
    with Stubber(sagemaker) as stubber:
        words = "a job with this name already exists"
        stubber.add_client_error("create_transform_job", "ResourceInUse", words)
        yield sagemaker, stubber
        stubber.assert_no_pending_responses()


def test_the_same_job_again_is_waited_for(taken):
    sagemaker, stubber = taken
    # SageMaker adds what was left out.
    said = json.loads(json.dumps(REQUEST))
    said["TransformInput"]["CompressionType"] = "None"
    stubber.add_response("describe_transform_job", described(said))
    start(sagemaker, REQUEST)


@pytest.mark.parametrize(
    "other",
    [
        {"ModelName": "components"},
        {"TransformInput": REQUEST["TransformInput"] | {"DataSource": MORE}},
        {"TransformOutput": {"S3OutputPath": "s3://jobs/elsewhere/"}},
    ],
)
def test_another_job_of_that_name_is_not(taken, other):
    sagemaker, stubber = taken
    stubber.add_response("describe_transform_job", described(REQUEST, **other))
    with pytest.raises(DeployError, match="cannot be started: a job with this name already ex"):
        start(sagemaker, REQUEST)


def test_a_job_that_nobody_started_cannot_be_followed(s3):
    with pytest.raises(DeployError, match="monday cannot be followed"):
        list(follow(boto3.client("sagemaker"), "monday", lambda _: None))


def test_an_output_that_cannot_be_read_is_named_and_why_the_job_failed(s3):
    said = {"TransformJobName": "monday", "TransformJobStatus": "Failed", "FailureReason": "full"}
    said["TransformOutput"] = {"S3OutputPath": "s3://gone/out/"}
    with pytest.raises(DeployError, match="monday: full; s3://gone/out/ cannot"):
        report(s3, said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a_b", *FLAGS), "a name has up to"),
        (("monday", *FLAGS, "--input", "urls.jsonl"), "--input urls.jsonl: must look like"),
        (("monday", *FLAGS, "--instances", "0"), "--instances"),
        (("monday", *FLAGS, "--instances", "2"), "--instances 2: s3://jobs/urls.jsonl has 1"),
        (("monday", *FLAGS, "--input", "s3://jobs/urls/"), "s3://jobs/urls/: nothing is there"),
        (("monday", *FLAGS, "--input", "s3://nobodys/urls"), "s3://nobodys/urls cannot be listed"),
        (("monday", *FLAGS, "--input", "s3://jobs/o"), "s3://jobs/out/monday/ is in --input"),
        (("monday", *FLAGS, "--model", "nobodys"), "--model nobodys: Could not find model"),
        (("monday",), "Missing option '--model'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(s3, words, said):
    ran = transform(*words)
    assert ran.exit_code != 0
    assert said in ran.output.splitlines()[-1]
    assert not boto3.client("sagemaker").list_transform_jobs()["TransformJobSummaries"]
