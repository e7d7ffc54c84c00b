"""Options that the commands share: a flag for every setting. Imports little."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

import click

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


def load_settings(flags: dict[str, Any]) -> tuple[Settings, dict[str, str]]:
    """Return the settings and their sources. Raises click.ClickException if one is malformed."""
    try:
        return declared.load(flags)
    except SettingsError as exc:
        raise click.ClickException(str(exc)) from exc
