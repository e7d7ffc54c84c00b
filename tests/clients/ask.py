"""Runs in an environment of the clients' own: OpenAI's, against a service of the built-in model.

`python ask.py URL PICTURE ...` embeds texts and pictures in each form of the API, and prints a JSON
object of what came back.
"""

import json
import sys

import openai

TEXTS = ["a dark login screen", "pricing cards", "a bar chart"]
MODEL = "builtin"


def main(url, *pictures):
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused")
    images = [{"image": picture} for picture in pictures]
    found = {
        "openai": [
            *vectors(client.embeddings.create(model=MODEL, input=TEXTS)),
            *vectors(client.embeddings.create(model=MODEL, input=images)),
        ],
        "float": vectors(
            client.embeddings.create(model=MODEL, input=TEXTS, encoding_format="float")
        ),
        "infinity": vectors(
            client.embeddings.create(
                model=MODEL, input=list(pictures), extra_body={"modality": "image"}
            )
        ),
        "vllm": [vllm(client, picture) for picture in pictures],
        "models": [model.id for model in client.models.list()],
        "refused": refused(client),
    }
    print(json.dumps(found))


def vectors(answer):
    return [one.embedding for one in answer.data]


def vllm(client, picture):
    """As vLLM's documentation asks for the embedding of an image."""
    content = [{"type": "image_url", "image_url": {"url": picture}}]
    answer = client.post(
        "/embeddings",
        cast_to=openai.types.CreateEmbeddingResponse,
        body={
            "model": MODEL,
            "messages": [{"role": "user", "content": content}],
            "encoding_format": "float",
        },
    )
    return answer.data[0].embedding


def refused(client):
    try:
        client.embeddings.create(model=MODEL, input=["fine", ""])
    except openai.UnprocessableEntityError as exc:
        return [exc.status_code, exc.code, exc.param]
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
