"""What stops a command. The message says what was wrong, in plain words."""

from __future__ import annotations


class DeployError(Exception):
    """A command cannot go on."""


class ConfigError(DeployError):
    """A deployment that cannot be. The message names the flag, its value and what is allowed."""
