"""CloudWatch's embedded metric format, restated from its specification, and what its lines say.

"Specification: Embedded metric format" in the CloudWatch user guide, section "Embedded metric
format example and JSON schema"; what its schema leaves to prose is in `problems`.
"""

import json
import re
from numbers import Real

from jsonschema import Draft202012Validator

UNITS = (
    "Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits "
    "Megabits Gigabits Terabits Percent Count Bytes/Second Kilobytes/Second Megabytes/Second "
    "Gigabytes/Second Terabytes/Second Bits/Second Kilobits/Second Megabits/Second Gigabits/Second "
    "Terabits/Second Count/Second None"
).split()


def _named(most):
    return {"type": "string", "pattern": "^(.*)$", "minLength": 1, "maxLength": most}


_METRIC = {
    "type": "object",
    "required": ["Name"],
    "properties": {
        "Name": _named(1024),
        "Unit": {"type": "string", "enum": UNITS},
        "StorageResolution": {"type": "integer"},
    },
}
_DIRECTIVE = {
    "type": "object",
    "required": ["Namespace", "Dimensions", "Metrics"],
    "properties": {
        "Namespace": _named(1024),
        "Dimensions": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "array", "minItems": 0, "maxItems": 30, "items": _named(250)},
        },
        "Metrics": {"type": "array", "items": _METRIC},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer"},
                "CloudWatchMetrics": {"type": "array", "items": _DIRECTIVE},
            },
        }
    },
}
_validator = Draft202012Validator(SCHEMA)
_SEARCH = re.compile(
    r"""SEARCH\('\{(\w+),([\w,]+)\} MetricName="(\w+)" Endpoint="([\w.-]+)"', '\w+', 60\)"""
)
# Docker's log drivers cut a line after 16 KiB, far below the format's own limit of 1 MB.
MAX_LINE_BYTES = 16 * 1024


def read(log):
    """The documents in the lines of a log, each checked."""
    lines = [line for line in log.splitlines() if line.startswith('{"_aws"')]
    assert [line for line in log.splitlines() if '"_aws"' in line] == lines
    documents = [json.loads(line) for line in lines]
    for line, document in zip(lines, documents, strict=True):
        assert len(line) < MAX_LINE_BYTES
        assert problems(document) == []
    return documents


def problems(document):
    """What is wrong with a document."""
    found = [error.message for error in _validator.iter_errors(document)]
    for directive in [] if found else document["_aws"]["CloudWatchMetrics"]:
        if len(directive["Metrics"]) > 100:
            found.append("more than 100 metrics")
        for metric in directive["Metrics"]:
            target = document.get(metric["Name"])
            numbers = target if isinstance(target, list) else [target]
            if not all(isinstance(one, Real) and not isinstance(one, bool) for one in numbers):
                found.append(f"{metric['Name']} is {target}")
            if not 1 <= len(numbers) <= 100:
                found.append(f"{metric['Name']} has {len(numbers)} numbers")
        found += [
            f"{name} is {document.get(name)}"
            for name in {name for one in directive["Dimensions"] for name in one}
            if not re.fullmatch(r"[ -~]{0,1023}[!-~]", str(document.get(name, "")))
        ]
    return found


def metrics(documents):
    """Namespace, name and dimension names of every metric that CloudWatch would make."""
    return {
        (directive["Namespace"], metric["Name"], tuple(dimensions))
        for document in documents
        for directive in document["_aws"]["CloudWatchMetrics"]
        for dimensions in directive["Dimensions"]
        for metric in directive["Metrics"]
    }


def drawn(body):
    """Namespace, name, dimension names and endpoint of each metric that a dashboard searches."""
    return {
        (namespace, name, tuple(names.split(",")), endpoint)
        for widget in json.loads(body)["widgets"]
        for (line,) in widget["properties"]["metrics"]
        for namespace, names, name, endpoint in [_SEARCH.fullmatch(line["expression"]).groups()]
    }


def numbers(documents, name, **dimensions):
    """All numbers of a metric in the documents of these dimensions."""
    found = []
    for document in documents:
        if name in document and dimensions.items() <= document.items():
            value = document[name]
            found += value if isinstance(value, list) else [value]
    return found
