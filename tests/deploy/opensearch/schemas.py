"""JSON schemas of the requests, by the documentation of OpenSearch 3.9.

Connectors: "Connector blueprints", "AWS Signature Version 4 authentication"; for `roleArn` the
guide of Amazon OpenSearch Service, "ML connectors for AWS services". Models: "Register model
group", "Register model". Pipelines: "Text embedding", "Text/image embedding", "Remove", "Neural
query enricher". Index: "k-NN vector", "Methods and engines", "Memory-optimized vectors", "Spaces".
Search: "Neural query". Bulk: "Bulk".
"""

import re

from jsonschema import Draft202012Validator

STRING, COUNT = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 1}
STRINGS = {"type": "object", "additionalProperties": STRING}


def fields(required, optional=None, **more):
    """An object of these fields and no others."""
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


ACCESS = {
    "backend_roles": {"type": "array", "items": STRING},
    "access_mode": {"enum": ["public", "restricted", "private"]},
    "add_all_backend_roles": {"type": "boolean"},
}
ACTION = fields(
    {
        "action_type": {"enum": ["predict", "batch_predict", "execute"]},
        "method": {"enum": ["POST", "GET"]},
        "url": {"type": "string", "pattern": "^https://"},
        "request_body": STRING,
    },
    {"headers": STRINGS, "pre_process_function": STRING, "post_process_function": STRING},
)
AWS_CREDENTIAL = {
    "oneOf": [
        fields({"access_key": STRING, "secret_key": STRING}, {"session_token": STRING}),
        fields({"roleArn": {"type": "string", "pattern": r"^arn:aws[\w-]*:iam::\d{12}:role/"}}),
    ]
}
CONNECTOR = fields(
    {
        "name": STRING,
        "description": STRING,
        "version": {"type": "integer"},
        "protocol": {"const": "aws_sigv4"},
        "parameters": {
            "type": "object",
            "required": ["region", "service_name"],
            "properties": {
                "region": STRING,
                "service_name": {"const": "sagemaker"},
                "input_docs_processed_step_size": COUNT,
            },
        },
        "credential": AWS_CREDENTIAL,
        "actions": {"type": "array", "items": ACTION, "minItems": 1},
    },
    ACCESS | {"client_config": {"type": "object"}},
)
MODEL_GROUP = fields({"name": STRING}, {"description": STRING} | ACCESS)
MODEL = fields(
    {"name": STRING, "function_name": {"const": "remote"}, "connector_id": STRING},
    {
        "description": STRING,
        "model_group_id": STRING,
        "is_enabled": {"type": "boolean"},
        "model_config": {"type": "object"},
        "interface": {"type": "object"},
    },
)

# Of every processor.
COMMON = {
    "description": STRING,
    "tag": STRING,
    "if": STRING,
    "ignore_failure": {"type": "boolean"},
    "on_failure": {"type": "array"},
}
TEXT_EMBEDDING = fields(
    {"model_id": STRING, "field_map": STRINGS},
    COMMON | {"batch_size": COUNT, "skip_existing": {"type": "boolean"}},
)
TEXT_IMAGE_EMBEDDING = fields(
    {
        "model_id": STRING,
        "embedding": STRING,
        "field_map": fields({}, {"text": STRING, "image": STRING}, minProperties=1),
    },
    COMMON | {"skip_existing": {"type": "boolean"}},
)
REMOVE = fields({"field": STRING}, COMMON | {"ignore_missing": {"type": "boolean"}})
ONE = {"minProperties": 1, "maxProperties": 1}
INGEST_PIPELINE = fields(
    {
        "processors": {
            "type": "array",
            "minItems": 1,
            "items": fields(
                {},
                {
                    "text_embedding": TEXT_EMBEDDING,
                    "text_image_embedding": TEXT_IMAGE_EMBEDDING,
                    "remove": REMOVE,
                },
                **ONE,
            ),
        }
    },
    {"description": STRING},
)
ENRICHER = fields(
    {},
    {"default_model_id": STRING, "neural_field_default_id": STRINGS, "tag": STRING}
    | {"description": STRING},
    anyOf=[{"required": ["default_model_id"]}, {"required": ["neural_field_default_id"]}],
)
SEARCH_PIPELINE = fields(
    {
        "request_processors": {
            "type": "array",
            "items": fields({}, {"neural_query_enricher": ENRICHER}, **ONE),
        }
    },
    {"description": STRING},
)

FAISS_LEVELS, LUCENE_LEVELS = ["1x", "2x", "8x", "16x", "32x"], ["1x", "4x", "8x", "16x", "32x"]


def engine(name, levels, spaces):
    """A vector field whose graph an engine makes."""
    return {
        "properties": {
            "method": {"properties": {"engine": {"const": name}}},
            "compression_level": {"enum": levels},
            "space_type": {"enum": spaces},
        }
    }


KNN_VECTOR = fields(
    {
        "type": {"const": "knn_vector"},
        "dimension": {"type": "integer", "minimum": 1, "maximum": 16_000},
        "method": fields(
            {"name": {"const": "hnsw"}},
            {"engine": {"enum": ["faiss", "lucene"]}, "parameters": {"type": "object"}},
        ),
        "space_type": STRING,
    },
    {
        "data_type": {"enum": ["float", "byte", "binary", "half_float"]},
        "mode": {"enum": ["in_memory", "on_disk"]},
        "compression_level": STRING,
    },
    oneOf=[
        engine("faiss", FAISS_LEVELS, ["l2", "innerproduct", "hamming", "cosinesimil"]),
        engine("lucene", LUCENE_LEVELS, ["l2", "innerproduct", "cosinesimil"]),
    ],
)
OTHER_FIELD = {
    "oneOf": [
        fields({"type": {"const": "text"}}),
        fields({"type": {"const": "keyword"}}, {"ignore_above": COUNT}),
    ]
}
INDEX = fields(
    {
        "settings": fields(
            {"index.knn": {"const": True}},
            {"index.search.default_pipeline": STRING, "index.default_pipeline": STRING},
        ),
        "mappings": fields(
            {"properties": {"type": "object", "properties": {"embedding": KNN_VECTOR}}},
            {"_meta": {"type": "object"}},
        ),
    }
)
INDEX["properties"]["mappings"]["properties"]["properties"]["additionalProperties"] = OTHER_FIELD

NEURAL = fields(
    {},
    {
        "query_text": STRING,
        "query_image": STRING,
        "model_id": STRING,
        "k": COUNT,
        "min_score": {"type": "number"},
        "max_distance": {"type": "number"},
        "filter": {"type": "object"},
        "method_parameters": {"type": "object"},
        "rescore": {"type": ["object", "boolean"]},
    },
    anyOf=[{"required": ["query_text"]}, {"required": ["query_image"]}],
)
SEARCH = fields(
    {"query": fields({"neural": {"type": "object", "additionalProperties": NEURAL, **ONE}})},
    {"size": COUNT, "_source": {"type": "object"}},
)
BULK_ACTION = fields({"index": fields({}, {"_index": STRING, "_id": STRING})})

# "Create index": lower case, not begun by `_` or `-`, and none of these characters.
NAME = r"(?![-_])[^A-Z\s\\/*?\"<>|,#:]{1,255}"
SCHEMAS = [
    ("POST", r"/_plugins/_ml/connectors/_create", CONNECTOR),
    ("POST", r"/_plugins/_ml/model_groups/_register", MODEL_GROUP),
    ("POST", r"/_plugins/_ml/models/_register\?deploy=true", MODEL),
    ("PUT", rf"/_ingest/pipeline/{NAME}", INGEST_PIPELINE),
    ("PUT", rf"/_search/pipeline/{NAME}", SEARCH_PIPELINE),
    ("PUT", rf"/{NAME}", INDEX),
    ("GET", rf"/{NAME}/_search", SEARCH),
]


def errors(method, path, body):
    """What is wrong with a request by the documentation; it may also be none that is known."""
    found = [
        schema for verb, form, schema in SCHEMAS if verb == method and re.fullmatch(form, path)
    ]
    if len(found) != 1:
        return [f"{method} {path} is no request that is known"]
    return invalid(found[0], body)


def invalid(schema, body):
    """What is wrong with a body by its schema."""
    return [one.message for one in Draft202012Validator(schema).iter_errors(body)]
