"""A disk that is full, for tests of what is written."""

import resource
from contextlib import contextmanager

LIMIT_BYTES = 300


@contextmanager
def full_disk():
    """No file can grow beyond some bytes: to write more fails in the midst of it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
