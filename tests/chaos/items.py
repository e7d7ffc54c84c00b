"""Items whose answer is known beforehand: good ones by their embedding, bad ones by their code."""

from __future__ import annotations

import base64
import functools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

import numpy as np

from inference.loadtest.thumbnail_server import Reply
from model.backends.fake import FakeEncoder
from model.synthetic.mixes import small, thumbnail
from tests.chaos.image_server import MoodyServer
from tests.faulty_pictures import CRASHES, KILLS
from tests.images import damaged_images, odd_images

THUMBNAILS, SMALL, TEXTS = 96, 48, 64
# In the query of every URL, as a presigned one has: neither answers nor logs may hold it.
SECRET = "s1gnature-that-nobody-sees"
ENCODER = FakeEncoder()
# By a fault of its own, and as the kernel does it when memory runs out.
ENDING = (CRASHES, KILLS)


@dataclass(frozen=True)
class Known:
    """One item. vector: float32 [D] as bytes, or empty for a bad item, which has `code` then.

    fetched: whether the moods of the image server can make it fail. ends: whether it ends the
    process that decodes it.
    """

    form: str
    value: str
    vector: bytes = b""
    code: str = ""
    fetched: bool = False
    ends: bool = False


@dataclass(frozen=True)
class Catalogue:
    """What requests draw from. ending: pictures that end the process that decodes them."""

    good: list[Known]
    bad: list[Known]
    ending: list[Known]


def replies() -> dict[str, Reply]:
    """What the image server holds, by path."""
    pictures = {f"/{seed}.jpg": thumbnail(seed).data for seed in range(THUMBNAILS)}
    pictures |= {f"/odd/{name}": data for name, data in odd_images().items()}
    pictures |= {f"/bad/{name}": data for name, (data, _) in _damaged().items()}
    pictures |= {f"/ends/{data.decode()}": data for data in ENDING}
    found = {path: Reply(data) for path, data in pictures.items()}
    return found | {
        "/to-0": Reply(status=302, headers={"Location": "/0.jpg"}),
        "/loop": Reply(status=302, headers={"Location": "/loop"}),
        "/inside": Reply(status=302, headers={"Location": "http://169.254.169.254/latest"}),
        "/broken": Reply(b"a fault", status=500),
        "/forbidden": Reply(b"no", status=403),
    }


def catalogue(server: MoodyServer, nobody: str, processes: int) -> Catalogue:
    """All items. nobody: an origin that refuses connections. processes: that decode."""
    good = [*_urls(server), *_inline(), *(text(f"a screen of number {n}") for n in range(TEXTS))]
    good += [text("   leading blanks"), text("word " * 200), text("暗い画面 🙂 écran")]
    bad = [*_bad_urls(server, nobody), *_bad_inline()]
    # Without processes such a picture ends the worker.
    return Catalogue(good, bad, [*_ending(server)] if processes else [])


def text(value: str) -> Known:
    """A good text."""
    return Known("text", value, ENCODER.encode_texts([value])[0][0].tobytes())


def fresh_text(dice: random.Random) -> Known:
    """A text that nobody asked before: the service cannot know it by heart."""
    return text(f"query {dice.getrandbits(64):x}")


def data_url(data: bytes) -> str:
    """An image as a URL that holds it."""
    return f"data:image/png;base64,{_base64(data)}"


def _urls(server: MoodyServer) -> Iterator[Known]:
    for path, reply in server.replies.items():
        if reply.status == HTTPStatus.OK and not path.startswith(("/bad/", "/ends/")):
            yield Known("url", _signed(server, path), _vector(reply.body), fetched=True)
    first = _vector(server.replies["/0.jpg"].body)
    yield Known("url", _signed(server, "/to-0"), first, fetched=True)


def _inline() -> Iterator[Known]:
    for seed in range(SMALL):
        data = small(seed).data
        form, value = ("image", _base64(data)) if seed % 2 else ("url", data_url(data))
        yield Known(form, value, _vector(data))


def _bad_urls(server: MoodyServer, nobody: str) -> Iterator[Known]:
    for name, (_, code) in _damaged().items():
        yield Known("url", _signed(server, f"/bad/{name}"), code=code, fetched=True)
    paths = {
        "/gone.jpg": "fetch_http_status",
        "/forbidden": "fetch_http_status",
        "/broken": "fetch_http_status",
        "/loop": "fetch_redirects",
        "/inside": "fetch_blocked",
    }
    for path, code in paths.items():
        yield Known("url", _signed(server, path), code=code, fetched=True)
    yield Known("url", f"{nobody}/1.jpg", code="fetch_connect")
    for url in (
        "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/1.jpg", "http://[::1]/1.jpg",
        "http://0x7f000001/1.jpg", "ftp://example.com/1.jpg", "file:///etc/passwd", "nonsense",
        "s3://bucket/key", "http://user:secret@example.com/1.jpg", "https://example.com:22/1.jpg",
    ):  # fmt: skip
        yield Known("url", url, code="fetch_blocked")


def _bad_inline() -> Iterator[Known]:
    for number, (data, code) in enumerate(_damaged().values()):
        if data:
            form, value = ("image", _base64(data)) if number % 2 else ("url", data_url(data))
            yield Known(form, value, code=code)
    yield Known("image", "not base64!", code="decode_corrupt")
    for value in ("", "  \n", "x" * 70_000, "half a pair \ud83d"):
        yield Known("text", value, code="text_invalid")


def _ending(server: MoodyServer) -> Iterator[Known]:
    for data in ENDING:
        yield Known("image", _base64(data), code="decode_corrupt", ends=True)
        url = _signed(server, f"/ends/{data.decode()}")
        yield Known("url", url, code="decode_corrupt", fetched=True, ends=True)


@functools.cache
def _damaged() -> dict[str, tuple[bytes, str]]:
    return dict(damaged_images())


def _vector(data: bytes) -> bytes:
    pixels = np.stack([ENCODER.spec.preprocessing(data)])
    return bytes(ENCODER.encode_images(pixels)[0].tobytes())


def _signed(server: MoodyServer, path: str) -> str:
    return f"{server.url(path)}?signature={SECRET}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
