"""Start and follow a job of SageMaker, of any kind. What asks AWS is passed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from deploy.aws import in_plain_words
from deploy.errors import DeployError

ENDED = ("Completed", "Failed", "Stopped")
POLL_S = 15.0
Said = dict[str, Any]


def start(
    create: Callable[[], Any], describe: Callable[[], Said], is_same: Callable[[Said], bool]
) -> None:
    """Create a job; do nothing when the same one exists already.

    is_same: whether a description is of the job that was to be created.

    Raises:
        DeployError: with AWS's message.
    """
    from botocore.exceptions import ClientError

    with in_plain_words("the job cannot be started"):
        try:
            create()
        except ClientError as exc:
            if exc.response["Error"]["Code"] != "ResourceInUse" or not is_same(describe()):
                raise


def follow(
    job: str, describe: Callable[[], Said], status: str, days: int, pause: Callable[[float], Any]
) -> Iterator[Said]:
    """Yield a job's description, every POLL_S seconds until it has ended.

    job: its name. status: the entry of the description that has its status.

    Raises:
        DeployError: AWS cannot be asked, or the job has not ended after so many days.
    """
    for _ in range(days * 24 * 3600 // int(POLL_S)):
        with in_plain_words(f"{job} cannot be followed"):
            said = describe()
        yield said
        if said[status] in ENDED:
            return
        pause(POLL_S)
    raise DeployError(f"{job} has not ended in {days} days; AWS continues")
