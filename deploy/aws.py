"""AWS's clients, and its errors in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from deploy.errors import DeployError


def client(service: str) -> Any:
    """Return boto3's client, with the configured region and credentials.

    Raises:
        DeployError: nothing is configured, or boto3 cannot read the configuration.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    make: Any = boto3.client
    try:
        return make(service, config=Config(retries={"mode": "standard"}))
    except (BotoCoreError, ValueError) as exc:  # ValueError: from environment variables
        raise DeployError(f"AWS cannot be asked: {_hint(exc)}") from exc


@contextmanager
def in_plain_words(what: str) -> Iterator[None]:
    """Turn AWS's errors into DeployError.

    Raises:
        DeployError: `what`, then AWS's own message.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as exc:
        error = exc.response["Error"]
        said = error.get("Message") or error.get("Code", "no reason given")
        raise DeployError(f"{what}: {said}") from exc
    except BotoCoreError as exc:
        raise DeployError(f"{what}: {_hint(exc)}") from exc


def is_missing(exc: Exception) -> bool:
    """Return whether an error of AWS says that the resource does not exist."""
    error = getattr(exc, "response", {}).get("Error", {})
    missing = ("does not exist", "Could not find", "not found")
    return error.get("Code") == "ResourceNotFoundException" or any(
        words in error.get("Message", "") for words in missing
    )


def _hint(exc: Exception) -> str:
    from botocore.exceptions import NoCredentialsError, NoRegionError

    if isinstance(exc, NoRegionError):
        return "no region; set AWS_DEFAULT_REGION, or run `aws configure`"
    if isinstance(exc, NoCredentialsError):
        return "no credentials; set AWS_PROFILE, or run `aws configure`"
    return str(exc)
