"""Draw the known thumbnail and write down its vectors anew: python -m tests.deploy.known."""

import json
import time

from deploy.smoke import KNOWN, TEXT
from inference.types import ImageBytes, Text
from model.files import whole_file, write_whole
from model.synthetic.attributes import Attributes
from model.synthetic.thumbnails import draw, encode
from serve.compose import open_engine
from serve.settings import Settings

DRAWN = Attributes("login", "blue", "dark", "phone")


def embed(thumbnail):
    """(fingerprint, vectors) of the built-in model by torch in float32."""
    items = [ImageBytes(thumbnail), Text(TEXT)]
    settings = Settings(backend="torch", precision="float32", batch_size=2, text_batch_size=2)
    with open_engine(settings, may_tune=False) as engine:
        answer = engine.embed(items, time.monotonic() + 60)
        return engine.spec.fingerprint, [one.vector for one in answer.results]


if __name__ == "__main__":
    thumbnail = encode(draw(DRAWN, seed=9), "PNG")
    fingerprint, (image, text) = embed(thumbnail)
    vectors = {"image": image, "text": text}
    numbers = {kind: [round(float(one), 6) for one in vector] for kind, vector in vectors.items()}
    document = {"fingerprint": fingerprint, **numbers}
    with whole_file(KNOWN / "thumbnail.png") as file:
        file.write(thumbnail)
    write_whole(KNOWN / "builtin.json", json.dumps(document) + "\n")
