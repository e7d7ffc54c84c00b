"""Errors that stop a command. The message says what was wrong, in plain words."""

from __future__ import annotations


class DeployError(Exception):
    """A command cannot continue."""


class ConfigError(DeployError):
    """An invalid deployment. The message names the flag, its value and what is allowed."""
