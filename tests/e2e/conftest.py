import pytest

from tests.e2e.service import started


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """One service with the fake encoder for all tests that only ask."""
    with started(tmp_path_factory.mktemp("service"), "--backend", "fake") as running:
        yield running
