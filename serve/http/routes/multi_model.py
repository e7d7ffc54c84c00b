"""SageMaker's multi-model API: load, list, invoke and unload models by opaque names.

Paths, keys, the page token and the status codes are those of "Contracts for custom containers to
serve multiple models"; `limit` is multi-model-server's.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from flask import Blueprint, Response, request

from inference.engine.engine import Engine
from inference.profile.machine import memory_bytes, resident_bytes
from model.checkpoints.checkpoint import weights_bytes
from model.errors import CheckpointError, OutOfMemory
from serve.compose import add_model
from serve.errors import BadRequest, HttpError
from serve.http.body import declared_bytes, read
from serve.http.invocations import Invocations
from serve.http.routes.json_response import json_response
from serve.observe.selftest import self_test
from serve.settings import Settings
from serve.wire.json_body import load_object
from serve.wire.media_types import TARGET_MODEL
from serve.wire.openapi.multi_model import MAX_NAME_CHARS
from serve.wire.wording import clip

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 2**10
PAGE = 100
# A warm ViT-B/32 takes 1.9 to 2.2 times its weights on OpenVINO, and no more while it loads.
LOADED_SHARE = 2.25
# Quarters of the memory that models may take. Decoding and bodies need the rest.
MODELS_SHARE = 3


class Models:
    """The models that the platform loaded. Thread-safe; one load runs at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # The URL that each model was loaded from.
        self._urls: dict[str, str] = {}
        self._moving: set[str] = set()
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def load(self, engine: Engine, name: str, url: str, shown: str) -> None:
        """Load a model and start to serve it. shown: its name in answers.

        Raises:
            HttpError: `model_exists`, `insufficient_memory`; `bad_request` if it is no checkpoint.
        """
        with self._announced(name), self._turn:
            self._check_memory(url)
            try:
                add_model(engine, self._settings, name, url, shown)
                self._test(engine, name)
            except CheckpointError as exc:
                raise BadRequest(str(exc)) from exc
            except (OutOfMemory, MemoryError) as exc:
                raise HttpError("insufficient_memory", f"no memory for {clip(shown)}") from exc
            with self._lock:
                self._urls[name] = url

    def unload(self, engine: Engine, name: str) -> None:
        """Answer the accepted requests, then free the memory. Raises HttpError if not loaded."""
        with self._lock:
            if self._urls.pop(name, None) is None:
                raise _not_found(name)
            self._moving.add(name)
        try:
            engine.remove(name)
            _give_back()
        finally:
            self._settled(name)

    def page(self, start: int, limit: int) -> dict[str, Any]:
        """Return a page of models, in the order of loading, and the token of the next page."""
        with self._lock:
            every = list(self._urls.items())
        listed = [_as_json(*one) for one in every[start : start + limit]]
        more = {"nextPageToken": str(start + limit)} if start + limit < len(every) else {}
        return {"models": listed} | more

    def about(self, name: str) -> dict[str, str]:
        """Return one model. Raises HttpError if not loaded."""
        with self._lock:
            url = self._urls.get(name)
        if url is None:
            raise _not_found(name)
        return _as_json(name, url)

    @contextmanager
    def _announced(self, name: str) -> Iterator[None]:
        """Refuse a second load of a name, also while a model of that name is being unloaded."""
        with self._lock:
            if name in self._urls or name in self._moving:
                raise HttpError(
                    "model_exists", f"model {clip(name)} is loaded, loading or unloading"
                )
            self._moving.add(name)
        try:
            yield
        finally:
            self._settled(name)

    def _settled(self, name: str) -> None:
        with self._lock:
            self._moving.discard(name)

    def _check_memory(self, url: str) -> None:
        whole = memory_bytes()
        if whole is None or self._settings.backend == "fake":
            return
        needed = int(LOADED_SHARE * weights_bytes(url))
        free = whole * MODELS_SHARE // 4 - resident_bytes()
        if needed > free:
            raise HttpError(
                "insufficient_memory",
                f"the model needs about {needed >> 20:,} MiB, {max(0, free) >> 20:,} are free",
            )

    def _test(self, engine: Engine, name: str) -> None:
        try:
            self_test(engine, name)
        except Exception:
            engine.remove(name)
            _give_back()
            raise


def routes(
    models: Models, engine: Callable[[], Engine], answering: Invocations, body_timeout_s: float
) -> Blueprint:
    """Return the API's routes. engine: returns the engine, or raises HttpError if not ready."""
    api = Blueprint("models", __name__, url_prefix="/models")

    @api.post("")
    def load() -> Response:
        asked = load_object(_body(body_timeout_s), "the body")
        name, url = (_text(asked, key) for key in ("model_name", "url"))
        if "/" in name:
            raise BadRequest("model_name must be one segment of a path, without /")
        shown = request.headers.get(TARGET_MODEL, "")[:MAX_NAME_CHARS] or name
        models.load(engine(), name, url, shown)
        log.info("loaded model %s as %s", clip(shown), clip(name))
        return json_response(_as_json(name, url))

    @api.get("")
    def listed() -> Response:
        start = _number("next_page_token", 0, 0)
        return json_response(models.page(start, _number("limit", PAGE, 1)))

    @api.get("/<name>")
    def about(name: str) -> Response:
        return json_response(models.about(name))

    @api.delete("/<name>")
    def unload(name: str) -> Response:
        models.unload(engine(), name)
        log.info("unloaded model %s", clip(request.headers.get(TARGET_MODEL, name)))
        return json_response({"modelName": name})

    @api.post("/<name>/invoke")
    def invoke(name: str) -> Response:
        return answering.answer(engine(), name)

    return api


def _as_json(name: str, url: str) -> dict[str, str]:
    return {"modelName": name, "modelUrl": url}


def _not_found(name: str) -> HttpError:
    return HttpError("model_not_found", f"no model {clip(name)} is loaded")


def _body(timeout_s: float) -> bytearray:
    limit = declared_bytes(request.environ, MAX_BODY_BYTES)
    return read(request.environ, limit, timeout_s)


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_CHARS or "\0" in value:
        raise BadRequest(f"{key} must be a string of 1 to {MAX_NAME_CHARS} characters")
    return value


def _number(key: str, default: int, low: int) -> int:
    text = request.args.get(key, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) >= low):
        raise BadRequest(f"{key} must be a whole number from {low}")
    return int(text)


def _give_back() -> None:
    """Return free pages to the system: the platform checks memory before it loads a model."""
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library than GNU's
        ctypes.CDLL(None).malloc_trim(0)
