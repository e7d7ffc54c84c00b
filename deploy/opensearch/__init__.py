"""The requests that make an endpoint searchable in OpenSearch. Pure."""
