"""One request before the load, to check that the endpoint answers and can fetch the images."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from inference.loadtest.summary import RequestFailed
from serve.asking.transports import Transport
from serve.benchmark.endpoint_load.client import ask
from serve.benchmark.endpoint_load.payload import Bulk

# Enough that a dead link among the user's URLs does not stop the benchmark.
IMAGES = 16
# Keys of a document, and of an answer.
MODEL = {
    "name": "model",
    "dimension": "dimension",
    "precision": "precision",
    "fingerprint": "fingerprint",
}


def check(target: Transport, bulk: Bulk) -> dict[str, Any]:
    """Send one request. Returns what the answer says of the model.

    Raises:
        click.ClickException: nothing answers, or every image fails.
    """
    try:
        answer, _ = ask(target, bulk.body(min(IMAGES, bulk.different)))
    except RequestFailed as exc:
        raise click.ClickException(_no_answer(target, exc)) from exc
    failed = [one["error"] for one in answer["results"] if "error" in one]
    if failed and len(failed) == len(answer["results"]):
        raise click.ClickException(_all_failed(failed, bulk))
    return {name: answer.get(key) for name, key in MODEL.items()}


def in_words(model: dict[str, Any]) -> str:
    """Describe a model that `check` found."""
    name, dimension, precision, fingerprint = (
        "?" if model[key] is None else model[key]
        for key in ("name", "dimension", "precision", "fingerprint")
    )
    return f"{name}, {dimension} dimensions, {precision}, {fingerprint}"


def _no_answer(target: Transport, exc: RequestFailed) -> str:
    if exc.code == "connect":
        return f"nothing answers at {target.name}: {exc}"
    return f"the first request to {target.name} failed with {exc.code}: {exc}"


def _all_failed(errors: list[dict[str, Any]], bulk: Bulk) -> str:
    code = Counter(one["code"] for one in errors).most_common(1)[0][0]
    if code == "fetch_blocked" and (host := bulk.host):
        return f"the endpoint may not fetch from {host}: start it with --allow-host {host}"
    message = next(one["message"] for one in errors if one["code"] == code)
    return f"every image of the first request failed with {code}: {message}"
