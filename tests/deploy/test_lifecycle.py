"""Up and down, through whatever happens on the way.

moto makes the role, the security group, model, configuration and endpoint. It skips targets and
policies of scaling, and alarms: test_template.py holds their requests against botocore's model of
the API. States, events and answers that moto never has are put there by tests/deploy/cloud.py.
"""

import json
import re
import shlex
from datetime import UTC, datetime
from functools import partial
from typing import Any

import boto3
import botocore.session
import pytest

from deploy.stack.lifecycle import GOOD, down, up
from deploy.stack.stack import Stacks
from deploy.template.template import template
from tests.deploy.cloud import (
    ACCOUNT,
    ENDPOINT,
    FLAGS,
    REGION,
    SKIPPED_BY_MOTO,
    STACK_ID,
    TOLD,
    UP,
    client,
    deploy,
    described,
    event,
    ran,
    refused,
    written,
)  # fmt: skip
from tests.deploy.configs import IMAGE, SUBNETS
from tests.deploy.container import Container

pytestmark = SKIPPED_BY_MOTO
_status: Any = (
    botocore.session.get_session().get_service_model("cloudformation").shape_for("StackStatus")
)
STATES = _status.enum
MOVING = {one for one in STATES if one.endswith("_IN_PROGRESS")} - {"REVIEW_IN_PROGRESS"}
SETTLED = set(STATES) - MOVING - {"DELETE_COMPLETE"}
MANY = ("--min", "2")


@pytest.mark.parametrize("kind", FLAGS)
def test_up_and_down_twice_leave_nothing_behind(cloud, kind):
    before = cloud.left()
    for _ in range(2):
        made = json.loads(ran(deploy(*UP, *FLAGS[kind], "--json")))
        assert made["action"] == "created"
        assert json.loads(ran(deploy("status", "designs", "--json")))["healthy"]
        there = cloud.left()
        assert len(there["models"]) == 1
        assert len(there["endpoints"]) == (0 if kind == "transform" else 1)
        ran(deploy("down", "designs", "--yes"))
        assert cloud.left() == before


def test_a_security_group_goes_as_it_came(cloud):
    groups = client("ec2").describe_security_groups
    (before,) = groups()["SecurityGroups"]
    network = ("--subnet", SUBNETS[0], "--vpc", before["VpcId"])
    ran(deploy(*UP, *network))
    assert len(groups()["SecurityGroups"]) == 2
    ran(deploy("down", "designs", "--yes"))
    assert groups()["SecurityGroups"] == [before]
    assert not any(cloud.left().values())


def test_an_endpoint_that_is_up_answers_until_it_is_down(cloud, monkeypatch):
    """moto answers invocations by a fixed word, whatever the endpoint: a container does it here."""
    ran(deploy(*UP))
    with Container() as container:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", container.url)
        shown = json.loads(ran(deploy("invoke", "designs", "--text", "login", "--json")))
        assert (shown["input"], len(shown["embedding"])) == ("login", 4)
        ran(deploy("down", "designs", "--yes"))
        refused(deploy("invoke", "designs", "--text", "login"), "no such deployment here")
    assert len(container.bodies) == 1


def test_what_is_as_it_should_be_is_left_alone(cloud):
    ran(deploy(*UP))
    nothing = {"Code": "ValidationError", "Message": "No updates are to be performed."}
    cloud.answer("UpdateStack", {"Error": nothing})
    assert json.loads(ran(deploy(*UP, "--json")))["action"] == "unchanged"


def test_what_differs_is_updated(cloud):
    ran(deploy(*UP))
    assert json.loads(ran(deploy(*UP, *MANY, "--json")))["action"] == "updated"
    name = json.loads(ran(deploy("status", "designs", "--json")))["outputs"]["EndpointName"]
    config = client("sagemaker").describe_endpoint(EndpointName=name)["EndpointConfigName"]
    said = client("sagemaker").describe_endpoint_config(EndpointConfigName=config)
    assert said["ProductionVariants"][0]["InitialInstanceCount"] == 2


def test_before_scaled_instances_become_others_they_are_let_go_of(cloud):
    """SageMaker would refuse the update. moto cannot take away what it has skipped."""
    ran(deploy(*UP))
    ran(deploy(*UP, *MANY))
    done = partial(cloud.put_into, "UPDATE_COMPLETE")
    cloud.answer("UpdateStack", done, done)
    ran(deploy(*UP, "--instance-type", "ml.m5.xlarge"))
    scaled = ["ScalableTarget" in template["Resources"] for template in cloud.updates]
    assert scaled == [True, False, True]


@pytest.mark.parametrize("command", ["up", "plan"])
@pytest.mark.parametrize(("was", "will"), [("realtime", "async"), ("async", "serverless")])
def test_an_endpoint_does_not_become_asynchronous_and_does_not_cease_to_be(
    cloud, command, was, will
):
    ran(deploy(*UP, *FLAGS[was]))
    cloud.calm()
    words = (command, *UP[1:], *FLAGS[will])
    refused(deploy(*words), f"designs is {was}", "`sweetspot deploy down designs`")
    assert cloud.calls == ["DescribeStacks"]


def test_a_transform_may_become_an_asynchronous_endpoint(cloud):
    ran(deploy(*UP, *FLAGS["transform"]))
    ran(deploy(*UP, *FLAGS["async"]))
    assert len(cloud.left()["endpoints"]) == 1


def calls_of(cloud, *words):
    """How many calls a command makes when all goes well."""
    cloud.calm()
    ran(deploy(*words))
    return len(cloud.calls)


@pytest.mark.parametrize("trouble", ["refuse_at", "lose_at"])
@pytest.mark.parametrize("doing", ["create", "update", "down", "plan"])
def test_after_trouble_at_any_call_up_and_down_recover(cloud, trouble, doing):
    """Up from one call's trouble, down from the next one's; the other way round for the other."""
    words = {"create": UP, "update": (*UP, *MANY), "down": ("down", "designs", "--yes")}.get(
        doing, ("plan", *UP[1:])
    )
    begin = doing in {"update", "down"}
    if begin:
        ran(deploy(*UP))
    count = calls_of(cloud, *words)
    assert count >= 4
    ran(deploy("down", "designs", "--yes"))
    for number in range(count):
        if begin:
            ran(deploy(*UP))
        cloud.calm()
        setattr(cloud, trouble, number)
        refused(deploy(*words), "designs", TOLD if trouble == "refuse_at" else "timeout")
        cloud.calm()
        if (number + (trouble == "lose_at")) % 2:
            ran(deploy(*UP))
            assert json.loads(ran(deploy("status", "designs", "--json")))["healthy"]
        ran(deploy("down", "designs", "--yes"))
        assert not any(cloud.left().values())


def of_designs(cloud, pause=None):
    return Stacks(boto3.client("cloudformation"), "designs", pause or pytest.fail)


def rendered():
    from deploy.template.config import Config

    return template(Config("designs", IMAGE, instance_type="ml.m5.large"))


@pytest.mark.parametrize("status", sorted(SETTLED))
def test_up_and_down_recover_from_every_state(cloud, status):
    """moto has no continue_update_rollback: its request is answered as AWS would."""
    for recover in (True, False):
        up(of_designs(cloud), rendered())
        cloud.put_into(status)
        rolled_back = partial(cloud.put_into, "UPDATE_ROLLBACK_COMPLETE")
        cloud.answer("ContinueUpdateRollback", rolled_back)
        if recover:
            assert up(of_designs(cloud), rendered()).stack.status in GOOD
        cloud.calm()
        assert down(of_designs(cloud)) is not None
        assert not any(cloud.left().values())


@pytest.mark.parametrize("status", sorted(MOVING))
@pytest.mark.parametrize("act", ["up", "down"])
def test_what_is_being_done_is_waited_for(cloud, status, act):
    up(of_designs(cloud), rendered())
    cloud.put_into(status)
    waited = []

    def pause(seconds):
        waited.append(seconds)
        cloud.put_into("UPDATE_COMPLETE")

    if act == "up":
        assert up(of_designs(cloud, pause), rendered()).action == "updated"
    else:
        assert down(of_designs(cloud, pause)) is not None
    assert len(waited) == 1


def test_a_failed_start_says_what_the_container_said(cloud):
    written("/aws/sagemaker/Endpoints/designs", "starting", "no model.safetensors in /opt/ml/model")
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/designs"
    why = "the container did not pass the ping health check"
    cloud.answer("CreateStack", {"StackId": STACK_ID})
    cloud.answer("DescribeStacks", None, *[described("ROLLBACK_COMPLETE")] * 2)
    newest_first = [
        event(4, "designs", "AWS::CloudFormation::Stack", "ROLLBACK_COMPLETE"),
        event(3, "Model", "AWS::SageMaker::Model", "CREATE_FAILED", "Resource creation cancelled"),
        event(2, "Endpoint", ENDPOINT, "CREATE_FAILED", "NotStabilized", arn),
        event(1, "Endpoint", ENDPOINT, "CREATE_IN_PROGRESS", "", arn),
    ]
    cloud.answer("DescribeStackEvents", {"StackEvents": newest_first})
    now = datetime.now(UTC)
    endpoint = {"EndpointName": "designs", "EndpointArn": arn, "EndpointStatus": "Failed"}
    times = {"CreationTime": now, "LastModifiedTime": now}
    cloud.answer("DescribeEndpoint", endpoint | times | {"FailureReason": why})
    message = refused(deploy(*UP), "ROLLBACK_COMPLETE", "NotStabilized", f"Endpoint: {why}")
    assert message.splitlines()[-2:] == ["  starting", "  no model.safetensors in /opt/ml/model"]
    assert "cancelled" not in message


def test_a_start_without_a_word_says_so(cloud):
    cloud.answer("CreateStack", {"StackId": STACK_ID})
    cloud.answer("DescribeStacks", None, *[described("CREATE_FAILED")] * 2)
    failed = event(1, "ExecutionRole", "AWS::IAM::Role", "CREATE_FAILED", "no iam:CreateRole")
    cloud.answer("DescribeStackEvents", {"StackEvents": [failed]})
    refused(deploy(*UP), "ExecutionRole: no iam:CreateRole", "no line in /aws/sagemaker/Endpoints")


def test_what_cannot_be_deleted_is_named_and_down_goes_on_from_there(cloud):
    ran(deploy(*UP))
    cloud.calm()
    reason = "The following resource(s) failed to delete: [Endpoint]."
    cloud.answer("DescribeStacks", None, None, described("DELETE_FAILED", StackStatusReason=reason))
    cloud.answer("DeleteStack", {})
    failed = event(2, "Endpoint", ENDPOINT, "DELETE_FAILED", "it is updating")
    cloud.answer("DescribeStackEvents", None, {"StackEvents": [failed]})
    refused(deploy("down", "designs", "--yes"), reason, "Endpoint: it is updating")
    ran(deploy("down", "designs", "--yes"))
    assert cloud.left()["endpoints"] == []


def test_a_stack_of_somebody_else_is_not_touched(cloud):
    topic = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    cloudformation = client("cloudformation")
    cloudformation.create_stack(StackName="designs", TemplateBody=json.dumps(topic))
    for words in (UP, ("plan", *UP[1:]), ("down", "designs", "--yes"), ("status", "designs")):
        refused(deploy(*words), "which this command did not create")
    assert cloudformation.describe_stacks()["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"


def test_a_plan_of_somebody_else_is_not_touched(cloud):
    topic = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    cloudformation = client("cloudformation")
    cloudformation.create_change_set(
        StackName="designs", ChangeSetName="theirs", ChangeSetType="CREATE",
        TemplateBody=json.dumps(topic),
    )  # fmt: skip
    refused(deploy(*UP), "which this command did not create")
    assert cloudformation.list_change_sets(StackName="designs")["Summaries"]


def test_down_asks_first_and_names_what_it_leaves(cloud):
    ran(deploy(*UP, *FLAGS["realtime"]))
    kept = deploy("down", "designs", input="n\n")
    assert kept.exit_code == 1
    assert cloud.left()["endpoints"]
    said = ran(deploy("down", "designs", input="y\n"))
    assert said.splitlines()[-3:] == [
        "aws s3 rm s3://models/model.tar.gz",
        "aws ecr batch-delete-image --repository-name sweetspot --image-ids imageTag=cpu",
        "aws logs delete-log-group --log-group-name /aws/sagemaker/Endpoints/designs",
    ]


@pytest.mark.parametrize("words", [(), ("--json",)], ids=["people", "machines"])
def test_the_log_group_of_all_jobs_is_not_the_deployments_to_delete(cloud, words):
    ran(deploy(*UP, *FLAGS["transform"]))
    said = ran(deploy("down", "designs", "--yes", *words))
    assert "s3://jobs/out/" in said
    assert "/aws/sagemaker/TransformJobs" not in said


def test_the_commands_for_what_is_left_are_words_to_a_shell(cloud):
    artifact = "s3://models/second quarter (old)/model.tar.gz"
    ran(deploy(*UP, "--artifact", artifact))
    said = ran(deploy("down", "designs", "--yes")).splitlines()
    assert ["aws", "s3", "rm", artifact] in [shlex.split(line) for line in said[1:]]


def interrupt():
    raise KeyboardInterrupt


def test_an_interrupt_stops_the_waiting_alone(cloud):
    cloud.answer("DescribeStackEvents", interrupt)
    refused(deploy(*UP), "AWS continues", "see `sweetspot deploy status designs`")
    assert len(cloud.left()["endpoints"]) == 1
    ran(deploy("status", "designs"))


def test_down_of_nothing_is_done(cloud):
    assert "nothing is there" in ran(deploy("down", "designs", "--yes"))


@pytest.mark.parametrize("words", [UP, ("status", "designs"), ("logs", "designs")])
def test_without_a_region_it_says_what_to_set(monkeypatch, words):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    message = refused(deploy(*words), "no region")
    (variable,) = re.findall(r"set (\w+)", message)
    monkeypatch.setenv(variable, REGION)
    boto3.client("cloudformation")


@pytest.mark.parametrize(
    ("variable", "value"), [("AWS_ENDPOINT_URL", "aws"), ("AWS_MAX_ATTEMPTS", "many")]
)
@pytest.mark.parametrize("words", [UP, ("invoke", "designs", "--text", "login")])
def test_what_boto3_cannot_read_is_said_in_one_line(monkeypatch, variable, value, words):
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    assert value in refused(deploy(*words), "AWS cannot be asked").splitlines()[-1]


@pytest.mark.parametrize("words", [("status", "a_b"), ("down", "a_b", "--yes"), ("logs", "a_b")])
def test_a_name_that_cannot_be_is_refused(words):
    refused(deploy(*words), "a name has up to 54")
