"""Options and results of `benchmark endpoint`: JSON document and comparison. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from inference.profile.price import Price
from serve.benchmark.endpoint_load.interactive import KINDS, Interactive
from serve.benchmark.endpoint_load.load_cells import Cell, Choice
from serve.benchmark.report.documents import OUTPUT_ONLY, heading, numbers, priced, rounded

PACKAGES = ("sweetspot", "urllib3", "boto3", "pillow")


@dataclass(frozen=True)
class Asked:
    """The command's options; see its help. max_loss: allowed loss of throughput, 0..1."""

    url: str | None = None
    endpoint_name: str | None = None
    urls: str | None = None
    inline: bool = False
    latency_ms: float = 20.0
    batch: tuple[int, ...] = (1, 4, 16, 64)
    concurrency: tuple[int, ...] = (1, 4, 16)
    rate: float | None = None
    duration_s: float = 5.0
    interactive_rate: float | None = None
    repeats: int = 3
    latency_target_ms: float | None = None
    as_json: bool = False
    report: str | None = None
    compare: str | None = None
    max_loss: float = 0.1
    price: Price | None = None


@dataclass(frozen=True)
class Found:
    """The results. cells: in the order of tables. complete: False when interrupted.

    model: what the endpoint says of itself, for JSON.
    """

    asked: Asked
    facts: dict[str, str]
    cells: Sequence[Cell]
    choice: Choice
    interactive: Interactive | None = None
    complete: bool = True
    versions: Mapping[str, str] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Compared:
    """A cell now and then. ratio: throughput now / then. spreads: p95 / p50 - 1, then and now."""

    label: str
    ratio: float
    spreads: tuple[float, float]
    is_best: bool


def document(found: Found) -> dict[str, Any]:
    """Return all results, with every latency, for JSON."""
    asked = {k: v for k, v in asdict(found.asked).items() if k not in OUTPUT_ONLY}
    chosen = found.choice.cell
    return heading("endpoint", complete=found.complete) | {
        "versions": dict(found.versions),
        "model": dict(found.model),
        "price": endpoint_price(found),
        "facts": found.facts,
        "asked": asked,
        "cells": [
            _identity(one) | numbers(one.load) | {"core_ms": rounded(one.core_ms)}
            for one in found.cells
        ],
        "recommendation": {
            "sentence": found.choice.sentence,
            "cell": None if chosen is None else _identity(chosen),
        },
        "interactive": None if found.interactive is None else queries_document(found.interactive),
    }


def endpoint_price(found: Found) -> dict[str, Any] | None:
    """Return the price of a million images in the recommended combination, and of queries."""
    price, queries, chosen = found.asked.price, found.interactive, found.choice.cell
    idle = {} if queries is None else queries.idle
    rates = {f"{kind}s": load.items_per_s for kind, load in idle.items()}
    images_s = None if chosen is None else chosen.load.items_per_s
    written = priced(price, images=images_s, **rates)
    if written is None or price is None or queries is None:
        return written
    return written | {"per_million_queries_beside_bulk": rounded(queries.price_beside_bulk(price))}


def compare(old: Mapping[str, Any], cells: Sequence[Cell]) -> list[Compared]:
    """Compare the cells measured both times. `is_best`: it had the highest throughput then.

    Raises ValueError when there is none, or `old` is not such a document.
    """
    try:
        earlier = {_key(one): one for one in old["cells"] if one["complete"]}
        both = [one for one in cells if one.load.complete and one.load.requests]
        pairs = [(one, earlier[one.key]) for one in both if one.key in earlier]
        answered = [(now, then) for now, then in pairs if then["items_per_s"] > 0]
        best = max((then["items_per_s"] for _, then in answered), default=0.0)
        rows = [_compared(now, then, best) for now, then in answered]
    except (KeyError, TypeError) as exc:
        raise ValueError("it is not a document of `benchmark endpoint --json`") from exc
    if not rows:
        raise ValueError("it has none of the combinations that were measured now")
    return rows


def _compared(now: Cell, then: Mapping[str, Any], best: float) -> Compared:
    spread_then = then["p95_ms"] / then["p50_ms"] - 1
    spread_now = (now.load.p95_ms or 0.0) / (now.load.p50_ms or 1.0) - 1
    return Compared(
        label=now.label,
        ratio=now.load.items_per_s / then["items_per_s"],
        spreads=(spread_then, spread_now),
        is_best=then["items_per_s"] == best,
    )


def _key(cell: Mapping[str, Any]) -> tuple[int, float, float]:
    return cell["batch"], cell["concurrency"] or 0, cell["rate_per_s"] or 0.0


def _identity(cell: Cell) -> dict[str, Any]:
    return {
        "batch": cell.batch,
        "concurrency": cell.concurrency,
        "rate_per_s": cell.rate_per_s,
    }


def queries_document(found: Interactive) -> dict[str, Any]:
    """Return the measurements of queries beside bulk, for JSON."""
    kinds = {
        kind: {
            "alone": numbers(found.idle[kind]) if kind in found.idle else None,
            "beside_bulk": numbers(found.beside_bulk(kind)),
            "slowdown": rounded(found.slowdown(kind)),
        }
        for kind in KINDS
    }
    bulk = {
        "alone": [numbers(one) for one in found.alone],
        "beside": [numbers(one["bulk"]) for one in found.beside],
        "share": rounded(found.bulk_share()),
    }
    what = {"rate_per_s": found.rate_per_s, "batch": found.batch, "concurrency": found.concurrency}
    return what | kinds | {"bulk": bulk}
