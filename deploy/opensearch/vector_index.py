"""The k-NN index of an endpoint's embeddings, and the pipelines that fill and search it. Pure."""

from __future__ import annotations

from typing import Any

from deploy.opensearch.config import Connection, Vectors

Body = dict[str, Any]
# The fields of a document.
EMBEDDING, TEXT, IMAGE = "embedding", "text", "image"
# A longer URL is kept, but not searched: a term may have 32,766 bytes.
URL_CHARS = 2048
# Texts that the ingest pipeline sends in one request.
TEXTS_A_REQUEST = 64
# The engine, and how many times smaller vectors are than float32: 2x is float16, 4x is 7 bits in a
# byte. A compression level means the same since 2.17; an encoder's parameters have changed since.
_STORED: dict[Vectors, tuple[str, str]] = {
    "float32": ("faiss", "1x"),
    "float16": ("faiss", "2x"),
    "byte": ("lucene", "4x"),
}


def vector_index(connection: Connection) -> Body:
    """Return the body of `PUT /{index}`.

    Embeddings are of unit norm, so that the inner product is the cosine.
    """
    engine, compression = _STORED[connection.vectors]
    return {
        "settings": {"index.knn": True, "index.search.default_pipeline": connection.name},
        "mappings": {
            "_meta": {
                "endpoint": connection.endpoint,
                **({"model": connection.model} if connection.model else {}),
                "fingerprint": connection.fingerprint,
            },
            "properties": {
                EMBEDDING: {
                    "type": "knn_vector",
                    "dimension": connection.dimension,
                    "space_type": "innerproduct",
                    "compression_level": compression,
                    "method": {"name": "hnsw", "engine": engine},
                },
                TEXT: {"type": "text"},
                "url": {"type": "keyword", "ignore_above": URL_CHARS},
            },
        },
    }


def ingest_pipeline(connection: Connection) -> Body:
    """Return the body of `PUT /_ingest/pipeline/{name}`: embeds documents that have no embedding.

    The image is embedded and removed, because an index of thumbnails in base64 would be huge.
    """
    description = f"Embeds with the SageMaker endpoint {connection.endpoint}"
    if connection.texts_only:
        embed = {
            "text_embedding": {
                "model_id": "{model_id}",
                "field_map": {TEXT: EMBEDDING},
                "batch_size": TEXTS_A_REQUEST,
            }
        }
        return {"description": description, "processors": [embed]}
    embed = {
        "text_image_embedding": {
            "model_id": "{model_id}",
            EMBEDDING: EMBEDDING,
            "field_map": {"text": TEXT, "image": IMAGE},
        }
    }
    remove = {"remove": {"field": IMAGE, "ignore_missing": True}}
    return {"description": description, "processors": [embed, remove]}


def search_pipeline(connection: Connection) -> Body:
    """Return the body of `PUT /_search/pipeline/{name}`: neural queries need not name the model."""
    return {
        "description": f"Embeds queries with the SageMaker endpoint {connection.endpoint}",
        "request_processors": [{"neural_query_enricher": {"default_model_id": "{model_id}"}}],
    }
