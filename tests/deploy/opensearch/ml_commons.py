"""How ml-commons uses a connector: by its documentation, written anew.

A remote model gets documents (a list of texts, or one text and its image). The pre-process function
makes parameters of them, the parameters fill the request body, and the post-process function reads
tensors out of the answer. "Connector blueprints" documents the default functions and the body. The
multimodal pair does what the Painless scripts of the blueprint for Titan Multimodal do.
"""

import json
import re

# The defaults of `plugins.ml_commons.trusted_connector_endpoints_regex` for SageMaker.
TRUSTED = r"^https://runtime\.sagemaker\..*[a-z0-9-]\.amazonaws\.com/.*$"


class Refused(Exception):
    """What ml-commons would answer by an error."""


def predict(connector, documents, send):
    """Return the tensors of documents. send(url, headers, body): the bytes of a 200 answer."""
    (action,) = [one for one in connector["actions"] if one["action_type"] == "predict"]
    step = int(connector["parameters"].get("input_docs_processed_step_size", len(documents)))
    url = filled(action["url"], connector["parameters"])
    if not re.match(TRUSTED, url):
        raise Refused("Connector URL is not matching the trusted connector endpoint regex")
    tensors = []
    for first in range(0, len(documents), step):
        body = payload(connector, action, documents[first : first + step])
        answer = json.loads(send(url, action["headers"], body))
        tensors += POST_PROCESS[action["post_process_function"]](answer)
    return tensors


def payload(connector, action, documents):
    """The body that is sent for documents."""
    made = PRE_PROCESS[action["pre_process_function"]](documents)
    parameters = connector["parameters"] | {name: escaped(one) for name, one in made.items()}
    body = filled(with_nulls(action["request_body"], parameters), parameters)
    try:
        json.loads(body)
    except ValueError as exc:
        raise Refused(f"Invalid payload: {body}") from exc
    return body.encode()


def default_pre(documents):
    """The `input` is the list of texts, as JSON."""
    return {"input": json.dumps(documents, ensure_ascii=False)}


def multimodal_pre(documents):
    """The first document is the text, even if it is null, the second the image."""
    if not documents or documents == [None]:
        raise Refused("No input text or image provided")
    return dict(zip(("inputText", "inputImage"), documents, strict=False))


def default_post(answer):
    """A two-dimensional array of numbers: an embedding for each text."""
    if not isinstance(answer, list) or not all(isinstance(one, list) for one in answer):
        raise Refused("The embedding should be a non-empty List containing List of Float values.")
    return [tensor(one) for one in answer]


def multimodal_post(answer):
    """The numbers of `embedding`."""
    return [tensor(answer["embedding"])]


def tensor(numbers):
    if not numbers or not all(type(one) in (int, float) for one in numbers):
        raise Refused("The embedding should be a non-empty List containing Float values.")
    return {
        "name": "sentence_embedding",
        "data_type": "FLOAT32",
        "shape": [len(numbers)],
        "data": numbers,
    }


PRE_PROCESS = {
    "connector.pre_process.default.embedding": default_pre,
    "connector.pre_process.bedrock.multimodal_embedding": multimodal_pre,
}
POST_PROCESS = {
    "connector.post_process.default.embedding": default_post,
    "connector.post_process.bedrock.embedding": multimodal_post,
}


def escaped(value):
    """A parameter as the inside of a JSON string; what is JSON already stays as it is."""
    if value is None or is_json(value):
        return value
    return json.dumps(value)[1:-1].replace("/", r"\/")


def is_json(value):
    try:
        return isinstance(json.loads(value), dict | list)
    except ValueError:
        return False


def with_nulls(template, parameters):
    """`"${parameters.x:-null}"` is null, without quotation marks, if there is no x."""

    def null(found):
        return found[0] if parameters.get(found[1]) is not None else "null"

    return re.sub(r'"\$\{parameters\.(\w+):-null\}"', null, template)


def filled(template, parameters):
    """`${parameters.x}` is x, or its default behind `:-`; without either it stays."""

    def value(found):
        given = parameters.get(found[1])
        return str(given) if given is not None else (found[2] or found[0])

    return re.sub(r"\$\{parameters\.(\w+)(?::-(\w*))?\}", value, template)
