"""What a million items cost in each batch size: table rows and sentences. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference.profile.price import Price, core_ms, money
from inference.tuning.tune import Tuned
from serve.benchmark.report.documents import priced
from serve.benchmark.report.table_rows import Rows

ITEMS = {"image": "images", "text": "texts"}


def price_rows(tuned: Tuned, price: Price, cores: int | None) -> Rows:
    """Return a row for each batch size. cores: of the machine; None leaves core-ms out."""
    points = tuned.curve.points
    rows = []
    for point in points:
        items_s = tuned.items_s(point)
        spent = core_ms(cores, items_s) if cores else None
        cells = (f"{point.p95_ms:.1f}", f"{items_s:.1f}", "-" if spent is None else f"{spent:.2f}")
        rows.append((str(point.n), *cells, money(price.per_million(items_s))))
    best = [point.n for point in points].index(tuned.spot.batch_size)
    head = ("batch", "p95 ms", "items/s", "core-ms an item", "price of a million")
    return Rows(head, rows, best)


def price_sentence(name: str, tuned: Tuned, price: Price) -> str:
    """Return what a million items of a tower cost at the chosen batch size, and one by one."""
    first, size = tuned.curve.points[0], tuned.spot.batch_size
    target = tuned.latency_target_ms
    within = "" if target is None else f", chosen for a p95 of {target:g} ms"
    at_size = f"{money(price.per_million(_rate(tuned, size)))} in batches of {size}{within}"
    if first.n == size:
        return f"a million {ITEMS[name]} cost {at_size}"
    at_first = money(price.per_million(tuned.items_s(first)))
    return f"a million {ITEMS[name]} cost {at_size}; {at_first} in batches of {first.n}"


def price_document(towers: Mapping[str, Tuned], price: Price | None) -> dict[str, Any] | None:
    """Return the price of a million items of each tower at its batch size, for JSON."""
    rates = {ITEMS[name]: _rate(one, one.spot.batch_size) for name, one in towers.items()}
    return priced(price, **rates)


def _rate(tuned: Tuned, size: int) -> float:
    return next(tuned.items_s(point) for point in tuned.curve.points if point.n == size)
