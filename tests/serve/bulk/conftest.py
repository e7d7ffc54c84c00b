"""A server of thumbnails that counts."""

import pytest

from tests.bulk_jobs import counting


@pytest.fixture
def server():
    with counting() as one:
        yield one
