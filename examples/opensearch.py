"""Send what `sweetspot deploy opensearch --json` prints, and index the output of `sweetspot bulk`.

    python examples/opensearch.py setup https://DOMAIN < requests.json
    python examples/opensearch.py index https://DOMAIN INDEX embeddings/

Requests to Amazon OpenSearch Service are signed with the configured credentials of AWS. Elsewhere
the URL may have a user and a password. Needs the extra `bulk`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.dataset as ds
import urllib3

ROWS_A_REQUEST = 500
TIMEOUT_S = 60
COLUMNS = ("id", "url", "text", "embedding", "fingerprint")
# The host of a domain: NAME.REGION.es.amazonaws.com.
SERVICE = re.compile(r".+\.([a-z0-9-]+)\.es\.amazonaws\.com")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = options.add_subparsers(dest="command", required=True)
    for name in ("setup", "index"):
        commands.add_parser(name).add_argument("url")
    commands.choices["index"].add_argument("name")
    commands.choices["index"].add_argument("folder")
    asked = options.parse_args()
    server = OpenSearch(asked.url)
    if asked.command == "setup":
        setup(server, json.load(sys.stdin))
    else:
        index(server, asked.name, ds.dataset(asked.folder, format="parquet"))


def setup(server: OpenSearch, requests: list[dict[str, Any]]) -> None:
    """Send the requests in order; put what an answer gives in place of its {name} in later ones."""
    known: dict[str, str] = {}
    for request in requests:
        body = json.dumps(request["body"])
        for name, value in known.items():
            body = body.replace(f'"{{{name}}}"', json.dumps(value))
        missing = re.search(r'"(\{\w+\})"', body)
        if missing:
            raise SystemExit(f"put a value in place of {missing[1]}")
        answer = server.send(request["method"], request["path"], body.encode())
        if request["answer"]:
            known[request["answer"]] = answer[request["answer"]]
        print(request["method"], request["path"], known.get(request["answer"], ""))


def index(server: OpenSearch, name: str, rows: ds.Dataset) -> None:
    """Index all rows that have an embedding, by their ids; the same again changes nothing."""
    mapping = server.send("GET", f"/{name}/_mapping", b"")
    expected = mapping[name]["mappings"]["_meta"]["fingerprint"]
    columns = [one for one in COLUMNS if one in rows.schema.names]
    count = 0
    for batch in rows.to_batches(
        columns=columns, filter=ds.field("embedding").is_valid(), batch_size=ROWS_A_REQUEST
    ):
        other = set(batch["fingerprint"].to_pylist()) - {expected}
        if other:
            raise SystemExit(f"{name} has fingerprint {expected}, the rows have {other.pop()}")
        if batch.num_rows:
            said = server.send("POST", f"/{name}/_bulk", b"".join(lines(batch)))
            failed = [one["index"] for one in said["items"] if "error" in one["index"]]
            if failed:
                raise SystemExit(f"{failed[0]['_id']}: {failed[0]['error']['reason']}")
        count += batch.num_rows
    print(f"{count} documents")


def lines(batch: pa.RecordBatch) -> Iterator[bytes]:
    """Yield two lines of the bulk API for each row: the action and the document."""
    embeddings = np.stack(batch["embedding"].to_numpy(zero_copy_only=False))
    others = batch.drop_columns(["embedding", "fingerprint"]).to_pylist()
    for embedding, row in zip(embeddings.astype(np.float32), others, strict=True):
        yield orjson.dumps({"index": {"_id": row.pop("id")}}) + b"\n"
        document = {name: value for name, value in row.items() if value is not None}
        yield orjson.dumps(document | {"embedding": embedding}, option=orjson.OPT_SERIALIZE_NUMPY)
        yield b"\n"


class OpenSearch:
    """A domain of Amazon OpenSearch Service, or a cluster of one's own."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._service = SERVICE.fullmatch(parts.hostname or "")
        self._headers: dict[str, str] = {}
        if parts.username:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers = urllib3.make_headers(basic_auth=user)
        self._pool = urllib3.PoolManager(timeout=TIMEOUT_S, retries=False)

    def send(self, method: str, path: str, body: bytes) -> Any:
        """Return the answer's JSON, or end with its error."""
        kind = "application/x-ndjson" if path.endswith("/_bulk") else "application/json"
        headers = self._headers | {"Content-Type": kind}
        if self._service:
            headers |= signature(self._service[1], method, self._base + path, body, headers)
        reply = self._pool.request(method, self._base + path, body=body, headers=headers)
        if reply.status >= 300:
            raise SystemExit(f"{method} {path}: {reply.status} {reply.data[:500].decode()}")
        return json.loads(reply.data)


def signature(
    region: str, method: str, url: str, body: bytes, headers: dict[str, str]
) -> dict[str, str]:
    """Return the headers that sign a request to a domain."""
    import boto3
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    credentials = boto3.Session().get_credentials()
    if credentials is None:
        raise SystemExit("no credentials; set AWS_PROFILE, or run `aws configure`")
    request = AWSRequest(method, url, headers=headers, data=body)
    SigV4Auth(credentials, "es", region).add_auth(request)
    return dict(request.headers)


if __name__ == "__main__":
    main()
