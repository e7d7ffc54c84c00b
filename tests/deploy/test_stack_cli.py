"""What people read of a stack: what would change, and what it is."""

import json
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest

from deploy.stack.plan import plan
from deploy.stack.stack import DEAD, Stacks
from deploy.template.config import Config
from deploy.template.template import template
from tests.deploy.cloud import (
    ACCOUNT,
    FLAGS,
    REGION,
    SKIPPED_BY_MOTO,
    UP,
    deploy,
    described,
    ran,
    refused,
)  # fmt: skip
from tests.deploy.configs import IMAGE

pytestmark = SKIPPED_BY_MOTO
PLAN = ("plan", *UP[1:])
PROFILE = str(Path(__file__).parent / "profile.json")
OUTPUTS = {"Mode": "realtime", "EndpointName": "designs", "Image": "the image"}
NOW = datetime.now(UTC)


def test_a_plan_of_something_new_lists_all_of_it_and_makes_nothing(cloud):
    before = cloud.left()
    found = json.loads(ran(deploy(*PLAN, "--json")))
    assert {one["action"] for one in found} == {"add"}
    assert {"ExecutionRole", "Model", "Endpoint", "ScalingPolicy"} < {
        one["resource"] for one in found
    }
    assert cloud.left() == before


def changed(*changes):
    """CloudFormation's answer; moto's has no properties."""
    return {"Status": "CREATE_COMPLETE", "Changes": [{"ResourceChange": one} for one in changes]}


def test_a_plan_says_what_becomes_of_each_property(cloud):
    ran(deploy(*UP))
    target = {
        "Attribute": "Properties", "Name": "ProductionVariants",
        "Path": "/Properties/ProductionVariants/0/InitialInstanceCount",
        "BeforeValue": "1", "AfterValue": "2",
    }  # fmt: skip
    modified = {
        "Action": "Modify", "Replacement": "True", "LogicalResourceId": "EndpointConfig",
        "ResourceType": "AWS::SageMaker::EndpointConfig", "Details": [{"Target": target}] * 2,
    }  # fmt: skip
    removed = {
        "Action": "Remove", "LogicalResourceId": "ScalingPolicy",
        "ResourceType": "AWS::ApplicationAutoScaling::ScalingPolicy",
    }  # fmt: skip
    added = {
        "Action": "Add", "LogicalResourceId": "ErrorsAlarm",
        "ResourceType": "AWS::CloudWatch::Alarm",
        "AfterContext": json.dumps({"Properties": {"Threshold": 5}}),
    }  # fmt: skip
    cloud.answer("DescribeChangeSet", *[changed(modified, removed, added)] * 2)
    shown = [" ".join(line.split()) for line in ran(deploy(*PLAN)).splitlines()]
    text = " ".join(shown)
    assert "-/+ EndpointConfig" in text
    assert "1 -> 2" in text
    assert "- ScalingPolicy" in text
    assert "Threshold: 5" in text


def test_a_plan_says_what_its_profile_lets_one_expect_to_pay(cloud):
    """Two streams of 16 images in 200 ms are 160 a second: a million take 1.736 hours."""
    words = (*PLAN, "--profile", PROFILE, "--price-per-hour", "0.25", "--min", "2")
    text = ran(deploy(*words))
    assert "160.0 images/s an instance; a million images cost 0.434 on full instances" in text
    assert "0.620 at the 70%" in text
    assert "0.500 to 1.00 an hour for 2 to 4 x ml.m5.large" in text
    planned = deploy(*words, "--json")
    assert json.loads(planned.stdout)
    assert "a million images cost 0.434" in planned.stderr


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("--price-per-hour", "1"), "a price needs --profile"),
        (("--price-per-hour", "0"), "0.0 is not in the range 0<x"),
        (("--profile", PROFILE, "--prices", PROFILE), "has no price of ml.m5.large; it has"),
        (
            ("--profile", PROFILE, "--price-per-hour", "1", "--mode", "serverless"),
            "serverless is billed by the time of a request",
        ),
    ],
)
def test_an_expected_price_that_cannot_be_known_is_refused(words, refusal):
    ended = deploy(*PLAN, *words)
    assert ended.exit_code != 0
    assert refusal in " ".join(ended.output.split())


@pytest.mark.parametrize(
    "reason",
    ["The submitted information didn't contain changes.", "No updates are to be performed."],
)
def test_a_plan_of_what_is_there_says_that_nothing_would_change(cloud, reason):
    ran(deploy(*UP))
    cloud.answer("DescribeChangeSet", {"Status": "FAILED", "StatusReason": reason})
    assert "nothing would change" in ran(deploy(*PLAN))


def test_a_plan_that_aws_refuses_says_why_and_leaves_nothing(cloud):
    before = cloud.left()
    reason = "Template error: no such resource"
    cloud.answer("DescribeChangeSet", {"Status": "FAILED", "StatusReason": reason})
    refused(deploy(*PLAN), reason)
    assert cloud.left() == before


def test_a_plan_that_was_interrupted_is_in_nobodys_way(cloud):
    cloud.calm()
    ran(deploy(*PLAN))
    cloud.refuse_at = len(cloud.calls) + cloud.calls.index("DeleteStack")
    refused(deploy(*PLAN), "not authorized")
    assert [stack.status for stack in cloud.stacks.values()] == ["REVIEW_IN_PROGRESS"]
    cloud.calm()
    ran(deploy(*PLAN))
    assert not any(cloud.left().values())


def test_a_plan_of_something_new_ends_when_its_stack_is_gone(cloud):
    """A stack of a change set alone may have no tag of ours, and is nobody's for `up` after it."""
    waited = []

    def pause(seconds):
        waited.append(seconds)
        cloud.answer("DescribeStacks", described("DELETE_COMPLETE"))

    untagged = [described(one, Tags=[]) for one in ("REVIEW_IN_PROGRESS", "DELETE_IN_PROGRESS")]
    cloud.answer("DescribeStacks", None, *untagged)
    events = {"StackEvents": []}
    cloud.answer("DescribeStackEvents", events, events)
    config = Config("designs", IMAGE, instance_type="ml.m5.large")
    assert plan(Stacks(boto3.client("cloudformation"), "designs", pause), template(config))
    assert len(waited) == 1


def test_there_is_no_plan_while_something_is_being_done(cloud):
    ran(deploy(*UP))
    cloud.put_into("UPDATE_IN_PROGRESS")
    refused(deploy(*PLAN), "plan when that has ended")


@pytest.mark.parametrize("status", sorted(DEAD - {"REVIEW_IN_PROGRESS"}))
def test_there_is_no_plan_of_what_up_makes_anew(cloud, status):
    """CloudFormation takes no change set for it."""
    ran(deploy(*UP))
    cloud.put_into(status)
    refused(deploy(*PLAN, *FLAGS["async"]), f"designs is {status}", "`up` creates all of it again")
    assert "CreateChangeSet" not in cloud.calls


def listed(*alarms):
    resources = [
        {"LogicalResourceId": name, "PhysicalResourceId": f"designs-{name}-1",
         "ResourceType": "AWS::CloudWatch::Alarm", "LastUpdatedTimestamp": NOW,
         "ResourceStatus": "CREATE_COMPLETE"}
        for name in alarms
    ]  # fmt: skip
    return {"StackResourceSummaries": resources}


def endpoint(status, **more):
    variant = {"VariantName": "AllTraffic", "CurrentInstanceCount": 2, "DesiredInstanceCount": 3}
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/designs"
    return {
        "EndpointName": "designs", "EndpointArn": arn, "EndpointStatus": status,
        "ProductionVariants": [variant], "CreationTime": NOW, "LastModifiedTime": NOW,
    } | more  # fmt: skip


def stands(cloud, status, **more):
    outputs = [{"OutputKey": name, "OutputValue": value} for name, value in OUTPUTS.items()]
    cloud.answer("DescribeStacks", described("UPDATE_COMPLETE", Outputs=outputs))
    cloud.answer("DescribeEndpoint", endpoint(status, **more))
    cloud.answer("ListStackResources", listed("ErrorsAlarm", "LatencyAlarm"))
    alarms = [
        {"AlarmName": "designs-ErrorsAlarm-1", "StateValue": "ALARM"},
        {"AlarmName": "designs-LatencyAlarm-1", "StateValue": "OK"},
    ]
    cloud.answer("DescribeAlarms", {"MetricAlarms": alarms})


def test_status_shows_the_endpoint_its_instances_and_its_alarms(cloud):
    """moto skips alarms: the answers are AWS's, of the API's shapes."""
    stands(cloud, "InService")
    shown = [" ".join(line.split()) for line in ran(deploy("status", "designs")).splitlines()]
    for line in ("endpoint InService", "instances 2, going to 3", "ErrorsAlarm ALARM"):
        assert line in shown


@pytest.mark.parametrize("words", [("status", "designs"), PLAN], ids=["status", "plan"])
def test_nothing_is_cut_off_where_lines_are_short(cloud, monkeypatch, words):
    artifact = "s3://models/designs-of-the-second-quarter/model.tar.gz"
    ran(deploy(*UP, "--artifact", artifact))
    monkeypatch.setenv("COLUMNS", "40")
    if words == PLAN:
        kind = "AWS::ApplicationAutoScaling::ScalingPolicy"
        removed = {"Action": "Remove", "LogicalResourceId": "Old", "ResourceType": kind}
        cloud.answer("DescribeChangeSet", *[changed(removed)] * 2)
    shown = ran(deploy(*words))
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
    assert max(map(len, shown.splitlines())) <= 40


def test_status_ends_with_1_when_the_endpoint_does_not_answer(cloud):
    stands(cloud, "Failed", FailureReason="no more ml.g5.xlarge in this zone")
    ended = deploy("status", "designs")
    assert ended.exit_code == 1
    assert "no more ml.g5.xlarge in this zone" in ended.output


def test_status_of_an_endpoint_that_somebody_deleted_says_so(cloud):
    ran(deploy(*UP, *FLAGS["realtime"]))
    from tests.deploy.cloud import client

    sagemaker = client("sagemaker")
    (name,) = (one["EndpointName"] for one in sagemaker.list_endpoints()["Endpoints"])
    sagemaker.delete_endpoint(EndpointName=name)
    ended = deploy("status", "designs", "--json")
    assert ended.exit_code == 1
    assert "is gone, though its stack is there" in json.loads(ended.stdout)["failure"]
