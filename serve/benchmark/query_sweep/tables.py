"""Table rows and sentences of the sweep, for terminal and page. Pure."""

from __future__ import annotations

from inference.loadtest.summary import pooled
from inference.profile.price import money
from serve.benchmark.endpoint_load.interactive import KINDS
from serve.benchmark.query_sweep.record import Found, Setting
from serve.benchmark.report.table_rows import PARTIAL, Rows, failed


def setting_rows(found: Found) -> Rows:
    """Return a row for each value of the setting; bulk in images/s, the median of its turns."""
    price = found.asked.price
    head = (
        "wait ms", *(f"{kind} p95 ms" for kind in KINDS), "queries", "lost", "bulk alone",
        "beside", "keeps", *(("price of a million",) if price else ()),
    )  # fmt: skip
    rows = [
        (*_cells(one), *((money(price.per_million(one.images_s)),) if price else ()))
        for one in found.settings
    ]
    waits = [one.wait_ms for one in found.settings]
    named = found.choice.wait_ms
    return Rows(head, rows, None if named is None else waits.index(named))


def idle_sentence(found: Found) -> str:
    """Return the latency of queries on an idle service; empty when it was not measured."""
    said = [f"a {kind} {load.p95_ms:.0f} ms" for kind, load in found.idle.items() if load.p95_ms]
    return f"alone, at p95: {', '.join(said)}" if said else ""


def notes(found: Found) -> list[str]:
    """Return warnings and failures."""
    loads = [one.queries.beside_bulk(kind) for one in found.settings for kind in ("bulk", *KINDS)]
    loads += [load for one in found.settings for load in one.queries.alone]
    return [*failed(loads), *([] if found.complete else [PARTIAL])]


def _cells(one: Setting) -> tuple[str, ...]:
    alone = pooled(one.queries.alone).items_per_s
    asked = sum(one.queries.beside_bulk(kind).requests for kind in KINDS)
    keeps = "-" if one.keeps is None else f"{one.keeps:.2f}"
    p95s_ms = (one.p95_ms(kind) for kind in KINDS)
    shown = ("-" if p95_ms is None else f"{p95_ms:.0f}" for p95_ms in p95s_ms)
    speeds = (f"{alone:.1f}", f"{one.images_s:.1f}", keeps)
    return str(one.wait_ms), *shown, str(asked), str(one.lost), *speeds
