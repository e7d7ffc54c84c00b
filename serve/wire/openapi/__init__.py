"""The HTTP API, described by OpenAPI 3.1. Pure."""
