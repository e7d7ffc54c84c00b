"""A JSON body as the answer of a route."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response

from serve.wire.media_types import JSON


def json_response(body: Mapping[str, Any]) -> Response:
    """Return a 200 with this object."""
    return Response(orjson.dumps(body), mimetype=JSON)
