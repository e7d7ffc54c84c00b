"""The JSON answers of `/invocations`, and every error."""

from __future__ import annotations

from inference.stats import StageTimes
from serve.errors import CODES
from serve.wire.openapi.schema import (
    BOOLEAN,
    COUNT,
    NUMBER,
    STRING,
    Schema,
    any_of,
    array,
    choice,
    closed,
    ref,
)

FACTS: Schema = {"dimension": COUNT, "precision": STRING, "fingerprint": STRING}
SCORE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
ERROR: Schema = {"code": STRING, "message": STRING, "retryable": BOOLEAN}


def answers() -> dict[str, Schema]:
    """Return the schemas by name."""
    times = closed(dict.fromkeys(StageTimes().as_ms(), NUMBER))
    results = {"results": array(ref("Result")), "timings": times}
    return {
        "InvocationAnswer": any_of(
            ref("EmbedAnswer"), ref("EmbedAnswerOfSeveral"), ref("Vectors"), ref("JointVector"),
            ref("Ranking"), array(ref("Ranking")),
        ),
        "EmbedAnswer": closed(
            {"model": STRING} | FACTS | results, ["model", *FACTS, "results"]
        ),
        "EmbedAnswerOfSeveral": closed(
            {"models": _by_model(closed(FACTS, [*FACTS]))} | results, ["models", "results"]
        ),
        "Embedding": any_of(
            array(NUMBER),
            STRING | {"contentEncoding": "base64", "description": "little-endian float32"},
        ),
        "Result": _result(),
        "Vectors": array(ref("Embedding")),
        "JointVector": closed({"embedding": array(NUMBER)}, ["embedding"]),
        "Ranking": array(closed({"score": SCORE, "label": STRING}, ["score", "label"])),
        "Error": closed({"error": _error()}, ["error"]),
    }  # fmt: skip


def _result() -> Schema:
    found = {
        "index": COUNT,
        "id": STRING,
        "embedding": ref("Embedding"),
        "embeddings": _by_model(ref("Embedding")),
        "scores": {"type": "object", "additionalProperties": SCORE},
        "truncated": BOOLEAN,
        "error": closed(ERROR, [*ERROR]),
    }
    kinds = [{"required": [name]} for name in ("embedding", "embeddings", "error")]
    return closed(found, ["index"], oneOf=kinds)


def _error() -> Schema:
    more = {"retry_after_ms": COUNT, "index": COUNT, "item_code": STRING}
    return closed(ERROR | {"code": choice(*CODES)} | more, [*ERROR])


def _by_model(of: Schema) -> Schema:
    return {"type": "object", "minProperties": 1, "additionalProperties": of}
