"""The wire format of answers: results to bytes, by their media type. Pure."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from inference.stats import StageTimes
from inference.types import Answer, Embedding, Failure, Result
from model.encoder import EncoderSpec
from serve.errors import HttpError
from serve.wire.embed_request import EmbedRequest, Specs
from serve.wire.media_types import CSV, JSON, JSON_LINES, JSON_LINES_TYPES, NPY

# The platform's limit for the header.
MAX_ATTRIBUTES_CHARS = 1024


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
    """Return the answer's body in the request's form.

    last_newline: whether the last line ends with a newline.

    Raises:
        ItemFailed: an item failed, and the form has no place for a failure.
    """
    renderer = request.form.render if request.form else RENDERERS[media_type]
    data = renderer(request, answer, specs)
    return data if last_newline or media_type not in LINES else data.removesuffix(b"\n")


def render_stream(
    request: EmbedRequest,
    results: Iterable[Sequence[tuple[int, Result]]],
    times: StageTimes,
    specs: Specs,
) -> Iterator[bytes]:
    """Yield JSON Lines as results arrive, in groups; the last line is a summary."""
    failures = 0
    count = 0
    for group in results:
        count += len(group)
        failures += sum(isinstance(result, Failure) for _, result in group)
        yield render_json_lines(_result(request, *one) for one in group)
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
    text = ";".join(f"{name}={value}" for name, value in every.items())
    # A model's name may have any characters, a header may not.
    return ascii(text)[1:-1][:MAX_ATTRIBUTES_CHARS]


def counted(answer: Answer) -> dict[str, object]:
    """Return the failures and stage times for the custom attributes."""
    failures = sum(isinstance(result, Failure) for result in answer.results)
    times = answer.times.as_ms().items()
    return {"failures": failures} | {name.replace("_", "-"): value for name, value in times}


def _json(request: EmbedRequest, answer: Answer, specs: Specs) -> bytes:
    return render_json(request, _results(request, answer), answer.times, specs)


def _json_lines(request: EmbedRequest, answer: Answer, _: Specs) -> bytes:
    return render_json_lines(_results(request, answer))


def _results(request: EmbedRequest, answer: Answer) -> Iterator[dict[str, Any]]:
    return (_result(request, *one) for one in enumerate(answer.results))


def render_json(
    request: EmbedRequest, results: Iterable[Mapping[str, Any]], times: StageTimes, specs: Specs
) -> bytes:
    """Return the answer's object around the objects of its results."""
    body = _facts(request, specs) | {"results": list(results)}
    if request.parameters.timings:
        body["timings"] = times.as_ms()
    # orjson writes a float32 with the fewest digits that read back as the same float32.
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def render_json_lines(results: Iterable[Mapping[str, Any]]) -> bytes:
    """Return a line for each object of the results."""
    option = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    return b"".join(orjson.dumps(one, option=option) for one in results)


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
        body["embedding"] = numbers(result, encoding)
        cut = result.truncated
    else:
        found = result.by_model
        body["embeddings"] = {name: numbers(one, encoding) for name, one in found.items()}
        cut = any(one.truncated for one in found.values())
    if cut:
        body["truncated"] = True
    return body


def numbers(embedding: Embedding, encoding: str) -> Any:
    """Return an embedding for orjson: a NumPy array, or the base64 of little-endian float32."""
    if encoding == "base64":
        return base64.b64encode(embedding.vector.astype("<f4").tobytes()).decode()
    return embedding.vector


def _result(request: EmbedRequest, index: int, result: Result) -> dict[str, Any]:
    return render_result(index, request.ids[index], result, request.parameters.encoding)
