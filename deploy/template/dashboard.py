"""A dashboard of all metrics that the container writes, and of no other. Pure.

"Dashboard body structure and syntax" and "CloudWatch search expression syntax" in CloudWatch's
guide. Searches find whatever models and codes there are.
"""

from __future__ import annotations

import json
from typing import Any

from deploy.template.config import Config
from serve.observe.cloudwatch.metrics import METRICS, NAMESPACE, DimensionSet, Metric

# The grid has 24 columns.
WIDTH, HEIGHT, COLUMNS = 8, 6, 3
PERIOD_S = 60


def dashboard(config: Config) -> dict[str, dict[str, Any]]:
    """Return the dashboard by logical id; none without metrics. Its name is CloudFormation's.

    Dashboards are global: a name of ours could be taken by a deployment in another region.
    """
    if not config.emits_metrics:
        return {}
    endpoint = config.service.emf_endpoint
    widgets = [_widget(number, metric, endpoint) for number, metric in enumerate(METRICS)]
    body = {"Fn::Sub": json.dumps({"widgets": widgets})}  # for the region
    return {
        "Dashboard": {
            "Type": "AWS::CloudWatch::Dashboard",
            "Properties": {"DashboardBody": body},
        }
    }


def _widget(number: int, metric: Metric, endpoint: str) -> dict[str, Any]:
    y, x = divmod(number, COLUMNS)
    lines = [
        [
            {
                "expression": _search(metric, names, statistic, endpoint),
                "label": " ".join((statistic, *names[1:])),  # CloudWatch adds their values
            }
        ]
        for names in metric.dimension_sets
        for statistic in metric.shown
    ]
    return {
        "type": "metric",
        "x": WIDTH * x,
        "y": HEIGHT * y,
        "width": WIDTH,
        "height": HEIGHT,
        "properties": {
            "title": f"{metric.name}: {metric.meaning}",
            "region": "${AWS::Region}",
            "period": PERIOD_S,
            "metrics": lines,
            "yAxis": {"left": {"min": 0}},
        },
    }


def _search(metric: Metric, names: DimensionSet, statistic: str, endpoint: str) -> str:
    """Return a search for a metric of exactly these dimensions."""
    schema = ",".join((NAMESPACE, *names))
    terms = f'MetricName="{metric.name}" Endpoint="{endpoint}"'
    return f"SEARCH('{{{schema}}} {terms}', '{statistic}', {PERIOD_S})"
