"""SageMaker's multi-model API, which is there with `SAGEMAKER_MULTI_MODEL`."""

from __future__ import annotations

from serve.wire.openapi.schema import STRING, Schema, array, closed, opened, ref

MAX_NAME_CHARS = 512
MODEL: Schema = {"modelName": STRING, "modelUrl": STRING}


def multi_model() -> dict[str, Schema]:
    """Return the schemas by name."""
    return {
        "HostedModel": closed(MODEL, [*MODEL]),
        "HostedModels": closed(
            {"models": array(ref("HostedModel"), least=0), "nextPageToken": STRING}, ["models"]
        ),
        "LoadModel": opened({"model_name": _name("/"), "url": _name()}, ["model_name", "url"]),
        "UnloadedModel": closed({"modelName": STRING}, ["modelName"]),
    }


def _name(without: str = "") -> Schema:
    pattern = rf"^[^\u0000{without}]+$"
    return {"type": "string", "maxLength": MAX_NAME_CHARS, "pattern": pattern}
