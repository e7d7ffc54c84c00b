"""OpenSearch in a few lines, by its documentation: it searches an index by brute force.

It refuses what is not of the documented form and ids that it has not given. A model of its is a
connector, whose requests go to a container here instead of SageMaker. It is no proof of how a
server of OpenSearch behaves, only of what its documentation says.
"""

import itertools
import json
import re
import urllib.parse
from http.server import BaseHTTPRequestHandler

import requests

from tests.deploy.opensearch import ml_commons
from tests.deploy.opensearch.schemas import BULK_ACTION, errors, invalid
from tests.servers import LocalServer

RUNTIME = re.compile(r"https://runtime\.sagemaker\.[a-z0-9-]+\.amazonaws\.com(?=/endpoints/)")
IDS = {"connectors": "connector_id", "model_groups": "model_group_id", "models": "model_id"}


class Refused(Exception):
    """Answered by a 400."""


class OpenSearch(LocalServer):
    """Serves on a free port. container: its URL, a SageMaker runtime with any endpoint."""

    def __init__(self, container):
        self.container = container
        self.connectors, self.models, self.groups = {}, {}, set()
        self.ingest, self.search, self.indexes = {}, {}, {}
        self._numbers = itertools.count(1)
        super().__init__(self._handler())

    def answer(self, method, path, body):
        """The JSON of a 200."""
        bare, _, query = path.partition("?")
        pipeline = dict(urllib.parse.parse_qsl(query)).get("pipeline")
        name, _, action = bare.removeprefix("/").partition("/")
        if action == "_bulk":
            return self.bulk(self.indexes[name], body, pipeline)
        if action == "_mapping":
            return {name: {"mappings": self.indexes[name]["mappings"]}}
        request = json.loads(body)
        wrong = errors(method, path, request)
        if wrong:
            raise Refused("; ".join(wrong))
        if name == "_plugins":
            return self.register(bare.split("/")[3], request)
        if name == "_ingest":
            self.ingest[bare.rpartition("/")[2]] = request["processors"]
        elif name == "_search":
            self.search[bare.rpartition("/")[2]] = request["request_processors"]
        elif action == "_search":
            return self.find(self.indexes[name], request)
        else:
            self.indexes[name] = request | {"documents": {}}
        return {"acknowledged": True}

    def register(self, kind, request):
        number = f"{kind}-{next(self._numbers)}"
        if kind == "connectors":
            self.connectors[number] = request
        elif kind == "model_groups":
            self.groups.add(number)
        elif request["model_group_id"] not in self.groups:
            raise Refused("no such model group")
        else:
            self.models[number] = self.connectors[request["connector_id"]]
        return {IDS[kind]: number, "status": "CREATED"}

    def bulk(self, index, body, pipeline):
        items = []
        actions, documents = itertools.tee(map(json.loads, body.splitlines()))
        for action, document in zip(
            itertools.islice(actions, 0, None, 2), itertools.islice(documents, 1, None, 2),
            strict=True,
        ):  # fmt: skip
            if invalid(BULK_ACTION, action):
                raise Refused(f"no action: {action}")
            found = {"_id": action["index"]["_id"]}
            try:
                self.store(index, found["_id"], self.ingested(document, pipeline))
            except (ml_commons.Refused, Refused) as exc:
                found["error"] = {"reason": str(exc)}
            items.append({"index": found})
        return {"errors": any("error" in one["index"] for one in items), "items": items}

    def store(self, index, number, document):
        field = index["mappings"]["properties"]["embedding"]
        vector = document.get("embedding")
        if vector is not None and len(vector) != field["dimension"]:
            raise Refused(f"{len(vector)} dimensions, not {field['dimension']}")
        index["documents"][number] = document

    def ingested(self, document, pipeline):
        for processor in self.ingest[pipeline] if pipeline else []:
            ((kind, options),) = processor.items()
            if kind == "remove":
                document.pop(options["field"], None)
                continue
            if kind == "text_embedding":
                ((source, target),) = options["field_map"].items()
                inputs = [document.get(source)]
            else:
                target = options["embedding"]
                inputs = [document.get(options["field_map"][one]) for one in ("text", "image")]
            document[target] = self.embed(options["model_id"], inputs)
        return document

    def embed(self, model, inputs):
        """inputs: a text, or a text and its image, as neural-search hands them over."""
        while inputs and inputs[-1] is None:
            inputs = inputs[:-1]
        (tensor,) = ml_commons.predict(self.models[model], inputs, sender(self.container))
        return tensor["data"]

    def find(self, index, request):
        ((field, query),) = request["query"]["neural"].items()
        default = index["settings"]["index.search.default_pipeline"]
        (enricher,) = self.search[default]
        model = query.get("model_id") or enricher["neural_query_enricher"]["default_model_id"]
        vector = self.embed(model, [query.get("query_text"), query.get("query_image")])
        scored = [
            {"_id": number, "_score": score(vector, one[field]), "_source": one}
            for number, one in index["documents"].items()
            if field in one
        ]
        best = sorted(scored, key=lambda hit: -hit["_score"])[: query["k"]]
        return {"hits": {"hits": best[: request.get("size", 10)]}}

    def _handler(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                try:
                    status, said = 200, server.answer(self.command, self.path, body)
                except (Refused, ml_commons.Refused, KeyError) as exc:
                    status, said = 400, {"error": {"reason": repr(exc)}}
                data = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self):
                self.do_GET()

            def do_PUT(self):
                self.do_GET()

            def log_message(self, *_):
                """Say nothing."""

        return Handler


def sender(container):
    """A function that sends what is meant for SageMaker's runtime to a container's URL."""

    def send(url, headers, body):
        url = RUNTIME.sub(container, url)
        reply = requests.post(url, body, headers=headers, timeout=60, proxies={})
        if reply.status_code != 200:
            raise ml_commons.Refused(f"Error from remote service: {reply.text}")
        return reply.content

    return send


def score(one, other):
    """The score of the space `innerproduct`."""
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product + 1 if product > 0 else 1 / (1 - product)
