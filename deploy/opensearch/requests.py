"""The requests in the order in which they are sent, as data and for people. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from deploy.opensearch.config import Connection
from deploy.opensearch.connector import connector, model, model_group
from deploy.opensearch.vector_index import ingest_pipeline, search_pipeline, vector_index

_ML = "/_plugins/_ml"
_TITLES = ("connector", "model group", "model", "ingest pipeline", "search pipeline", "index")


@dataclass(frozen=True)
class Request:
    """One request.

    answer: a field of its answer. Later bodies have its value wherever they say `{field}`.
    """

    method: str
    path: str
    body: dict[str, Any]
    answer: str | None = None


def requests(connection: Connection) -> list[Request]:
    """Return what connects OpenSearch to an endpoint, in the order in which it is sent."""
    name = connection.name
    return [
        Request("POST", f"{_ML}/connectors/_create", connector(connection), "connector_id"),
        Request("POST", f"{_ML}/model_groups/_register", model_group(connection), "model_group_id"),
        Request("POST", f"{_ML}/models/_register?deploy=true", model(connection), "model_id"),
        Request("PUT", f"/_ingest/pipeline/{name}", ingest_pipeline(connection)),
        Request("PUT", f"/_search/pipeline/{name}", search_pipeline(connection)),
        Request("PUT", f"/{name}", vector_index(connection)),
    ]


def console(found: list[Request]) -> str:
    """Return the requests as the console of Dev Tools takes them, with a comment before each."""
    return "\n\n".join(_entry(*one) for one in enumerate(zip(_TITLES, found, strict=True), 1))


def _entry(number: int, titled: tuple[str, Request]) -> str:
    title, request = titled
    lines = [f"# {number}. The {title}."]
    credential = request.body.get("credential", {})
    if "access_key" in credential:
        lines.append("# Put the keys of an IAM user in place of {access_key} and {secret_key}.")
    if request.answer:
        field = request.answer
        lines.append(f"# Its answer has {field}: put it in place of {{{field}}} below.")
    return "\n".join(
        [*lines, f"{request.method} {request.path}", json.dumps(request.body, indent=2)]
    )
