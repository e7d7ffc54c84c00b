"""A training job: what is asked, what is told while it runs, and what is said at its end."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from deploy import aws
from deploy.errors import ConfigError, DeployError
from deploy.template.training import TRAINING_LOGS, training_job
from deploy.training import Follower, start
from tests.deploy.cloud import client, deploy, ran, refused
from tests.deploy.configs import IMAGE, SUBNETS, TRAINING
from tests.deploy.requests import check
from tests.deploy.test_template import GOLDEN

FLAGS = (
    "--image", IMAGE, "--role", TRAINING.role, "--data", "s3://pairs/train/",
    "--output", "s3://models/", "--instance-type", "ml.m5.xlarge",
)  # fmt: skip
GROUP = "sg-0123456789abcdef0"
AT = datetime(2026, 1, 1, tzinfo=UTC)


def train(*words):
    return deploy("train", "designs-1", *FLAGS, *words)


def requested(*words):
    return json.loads(ran(train(*words, "--dry-run")))


def test_the_request_is_the_golden_one_and_of_the_shape_of_the_api():
    request = training_job(TRAINING)
    assert request == json.loads((GOLDEN / "training-job.json").read_text())
    assert check("sagemaker", "CreateTrainingJob", request) == ""


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--spot", "--max-runtime-s", "600", "--instances", "3", "--input-mode", "File"],
        ["--keep-alive-s", "1800", "--checkpoints", "s3://models/c/", "--volume-gb", "200"],
        ["--validation", "s3://pairs/held-out/", "--forgetting", "s3://pairs/own.jsonl"],
        ["--model", "s3://models/base/model.tar.gz", "--set", "keep_worse=true"],
        ["--model", "openai/clip-vit-base-patch32", "--set", "allow-host=a.example,b.example"],
        ["--env", "SWEETSPOT_ALLOW_BUCKET=a,b"],
        ["--subnet", SUBNETS[0], "--subnet", SUBNETS[1], "--security-group", GROUP],
    ],
)
def test_any_flags_make_a_request_of_the_shape_of_the_api(words):
    request = requested(*words)
    assert check("sagemaker", "CreateTrainingJob", request) == ""
    assert len(request["AlgorithmSpecification"]["MetricDefinitions"]) <= 40


def test_spot_waits_and_keeps_its_checkpoints_and_a_base_is_copied():
    request = requested("--spot", "--max-runtime-s", "600", "--model", "s3://models/base/")
    assert request["EnableManagedSpotTraining"] is True
    assert request["StoppingCondition"] == {
        "MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 1200,
    }  # fmt: skip
    assert request["CheckpointConfig"] == {"S3Uri": "s3://models/designs-1/checkpoints/"}
    modes = {one["ChannelName"]: one["InputMode"] for one in request["InputDataConfig"]}
    assert modes == {"train": "FastFile", "model": "File"}
    assert not {"CheckpointConfig", "EnableManagedSpotTraining"} & requested().keys()


def test_a_job_may_run_in_a_vpc():
    request = requested("--subnet", SUBNETS[0], "--security-group", GROUP)
    assert request["VpcConfig"] == {"Subnets": [SUBNETS[0]], "SecurityGroupIds": [GROUP]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "lorra=16"], "--set: hyperparameter lorra: train has no such option; did you"),
        (["--set", "epochs=many"], "--set: hyperparameter epochs: 'many' is not a valid integer"),
        (["--set", "keep-worse=1"], "--set: hyperparameter keep-worse: '1' must be true or false"),
        (["--set", "output=x"], "--set: hyperparameter output: the job itself says this"),
        (["--set", "lora"], "--set lora: must be NAME=VALUE"),
        (["--env", "A-B=1"], "--env A-B: not the name of a variable"),
        (["--max-wait-s", "10"], "--max-wait-s needs --spot"),
        (["--spot", "--max-wait-s", "10"], "--max-wait-s 10: must be at least --max-runtime-s"),
        (["--spot", "--keep-alive-s", "10"], "--keep-alive-s: spot instances cannot be kept"),
        (["--role", "admin"], "--role admin: must be the ARN of an IAM role"),
        (["--validation", "./pairs"], "--validation ./pairs: must look like s3://bucket/prefix/"),
        (["--output", "s3://Models/"], "s3://bucket/prefix/; a bucket has no capitals"),
        (["--subnet", SUBNETS[0]], "--subnet needs --security-group"),
        (["--security-group", GROUP], "--subnet: a VPC needs from 1 to 16 subnets"),
        (["--subnet", "net-1", "--security-group", GROUP], "--subnet net-1"),
        (["--instance-type", "ml.p3.2xlarge"], "has compute capability 7.0"),
        (["--image", "sweetspot:gpu"], "must be an image of ECR"),
    ],
)  # fmt: skip
def test_what_aws_or_the_container_would_refuse_is_refused_before(words, said):
    assert said in refused(train(*words, "--dry-run"))


@pytest.mark.parametrize("flag", ["hyperparameters", "variables"])
def test_more_than_sagemaker_takes_is_refused(flag):
    with pytest.raises(ConfigError, match="SageMaker takes 100 of them"):
        replace(TRAINING, **{flag: {f"a{number}": "1" for number in range(101)}})
    with pytest.raises(ConfigError, match="SageMaker takes names of 256"):
        replace(TRAINING, **{flag: {"a" * 257: "1"}})


def test_a_job_is_started_and_its_artifact_is_deployed_by_the_command_it_prints(cloud):
    done = train()
    artifact = "s3://models/designs-1/output/model.tar.gz"
    assert f"sweetspot deploy up NAME --image {IMAGE} --artifact {artifact}" in ran(done)
    assert "Starting: Preparing the instances for training\n" in done.stderr
    up = ("render", "designs", "--image", IMAGE, "--artifact", artifact)
    assert artifact in ran(deploy(*up))
    sent = client("sagemaker").describe_training_job(TrainingJobName="designs-1")
    assert sent["ResourceConfig"]["InstanceType"] == "ml.m5.xlarge"
    report = json.loads(ran(train("--json")))
    assert report["artifact"] == artifact
    assert report["metrics"] == {"train:progress": 100.0}


def described(status, *states, **more):
    """The answer of DescribeTrainingJob."""
    transitions = [
        {"Status": name, "StartTime": AT, "StatusMessage": message} for name, message in states
    ]
    arn = "arn:aws:sagemaker:us-east-1:123456789012:training-job/designs-1"
    names = ("TrainingJobName", "AlgorithmSpecification", "InputDataConfig", "OutputDataConfig",
             "ResourceConfig", "StoppingCondition", "HyperParameters")  # fmt: skip
    request = training_job(TRAINING)
    return {
        **{name: request[name] for name in names},
        "TrainingJobArn": arn, "TrainingJobStatus": status, "CreationTime": AT,
        "SecondaryStatus": states[-1][0], "SecondaryStatusTransitions": transitions,
        "ModelArtifacts": {"S3ModelArtifacts": "s3://models/designs-1/output/model.tar.gz"},
    } | more  # fmt: skip


STARTING = ("Starting", "Preparing the instances")
TRAINING_STATE = ("Training", "Training image download completed")
FAILED = ("Failed", "Training job failed")
REASON = "AlgorithmError: channel test: must be one of train, validation, forgetting, model"


def log(*lines, stream="designs-1/algo-1-1700000000"):
    logs = client("logs")
    logs.create_log_group(logGroupName=TRAINING_LOGS)
    logs.create_log_stream(logGroupName=TRAINING_LOGS, logStreamName=stream)
    now = datetime.now(UTC)
    events = [
        {"timestamp": int((now + timedelta(seconds=number)).timestamp() * 1000), "message": line}
        for number, line in enumerate(lines)
    ]
    logs.put_log_events(logGroupName=TRAINING_LOGS, logStreamName=stream, logEvents=events)


def test_states_and_lines_are_told_once_and_in_their_order(cloud):
    cloud.answer(
        "DescribeTrainingJob",
        described("InProgress", STARTING),
        described("InProgress", STARTING, TRAINING_STATE),
        described("Failed", STARTING, TRAINING_STATE, FAILED, FailureReason=REASON),
    )
    told, pauses = [], []

    def pause(seconds):
        if not pauses:
            log("step 1 of 4", "step 2 of 4")
        pauses.append(seconds)

    follower = Follower(
        aws.client("sagemaker"), aws.client("logs"), "designs-1", told.append, pause
    )
    report = follower.follow()
    assert told == [
        "Starting: Preparing the instances",
        "Training: Training image download completed",
        "step 1 of 4",
        "step 2 of 4",
        "Failed: Training job failed",
    ]
    assert pauses == [15.0, 15.0]
    assert (report.status, report.reason, report.artifact) == ("Failed", REASON, None)


def test_a_failed_job_ends_the_command_with_its_reason(cloud):
    cloud.answer("DescribeTrainingJob", described("Failed", FAILED, FailureReason=REASON))
    assert f"designs-1: Failed: {REASON}" in refused(train())


def test_one_who_may_not_read_the_log_is_told_so_once(cloud):
    states = described("InProgress", STARTING), described("Completed", STARTING)
    cloud.answer("DescribeTrainingJob", *states)
    denied = {"Error": {"Code": "AccessDeniedException", "Message": "not you"}}
    cloud.answer("DescribeLogStreams", denied, denied)
    told = []
    logs = aws.client("logs")
    follower = Follower(aws.client("sagemaker"), logs, "designs-1", told.append, lambda _: None)
    assert follower.follow().status == "Completed"
    assert [one for one in told if "not you" in one] == [f"{TRAINING_LOGS} cannot be read: not you"]


def in_use():
    return {"Error": {"Code": "ResourceInUse", "Message": "the name is taken"}}


def test_the_same_command_follows_the_job_again_and_another_one_does_not(cloud):
    cloud.answer("CreateTrainingJob", in_use(), in_use())
    same = described("InProgress", STARTING)
    cloud.answer("DescribeTrainingJob", same, same)
    start(aws.client("sagemaker"), training_job(TRAINING))
    other = training_job(replace(TRAINING, hyperparameters={"lora": "8"}))
    with pytest.raises(DeployError, match="the job cannot be started: the name is taken"):
        start(aws.client("sagemaker"), other)


def test_ctrl_c_leaves_the_job_and_says_how_to_go_on(cloud):
    def interrupt():
        raise KeyboardInterrupt

    cloud.answer("DescribeTrainingJob", interrupt)
    said = refused(train())
    assert "stopped following; designs-1 goes on: the same command follows it again" in said
    assert "aws sagemaker stop-training-job --training-job-name designs-1" in said
