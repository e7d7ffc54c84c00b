"""The last lines of a container's log, over all of its instances. Clients are passed in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deploy.aws import in_plain_words, is_missing

# Only the streams that were written to last are read, even when there are more.
STREAMS = 10


@dataclass(frozen=True)
class Line:
    """A log line. at_ms: since 1970. stream: its name; it begins with `variant/instance`."""

    at_ms: int
    stream: str
    text: str


def tail(
    logs: Any, group: str, count: int, *, since_ms: int = 0, prefix: str | None = None
) -> list[Line]:
    """Return the last lines of a log group, oldest first.

    Args:
        logs: boto3's client.
        group: the log group's name. A group that does not exist has no lines.
        count: most lines, 1 to 10,000, which is GetLogEvents' limit.
        since_ms: ms since 1970; older lines are left out.
        prefix: of the streams' names, such as a transform job's name; default: newest streams.

    Raises:
        DeployError: AWS cannot be asked.
    """
    with in_plain_words(f"{group} cannot be read"):
        streams = list(_streams(logs, group, prefix))
        lines = [line for one in streams for line in _lines(logs, group, one, count, since_ms)]
    return sorted(lines, key=lambda line: line.at_ms)[-count:]


def _streams(logs: Any, group: str, prefix: str | None) -> Iterator[str]:
    from botocore.exceptions import ClientError

    # AWS does not order by time within a prefix.
    which: dict[str, Any] = {"orderBy": "LastEventTime", "descending": True}
    if prefix is not None:
        which = {"logStreamNamePrefix": prefix}
    try:
        said = logs.describe_log_streams(logGroupName=group, limit=STREAMS, **which)
    except ClientError as exc:
        if is_missing(exc):
            return
        raise
    yield from (one["logStreamName"] for one in said["logStreams"])


def _lines(logs: Any, group: str, stream: str, count: int, since_ms: int) -> Iterator[Line]:
    said = logs.get_log_events(
        logGroupName=group, logStreamName=stream, startTime=since_ms, limit=count,
        startFromHead=False,
    )  # fmt: skip
    for event in said["events"]:
        yield Line(event["timestamp"], stream, event["message"].rstrip("\n"))
