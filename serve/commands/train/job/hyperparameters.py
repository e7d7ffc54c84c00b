"""Hyperparameters of a training job, all of them strings, to words of a command. Light to import.

They are the command's options by name, without dashes in front; `-` and `_` are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

import click

# What the job's folder says.
OF_THE_JOB = (
    "data", "validation", "forgetting", "output", "work", "checkpoints", "report", "json", "help",
)  # fmt: skip
# Hyperparameters that SageMaker's SDK and its tuning jobs add for themselves.
OF_OTHERS = ("sagemaker_", "_")
SWITCH = {"true": True, "false": False}


class HyperparameterError(Exception):
    """A hyperparameter is unknown or malformed. The message names it."""


def words_of(given: Mapping[str, str], command: click.Command) -> list[str]:
    """Return the words of a command that mean the same.

    given: of an option that may be repeated, the values with commas between them; of one without a
    value, `true` or `false`.

    Raises:
        HyperparameterError: one is unknown, or has a value that its option does not take.
    """
    options = {
        name.removeprefix("--"): option
        for option in command.params
        if isinstance(option, click.Option)
        for name in option.opts
        if name.startswith("--") and name.removeprefix("--") not in OF_THE_JOB
    }
    found: list[str] = []
    for name, value in given.items():
        if not name.startswith(OF_OTHERS):
            found += _words(name, value, options)
    return found


def _words(name: str, value: str, options: Mapping[str, click.Option]) -> list[str]:
    dashed = name.replace("_", "-")
    option = options.get(dashed)
    if dashed in OF_THE_JOB:
        raise HyperparameterError(f"hyperparameter {name}: the job itself says this")
    if option is None:
        close = get_close_matches(dashed, options, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise HyperparameterError(f"hyperparameter {name}: train has no such option{hint}")
    if option.is_flag:
        return [f"--{dashed}"] if _switch(name, value) else []
    found = []
    for one in value.split(",") if option.multiple else [value]:
        _check(name, one, option)
        found.append(f"--{dashed}={one}")
    return found


def _switch(name: str, value: str) -> bool:
    try:
        return SWITCH[value.lower()]
    except KeyError:
        raise HyperparameterError(
            f"hyperparameter {name}: {value!r} must be true or false"
        ) from None


def _check(name: str, value: str, option: click.Option) -> None:
    try:
        option.type.convert(value, option, None)
    except click.BadParameter as exc:
        raise HyperparameterError(f"hyperparameter {name}: {exc.message.rstrip('.')}") from exc
