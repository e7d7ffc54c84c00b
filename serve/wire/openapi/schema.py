"""Words of JSON Schema 2020-12, as OpenAPI 3.1 uses them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
NAME: Schema = {"type": "string", "minLength": 1}
BOOLEAN: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}


def ref(name: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def closed(properties: Schema, required: list[str] | None = None, **more: Any) -> Schema:
    """Return the schema of an object with these properties and no others."""
    return opened(properties, required, additionalProperties=False, **more)


def opened(properties: Schema, required: list[str] | None = None, **more: Any) -> Schema:
    """Return the schema of an object with these properties, and perhaps others."""
    return {"type": "object", "properties": properties, "required": required or []} | more


def array(of: Schema, least: int = 1, most: int | None = None, **more: Any) -> Schema:
    """Return the schema of a list."""
    limit = {} if most is None else {"maxItems": most}
    return {"type": "array", "items": of, "minItems": least} | limit | more


def choice(*values: Any) -> Schema:
    """Return the schema of one of these values."""
    return {"enum": list(values)}


def names(of: Collection[str]) -> Schema:
    """Return the schema of one of these names; of any name if there are none."""
    return choice(*of) if of else NAME


def any_of(*schemas: Schema) -> Schema:
    """Return the schema of what fits one or more of these."""
    return {"anyOf": list(schemas)}


def one_of_the_fields(*names: str) -> Schema:
    """Return the condition that an object has exactly one of these fields."""
    return {"oneOf": [{"required": [name]} for name in names]}
