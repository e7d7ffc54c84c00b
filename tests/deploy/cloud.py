"""An account of AWS by moto, with trouble in it where a test wants some.

Trouble comes by botocore's own events, so everything above them is real: a call is refused before
it is sent, its answer is lost behind it, or it is answered as AWS would answer in a state that moto
never has; such an answer has to be of the API's shape.
"""

import json
import os
from collections import defaultdict, deque
from datetime import UTC, datetime
from functools import cache

import boto3
import pytest
import yaml
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError
from botocore.validate import validate_parameters
from click.testing import CliRunner
from moto.backends import get_backend

from deploy.stack.stack import TAG
from sweetspot import main
from tests.deploy.configs import IMAGE

REGION, ACCOUNT = "us-east-1", "123456789012"
STACK_ID = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/designs/1"
TOLD = "not authorized to do this"
# moto knows no newer instances.
UP = ("up", "designs", "--image", IMAGE, "--instance-type", "ml.m5.large")
ENDPOINT = "AWS::SageMaker::Endpoint"
SKIPPED_BY_MOTO = pytest.mark.filterwarnings(
    r"ignore:Tried to parse AWS\W+(CloudWatch|ApplicationAutoScaling)"
)
# moto reads every template several times; its parser in Python takes a quarter of the tests' time.
yaml.Loader = yaml.CLoader
client = cache(boto3.Session(region_name=REGION).client)


def deploy(*words, **more):
    return CliRunner().invoke(main, ["deploy", *words], **more)


class _Session(boto3.Session):
    """Makes one client for the same settings, and keeps what it has read: both take long.

    cloud: the trouble of all its clients, where there is some.
    """

    def __init__(self):
        super().__init__(region_name=REGION)
        self.cloud, self._clients = None, {}
        self.events.register("before-call", self._before)
        self.events.register("after-call", self._after)

    def client(self, service, config=None, **options):
        settings = {name: one for name, one in os.environ.items() if name.startswith("AWS_")}
        key = repr((service, vars(config or Config()), options, settings))
        if key not in self._clients:
            self._clients[key] = super().client(service, config=config, **options)
        return self._clients[key]

    def _before(self, **call):
        return self.cloud.before(**call) if self.cloud else None

    def _after(self, **call):
        if self.cloud:
            self.cloud.after(**call)


_session = _Session()


class Cloud:
    """Trouble for every client of the default session while it is there.

    calls: operations, in order. updates: the templates of those that change a stack.
    """

    def __init__(self, monkeypatch):
        self.calls, self.refuse_at, self.lose_at = [], None, None
        self.updates = []
        self._answers = defaultdict(deque)
        _session.cloud = self
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", _session)

    def leave(self):
        """Take the trouble away."""
        _session.cloud = None

    def answer(self, operation, *responses):
        """Answer the next calls of an operation; None asks moto, a function is called."""
        self._answers[operation] += responses

    def calm(self):
        """No trouble any more, and nothing called yet."""
        self.calls, self.refuse_at, self.lose_at = [], None, None
        self._answers.clear()

    @property
    def stacks(self):
        return get_backend("cloudformation")[ACCOUNT][REGION].stacks

    def put_into(self, status):
        """A state that a stack of moto never has by itself."""
        (stack,) = self.stacks.values()
        stack.status = status
        return {}

    def left(self):
        """Everything that is there, by kind."""
        sagemaker, s3 = client("sagemaker"), client("s3")
        return {
            "stacks": [one.name for one in self.stacks.values()],
            "endpoints": sagemaker.list_endpoints()["Endpoints"],
            "configurations": sagemaker.list_endpoint_configs()["EndpointConfigs"],
            "models": sagemaker.list_models()["Models"],
            "roles": [one["RoleName"] for one in client("iam").list_roles()["Roles"]],
            "objects": s3.list_objects_v2(Bucket="jobs").get("Contents", []),
        }

    def before(self, model, params, **_):
        self.calls.append(model.name)
        if model.name == "UpdateStack":
            self.updates.append(json.loads(params["body"]["TemplateBody"]))
        if self.refuse_at == len(self.calls) - 1:
            error = {"Error": {"Code": "AccessDenied", "Message": TOLD}, "ResponseMetadata": {}}
            return AWSResponse("", 403, {}, None), error
        scripted = self._answers[model.name]
        response = scripted.popleft() if scripted else None
        if callable(response):
            response = response()
        if response is None:
            return None
        if "Error" in response:
            return AWSResponse("", 400, {}, None), response | {"ResponseMetadata": {}}
        if model.output_shape:
            validate_parameters(response, model.output_shape)
        return AWSResponse("", 200, {}, None), response

    def after(self, model, **_):
        if model.name == "UpdateStack":  # moto keeps the outputs of before
            for stack in self.stacks.values():
                stack.output_map._parsed_outputs.clear()
        if self.lose_at == len(self.calls) - 1:
            raise ReadTimeoutError(endpoint_url="https://aws")


_S3 = ("--input", "s3://jobs/in/", "--output", "s3://jobs/out/")
FLAGS = {
    "realtime": ("--artifact", "s3://models/model.tar.gz", "--bucket", "thumbnails"),
    "async": ("--mode", "async", *_S3),
    "serverless": ("--mode", "serverless"),
    "transform": ("--mode", "transform", *_S3),
}


def ran(result):
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(result, *said):
    """It ended with a message, which says this."""
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == 1
    message = result.output[result.output.index("Error: ") :]
    for one in said:
        assert one in message
    return message


def described(status, **more):
    stack = {"StackName": "designs", "StackId": STACK_ID, "StackStatus": status}
    tags = [{"Key": TAG, "Value": "designs"}]
    return {"Stacks": [stack | {"CreationTime": datetime.now(UTC), "Tags": tags} | more]}


def event(number, resource, kind, status, reason="", physical=""):
    return {
        "StackId": STACK_ID, "StackName": "designs", "EventId": str(number),
        "LogicalResourceId": resource, "ResourceType": kind, "ResourceStatus": status,
        "ResourceStatusReason": reason, "PhysicalResourceId": physical,
        "Timestamp": datetime.now(UTC),
    }  # fmt: skip


def written(group, *lines):
    logs, stream = client("logs"), "AllTraffic/i-0123456789abcdef0"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    now_ms = int(datetime.now(UTC).timestamp() * 1000) + 60_000
    events = [{"timestamp": now_ms + n, "message": line} for n, line in enumerate(lines)]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
