"""Start and follow a training job, and report what came of it. Clients are passed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from deploy import jobs
from deploy.errors import DeployError
from deploy.stack.logs import Line, tail
from deploy.template.training import MAX_RUNTIME_S, TRAINING_LOGS

STATUS = "TrainingJobStatus"
# The longest a job may run, and as long again for spot capacity.
MAX_DAYS = 2 * MAX_RUNTIME_S // (24 * 3600)
LINES = 1000
# Lines of several instances come late, and not in the order of their times.
LATE_MS = 60_000


@dataclass(frozen=True)
class Report:
    """A job's result. artifact: its S3 URI, of a job that is completed. metrics: the last value.

    trained_s, billed_s: seconds of training, and those that are paid for.
    """

    job: str
    status: str
    reason: str | None
    artifact: str | None
    metrics: dict[str, float]
    trained_s: int | None
    billed_s: int | None


def start(sagemaker: Any, request: dict[str, Any]) -> None:
    """Send CreateTrainingJob; do nothing when the same job exists already.

    Raises:
        DeployError: with AWS's message.
    """
    jobs.start(
        lambda: sagemaker.create_training_job(**request),
        lambda: sagemaker.describe_training_job(TrainingJobName=request["TrainingJobName"]),
        lambda said: _identity(said) == _identity(request),
    )


class Follower:
    """Tells what a job does until it has ended: its states, and the lines of its log.

    tell: takes a line. pause: waits so many seconds.
    """

    def __init__(
        self, sagemaker: Any, logs: Any, job: str, tell: Callable[[str], Any],
        pause: Callable[[float], Any],
    ) -> None:  # fmt: skip
        self._sagemaker, self._logs, self._job = sagemaker, logs, job
        self._tell, self._pause = tell, pause
        self._states = 0
        self._since_ms = 0
        self._seen: set[Line] = set()

    def follow(self) -> Report:
        """Return the report of the job once it has ended.

        Raises:
            DeployError: AWS cannot be asked.
        """
        describe = partial(self._sagemaker.describe_training_job, TrainingJobName=self._job)
        said: dict[str, Any] = {}
        for said in jobs.follow(self._job, describe, STATUS, MAX_DAYS, self._pause):
            self._tell_states(said.get("SecondaryStatusTransitions", []))
            self._tell_lines()
        return report(said)

    def _tell_states(self, states: list[dict[str, Any]]) -> None:
        for one in states[self._states :]:
            message = one.get("StatusMessage")
            self._tell(f"{one['Status']}: {message}" if message else one["Status"])
        self._states = max(self._states, len(states))

    def _tell_lines(self) -> None:
        """Tell the lines that are new. One who may not read them is told so once."""
        if self._logs is None:
            return
        try:
            found = tail(
                self._logs, TRAINING_LOGS, LINES, since_ms=self._since_ms, prefix=f"{self._job}/"
            )
        except DeployError as exc:
            self._tell(str(exc))
            self._logs = None
            return
        for line in found:
            if line not in self._seen:
                self._tell(line.text)
        if found:
            self._since_ms = max(0, found[-1].at_ms - LATE_MS)
        self._seen = set(found)


def report(said: dict[str, Any]) -> Report:
    """Return the report of a job. said: DescribeTrainingJob."""
    status = said[STATUS]
    artifact = said.get("ModelArtifacts", {}).get("S3ModelArtifacts")
    return Report(
        job=said["TrainingJobName"],
        status=status,
        reason=said.get("FailureReason") or None,
        artifact=artifact if status == "Completed" else None,
        metrics={one["MetricName"]: one["Value"] for one in said.get("FinalMetricDataList", [])},
        trained_s=said.get("TrainingTimeInSeconds"),
        billed_s=said.get("BillableTimeInSeconds"),
    )


def _identity(job: dict[str, Any]) -> tuple[Any, ...]:
    """Return what identifies a job, from a request or a description."""
    sources = {
        one["ChannelName"]: one["DataSource"]["S3DataSource"]["S3Uri"]
        for one in job["InputDataConfig"]
    }
    image, output = job["AlgorithmSpecification"]["TrainingImage"], job["OutputDataConfig"]
    return image, sources, output["S3OutputPath"], job.get("HyperParameters") or {}
