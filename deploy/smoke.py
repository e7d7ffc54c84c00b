"""Check that an endpoint embeds correctly: a thumbnail and a text, against known vectors."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import mul
from pathlib import Path
from typing import Any

from serve.wire.client_side import Answer, Embedded, Item, encode_item

KNOWN = Path(__file__).parent / "known"
TEXT = "a dark login screen"
# The lowest that `sweetspot check` allows for any precision: model.fidelity.check.FLOORS, int8.
COSINE = 0.99
# Rounding of float32, which Base64 carries, over a thousand dimensions.
NORM = 1e-3

Ask = Callable[[list[Item]], Answer]
Vector = Sequence[float]


@dataclass(frozen=True)
class Check:
    """One check. ok: None when unknown. said: what was measured, for people."""

    what: str
    ok: bool | None
    said: str


@dataclass(frozen=True)
class Vectors:
    """Embeddings of the known thumbnail and the text, by one checkpoint."""

    fingerprint: str
    image: Vector
    text: Vector


def smoke(ask: Ask, against: Ask | None = None) -> list[Check]:
    """Embed, and run the checks that apply.

    Args:
        ask: sends one request to the endpoint. Raises EndpointError.
        against: sends one to another endpoint of the same checkpoint; by default the known vectors
            of the built-in model are used.

    Raises:
        EndpointError: an endpoint refuses or cannot be reached.
    """
    together = ask(_items())
    checks = [_embedded(together)]
    if not checks[0].ok:
        return checks
    found = _vectors(together)
    alone = ask(_items()[:1])
    checks += [_norms(found), _repeats(found, alone)]
    return [*checks, _parity(found, _reference(against), told=against is not None)]


def cosine(one: Vector, other: Vector) -> float:
    """Return the cosine of two vectors of the same length, -1 to 1."""
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(map(mul, one, other)) / lengths if lengths else 0.0


def _items() -> list[Item]:
    thumbnail = (KNOWN / "thumbnail.png").read_bytes()
    return [encode_item(0, {"image": thumbnail}), encode_item(1, {"text": TEXT})]


def _embedded(answer: Answer) -> Check:
    failed = [one for one in answer.results if not isinstance(one, Embedded)]
    if failed:
        said = "; ".join(f"{one.code}: {one.message}" for one in failed)
        return Check("embeds", ok=False, said=said)
    dimension = len(_vectors(answer).image)
    return Check("embeds", ok=True, said=f"a thumbnail and a text, {dimension} dimensions")


def _vectors(answer: Answer) -> Vectors:
    image, text = (one.embedding for one in answer.results if isinstance(one, Embedded))
    return Vectors(answer.fingerprint, image, text)


def _norms(found: Vectors) -> Check:
    norms = [math.hypot(*one) for one in (found.image, found.text)]
    good = all(abs(norm - 1) <= NORM for norm in norms)
    return Check("unit norm", ok=good, said=", ".join(f"{norm:.6f}" for norm in norms))


def _repeats(found: Vectors, alone: Answer) -> Check:
    """Check that the image alone has the same vector as in a batch, from the same model."""
    what = "the same again"
    if alone.fingerprint != found.fingerprint:
        said = f"fingerprint {found.fingerprint}, then {alone.fingerprint}: two models answer"
        return Check(what, ok=False, said=said)
    (again,) = alone.results
    if not isinstance(again, Embedded):
        return Check(what, ok=False, said=f"{again.code}: {again.message}")
    near = cosine(found.image, again.embedding)
    return Check(what, ok=near >= COSINE, said=f"cosine {near:.6f}")


def _reference(against: Ask | None) -> Vectors | Check:
    if against is None:
        return builtin()
    other = against(_items())
    check = _embedded(other)
    return _vectors(other) if check.ok else check


def _parity(found: Vectors, reference: Vectors | Check, *, told: bool) -> Check:
    what = "parity"
    if isinstance(reference, Check):
        return Check(what, ok=False, said=f"the other: {reference.said}")
    if found.fingerprint != reference.fingerprint:
        if told:
            said = f"fingerprint {found.fingerprint}, the other has {reference.fingerprint}"
            return Check(what, ok=False, said=said)
        said = "no vectors are known for this checkpoint; compare with a container: --against"
        return Check(what, ok=None, said=said)
    pairs = ((found.image, reference.image), (found.text, reference.text))
    near = [cosine(*pair) for pair in pairs]
    said = f"cosine {near[0]:.6f} of the thumbnail, {near[1]:.6f} of the text"
    return Check(what, ok=min(near) >= COSINE, said=said)


def builtin() -> Vectors:
    """Return the built-in model's vectors, computed in float32 by transformers."""
    known: dict[str, Any] = json.loads((KNOWN / "builtin.json").read_text("utf-8"))
    image, text = (array("f", known[kind]) for kind in ("image", "text"))
    return Vectors(known["fingerprint"], image, text)
