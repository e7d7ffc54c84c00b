import pytest

from serve.compose import open_engine
from serve.http.app import create_app
from serve.http.service import Service
from serve.settings import Settings


@pytest.fixture(scope="session")
def service():
    """A service of the fake encoder that fetches from this machine alone."""
    local = ("127.0.0.1",)
    settings = Settings(backend="fake", only_host=local, allow_host=local, max_items=20)
    service = Service(settings)
    with open_engine(settings, may_tune=False) as service.engine:
        yield service


@pytest.fixture(scope="session")
def client(service):
    return create_app(service).test_client()
