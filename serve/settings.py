"""All settings: name, default, bounds and meaning. Only this module reads the environment.

A setting `max_image_bytes` is the flag `--max-image-bytes` and the variable
`SWEETSPOT_MAX_IMAGE_BYTES`. A flag overrides a variable, and a variable overrides the default.
A malformed value or an unknown variable stops the start.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

PREFIX = "SWEETSPOT_"
# Variables that Kubernetes injects for a service called sweetspot or sweetspot-something.
_INJECTED = re.compile(r"SWEETSPOT_(.*_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT_\d+_\w+)")
_INJECTED_ADDRESS = re.compile(r"(tcp|udp|sctp)://")
MODEL_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NOT_A_HOST = re.compile(r"[*/@\s]")
_NOT_A_BUCKET = re.compile(r"[/\s]")
# A header's value: visible ASCII, with spaces only between other characters.
_HEADER = re.compile(r"[!-~]([ -~]*[!-~])?")
MAX_HEADER_CHARS = 256
MIB = 2**20
SWITCH = {"true": True, "false": False}
# Variables that only SageMaker sets. The first two are also set to false elsewhere.
_BATCH, _MULTI_MODEL = "SAGEMAKER_BATCH", "SAGEMAKER_MULTI_MODEL"
_PORTS = ("SAGEMAKER_BIND_TO_PORT", "SAGEMAKER_SAFE_PORT_RANGE")
# Request places on top of `max_requests`, for interactive requests only.
INTERACTIVE_REQUESTS = 16
# Most requests whose bodies are arriving: each holds a thread, but no request place yet.
RECEIVING_REQUESTS = 32


class SettingsError(Exception):
    """A setting is malformed or unknown. The message names it, its value and what is allowed."""


def _text(help_text: str, default: str | None = None) -> Any:
    return field(default=default, metadata={"kind": "text", "help": help_text})


def _name(default: str, help_text: str) -> Any:
    return field(default=default, metadata={"kind": "name", "help": help_text})


def _header(help_text: str) -> Any:
    """The value of an HTTP header."""
    return field(default=None, metadata={"kind": "header", "help": help_text})


def _names(help_text: str) -> Any:
    return field(default=(), metadata={"kind": "names", "help": help_text})


def _named(help_text: str) -> Any:
    return field(default=(), metadata={"kind": "named", "help": help_text})


def _choice(default: str, choices: Sequence[str], help_text: str) -> Any:
    return field(
        default=default, metadata={"kind": "choice", "choices": choices, "help": help_text}
    )


def _whole(default: int, low: int, high: int, help_text: str, batch: int | None = None) -> Any:
    """A whole number; `batch` is its default inside a batch transform job."""
    metadata = {"kind": "whole", "low": low, "high": high, "help": help_text, "batch": batch}
    return field(default=default, metadata=metadata)


def _switch(help_text: str) -> Any:
    return field(default=False, metadata={"kind": "switch", "help": help_text})


def _auto_or_whole(low: int, high: int, help_text: str) -> Any:
    """A whole number, or `auto`: from a profile that matches, else measured at the start."""
    metadata = {"kind": "auto or whole", "low": low, "high": high, "help": help_text}
    return field(default="auto", metadata=metadata)


def _whole_or_none(low: int, high: int, help_text: str) -> Any:
    return field(
        default=None, metadata={"kind": "whole", "low": low, "high": high, "help": help_text}
    )


@dataclass(frozen=True)
class Settings:
    """All settings of the service, checked. Lists are tuples; times are in ms, sizes in bytes."""

    model: str | None = _text("checkpoint: a folder, a hub id (owner/name[@revision]), or builtin")
    model_name: str | None = _text("name of the model in answers")
    models: tuple[str, ...] = _named(
        "several models, each as name=checkpoint, instead of model and model_name; "
        "the first is the default"
    )
    host: str = _text("address to listen on", "0.0.0.0")  # noqa: S104 - a container's port
    port: int = _whole(8080, 1, 65535, "port to listen on")
    device: str = _choice("auto", ("auto", "cpu", "cuda"), "where to run the encoder")
    backend: str = _choice("auto", ("auto", "torch", "openvino", "fake"), "how to run the encoder")
    precision: str = _choice(
        "auto",
        ("auto", "float32", "bfloat16", "float16", "int8"),
        "auto is float16 on CUDA, int8 on OpenVINO if the checkpoint was quantized, else float32",
    )
    cuda_graphs: bool = _switch("run batches of at most 64 images from CUDA graphs")
    preprocess: str = _choice(
        "display", ("display", "reference"), "prepare images as viewers do, or as transformers does"
    )
    batch_size: str | int = _auto_or_whole(1, 4096, "most images in a forward pass")
    text_batch_size: str | int = _auto_or_whole(1, 4096, "most texts in a forward pass")
    latency_target_ms: int | None = _whole_or_none(
        1, 600_000, "tune for the largest batch whose p95 stays within this, not for throughput"
    )
    profile: str | None = _text("profile file to take batch sizes from")
    interactive_wait_ms: int = _whole(
        200, 1, 600_000, "most time a query waits for a running bulk batch of more than one item"
    )
    preprocess_processes: str | int = _auto_or_whole(
        0, 256, "processes that fetch, decode and resize; 0 is threads of the service's process"
    )
    decode_threads: str | int = _auto_or_whole(
        1, 256, "threads that decode and resize, per lane, in all processes"
    )
    io_threads: str | int = _auto_or_whole(
        1, 1024, "threads that fetch, per lane, in all processes"
    )
    deadline_ms: int = _whole(55_000, 1, 3_600_000, "deadline of a request", batch=570_000)
    max_deadline_ms: int = _whole(3_600_000, 1, 3_600_000, "longest deadline a request may set")
    batch_timeout_s: int = _whole(
        600, 1, 3600, "batch transform's time limit per request, its InvocationsTimeoutInSeconds"
    )
    connect_timeout_ms: int = _whole(3_000, 1, 600_000, "timeout to connect to an image's server")
    fetch_timeout_ms: int = _whole(10_000, 1, 600_000, "timeout of one whole fetch")
    body_timeout_ms: int = _whole(20_000, 1, 600_000, "timeout to receive a request's body")
    allow_host: tuple[str, ...] = _names(
        "host (or .suffix, with optional :port) exempt from address and port checks, but never a "
        "metadata service; localhost, 127.0.0.1 and ::1 are three hosts"
    )
    only_host: tuple[str, ...] = _names("fetch from these hosts (or .suffixes) only")
    deny_host: tuple[str, ...] = _names("never fetch from these hosts (or .suffixes)")
    allow_bucket: tuple[str, ...] = _names("S3 bucket to read from; * is any the role can read")
    user_agent: str | None = _header(
        "User-Agent that image servers see; by default sweetspot/VERSION, with the project's URL "
        "if it states one. Include your page or address: large hosts refuse anonymous clients"
    )
    max_body_bytes: int = _whole(25 * MIB, 1, 2**31, "largest body of a request", batch=100 * MIB)
    max_bodies_bytes: int = _whole(512 * MIB, 1, 2**40, "total size of the bodies of all requests")
    max_items: int = _whole(50_000, 1, 10_000_000, "most items in a request")
    max_requests: int = _whole(
        64,
        1,
        1024,
        "most bulk requests at once; more are refused. 16 more places are for interactive requests",
        batch=100,
    )
    max_items_in_flight: int = _whole(
        512,
        1,
        1_000_000,
        "most items in flight; a larger request is fed in parts, and none is accepted at the limit",
    )
    max_image_bytes: int = _whole(20 * MIB, 1, 2**31, "largest encoded image")
    max_image_pixels: int = _whole(
        50_000_000, 1, 178_956_970, "largest width x height to decode; at most Pillow's own limit"
    )
    local_endpoint: bool = _switch(
        "also answer SageMaker's runtime routes, for boto3 on this machine; not for production"
    )
    emf: str = _choice(
        "auto",
        ("auto", "on", "off"),
        "metrics for CloudWatch, once a minute, as lines of the log; auto is on inside SageMaker",
    )
    emf_endpoint: str = _name("sweetspot", "name of the endpoint in these metrics")
    playground: bool = _switch(
        "also serve a page at / to try the model in a browser; never on SageMaker"
    )
    otel: bool = _switch(
        "send traces by OTLP, as OpenTelemetry's variables (OTEL_*) say; needs the extra otel"
    )
    # Set by SAGEMAKER_BATCH: a batch transform job.
    in_batch: bool = False
    # Set by SAGEMAKER_MULTI_MODEL: the platform loads and unloads models.
    multi_model: bool = False
    # Set by any of the platform's variables.
    on_sagemaker: bool = False

    @property
    def emits_metrics(self) -> bool:
        """Whether the log gets metrics for CloudWatch."""
        return self.on_sagemaker if self.emf == "auto" else self.emf == "on"

    @property
    def named_models(self) -> dict[str, str]:
        """The checkpoints of `models`, by model name."""
        return dict(_split(one) for one in self.models)

    def each_model(self) -> list[Settings]:
        """Return the settings of each of `models` as if it were alone, or `[self]` without any."""
        alone = dataclasses.replace(self, models=())
        return [
            dataclasses.replace(alone, model=checkpoint, model_name=name)
            for name, checkpoint in self.named_models.items()
        ] or [self]


def fields() -> tuple[dataclasses.Field[Any], ...]:
    """Return the declarations, in order, without those that only the platform sets."""
    return tuple(one for one in dataclasses.fields(Settings) if one.metadata)


def flag_name(name: str) -> str:
    """`max_items` -> `--max-items`."""
    return "--" + name.replace("_", "-")


def variable_name(name: str) -> str:
    """`max_items` -> `SWEETSPOT_MAX_ITEMS`."""
    return PREFIX + name.upper()


def load(
    flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> tuple[Settings, dict[str, str]]:
    """Return the settings, and where each came from (`flag`, `default` or a variable's name).

    Args:
        flags: raw values by setting name; None and () mean not given.
        environ: the process's environment by default.

    Raises:
        SettingsError: a value is malformed, or a `SWEETSPOT_*` variable unknown.
    """
    environ = os.environ if environ is None else environ
    _refuse_unknown(environ)
    in_batch, multi_model = _is_true(environ, _BATCH), _is_true(environ, _MULTI_MODEL)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for one in fields():
        values[one.name], sources[one.name] = _read(one, flags or {}, environ, in_batch=in_batch)
    _refuse_conflicts(values, environ)
    settings = Settings(
        **values,
        in_batch=in_batch,
        multi_model=multi_model,
        on_sagemaker=_platform(environ) is not None,
    )
    return settings, sources


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Return the folder of profiles not stored by a checkpoint: in XDG's cache or ~/.cache."""
    environ = os.environ if environ is None else environ
    base = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME", "/tmp")) / ".cache"  # noqa: S108 - no HOME
    return Path(base) / "sweetspot"


@dataclass(frozen=True)
class Launched:
    """Where this process is among those that torchrun started: of all, and of this machine's.

    here: how many there are on this machine. Process 0 of all is the first.
    """

    rank: int = 0
    local_rank: int = 0
    here: int = 1


def launched(environ: Mapping[str, str] | None = None) -> Launched:
    """Return this process's place; the only one if torchrun's variables are missing.

    Raises:
        SettingsError: one of them is no number.
    """
    environ = os.environ if environ is None else environ
    found: dict[str, int] = {}
    for name, variable in (("rank", "RANK"), ("local_rank", "LOCAL_RANK"),
                           ("here", "LOCAL_WORLD_SIZE")):  # fmt: skip
        if variable in environ:
            try:
                found[name] = int(environ[variable])
            except ValueError:
                raise SettingsError(f"{variable}={environ[variable]}: must be a number") from None
    return Launched(**found)


def _refuse_conflicts(values: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    if values["max_bodies_bytes"] < values["max_body_bytes"]:
        raise SettingsError(
            f"--max-bodies-bytes {values['max_bodies_bytes']}: must be at least "
            f"--max-body-bytes, {values['max_body_bytes']}"
        )
    if values["models"] and (values["model"] or values["model_name"]):
        raise SettingsError("--models: not together with --model or --model-name")
    if _is_true(environ, _MULTI_MODEL) and values["models"]:
        raise SettingsError("--models: not with SAGEMAKER_MULTI_MODEL: the platform loads models")
    platform = _platform(environ)
    if values["playground"] and platform:
        raise SettingsError(f"--playground: not with {platform}: the page is never on SageMaker")


def _is_true(environ: Mapping[str, str], variable: str) -> bool:
    return environ.get(variable, "").lower() == "true"


def _platform(environ: Mapping[str, str]) -> str | None:
    """Return a variable that shows that SageMaker started the service; None if none does."""
    found = [name for name in (_BATCH, _MULTI_MODEL) if _is_true(environ, name)]
    found += [name for name in _PORTS if name in environ]
    return found[0] if found else None


def _read(
    one: dataclasses.Field[Any],
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    in_batch: bool,
) -> tuple[Any, str]:
    if flags.get(one.name) not in (None, ()):
        return _parse(one, flags[one.name], flag_name(one.name) + " "), "flag"
    for variable in _variables(one.name):
        if variable in environ and not _is_injected(variable, environ[variable]):
            return _parse(one, environ[variable], variable + "="), variable
    if in_batch and one.metadata.get("batch") is not None:
        return one.metadata["batch"], _BATCH
    return one.default, "default"


def _variables(name: str) -> tuple[str, ...]:
    """Return a setting's variables; the platform's variable for the port comes before ours."""
    ours = variable_name(name)
    return (_PORTS[0], ours) if name == "port" else (ours,)


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    known = {variable_name(one.name) for one in fields()}
    for name, value in environ.items():
        if not name.startswith(PREFIX):
            continue
        if _is_injected(name, value):
            log.warning("%s=%s is ignored: Kubernetes seems to have injected it", name, value)
        elif name not in known:
            raise SettingsError(f"{name}={value}: no such setting; `sweetspot settings` lists all")


def _is_injected(name: str, value: str) -> bool:
    if name.endswith("_PORT") and _INJECTED_ADDRESS.match(value):
        return True
    return _INJECTED.fullmatch(name) is not None


def _parse(one: dataclasses.Field[Any], raw: Any, given: str) -> Any:
    kind = one.metadata["kind"]
    if kind == "named":
        return _parse_named(_listed(raw), given)
    if kind == "names":
        return _parse_names(_listed(raw), given, hosts=one.name.endswith("_host"))
    value = str(raw).strip()
    if kind == "switch":
        return _parse_switch(value, given)
    if kind == "auto or whole" and value == "auto":
        return value
    if kind == "auto or whole":
        return _parse_whole(value, one.metadata["low"], one.metadata["high"], given, "auto, or ")
    if kind == "whole":
        return _parse_whole(value, one.metadata["low"], one.metadata["high"], given)
    if kind == "header":
        return _parse_header(value, given)
    return _parse_text(one, value, given)


def _parse_text(one: dataclasses.Field[Any], value: str, given: str) -> str:
    kind = one.metadata["kind"]
    if kind == "name" and not MODEL_NAME.fullmatch(value):
        raise SettingsError(f"{given}{value!a}: must be 1 to 64 of A-Za-z0-9._-")
    if kind == "choice" and value not in one.metadata["choices"]:
        raise SettingsError(f"{given}{value}: must be one of {', '.join(one.metadata['choices'])}")
    if not value:
        raise SettingsError(f"{given}: must not be empty")
    return value


def _parse_switch(value: str, given: str) -> bool:
    if value.lower() not in SWITCH:
        raise SettingsError(f"{given}{value}: must be true or false")
    return SWITCH[value.lower()]


def _parse_header(value: str, given: str) -> str:
    if not _HEADER.fullmatch(value) or len(value) > MAX_HEADER_CHARS:
        raise SettingsError(
            f"{given}{value!a}: must be at most {MAX_HEADER_CHARS} characters of visible ASCII, "
            "with spaces only between them"
        )
    return value


def _listed(raw: Any) -> tuple[str, ...]:
    parts = [raw] if isinstance(raw, str) else list(raw)
    return tuple(name.strip() for part in parts for name in part.split(",") if name.strip())


def _parse_names(listed: tuple[str, ...], given: str, *, hosts: bool) -> tuple[str, ...]:
    wrong = [name for name in listed if (_NOT_A_HOST if hosts else _NOT_A_BUCKET).search(name)]
    if wrong:
        form = "a host or a .suffix, with or without :port" if hosts else _bucket_form(wrong[0])
        raise SettingsError(f"{given}{wrong[0]}: must be {form}")
    return listed


def _bucket_form(wrong: str) -> str:
    name = wrong.removeprefix("s3://").partition("/")[0]
    usable = name and not _NOT_A_BUCKET.search(name)
    return f"a bucket's name: {name}" if usable else "a bucket's name, or *"


def _parse_named(listed: tuple[str, ...], given: str) -> tuple[str, ...]:
    seen = set()
    for one in listed:
        name, value = _split(one)
        if not MODEL_NAME.fullmatch(name) or not value:
            raise SettingsError(f"{given}{one}: must be NAME=CHECKPOINT, NAME of A-Za-z0-9._-")
        if name in seen:
            raise SettingsError(f"{given}{one}: the name {name} is given twice")
        seen.add(name)
    return listed


def _split(one: str) -> tuple[str, str]:
    name, _, value = one.partition("=")
    return name.strip(), value.strip()


def _parse_whole(value: str, low: int, high: int, given: str, also: str = "") -> int:
    if not re.fullmatch(r"[0-9]{1,15}", value) or not low <= int(value) <= high:
        raise SettingsError(f"{given}{value}: must be {also}a whole number from {low} to {high}")
    return int(value)
