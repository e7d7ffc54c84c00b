"""Options that the commands share: a flag for every setting. Imports little."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from functools import wraps
from pathlib import Path
from typing import Any

import click

from inference.profile.price import MOST, Price, PriceError, chosen
from model.files import check_folder, check_writable
from serve import settings as declared
from serve.settings import Settings, SettingsError


class FiniteRange(click.FloatRange):
    """A range that also rejects `nan`, which passes click's own comparisons."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """See click. Raises click.BadParameter."""
        if not math.isfinite(super().convert(value, param, ctx)):
            self.fail(f"{value} is not a finite number", param, ctx)
        return float(value)


SHARE = FiniteRange(0, 1)
PRICE = FiniteRange(0, MOST, min_open=True)
# Settings without effect in a command that serves no requests.
SERVER_ONLY = (
    "models",
    "host", "port", "body_timeout_ms", "max_body_bytes", "max_bodies_bytes", "max_items",
    "max_requests", "max_deadline_ms", "emf", "emf_endpoint",
    "playground", "otel",
)  # fmt: skip


class Writable(click.Path):
    """A file or a folder to write to, checked before the work starts."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """See click. Raises click.BadParameter."""
        path = str(super().convert(value, param, ctx))
        try:
            (check_writable if self.file_okay else check_folder)(path)
        except OSError as exc:
            self.fail(f"cannot write {path}: {exc.strerror}", param, ctx)
        return path


class NewFolder(Writable):
    """A folder to write that holds nothing yet: a server may run from one that holds something."""

    def __init__(self) -> None:
        super().__init__(file_okay=False)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """See click. Raises click.BadParameter."""
        path = super().convert(value, param, ctx)
        if (folder := Path(path)).exists() and any(folder.iterdir()):
            self.fail(f"{path} is not empty; choose another folder", param, ctx)
        return path


def with_settings(without: Collection[str] = ()) -> Callable[[Any], Any]:
    """Return a decorator that gives a command a flag for every setting not in `without`."""

    def decorate(command: Any) -> Any:
        for one in reversed(declared.fields()):
            if one.name not in without:
                command = _option(one)(command)
        return command

    return decorate


def _option(one: Any) -> Any:
    if one.metadata["kind"] == "switch":
        return click.option(
            declared.flag_name(one.name), one.name, is_flag=True, default=None,
            help=one.metadata["help"],
        )  # fmt: skip
    names = one.metadata["kind"] in ("names", "named")
    choices = one.metadata.get("choices")
    default = "" if one.default in (None, ()) else f"  [default: {one.default}]"
    return click.option(
        declared.flag_name(one.name),
        one.name,
        multiple=names,
        metavar="|".join(choices) if choices else one.name.rsplit("_", 1)[-1].upper(),
        help=f"{one.metadata['help']}{default}",
    )


PRICE_PER_HOUR = click.option(
    "--price-per-hour", type=PRICE, help="of the machine: shows the price of a million items"
)
PRICES = click.option(
    "--prices", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="JSON: prices of an hour by instance type, in place of --price-per-hour",
)  # fmt: skip
_INSTANCE_TYPE = click.option("--instance-type", help="whose price --prices holds")


def with_price(command: Any) -> Any:
    """Give a command the options of a price, and pass it `price`: a Price, or None."""

    @wraps(command)
    def priced(
        *args: Any, price_per_hour: float | None, instance_type: str | None,
        prices: Path | None, **given: Any,
    ) -> Any:  # fmt: skip
        if instance_type is not None and price_per_hour is None and prices is None:
            raise click.UsageError("--instance-type needs its price: --prices, or --price-per-hour")
        return command(*args, price=asked_price(price_per_hour, instance_type, prices), **given)

    return PRICE_PER_HOUR(_INSTANCE_TYPE(PRICES(priced)))


def asked_price(
    per_hour: float | None, instance_type: str | None, prices: Path | None
) -> Price | None:
    """Return the price that was asked for; see `chosen`. Raises click.UsageError."""
    try:
        return chosen(per_hour, instance_type, prices)
    except PriceError as exc:
        raise click.UsageError(str(exc)) from exc


def load_settings(flags: dict[str, Any]) -> tuple[Settings, dict[str, str]]:
    """Return the settings and their sources. Raises click.ClickException if one is malformed."""
    try:
        return declared.load(flags)
    except SettingsError as exc:
        raise click.ClickException(str(exc)) from exc
