"""Documents of the embedded metric format, which CloudWatch reads from a log. Pure.

"Embedded metric format specification" in CloudWatch's guide. A document has one value of each
dimension, so an interval is several documents.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from inference.types import LANES, Lane, Target
from serve.observe.cloudwatch.counts import Interval
from serve.observe.cloudwatch.distribution import spread
from serve.observe.cloudwatch.metrics import BY_NAME, NAMESPACE, DimensionSet, time_of

# Dimension values are printable ASCII, at most 1024 characters: "Dimension" in CloudWatch's API.
_UNPRINTABLE = re.compile(r"[^ -~]")
MAX_VALUE_CHARS = 1024


@dataclass(frozen=True)
class EngineState:
    """The engine at the end of an interval.

    in_flight, queued: items now, the latter by lane. batches: of each tower that ran some in the
    interval, their number by size, and the slowdown.
    """

    in_flight: int
    queued: Mapping[Lane, int]
    batches: Mapping[Target, tuple[Mapping[int, int], float]]


def documents(
    interval: Interval, state: EngineState | None, endpoint: str, at_ms: int
) -> Iterator[dict[str, Any]]:
    """Yield an interval's documents. state: None while the engine loads. at_ms: Unix time.

    What did not happen is left out: CloudWatch charges for a metric only in hours that have it.
    """

    def document(values: Mapping[str, Any], **dimensions: str) -> dict[str, Any]:
        return _document(values, {"Endpoint": endpoint, **dimensions}, at_ms)

    if state is not None:
        yield document({"ItemsInFlight": state.in_flight})
    for lane in LANES:
        if values := _of_lane(interval, state, lane):
            yield document(values, Lane=lane)
    for (lane, code), count in sorted(interval.failures.items()):
        yield document({"Failures": count}, Lane=lane, Code=code)
    for code, count in sorted(interval.errors.items()):
        yield document({"RequestErrors": count}, Code=code)
    for target, (sizes, slowdown) in sorted(state.batches.items()) if state else ():
        values = {"BatchSize": spread(sizes), "Slowdown": round(slowdown, 3)}
        yield document(values, Model=_value(target.model), Tower=target.tower)


def _of_lane(interval: Interval, state: EngineState | None, lane: Lane) -> dict[str, Any]:
    values: dict[str, Any] = {} if state is None else {"ItemsQueued": state.queued.get(lane, 0)}
    if requests := interval.requests[lane]:
        values["Requests"] = requests
    if items := interval.items[lane]:
        values["Items"] = items
        if not any(one == lane for one, _ in interval.failures):
            values["Failures"] = 0  # the alarm divides it by the items
    return values | {
        time_of(stage): times.values()
        for (one, stage), times in interval.times_ms.items()
        if one == lane
    }


def _document(
    values: Mapping[str, Any], dimensions: Mapping[str, str], at_ms: int
) -> dict[str, Any]:
    """Return one document, with all dimension sets of each metric that have a value here."""
    directives: dict[tuple[DimensionSet, ...], list[dict[str, str]]] = defaultdict(list)
    for name in values:
        metric = BY_NAME[name]
        sets = tuple(one for one in metric.dimension_sets if set(one) <= set(dimensions))
        directives[sets].append({"Name": name, "Unit": metric.unit})
    return {
        "_aws": {
            "Timestamp": at_ms,
            "CloudWatchMetrics": [
                {"Namespace": NAMESPACE, "Dimensions": [*map(list, sets)], "Metrics": metrics}
                for sets, metrics in directives.items()
            ],
        },
        **dimensions,
        **values,
    }


def _value(text: str) -> str:
    return _UNPRINTABLE.sub("?", text)[:MAX_VALUE_CHARS].strip() or "?"
