"""Draw the known thumbnail and write down its vectors anew: python -m tests.deploy.known."""

import json
import time

from deploy.smoke import KNOWN, TEXT
from inference.types import ImageBytes, Text
from model.attributes import Attributes
from model.thumbnails import draw, encode
from serve.compose import open_engine
from serve.settings import Settings

DRAWN = Attributes("login", "blue", "dark", "phone")


def embed():
    """(fingerprint, vectors) of the built-in model by torch in float32."""
    items = [ImageBytes((KNOWN / "thumbnail.png").read_bytes()), Text(TEXT)]
    settings = Settings(backend="torch", precision="float32", batch_size=2, text_batch_size=2)
    with open_engine(settings, may_tune=False) as engine:
        answer = engine.embed(items, time.monotonic() + 60)
        return engine.spec.fingerprint, [one.vector for one in answer.results]


if __name__ == "__main__":
    (KNOWN / "thumbnail.png").write_bytes(encode(draw(DRAWN, seed=9), "PNG"))
    fingerprint, (image, text) = embed()
    vectors = {"image": image, "text": text}
    numbers = {kind: [round(float(one), 6) for one in vector] for kind, vector in vectors.items()}
    document = {"fingerprint": fingerprint, **numbers}
    (KNOWN / "builtin.json").write_text(json.dumps(document) + "\n")
