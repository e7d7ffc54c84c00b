"""Whether an answer is right, by content: each embedding, code, index and id. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np

from tests.chaos.asking import Ask
from tests.chaos.items import Known
from tests.chaos.journal import WORKER

# The codes by which a fetch may fail, by the image server's mood.
EXPLAINED: Mapping[str, frozenset[str]] = {
    "gone": frozenset({"fetch_connect"}),
    "hanging up": frozenset({"fetch_connect"}),
    "half answers": frozenset({"fetch_connect"}),
    "slow": frozenset({"fetch_timeout"}),
    "unavailable": frozenset({"fetch_http_status"}),
}


@dataclass(frozen=True)
class Finding:
    """What should not be. kind: a word to count by."""

    kind: str
    detail: str


@dataclass(frozen=True)
class Circumstances:
    """faults: under way at any time between request and answer, which came after elapsed_s."""

    faults: frozenset[str]
    elapsed_s: float


def read(ask: Ask, body: bytes) -> dict[str, Any]:
    """An answer's JSON; a stream, in the order in which batches end, as if it had come whole."""
    try:
        if not ask.streamed:
            return dict(json.loads(body))
        *results, summary = [json.loads(line) for line in body.splitlines()]
    except ValueError:
        return {"not JSON": body}
    if "summary" not in summary:
        return {"no summary": summary}
    return {"results": sorted(results, key=itemgetter("index"))}


def check(ask: Ask, answer: Mapping[str, Any], circumstances: Circumstances) -> list[Finding]:
    """Everything that is wrong with an answer of status 200."""
    results = answer.get("results")
    if not isinstance(results, list) or len(results) != len(ask.items):
        return [Finding("missing", f"{len(ask.items)} items, answered by {str(answer)[:200]}")]
    return [
        finding
        for index, result in enumerate(results)
        for finding in _check_one(ask, index, result, circumstances)
    ]


def _check_one(
    ask: Ask, index: int, result: Mapping[str, Any], circumstances: Circumstances
) -> Iterator[Finding]:
    item, where = ask.items[index], f"item {index} of {len(ask.items)}"
    if result.get("index") != index or result.get("id") != ask.ids[index]:
        yield Finding("swapped", f"{where} is called {result.get('index')} {result.get('id')}")
    if ("embedding" in result) == ("error" in result):
        yield Finding("missing", f"{where} has neither or both of embedding and error")
    elif "error" in result:
        error = result["error"]
        yield from _check_code(ask, item, where, error["code"], circumstances)
        if error["code"].startswith("decode_") and error.get("retryable"):
            yield Finding("unexplained", f"{where}, {_named(item)}: {error} is worth another try")
    elif (vector := decode(result["embedding"])) != item.vector:
        swapped = vector in {other.vector for other in ask.items}
        yield Finding("swapped" if swapped else "wrong", f"{where}, {_named(item)}")


def _check_code(
    ask: Ask, item: Known, where: str, code: str, circumstances: Circumstances
) -> Iterator[Finding]:
    if code == item.code or code in _explained(ask, item, circumstances):
        return
    faults = ", ".join(sorted(circumstances.faults)) or "no fault"
    late = f"{circumstances.elapsed_s:.2f} s of {ask.deadline_ms} ms"
    yield Finding("unexplained", f"{where}, {_named(item)}: {code} with {faults}, after {late}")


def _explained(ask: Ask, item: Known, circumstances: Circumstances) -> set[str]:
    """What may befall any item, bad ones too, besides its own code."""
    codes: set[str] = set()
    if circumstances.elapsed_s >= ask.deadline_ms / 1000:
        codes.add("deadline_exceeded")
    if circumstances.faults & WORKER:
        codes |= {"deadline_exceeded", "encode_failed"}
    if item.fetched:
        codes = codes.union(*(EXPLAINED.get(fault, ()) for fault in circumstances.faults))
    return codes


def decode(embedding: list[float] | str) -> bytes:
    """An answer's embedding, of either encoding, as the bytes of its float32."""
    if isinstance(embedding, str):
        return base64.b64decode(embedding)
    return np.array(embedding, dtype=np.float32).tobytes()


def _named(item: Known) -> str:
    return f"{item.form} {item.value[:60]!r}"
