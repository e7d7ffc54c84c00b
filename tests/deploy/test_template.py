"""All that AWS will read: valid, least of privilege, and looked at in every difference.

Application Auto Scaling and CloudWatch alarms are resources that moto skips: here the requests they
become are held against botocore's model of the API instead, as are all others.
"""

import json
from pathlib import Path

import pytest
from cfnlint.api import ManualArgs, lint
from hypothesis import given, settings

from deploy.template.config import Config
from deploy.template.environment import check as check_environment
from deploy.template.job import transform_job
from deploy.template.role import DESCRIBE_NETWORK, METRICS, REGISTRY_LOGIN
from deploy.template.scaling import scaling, without_scaling
from deploy.template.template import template
from tests.deploy.configs import IMAGE, KINDS, OBJECTS, configs
from tests.deploy.requests import NAMES, OPERATIONS, PSEUDO, check, problems, references, resolve

GOLDEN = Path(__file__).parent / "golden"
# IAM has nothing narrower for these. cloudwatch:PutMetricData is narrowed by its namespace.
ON_ANYTHING = {REGISTRY_LOGIN, METRICS, *DESCRIBE_NETWORK}
ATTRIBUTES = {
    "AWS::IAM::Role": {"Arn"},
    "AWS::EC2::SecurityGroup": {"GroupId"},
    **{kind: {name} for kind, name in NAMES.items()},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_is_the_one_that_was_reviewed(kind):
    """Write them anew: python -m tests.deploy.golden."""
    golden = json.loads((GOLDEN / f"{kind}.json").read_text())
    assert template(KINDS[kind]) == golden


def test_there_is_no_golden_template_of_nothing():
    assert {path.stem for path in GOLDEN.glob("*.json")} == {*KINDS, "training-job"}


@pytest.mark.parametrize("kind", KINDS)
def test_cfn_lint_has_nothing_to_say(kind):
    text = json.dumps(template(KINDS[kind]))
    options = ManualArgs(regions=["us-east-1", "eu-west-1"], include_checks=["I"])
    assert [f"{one.rule.id} {one.message}" for one in lint(text, config=options)] == []


@given(configs())
def test_every_reference_of_any_deployment_is_to_something_that_is_there(config):
    resources = template(config)["Resources"]
    for name, attribute in references(template(config)):
        if name not in PSEUDO:
            assert attribute is None or attribute in ATTRIBUTES[resources[name]["Type"]]


@given(configs())
def test_without_scaling_a_template_is_whole(config):
    whole = template(config)
    rest = without_scaling(whole)["Resources"]
    assert {name for name, _ in references(rest)} <= set(rest) | set(PSEUDO)
    assert whole["Resources"] == rest | scaling(config)
    assert not set(rest) & set(scaling(config))


@given(configs())
def test_the_requests_of_any_deployment_are_of_the_shapes_of_the_api(config):
    resources = template(config)["Resources"]
    sent = [one for one in resources.values() if one["Type"] in OPERATIONS]
    assert [problems(one, resources) for one in sent] == [""] * len(sent)
    others = {one["Type"] for one in resources.values()} - set(OPERATIONS)
    assert others <= {"AWS::IAM::Role", "AWS::EC2::SecurityGroup"}


@given(configs())
def test_the_variables_of_any_deployment_are_settings_of_the_service(config):
    check_environment(config.environment, in_batch=config.mode == "transform")


@given(configs())
def test_a_deadline_is_before_the_limit_of_its_request(config):
    if config.request_timeout_s is None:
        assert "SWEETSPOT_DEADLINE_MS" not in config.environment
    else:
        assert int(config.environment["SWEETSPOT_DEADLINE_MS"]) < config.request_timeout_s * 1000


@given(configs())
def test_nothing_is_allowed_on_anything_but_where_iam_has_nothing_narrower(config):
    for statement in _statements(config):
        assert not any("*" in action for action in statement["Action"])
        for one in statement["Resource"]:
            if one == "*":
                assert set(statement["Action"]) <= ON_ANYTHING
            else:  # a wildcard only behind the name of what it is in
                service, rest = one.removeprefix("arn:aws:").split(":", 1)
                assert not rest.rpartition(":")[2].startswith("*") or service == "logs"
                assert service != "s3" or "*" not in rest.partition("/")[0]


@given(configs())
def test_only_named_buckets_can_be_read(config):
    readable = {
        one.removeprefix("arn:aws:s3:::").partition("/")[0]
        for statement in _statements(config)
        if "s3:GetObject" in statement["Action"]
        for one in statement["Resource"]
    }
    named = set(config.buckets) | ({"models"} if config.artifact else set())
    assert readable == named | ({"jobs"} if config.objects.input else set())


def test_of_what_is_allowed_on_anything_iam_says_that_nothing_is_narrower():
    import cfnlint

    specification = Path(cfnlint.__file__).parent / "data" / "AdditionalSpecs" / "Policies.json"
    services = json.loads(specification.read_text())
    for action in ON_ANYTHING - {METRICS}:
        service, name = action.split(":")
        assert not services[service]["Actions"][name.lower()].get("Resources"), action
    metrics = [one for one in _statements(KINDS["realtime"]) if METRICS in one["Action"]]
    assert metrics[0]["Condition"]["StringEquals"]["cloudwatch:namespace"]


@given(configs())
@settings(max_examples=30)
def test_a_job_is_of_the_shape_of_the_api_and_of_the_model_of_its_template(config):
    if config.mode != "transform":
        return
    job = transform_job(config)
    assert check("sagemaker", "CreateTransformJob", job | {"TransformJobName": "job"}) == ""
    model = template(config)["Resources"]["Model"]["Properties"]
    assert model["ModelName"] == job["ModelName"]


def test_what_differs_has_another_name_since_models_cannot_be_changed():
    config = Config("designs", IMAGE)
    other = Config("designs", IMAGE, variables={"SWEETSPOT_BATCH_SIZE": "32"})
    more = Config("designs", IMAGE, instances_min=2)
    name, another, same = (
        template(one)["Resources"]["Model"]["Properties"]["ModelName"]
        for one in (config, other, more)
    )
    assert name != another
    assert name == same
    configurations = {
        template(one)["Resources"]["EndpointConfig"]["Properties"]["EndpointConfigName"]
        for one in (config, other, more)
    }
    assert len(configurations) == 3


def test_asynchronous_endpoints_scale_to_zero_and_back():
    resources = template(KINDS["async"])["Resources"]
    assert resources["ScalableTarget"]["Properties"]["MinCapacity"] == 0
    alarm = resolve(resources["FromZeroAlarm"]["Properties"], resources)
    assert alarm["MetricName"] == "HasBacklogWithoutCapacity"
    assert resources["FromZeroAlarm"]["Properties"]["AlarmActions"] == [{"Ref": "FromZeroPolicy"}]


def test_an_update_goes_back_on_alarms_that_are_there():
    resources = template(KINDS["realtime-gpu-vpc"])["Resources"]
    deployment = resources["Endpoint"]["Properties"]["DeploymentConfig"]
    alarms = deployment["AutoRollbackConfiguration"]["Alarms"]
    assert [one["AlarmName"]["Ref"] for one in alarms] == ["ErrorsAlarm", "LatencyAlarm"]


@given(configs())
def test_the_role_may_look_at_the_alarms_of_an_update_and_at_no_others(config):
    """SageMaker looks at them as that role: "Auto-Rollback Configuration and Monitoring"."""
    resources = template(config)["Resources"]
    looked_at = [
        one.rpartition(":alarm:")[2]
        for statement in _statements(config)
        if "cloudwatch:DescribeAlarms" in statement["Action"]
        for one in statement["Resource"]
    ]
    endpoint = resources.get("Endpoint", {"Properties": {}})["Properties"]
    rollback = endpoint.get("DeploymentConfig", {}).get("AutoRollbackConfiguration", {})
    named = [one["AlarmName"]["Ref"] for one in rollback.get("Alarms", [])]
    assert looked_at == named
    assert bool(named) == (config.mode in {"realtime", "async"})


@given(configs())
def test_an_update_keeps_the_number_of_instances_only_where_scaling_has_chosen_it(config):
    """Kept, a fixed number could never be changed."""
    resources = template(config)["Resources"]
    kept = resources.get("Endpoint", {"Properties": {}})["Properties"]
    assert kept.get("RetainAllVariantProperties", False) == ("ScalableTarget" in resources)


def test_a_number_that_becomes_fixed_is_another_configuration():
    """SageMaker updates an endpoint to a configuration of another name only."""
    scaled = Config("designs", IMAGE, instances_min=2, instances_max=4)
    fixed = Config("designs", IMAGE, instances_min=2, instances_max=2)
    name, another = (
        template(one)["Resources"]["EndpointConfig"]["Properties"]["EndpointConfigName"]
        for one in (scaled, fixed)
    )
    assert name != another


def test_a_fixed_number_of_instances_needs_no_scaling():
    fixed = Config("designs", IMAGE, instances_min=2, instances_max=2)
    assert "ScalableTarget" not in template(fixed)["Resources"]


def test_two_models_of_an_artifact_are_named_to_the_service():
    assert KINDS["async"].environment["SWEETSPOT_MODELS"] == (
        "designs=/opt/ml/model/designs,components=/opt/ml/model/components"
    )


def test_a_job_on_gpus_of_an_older_cuda_has_its_machine_image():
    config = Config(
        "designs", IMAGE, mode="transform", instance_type="ml.g5.xlarge", cuda="12.8",
        objects=OBJECTS,
    )  # fmt: skip
    resources = transform_job(config)["TransformResources"]
    assert resources["TransformAmiVersion"] == "al2-ami-sagemaker-batch-gpu-535"


def _statements(config):
    resources = template(config)["Resources"]
    policies = resolve(resources["ExecutionRole"]["Properties"]["Policies"], resources)
    return [one for policy in policies for one in policy["PolicyDocument"]["Statement"]]
