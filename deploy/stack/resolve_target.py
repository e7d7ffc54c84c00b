"""The transport to a deployment's name or a container's URL."""

from __future__ import annotations

import threading
from collections.abc import Callable

from deploy import aws
from deploy.client.async_transport import AsyncTransport
from deploy.errors import DeployError
from deploy.stack.stack import Event, Stack, Stacks
from deploy.template import names
from serve.asking.transports import Transport, connect


def resolve_target(endpoint: str, model: str | None = None) -> Transport:
    """Return the transport to a deployment's name or a container's URL. model: one of several.

    Raises:
        DeployError: there is no endpoint of that name.
    """
    if "://" in endpoint:
        return _connected(endpoint, model)
    outputs = standing(endpoint).outputs
    if "EndpointName" not in outputs:
        raise DeployError(f"{endpoint} is for batch transform: nothing answers there")
    name = outputs["EndpointName"]
    if "Input" not in outputs:
        return _connected(name, model)
    runtime, s3 = aws.client("sagemaker-runtime"), aws.client("s3")
    return AsyncTransport(name, outputs["Input"], runtime, s3, threading.Event().wait, model)


def stacks(name: str, *listeners: Callable[[Event], None]) -> Stacks:
    """Return the Stacks of a deployment's name, whether the stack exists or not.

    Raises:
        DeployError: the name is invalid, or AWS is not configured here.
    """
    names.check_name(name)
    return Stacks(aws.client("cloudformation"), name, threading.Event().wait, listeners)


def standing(name: str) -> Stack:
    """Return the stack of an existing deployment.

    Raises:
        DeployError: there is none, or its creation was not completed.
    """
    found = stacks(name).find()
    if found is None:
        raise DeployError(f"{name}: no such deployment here; `sweetspot deploy up` creates one")
    if not found.outputs:
        why = f": {found.reason}" if found.reason else ""
        raise DeployError(f"{name} is {found.status}{why}")
    return found


def _connected(endpoint: str, model: str | None) -> Transport:
    try:
        return connect(endpoint, None, 1, model)
    except ValueError as exc:
        raise DeployError(str(exc)) from exc
