"""What ends a job of `bulk` besides `JobError`."""

from __future__ import annotations

from serve.commands.tables.errors import JobError


class Stopped(Exception):
    """A signal stopped the job. What was embedded so far is kept."""


class EncoderGone(JobError):
    """The encoder is broken: this process can embed nothing more."""
