"""The dashboard and the alarms are on what the container writes, and on nothing else."""

import json
import re
import shlex
from collections import Counter

from click.testing import CliRunner
from hypothesis import given

from deploy.template.config import Config
from deploy.template.template import template
from docs.generate import CLOUDWATCH_PAGE
from serve.observe.cloudwatch.metrics import METRICS, NAMESPACE
from sweetspot import main
from tests.deploy.configs import IMAGE, KINDS, configs
from tests.deploy.requests import resolve
from tests.emf import drawn

EVERY = {(NAMESPACE, one.name, names) for one in METRICS for names in one.dimension_sets}


def searches(config):
    resources = template(config)["Resources"]
    body = resolve(resources["Dashboard"]["Properties"]["DashboardBody"], resources)
    return drawn(body)


@given(configs())
def test_every_metric_is_drawn_and_no_other(config):
    assert {found[:3] for found in searches(config)} == EVERY
    assert {endpoint for *_, endpoint in searches(config)} == {config.name}


def test_a_widget_is_in_its_region_and_no_two_overlap():
    resources = template(KINDS["realtime"])["Resources"]
    body = resolve(resources["Dashboard"]["Properties"]["DashboardBody"], resources)
    widgets = json.loads(body)["widgets"]
    assert {one["properties"]["region"] for one in widgets} == {"eu-west-1"}
    places = Counter(
        (one["x"] + dx, one["y"] + dy)
        for one in widgets
        for dx in range(one["width"])
        for dy in range(one["height"])
    )
    assert set(places.values()) == {1}
    assert max(x for x, _ in places) < 24


def ours(config):
    """The container's metrics in alarms: by logical id, name and dimensions."""
    for logical, resource in template(config)["Resources"].items():
        if resource["Type"] != "AWS::CloudWatch::Alarm":
            continue
        properties = resource["Properties"]
        stats = [one["MetricStat"] for one in properties.get("Metrics", []) if "MetricStat" in one]
        for metric in [one["Metric"] for one in stats] or [properties]:
            if metric["Namespace"] == NAMESPACE:
                dimensions = {one["Name"]: one["Value"] for one in metric["Dimensions"]}
                yield logical, metric["MetricName"], dimensions


@given(configs())
def test_alarms_are_on_metrics_of_this_deployment_that_are_written(config):
    found = list(ours(config))
    for _, name, dimensions in found:
        assert (NAMESPACE, name, tuple(dimensions)) in EVERY
        assert dimensions["Endpoint"] == config.name
    alarms = {logical for logical, *_ in found}
    endpoint = config.mode != "transform"
    assert alarms == ({"FailuresAlarm", "OverloadedAlarm", "SlowAlarm"} if endpoint else set())


def test_an_alarm_by_mathematics_uses_each_of_its_metrics():
    resources = template(KINDS["realtime"])["Resources"]
    share, *sums = resources["FailuresAlarm"]["Properties"]["Metrics"]
    used = set(re.findall(r"[a-z]+", share["Expression"]))
    assert {one["Id"] for one in sums} == used


def test_without_metrics_there_is_neither_dashboard_nor_alarm_on_them():
    config = Config("designs", IMAGE, variables={"SWEETSPOT_EMF": "off"})
    found = template(config)
    assert "Dashboard" not in found["Resources"] | found["Outputs"]
    assert list(ours(config)) == []


def test_auto_is_on_inside_sagemaker_and_the_name_may_be_another():
    variables = {"SWEETSPOT_EMF": "auto", "SWEETSPOT_EMF_ENDPOINT": "other"}
    config = Config("designs", IMAGE, variables=variables)
    assert {endpoint for *_, endpoint in searches(config)} == {"other"}
    assert {dimensions["Endpoint"] for *_, dimensions in ours(config)} == {"other"}


def test_what_the_page_renders_is_rendered_as_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = re.findall(r"^    sweetspot (deploy .+)$", CLOUDWATCH_PAGE.read_text(), re.MULTILINE)
    for line in lines:
        done = CliRunner().invoke(main, shlex.split(line.replace("$IMAGE", IMAGE)))
        assert done.exit_code == 0, done.output
    with_it, without = (
        json.loads((tmp_path / name).read_text()) for name in ("designs.json", "without.json")
    )
    assert with_it == template(Config("designs", IMAGE))
    assert set(with_it["Resources"]) - set(without["Resources"]) == {
        "Dashboard", "FailuresAlarm", "OverloadedAlarm", "SlowAlarm",
    }  # fmt: skip
