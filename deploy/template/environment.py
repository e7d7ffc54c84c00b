"""The variables of the container, checked with the settings of the service itself. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from deploy.errors import ConfigError
from serve import settings
from serve.settings import MIB, Settings, SettingsError

UNPACKED = "/opt/ml/model"
# The deadline's share of a request's time limit; the rest is for reading and answering.
SHARE_OF_TIMEOUT = 0.95
# An asynchronous request may have 1 GB; URLs of this many bytes already take over an hour.
ASYNC_BODY_BYTES = 100 * MIB
# Limits of ContainerDefinition.Environment.
MAX_ENTRIES, MAX_BYTES, MAX_BYTES_TOGETHER = 100, 1024, 32 * 1024

_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


def of(
    *, name: str, buckets: Sequence[str], models: Sequence[str], timeout_s: int | None,
    in_batch: bool,
) -> dict[str, str]:  # fmt: skip
    """Return the variables of a deployment. timeout_s: of a request; None: the service's own.

    Raises:
        ConfigError: a name of `models` is not a folder's name, or is given twice.
    """
    found: dict[str, str] = {}
    if models:
        found[settings.variable_name("models")] = ",".join(
            f"{one}={UNPACKED}/{_folder(one)}" for one in models
        )
        if len(set(models)) < len(models):
            raise ConfigError(f"--model-folder {','.join(models)}: a name is given twice")
    else:
        found[settings.variable_name("model_name")] = name
    found[settings.variable_name("emf")] = "on"
    found[settings.variable_name("emf_endpoint")] = name
    if buckets:
        found[settings.variable_name("allow_bucket")] = ",".join(buckets)
    if timeout_s is not None:
        deadline_ms = int(timeout_s * 1000 * SHARE_OF_TIMEOUT)
        found[settings.variable_name("deadline_ms")] = str(deadline_ms)
        if in_batch:
            found[settings.variable_name("batch_timeout_s")] = str(timeout_s)
        else:
            found[settings.variable_name("max_body_bytes")] = str(ASYNC_BODY_BYTES)
    return found


def check(variables: Mapping[str, str], *, in_batch: bool) -> Settings:
    """Return the service's settings of variables, which are checked against SageMaker's limits.

    Raises:
        ConfigError: with the message of the settings.
    """
    batch = {"SAGEMAKER_BATCH": "true"} if in_batch else {}
    try:
        found, _ = settings.load(environ=dict(variables) | batch)
    except SettingsError as exc:
        raise ConfigError(f"--env {exc}") from exc
    if found.playground:
        raise ConfigError(f"--env {settings.variable_name('playground')}: never on SageMaker")
    sizes = [len(part.encode()) for pair in variables.items() for part in pair]
    if len(variables) > MAX_ENTRIES or max(sizes) > MAX_BYTES or sum(sizes) > MAX_BYTES_TOGETHER:
        raise ConfigError(
            f"--env: SageMaker takes {MAX_ENTRIES} variables, {MAX_BYTES} bytes of each name and "
            f"value, and {MAX_BYTES_TOGETHER} together"
        )
    for one in variables:
        if not re.fullmatch(r"[A-Za-z_]\w*", one, re.ASCII):
            raise ConfigError(f"--env {one}: not the name of a variable")
    return found


def _folder(name: str) -> str:
    if not _FOLDER.fullmatch(name):
        raise ConfigError(f"--model-folder {name}: must be letters, digits, - and _")
    return name
