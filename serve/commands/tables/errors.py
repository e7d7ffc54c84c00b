"""What ends a job, or keeps it from starting."""

from __future__ import annotations


class JobError(Exception):
    """The job cannot start or go on. The message is one sentence for the user."""
