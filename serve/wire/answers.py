"""The wire format of answers: results to bytes, by their media type. Pure."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import orjson
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from inference.stats import StageTimes
from inference.types import Answer, Embedding, Failure, Result
from model.encoder import EncoderSpec
from serve.errors import HttpError
from serve.wire.embed_request import EmbedRequest
from serve.wire.protocol import CSV, JSON, JSON_LINES, JSON_LINES_TYPES

NPY = "application/x-npy"
# The platform's limit for the header.
MAX_ATTRIBUTES_CHARS = 1024

# The specs of the models that a request chose, by their names.
Specs = Mapping[str, EncoderSpec]


def negotiate(accept: str, types: Iterable[str]) -> str:
    """Return the answer's media type for an Accept header; the first of `types` if all match.

    Raises:
        HttpError: `not_acceptable`, with the list.
    """
    parsed = parse_accept_header(accept or "*/*", MIMEAccept)
    # Ignore parameters of a type, such as a charset.
    plain = MIMEAccept((name.partition(";")[0], quality) for name, quality in parsed)
    types = list(types)
    best = plain.best_match(types)
    if best is None:
        raise HttpError("not_acceptable", f"Accept {accept!r} is none of {', '.join(types)}")
    return best


def render(
    media_type: str, request: EmbedRequest, answer: Answer, specs: Specs, *, last_newline: bool
) -> bytes:
    """Return the answer's body, a result per item, in order.

    last_newline: whether the last line ends with a newline.
    """
    data = RENDERERS[media_type](request, answer, specs)
    return data if last_newline or media_type not in LINES else data.removesuffix(b"\n")


def render_stream(
    request: EmbedRequest,
    results: Iterable[Iterable[tuple[int, Result]]],
    times: StageTimes,
    specs: Specs,
) -> Iterator[bytes]:
    """Yield JSON Lines as results arrive, in groups; the last line is a summary."""
    failures = 0
    count = 0
    for group in results:
        lines = []
        for index, result in group:
            lines.append(_line(request, index, result))
            count += 1
            failures += isinstance(result, Failure)
        yield b"".join(lines)
    summary = _facts(request, specs) | {"items": count, "failures": failures}
    if request.parameters.timings:
        summary["timings"] = times.as_ms()
    yield orjson.dumps({"summary": summary}) + b"\n"


def render_attributes(
    request: EmbedRequest, specs: Specs, facts: Mapping[str, object] | None = None
) -> str:
    """Return the answer's custom attributes: fingerprint and `facts`, in ASCII."""
    prints = [
        f"{name}:{spec.fingerprint}" if request.parameters.several else spec.fingerprint
        for name, spec in specs.items()
    ]
    every = {"fingerprint": ",".join(prints)} | dict(facts or {})
    return ";".join(f"{name}={value}" for name, value in every.items())[:MAX_ATTRIBUTES_CHARS]


def counted(answer: Answer) -> dict[str, object]:
    """Return the failures and stage times for the custom attributes."""
    failures = sum(isinstance(result, Failure) for result in answer.results)
    times = answer.times.as_ms().items()
    return {"failures": failures} | {name.replace("_", "-"): value for name, value in times}


def _json(request: EmbedRequest, answer: Answer, specs: Specs) -> bytes:
    results = [_result(request, *one) for one in enumerate(answer.results)]
    body = _facts(request, specs) | {"results": results}
    if request.parameters.timings:
        body["timings"] = answer.times.as_ms()
    # orjson writes a float32 with the fewest digits that read back as the same float32.
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def _json_lines(request: EmbedRequest, answer: Answer, _: Specs) -> bytes:
    return b"".join(_line(request, *one) for one in enumerate(answer.results))


def _csv(_: EmbedRequest, answer: Answer, specs: Specs) -> bytes:
    """Render rows of `error_code` and the numbers, which are empty for a failure."""
    empty = b"," * _only(specs).dimension
    return b"".join(
        b"," + orjson.dumps(result.vector, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1] + b"\n"
        if isinstance(result, Embedding)
        else _code(result).encode() + empty + b"\n"
        for result in answer.results
    )


def _code(result: Result) -> str:
    return result.code if isinstance(result, Failure) else ""


def _npy(_: EmbedRequest, answer: Answer, specs: Specs) -> bytes:
    """Render float32 [N, D]; a failure is a row of NaN."""
    rows = np.full((len(answer.results), _only(specs).dimension), np.nan, dtype="<f4")
    for row, result in zip(rows, answer.results, strict=True):
        if isinstance(result, Embedding):
            row[:] = result.vector
    file = io.BytesIO()
    np.save(file, rows, allow_pickle=False)
    return file.getvalue()


RENDERERS: dict[str, Callable[[EmbedRequest, Answer, Specs], bytes]] = {
    JSON: _json,
    JSON_LINES: _json_lines,
    CSV: _csv,
    NPY: _npy,
    # The answer has the name that the client asked for, because clients compare it.
    **dict.fromkeys(JSON_LINES_TYPES, _json_lines),
}
LINES = {*JSON_LINES_TYPES, CSV}
# Formats for several models. A row of CSV or npy can hold only one model's numbers.
OF_SEVERAL = (JSON, *JSON_LINES_TYPES)


def _facts(request: EmbedRequest, specs: Specs) -> dict[str, Any]:
    if request.parameters.several:
        return {"models": {name: _of(spec) for name, spec in specs.items()}}
    return {"model": _only(specs).name} | _of(_only(specs))


def _of(spec: EncoderSpec) -> dict[str, Any]:
    return {
        "dimension": spec.dimension,
        "precision": spec.precision,
        "fingerprint": spec.fingerprint,
    }


def _only(specs: Specs) -> EncoderSpec:
    (spec,) = specs.values()
    return spec


def _line(request: EmbedRequest, index: int, result: Result) -> bytes:
    option = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(_result(request, index, result), option=option)


def render_result(index: int, item_id: str | None, result: Result, encoding: str) -> dict[str, Any]:
    """Return one object of `results`; its embedding may be a NumPy array, for orjson."""
    body: dict[str, Any] = {"index": index}
    if item_id is not None:
        body["id"] = item_id
    if isinstance(result, Failure):
        body["error"] = {
            "code": result.code,
            "message": result.message,
            "retryable": result.retryable,
        }
        return body
    if isinstance(result, Embedding):
        body["embedding"] = _numbers(result, encoding)
        cut = result.truncated
    else:
        found = result.by_model
        body["embeddings"] = {name: _numbers(one, encoding) for name, one in found.items()}
        cut = any(one.truncated for one in found.values())
    if cut:
        body["truncated"] = True
    return body


def _numbers(embedding: Embedding, encoding: str) -> Any:
    if encoding == "base64":
        return base64.b64encode(embedding.vector.astype("<f4").tobytes()).decode()
    return embedding.vector


def _result(request: EmbedRequest, index: int, result: Result) -> dict[str, Any]:
    return render_result(index, request.ids[index], result, request.parameters.encoding)
