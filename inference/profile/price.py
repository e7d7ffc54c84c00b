"""The price of a million items, from the price of an hour. Pure.

No price is known here: a person gives it, as a number or in a file. All results are in the currency
of that price.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOUR_S, MILLION = 3600, 1_000_000
# A larger price of an hour is a typing error in any currency.
MOST = 10_000_000
# A list of every instance type in every region is smaller.
MAX_FILE_BYTES = 2**24
EXAMPLE = '{"ml.c7i.xlarge": 0.25}'
SHOWN = 8


class PriceError(ValueError):
    """A price is missing or impossible. The message says which."""


@dataclass(frozen=True)
class Price:
    """per_hour: of all machines together. instance_type: that has this price, if it was named.

    Raises PriceError when `per_hour` is not a number above 0 and at most MOST.
    """

    per_hour: float
    instance_type: str | None = None

    def __post_init__(self) -> None:
        if not _is_price(self.per_hour):
            what = f" of {self.instance_type}" if self.instance_type else ""
            raise PriceError(
                f"the price of an hour{what} is {self.per_hour!r}: it must be a number above 0 "
                f"and at most {MOST:,}"
            )

    def of(self, seconds: float) -> float:
        """Return the price of so many seconds."""
        return self.per_hour * seconds / HOUR_S

    def per_million(self, items: float, seconds: float = 1.0) -> float | None:
        """Return the price of a million items when `items` take `seconds`; None without items."""
        return self.of(seconds) / items * MILLION if items > 0 else None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {"per_hour": self.per_hour, "instance_type": self.instance_type}


def chosen(per_hour: float | None, instance_type: str | None, prices: Path | None) -> Price | None:
    """Return the price that was asked for; None when none was.

    Args:
        per_hour: the price itself.
        instance_type: for whose price to look in `prices`, or whose price `per_hour` is.
        prices: a JSON file, an object of prices of an hour by instance type.

    Raises:
        PriceError: two prices, half a question, or an impossible price.
    """
    if per_hour is not None and prices is not None:
        raise PriceError("give --price-per-hour, or --prices to look it up, not both")
    if per_hour is not None:
        return Price(per_hour, instance_type)
    if prices is not None and instance_type is None:
        raise PriceError("--prices needs --instance-type, whose price to look up")
    if prices is None or instance_type is None:
        return None
    return _look_up(prices, instance_type)


def core_ms(cores: int, items_s: float) -> float | None:
    """Return core-ms an item of a machine that does nothing else; None without items."""
    return 1000 * cores / items_s if items_s > 0 else None


def money(value: float | None) -> str:
    """Return an amount in three significant digits, as text; `-` for None."""
    if not value:
        return "-" if value is None else "0"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(value)))}f}"


def _is_price(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 < value <= MOST  # false for nan, too


def _look_up(path: Path, instance_type: str) -> Price:
    prices = _read(path)
    if instance_type not in prices:
        known = ", ".join(sorted(prices)[:SHOWN]) or "none"
        more = ", ..." if len(prices) > SHOWN else ""
        raise PriceError(f"{path} has no price of {instance_type}; it has {known}{more}")
    try:
        return Price(prices[instance_type], instance_type)
    except PriceError as exc:
        raise PriceError(f"{path}: {exc}") from exc


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(MAX_FILE_BYTES + 1))
    except OSError as exc:
        raise PriceError(f"{path} cannot be read: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise PriceError(f"{path} is not JSON") from exc
    if not isinstance(found, dict):
        raise PriceError(f"{path} must be an object of prices by instance type, as {EXAMPLE}")
    return found
