"""The page on deploying: what needs no account runs as written, what needs one is allowed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cfnlint

from deploy.template.template import template
from model.checkpoints.checkpoint import BUILTIN_FOLDER
from tests.checkpoints import make_checkpoint
from tests.deploy.cloud import FLAGS, SKIPPED_BY_MOTO, UP, Cloud, client, deploy, ran, written
from tests.deploy.configs import IMAGE, KINDS, OBJECTS, TRAINING
from tests.e2e.service import started, without_proxies

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text()
COMMANDS = re.findall(r"^    (.+)$", PAGE, re.MULTILINE)
# These ask AWS, or an engine, or a network.
ELSEWHERE = re.compile(
    r"aws |docker |make |.*--upload|sweetspot serve|"
    r"sweetspot deploy (plan|up|status|invoke|logs|smoke|down)"
)
HERE = [line for line in COMMANDS if not ELSEWHERE.match(line)]
SMOKE = "sweetspot deploy smoke http://localhost:8080"
# Of resource types, what no template of ours uses.
UNUSED = re.compile(
    r"lambda:|kms:|iam:(Attach|Detach)RolePolicy|iam:\w+RolePermissionsBoundary|"
    r"application-autoscaling:(Put|Delete)ScheduledAction|ec2:\w+Ingress"
)


def shell(script, folder):
    environ = without_proxies()
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
    environ = {name: value for name, value in environ.items() if not name.startswith("AWS_")}
    words = ["bash", "-euo", "pipefail", "-c", script]
    return subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True)


def test_what_needs_no_account_runs_as_written(tmp_path):
    make_checkpoint(tmp_path / "demo" / "exported")
    assert len(HERE) >= 12
    done = shell("\n".join(HERE), tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "demo" / "designs.json").read_text())["Resources"]["Endpoint"]
    assert {"model.tar.gz", "both.tar.gz"} <= {path.name for path in (tmp_path / "demo").iterdir()}
    for said in ("ServerlessConfig", "TransformJobName", "SWEETSPOT_MODELS", "gpu-4-1"):
        assert said in done.stdout


def test_the_built_in_model_passes_the_smoke_test_as_written(tmp_path):
    """But for the port, which is any free one, and for the batch sizes, which are not measured."""
    assert SMOKE in COMMANDS
    sizes = ("--batch-size", "4", "--text-batch-size", "4")
    with started(tmp_path, "--model", str(BUILTIN_FOLDER), *sizes) as service:
        done = shell(SMOKE.replace("http://localhost:8080", service.url("")), tmp_path)
        against = f"{SMOKE} --against http://localhost:8080"
        other = shell(against.replace("http://localhost:8080", service.url("")), tmp_path)
    for one in (done, other):
        assert one.returncode == 0, one.stderr + one.stdout
        assert re.search(r"parity +ok", one.stdout)


def allowed():
    policy = json.loads((ROOT / "docs" / "deployer-policy.json").read_text())
    actions = [statement["Action"] for statement in policy["Statement"]]
    return {one for some in actions for one in ([some] if isinstance(some, str) else some)}


def test_the_policy_allows_what_cloudformation_does_for_every_resource():
    """By the permissions that AWS's own schemas of the resource types name."""
    schemas = Path(cfnlint.__file__).parent / "data" / "schemas" / "resources"
    by_type = {
        schema.get("typeName"): schema.get("handlers", {})
        for schema in (json.loads(path.read_text()) for path in schemas.glob("*.json"))
    }
    types = {
        one["Type"] for config in KINDS.values() for one in template(config)["Resources"].values()
    }
    needed = {
        action
        for kind in types
        for name, handler in by_type[kind].items()
        for action in handler["permissions"]
        if name != "list" and not UNUSED.match(action)
    }
    # "Auto scaling prerequisites" of SageMaker's guide.
    needed |= {"sagemaker:UpdateEndpointWeightsAndCapacities"}
    assert len(needed) > 40
    assert needed - allowed() == set()


@SKIPPED_BY_MOTO
def test_the_policy_allows_every_call_of_the_commands(monkeypatch, tmp_path):
    from moto import mock_aws

    with mock_aws():
        cloud = Cloud(monkeypatch)
        client("s3").create_bucket(Bucket="jobs")
        written("/aws/sagemaker/Endpoints/designs", "hello")
        ran(deploy("plan", *UP[1:]))
        ran(deploy(*UP, *FLAGS["realtime"]))
        ran(deploy("plan", *UP[1:], "--min", "2"))
        ran(deploy(*UP, "--min", "2"))
        ran(deploy("status", "designs"))
        ran(deploy("logs", "designs"))
        ran(deploy("down", "designs", "--yes"))
        ran(deploy(*UP, *FLAGS["transform"]))
        model = client("sagemaker").list_models()["Models"][0]["ModelName"]
        client("s3").put_object(Bucket="jobs", Key="in/urls.jsonl", Body=b"{}")
        job = ("--model", model, "--input", OBJECTS.input, "--output", OBJECTS.output)
        ran(deploy("transform", "monday", *job))
        channels = ("--data", OBJECTS.input, "--output", OBJECTS.output, "--role", TRAINING.role)
        machine = ("--image", IMAGE, "--instance-type", "ml.m5.large")
        ran(deploy("train", "designs-1", *channels, *machine))
        uploaded = ("--upload", "s3://jobs/model.tar.gz", "-o", str(tmp_path / "a.tar.gz"))
        ran(deploy("artifact", "--model", "builtin", *uploaded))
        called = set(cloud.calls)
        cloud.leave()
    # S3's multipart calls are PutObject to IAM, its listings are of the bucket.
    renamed = {"ListObjectsV2": "ListBucket"} | dict.fromkeys(
        ("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"), "PutObject"
    )
    actions = {action.partition(":")[2] for action in allowed()}
    assert len(called) > 15
    assert {renamed.get(one, one) for one in called} - actions == set()
