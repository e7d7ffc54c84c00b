"""Options and results of the sweep: the chosen setting and the JSON document. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from inference.loadtest.summary import Load
from inference.profile.price import Price
from serve.benchmark.endpoint_load.interactive import KINDS, Interactive
from serve.benchmark.endpoint_load.record import Asked, queries_document
from serve.benchmark.report.documents import OUTPUT_ONLY, heading, rounded

NAME = "interactive_sweep"
SETTING = "--interactive-wait-ms"


@dataclass(frozen=True)
class Sweep:
    """What was asked. waits_ms: values of the setting. target_ms: for the p95 of texts, or None.

    options: of `sweetspot serve`. load: the other options of the command.
    """

    waits_ms: tuple[int, ...]
    target_ms: float | None
    options: tuple[str, ...]
    load: Asked

    @property
    def price(self) -> Price | None:
        """The price of the machine, if it was given."""
        return self.load.price


@dataclass(frozen=True)
class Setting:
    """Measurements with one value of the setting."""

    wait_ms: int
    queries: Interactive

    def p95_ms(self, kind: str) -> float | None:
        """Return the p95 of a kind of query beside bulk; None before it is measured."""
        return self.queries.beside_bulk(kind).p95_ms

    @property
    def keeps(self) -> float | None:
        """Throughput of bulk beside queries / alone; None before both are measured."""
        return self.queries.bulk_share()

    @property
    def images_s(self) -> float:
        """Images a second of bulk beside queries."""
        return self.queries.beside_bulk("bulk").items_per_s

    @property
    def lost(self) -> int:
        """Queries without an embedding."""
        return sum(map(_lost, (self.queries.beside_bulk(kind) for kind in KINDS)))


@dataclass(frozen=True)
class Choice:
    """The named setting. wait_ms: None when there is none. sentence: the reason."""

    wait_ms: int | None
    sentence: str


@dataclass(frozen=True)
class Found:
    """The results. settings: by rising value. idle: each kind of query without bulk."""

    asked: Sweep
    facts: Mapping[str, str]
    model: Mapping[str, Any]
    settings: Sequence[Setting]
    idle: Mapping[str, Load]
    complete: bool = True
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def choice(self) -> Choice:
        """The setting for the target."""
        return choose(self.settings, self.asked.target_ms)


def choose(settings: Sequence[Setting], target_ms: float | None) -> Choice:
    """Name the largest value with which texts keep a p95 of `target_ms`: bulk loses least there.

    Values with lost queries are skipped.
    """
    measured = [one for one in settings if one.p95_ms("text") is not None and one.keeps is not None]
    if target_ms is None:
        return Choice(None, "no setting is named: say which p95 texts need, --query-target-ms")
    if not measured:
        return Choice(None, "no setting is named: none was measured")
    fitting = [one for one in measured if _text_ms(one) <= target_ms and not one.lost]
    if not fitting:
        quickest = min(measured, key=_text_ms)
        return Choice(
            None,
            f"no measured {SETTING} keeps texts within a p95 of {target_ms:g} ms; the quickest is "
            f"{_words(quickest)}",
        )
    chosen = max(fitting, key=lambda one: one.wait_ms)
    why = f"the largest that keeps texts within a p95 of {target_ms:g} ms"
    return Choice(chosen.wait_ms, f"take {SETTING} {_words(chosen)}; {why}")


def document(found: Found) -> dict[str, Any]:
    """Return all results, with every latency, for JSON."""
    load = {k: v for k, v in asdict(found.asked.load).items() if k not in OUTPUT_ONLY}
    price = found.asked.price
    return heading(NAME, complete=found.complete) | {
        "versions": dict(found.versions),
        "model": dict(found.model),
        "price": None if price is None else price.as_dict(),
        "facts": dict(found.facts),
        "asked": load | {
            "waits_ms": list(found.asked.waits_ms),
            "query_target_ms": found.asked.target_ms,
            "serve_options": list(found.asked.options),
        },
        "settings": [_setting(one, price) for one in found.settings],
        "idle_p95_ms": {kind: rounded(load.p95_ms) for kind, load in found.idle.items()},
        "recommendation": asdict(found.choice),
    }  # fmt: skip


def _setting(one: Setting, price: Price | None) -> dict[str, Any]:
    million = None if price is None else price.per_million(one.images_s)
    return {
        "interactive_wait_ms": one.wait_ms,
        "per_million_images": rounded(million),
    } | queries_document(one.queries)


def _text_ms(one: Setting) -> float:
    p95_ms = one.p95_ms("text")
    return float("inf") if p95_ms is None else p95_ms


def _words(one: Setting) -> str:
    shots_ms = one.p95_ms("screenshot")
    shots = "" if shots_ms is None else f", screenshots {shots_ms:.0f} ms"
    return (
        f"{one.wait_ms}: texts have a p95 of {_text_ms(one):.0f} ms{shots}, "
        f"bulk keeps {one.keeps or 0.0:.2f}"
    )


def _lost(load: Load) -> int:
    return sum(load.errors.values()) + sum(load.failed.values()) + load.dropped
