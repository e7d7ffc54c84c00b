"""The metrics in CloudWatch: names, units, dimensions. Pure and light: `deploy` draws them.

The lines of the log, the dashboard, the alarms and docs/cloudwatch.md are all made from METRICS.
"""

from __future__ import annotations

from dataclasses import dataclass

from inference.stats import STAGES

NAMESPACE = "Sweetspot"
DimensionSet = tuple[str, ...]
ALL: DimensionSet = ("Endpoint",)
BY_LANE: DimensionSet = ("Endpoint", "Lane")
BY_CODE: DimensionSet = ("Endpoint", "Code")
BY_TOWER: DimensionSet = ("Endpoint", "Model", "Tower")


@dataclass(frozen=True)
class Metric:
    """One metric. unit: of CloudWatch's units. shown: the statistics that the dashboard draws.

    Each of the dimension sets is a metric of its own in CloudWatch, for each of their values.
    """

    name: str
    unit: str
    dimension_sets: tuple[DimensionSet, ...]
    shown: tuple[str, ...]
    meaning: str


def time_of(stage: str) -> str:
    """`fetch` -> `FetchTime`."""
    return f"{stage.capitalize()}Time"


TYPICAL_AND_SLOW = ("p50", "p95")
METRICS = (
    Metric("Requests", "Count", (BY_LANE,), ("Sum",), "requests answered with results"),
    Metric(
        "RequestTime", "Milliseconds", (BY_LANE,), TYPICAL_AND_SLOW, "from admission to answer"
    ),
    Metric(
        "RequestErrors", "Count", (BY_CODE,), ("Sum",),
        "requests without results, by request code; client_left: closed by the client",
    ),
    Metric("Items", "Count", (ALL, BY_LANE), ("Sum",), "items answered: embeddings and failures"),
    Metric(
        "Failures", "Count", (ALL, BY_LANE, BY_CODE), ("Sum",), "items that failed, by item code"
    ),
    *(
        Metric(
            time_of(stage), "Milliseconds", (BY_LANE,), TYPICAL_AND_SLOW,
            f"time of one item in the stage {stage}",
        )
        for stage in STAGES
    ),
    Metric("ItemsInFlight", "Count", (ALL,), ("Maximum",), "items in flight, at the line's time"),
    Metric(
        "ItemsQueued", "Count", (BY_LANE,), ("Maximum",),
        "items that wait for the encoder, at the line's time",
    ),
    Metric("BatchSize", "Count", (BY_TOWER,), TYPICAL_AND_SLOW, "items in a batch"),
    Metric(
        "Slowdown", "None", (ALL, BY_TOWER), ("Maximum",),
        "service times now, divided by those of the tuning",
    ),
)  # fmt: skip
BY_NAME = {one.name: one for one in METRICS}
