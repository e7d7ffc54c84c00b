"""docs/opensearch.md from endpoint to search: its commands and requests as written.

OpenSearch is played by a server of the tests, SageMaker by `serve --local-endpoint`. The container
answers what connectors send, and its answers are read as ml-commons reads them.
"""

import base64
import json
import math
import re
import runpy
import shlex
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import cfnlint
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import requests

from deploy.client import Client
from deploy.opensearch.requests import requests as requests_of
from deploy.smoke import builtin, cosine
from inference.loadtest.thumbnail_server import ThumbnailServer
from model.synthetic.attributes import Attributes
from model.synthetic.thumbnails import draw, encode, sample
from tests.deploy.cloud import deploy, ran
from tests.deploy.opensearch import ml_commons
from tests.deploy.opensearch.kinds import DESIGNS, KINDS
from tests.deploy.opensearch.server import OpenSearch, sender
from tests.e2e.service import ROOT, started, without_proxies

DOCS = ROOT / "docs"
PAGE = (DOCS / "opensearch.md").read_text()
COMMANDS = re.findall(r"^    ((?:sweetspot|python) .+)$", PAGE, re.MULTILINE)
PRINTING = [one for one in COMMANDS if one.startswith("sweetspot deploy opensearch")]
OFFLINE = "--region eu-west-1 --dimension 128 --fingerprint 6f7bd1b033484bcf"
# Method, path, and the lines of the body.
SENT = re.findall(r"^    (GET|POST) (\S+)\n((?:    .+\n)+)", PAGE, re.MULTILINE)
EXAMPLE = runpy.run_path(str(ROOT / "examples" / "opensearch.py"))
SHOWN = "iVBORw0KGgo..."
INDEX = DESIGNS.name
SCREENS, FIRST_SEED = 60, 900_000_000
# The bulk job measures no batch sizes first.
ENVIRON = without_proxies() | {
    "SWEETSPOT_ALLOW_HOST": "127.0.0.1",
    "SWEETSPOT_BATCH_SIZE": "16",
    "SWEETSPOT_PREPROCESS_PROCESSES": "0",
    "PYTHONPATH": str(ROOT),
}
SCREENSHOT = base64.b64encode(
    encode(draw(Attributes("calendar", "blue", "dark", "tablet"), seed=7), "PNG")
).decode()


@pytest.fixture(scope="module")
def container(tmp_path_factory):
    """The built-in model, without a measurement of batch sizes."""
    flags = ("--local-endpoint", "--batch-size", "16", "--text-batch-size", "16")
    with started(tmp_path_factory.mktemp("container"), *flags) as service:
        yield service


@pytest.fixture(scope="module")
def page(container, tmp_path_factory):
    """A folder and a server of OpenSearch, in which the page has been followed to its queries."""
    folder = tmp_path_factory.mktemp("page")
    with ThumbnailServer() as server, OpenSearch(container.url("")) as opensearch:
        urls = server.thumbnails(SCREENS, FIRST_SEED)
        rows = {"screen": [str(seed) for seed in range(SCREENS)], "url": urls}
        pq.write_table(pa.table(rows), folder / "screens.parquet")
        json_command = next(one for one in PRINTING if "requests.json" in one)
        words = json_command.partition(" > ")[0]
        (folder / "requests.json").write_text(printed(f"{words} {OFFLINE}"))
        for line in COMMANDS[len(PRINTING) :]:
            run(re.sub(r"https://\S+", opensearch.url, line), folder)
        (bulk,) = [one for one in SENT if one[0] == "POST"]
        said = send(opensearch, bulk, {"https://example.com/1.jpg": urls[7]})
        assert not said["errors"], said
        yield folder, opensearch, urls


def printed(line):
    return ran(deploy(*shlex.split(line)[2:]))


def run(line, folder):
    """Run a command of the page in a folder, with the modules of this process's interpreter."""
    words, _, given = line.partition(" < ")
    name, *words = shlex.split(words)
    script = ["-m", name] if name == "sweetspot" else [str(ROOT / words.pop(0))]
    done = subprocess.run(
        [sys.executable, *script, *words], cwd=folder, env=ENVIRON, capture_output=True, text=True,
        input=(folder / given).read_text() if given else None,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def send(opensearch, request, replaced=()):
    """Send a request of the page, with a screenshot in place of the one that it shows."""
    method, path, body = request
    for old, new in {SHOWN: SCREENSHOT, **dict(replaced)}.items():
        body = body.replace(old, new)
    lines = "\n".join(line.strip() for line in body.splitlines())
    reply = requests.request(method, opensearch.url + path, data=lines.encode(), timeout=60)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_the_page_has_the_checkpoint_that_it_speaks_of():
    assert builtin().fingerprint == DESIGNS.fingerprint, "write the page and goldens anew"
    assert INDEX in PAGE


@pytest.mark.parametrize("line", PRINTING)
def test_every_command_prints_requests(line):
    line = line.partition(" > ")[0]
    assert "/_plugins/_ml/connectors/_create" in printed(
        line if "--dimension" in line else f"{line} {OFFLINE}"
    )


def test_a_text_finds_what_it_describes(page):
    _, opensearch, _ = page
    text = next(one for one in SENT if "query_text" in one[2])
    hits = send(opensearch, text)["hits"]["hits"]
    assert len(hits) == 5
    assert (shown(hits[0]).kind, shown(hits[0]).mode) == ("login", "dark")
    assert 0 < hits[0]["_score"] - 1 <= 1  # the cosine


def test_a_screenshot_finds_what_looks_like_it(page):
    _, opensearch, _ = page
    screenshot = next(one for one in SENT if "query_image" in one[2])
    hits = send(opensearch, screenshot)["hits"]["hits"]
    assert hits[0]["_id"] == "by-value"  # the same picture, indexed by the pipeline
    assert hits[0]["_score"] == pytest.approx(2, abs=1e-4)
    assert (shown(hits[1]).colour, shown(hits[1]).mode) == ("blue", "dark")


def test_texts_alone_are_indexed_and_found(container):
    connection = KINDS["texts-only"]
    with OpenSearch(container.url("")) as opensearch:
        EXAMPLE["setup"](
            EXAMPLE["OpenSearch"](opensearch.url), [asdict(one) for one in requests_of(connection)]
        )
        path, lines = f"/{connection.name}/_bulk?pipeline={connection.name}", ""
        for text in ("dark login screen", "pricing cards"):
            lines += f'{{"index": {{"_id": "{text}"}}}}\n{{"text": "{text}"}}\n'
        assert not send(opensearch, ("POST", path, lines))["errors"]
        _, page_path, query = next(one for one in SENT if "query_text" in one[2])
        found = send(opensearch, ("GET", page_path.replace(INDEX, connection.name), query))
    scores = {hit["_id"]: hit["_score"] for hit in found["hits"]["hits"]}
    assert scores["dark login screen"] == pytest.approx(2, abs=1e-4)
    assert scores["pricing cards"] < scores["dark login screen"]


def test_bulk_and_pipeline_index_the_same_embedding(page):
    _, opensearch, urls = page
    documents = opensearch.indexes[INDEX]["documents"]
    assert len(documents) == SCREENS + 2
    piped, ready = documents["by-url"], documents["7"]
    assert set(piped) == {"url", "embedding"}  # the image is not kept
    assert ready["url"] == urls[7] == piped["url"]
    assert cosine(piped["embedding"], ready["embedding"]) > 0.9999


def test_rows_of_another_checkpoint_are_not_indexed(page):
    folder, opensearch, _ = page
    row = {"id": ["x"], "embedding": [[0.0] * 128], "fingerprint": ["another"]}
    pq.write_table(pa.table(row), folder / "other.parquet")
    rows = ds.dataset(folder / "other.parquet", format="parquet")
    with pytest.raises(SystemExit, match="the rows have another"):
        EXAMPLE["index"](EXAMPLE["OpenSearch"](opensearch.url), INDEX, rows)


def test_keys_that_were_not_put_in_are_asked_for():
    found = [asdict(one) for one in requests_of(KINDS["access-keys-float16"])]
    with pytest.raises(SystemExit, match="put a value in place of {access_key}"):
        EXAMPLE["setup"](EXAMPLE["OpenSearch"]("http://127.0.0.1:1"), found)


def test_requests_to_the_service_are_signed_for_its_region():
    domain = EXAMPLE["OpenSearch"]("https://search-designs-x.eu-west-1.es.amazonaws.com")
    url = f"https://{domain._service[0]}/_plugins/_ml/models/_register?deploy=true"
    headers = EXAMPLE["signature"](domain._service[1], "POST", url, b"{}", {})
    credential = r"AWS4-HMAC-SHA256 Credential=testing/\d{8}/eu-west-1/es/aws4_request, "
    assert re.match(credential + "SignedHeaders=.*host", headers["Authorization"])


@pytest.fixture(scope="module")
def predict(container):
    """Ask the container as ml-commons would through a connector."""

    def predict(connection, documents):
        connector = requests_of(connection)[0].body
        return ml_commons.predict(connector, documents, sender(container.url("")))

    return predict


def test_a_text_connector_has_an_embedding_for_each_text(predict, container):
    texts = ["dark login screen", 'a "quoted" price', "Größe 例"]
    tensors = predict(KINDS["texts-only"], texts)
    with Client(container.url("")) as client:
        alone = [one.embedding for one in client.embed_texts(texts)]
    assert [one["shape"] for one in tensors] == [[128]] * 3
    for tensor, one in zip(tensors, alone, strict=True):
        assert tensor["data"] == pytest.approx(list(one), abs=1e-5)


def test_a_text_and_its_image_have_the_mean_of_their_embeddings(predict):
    documents = ["dark calendar", SCREENSHOT]
    (text,), (image,), (both,) = (
        predict(DESIGNS, some) for some in ([documents[0]], [None, documents[1]], documents)
    )
    total = [a + b for a, b in zip(text["data"], image["data"], strict=True)]
    assert cosine(both["data"], total) > 0.9999
    assert math.hypot(*both["data"]) == pytest.approx(1, abs=1e-4)


def test_the_model_of_the_connector_is_the_one_that_answers(predict):
    assert predict(replace(DESIGNS, model="builtin"), ["login"]) == predict(DESIGNS, ["login"])
    with pytest.raises(ml_commons.Refused, match="model_not_found"):
        predict(replace(DESIGNS, model="other"), ["login"])


@pytest.mark.parametrize(
    ("kind", "documents", "said"),
    [
        ("texts-only", ["login", " "], "text_invalid"),
        ("texts-and-images", [None, "bm8gaW1hZ2U="], "decode_unsupported"),
    ],
)
def test_what_cannot_be_embedded_is_no_embedding(predict, kind, documents, said):
    """One item fails the request: ml-commons has no place for a failure beside an embedding."""
    with pytest.raises(ml_commons.Refused, match=said):
        predict(KINDS[kind], documents)


def test_the_role_may_ask_the_endpoint_and_nothing_else():
    actions = json.loads(
        (Path(cfnlint.__file__).parent / "data" / "AdditionalSpecs" / "Policies.json").read_text()
    )
    (allowed,) = json.loads((DOCS / "opensearch-policy.json").read_text())["Statement"]
    service, action = allowed["Action"].split(":")
    assert action.lower() in actions[service]["Actions"]
    assert "*" not in json.dumps(allowed)
    (trust,) = json.loads((DOCS / "opensearch-trust.json").read_text())["Statement"]
    assert trust["Principal"] == {"Service": "opensearchservice.amazonaws.com"}
    assert trust["Action"] == "sts:AssumeRole"


def shown(hit):
    """What the thumbnail of a hit shows."""
    return sample(int(Path(hit["_source"]["url"]).stem)).attributes
