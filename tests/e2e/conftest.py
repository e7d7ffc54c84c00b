import pytest

from tests.e2e.service import started


@pytest.fixture(scope="session", params=[0, 2], ids=["threads", "processes"])
def way(request):
    """The flags that say where images are prepared. Whoever asks for it runs on both ways."""
    return ("--preprocess-processes", str(request.param))


@pytest.fixture(scope="session")
def service(tmp_path_factory, way):
    """One service with the fake encoder for all tests that only ask."""
    with started(tmp_path_factory.mktemp("service"), "--backend", "fake", *way) as running:
        yield running
