"""The commands as a user meets them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.template.template import template
from tests.deploy.cloud import deploy
from tests.deploy.configs import IMAGE, KINDS

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "flask", "numpy", "PIL", "openvino", "transformers", "boto3", "requests")


OPENSEARCH = ("--region", "eu-west-1", "--dimension", "128", "--fingerprint", "6f7bd1b033484bcf")


@pytest.mark.parametrize(
    "words",
    [("--help",), ("render", "designs", "--image", IMAGE), ("opensearch", "designs", *OPENSEARCH)],
    ids=["help", "render", "opensearch"],
)
def test_it_is_light_and_needs_neither_network_nor_credentials(words):
    script = (
        f"import sys, sweetspot; sys.argv = ['sweetspot', 'deploy', *{words!r}]\n"
        "try: sweetspot.main()\n"
        f"finally: print([one for one in {HEAVY!r} if one in sys.modules], file=sys.stderr)"
    )
    bare = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=bare, capture_output=True, text=True
    )
    assert ran.returncode == 0
    assert ran.stderr.splitlines()[-1] == "[]"
    assert "deploy" in ran.stdout or json.loads(ran.stdout)["Resources"]


def test_of_the_other_packages_it_imports_what_describes_and_nothing_that_works():
    imports = re.compile(r"^ *from ((?:serve|inference|model)[\w.]*) import (.+)", re.MULTILINE)
    found = {
        f"{package}.{name}" if is_module(f"{package}.{name}") else package
        for path in (ROOT / "deploy").rglob("*.py")
        for package, names in imports.findall(path.read_text())
        for name in names.split(", ")
    }
    # What a checkpoint is: what it raises, its graphs, what its fingerprint follows from; how a
    # file is written; what an endpoint is asked and how.
    of_checkpoints = {
        "model.checkpoints.checkpoint", "model.checkpoints.graphs", "model.checkpoints.weights",
        "model.config",
    }  # fmt: skip
    of_endpoints = {"serve.asking.transports", "serve.wire.client_side"}
    of_metrics = {
        "serve.observe.bars", "serve.observe.cloudwatch.metrics", "serve.observe.console",
    }  # fmt: skip
    of_prices = {"inference.profile.price", "inference.profile.speed", "serve.options"}
    of_training = {
        "serve.commands.train.job.hyperparameters", "serve.observe.training_lines",
    }  # fmt: skip
    of_others = of_endpoints | of_metrics | of_prices | of_training
    others = {"inference.profile.profile", "serve.settings", "model.errors", "model.files"}
    assert found == of_checkpoints | of_others | others


def is_module(name):
    return ROOT.joinpath(*name.split(".")).with_suffix(".py").is_file()


def test_render_prints_the_template_of_the_flags(tmp_path):
    gpu = KINDS["realtime-gpu-vpc"]
    file = tmp_path / "template.json"
    ran = deploy(
        "render", "designs", "--image", gpu.image, "--instance-type", "ml.g5.xlarge",
        "--min", "2", "--concurrency", "5.6", "--subnet", gpu.network.subnets[0],
        "--subnet", gpu.network.subnets[1], "--vpc", str(gpu.network.vpc),
        "--alarm-topic", str(gpu.alarm_topic), "--env", "SWEETSPOT_PRECISION=float16",
        "-o", str(file),
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    assert json.loads(file.read_text()) == template(gpu)


def test_the_target_comes_from_the_profile():
    profile = ROOT / "tests" / "deploy" / "profile.json"
    words = ("render", "designs", "--image", IMAGE, "--profile", str(profile))
    ran = deploy(*words)
    assert ran.stderr.endswith("deploys the built-in model, a demonstration\n")
    assert deploy(*words, "--artifact", "s3://models/model.tar.gz").stderr == ""
    document = json.loads(ran.stdout)
    tracking = document["Resources"]["ScalingPolicy"]["Properties"]
    target = tracking["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]
    assert target == 4.9


def test_a_job_is_printed_as_its_request():
    job = ("render", "designs", "--image", IMAGE, "--mode", "transform", "--job")
    ran = deploy(*job, "--input", "s3://jobs/in/", "--output", "s3://jobs/out/")
    assert json.loads(ran.stdout)["TransformInput"]["SplitType"] == "Line"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--image", "sweetspot"), "must be an image of ECR"),
        ((), "Missing option '--image'"),
        (("--image", IMAGE, "--job"), "--job needs --mode transform"),
        (("--image", IMAGE, "--env", "SWEETSPOT_MODEL"), "must be NAME=VALUE"),
        (("--image", IMAGE, "--profile", "nowhere.json"), "nowhere.json is missing"),
        (("--image", IMAGE, "--items", "8"), "--items needs --profile"),
        (("--image", IMAGE, "--concurrency", "4", "--profile", "a.json"), "not both"),
        (("--image", IMAGE, "-o", "/nowhere/template.json"), "cannot write"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(words, said):
    ran = deploy("render", "designs", *words)
    assert ran.exit_code != 0
    assert said in ran.output.splitlines()[-1]
