"""A client for applications: a long list of thumbnails in, embeddings out, in order, as they come.

    with Client("designs") as client:
        for result in client.embed_urls(urls):
            ...

Needs neither NumPy nor torch: an embedding is an `array("f")`.
"""

from deploy.client.client import Client as Client
from deploy.client.client import FingerprintChanged as FingerprintChanged
from deploy.client.retrying import Patience as Patience
from serve.wire.client_side import Embedded as Embedded
from serve.wire.client_side import EndpointError as EndpointError
from serve.wire.client_side import Failed as Failed
from serve.wire.client_side import Result as Result
