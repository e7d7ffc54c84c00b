"""The connector of ml-commons to a SageMaker endpoint, and the model registered with it. Pure.

Held to the blueprints of ml-commons for SageMaker, and for the multimodal Titan model of Bedrock,
whose requests and answers have the same form as the container's.
"""

from __future__ import annotations

from typing import Any

from deploy.opensearch.config import Connection

Body = dict[str, Any]
URL = "https://runtime.sagemaker.${{parameters.region}}.amazonaws.com/endpoints/{name}/invocations"
# `:-null` makes a JSON null of a parameter that is missing.
TEXT_AND_IMAGE = (
    '{"inputText": "${parameters.inputText:-null}", "inputImage": "${parameters.inputImage:-null}"}'
)
TEXTS = "${parameters.input}"
# Built-in functions of ml-commons, the multimodal one since 2.16. Each pair goes with a body above.
MULTIMODAL = (
    "connector.pre_process.bedrock.multimodal_embedding",
    "connector.post_process.bedrock.embedding",
)
DEFAULT = ("connector.pre_process.default.embedding", "connector.post_process.default.embedding")
# A text and its image are handed over as two documents.
TEXT_AND_IMAGE_DOCUMENTS = 2


def connector(connection: Connection) -> Body:
    """Return the body of `POST /_plugins/_ml/connectors/_create`."""
    parameters: Body = {"region": connection.region, "service_name": "sagemaker"}
    if not connection.texts_only:
        parameters["input_docs_processed_step_size"] = TEXT_AND_IMAGE_DOCUMENTS
    return {
        "name": connection.name,
        "description": _description(connection),
        "version": 1,
        "protocol": "aws_sigv4",
        "parameters": parameters,
        "credential": _credential(connection),
        "actions": [_predict(connection)],
    }


def model_group(connection: Connection) -> Body:
    """Return the body of `POST /_plugins/_ml/model_groups/_register`."""
    return {"name": connection.name, "description": _description(connection)}


def model(connection: Connection) -> Body:
    """Return the body of `POST /_plugins/_ml/models/_register`. It names ids that answers give."""
    return {
        "name": connection.name,
        "function_name": "remote",
        "model_group_id": "{model_group_id}",
        "description": _description(connection),
        "connector_id": "{connector_id}",
    }


def _predict(connection: Connection) -> Body:
    before, after = DEFAULT if connection.texts_only else MULTIMODAL
    headers = {"content-type": "application/json"}
    if connection.model is not None:
        headers["X-Amzn-SageMaker-Custom-Attributes"] = f"model={connection.model}"
    return {
        "action_type": "predict",
        "method": "POST",
        "url": URL.format(name=connection.endpoint),
        "headers": headers,
        "request_body": TEXTS if connection.texts_only else TEXT_AND_IMAGE,
        "pre_process_function": before,
        "post_process_function": after,
    }


def _credential(connection: Connection) -> dict[str, str]:
    if connection.role_arn is not None:
        return {"roleArn": connection.role_arn}
    return {"access_key": "{access_key}", "secret_key": "{secret_key}"}


def _description(connection: Connection) -> str:
    which = f", model {connection.model}" if connection.model else ""
    return (
        f"Sweetspot embeddings by the SageMaker endpoint {connection.endpoint}{which}: "
        f"{connection.dimension} dimensions, fingerprint {connection.fingerprint}"
    )
