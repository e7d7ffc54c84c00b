import pytest
from moto import mock_aws

from tests.deploy.cloud import Cloud, client


@pytest.fixture
def cloud(monkeypatch):
    with mock_aws():
        client("s3").create_bucket(Bucket="jobs")
        cloud = Cloud(monkeypatch)
        yield cloud
        cloud.leave()
