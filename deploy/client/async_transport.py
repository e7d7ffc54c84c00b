"""Transport to an asynchronous endpoint: requests and answers are S3 objects."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from deploy.template.names import parse_uri
from serve.asking.transports import JSON, choosing
from serve.wire.client_side import EndpointError, clip

POLL_S = 2.0
# An instance that starts from zero takes minutes.
MAX_POLLS = 1200 // int(POLL_S)


class AsyncTransport:
    """A Transport to an endpoint by its name. Deletes its S3 objects once they are read.

    Args:
        name: of the endpoint.
        folder: `s3://bucket/prefix/` of requests, which the endpoint's role may read.
        runtime: boto3's client of `sagemaker-runtime`.
        s3: boto3's.
        pause: waits for the given seconds.
        model: one of the models that the container serves; None is the first.
    """

    is_local = False

    def __init__(
        self, name: str, folder: str, runtime: Any, s3: Any, pause: Callable[[float], Any],
        model: str | None = None,
    ) -> None:  # fmt: skip
        self._choice = choosing(model)
        self.name, self._folder = name, folder.rstrip("/")
        self._runtime, self._s3, self._pause = runtime, s3, pause

    def send(self, body: bytes, content_type: str = JSON) -> bytes:
        """Send a body once, and return the answer's body. Raises EndpointError."""
        source = f"{self._folder}/sweetspot-{uuid.uuid4()}.json"
        try:
            self._s3.put_object(**_place(source), Body=body)
            said = self._begin(source, content_type)
            good, answer = self._wait(said["OutputLocation"], said.get("FailureLocation"))
            self._s3.delete_object(**_place(source))
        except (BotoCoreError, ClientError) as exc:
            raise EndpointError("aws", str(exc), retryable=False) from exc
        if not good:
            raise EndpointError("async_failed", clip(answer), retryable=False)
        return answer

    def close(self) -> None:
        """Nothing is open."""

    def _begin(self, source: str, content_type: str) -> dict[str, str]:
        """Start the request. Returns the locations of the answer and of the failure."""
        try:
            said: dict[str, str] = self._runtime.invoke_endpoint_async(
                EndpointName=self.name, InputLocation=source, ContentType=content_type, Accept=JSON,
                **self._choice,
            )  # fmt: skip
        except ClientError:  # refused: the object will not be read
            self._s3.delete_object(**_place(source))
            raise
        return said

    def _wait(self, output: str, failure: str | None) -> tuple[bool, bytes]:
        """Wait for the answer. Returns whether the request succeeded, and the body."""
        for _ in range(MAX_POLLS):
            for good, uri in ((True, output), (False, failure)):
                answer = self._take(uri) if uri else None
                if answer is not None:
                    return good, answer
            self._pause(POLL_S)
        minutes = MAX_POLLS * POLL_S / 60
        message = f"no answer in {minutes:.0f} minutes; it will be in {output}"
        raise EndpointError("timeout", message, retryable=False)

    def _take(self, uri: str) -> bytes | None:
        """Read and delete an object; None while it does not exist."""
        try:
            body: bytes = self._s3.get_object(**_place(uri))["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            return None
        self._s3.delete_object(**_place(uri))
        return body


def _place(uri: str) -> dict[str, str]:
    bucket, key = parse_uri(uri, "")
    return {"Bucket": bucket, "Key": key}
