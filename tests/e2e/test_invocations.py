"""Requests to a real gunicorn, over real sockets, for images of a real server."""

import base64
import json
import shlex
import subprocess
from contextlib import suppress

import numpy as np
import pytest
import requests

from inference.loadtest.thumbnail_server import Reply, ThumbnailServer
from model.backends.fake import FakeEncoder
from tests.e2e.service import ROOT, started
from tests.images import jpeg, png


def vector_of(data):
    encoder = FakeEncoder()
    return encoder.encode_images(encoder.spec.preprocessing(data)[None])[0]


def code_of(response):
    assert response.headers["Content-Type"] == "application/json"
    return response.status_code, response.json()["error"]["code"]


def sixty_four(server):
    """64 URLs, three of them bad, and what is wrong with those."""
    urls = server.thumbnails(64)
    server.replies |= {
        "/cut": Reply(jpeg(300, 200)[:2000]),
        "/page": Reply(b"<!doctype html><title>x</title>", "text/html"),
    }
    bad = {9: "/missing", 30: "/cut", 63: "/page"}
    for index, path in bad.items():
        urls[index] = server.url(path)
    codes = {9: "fetch_http_status", 30: "decode_corrupt", 63: "decode_unsupported"}
    return urls, codes


def check_sixty_four(body, codes):
    assert [result["index"] for result in body["results"]] == list(range(64))
    found = {
        result["index"]: result["error"]["code"] for result in body["results"] if "error" in result
    }
    assert found == codes


def test_64_urls_in_order_with_each_error_in_its_place(service, thumbnail_server):
    urls, codes = sixty_four(thumbnail_server)
    response = service.invoke({"urls": urls, "parameters": {"timings": True}})
    assert response.status_code == 200
    body = response.json()
    check_sixty_four(body, codes)
    for result, url in zip(body["results"], urls, strict=True):
        if "embedding" in result:
            expected = vector_of(requests.get(url, timeout=60).content)
            np.testing.assert_array_equal(np.float32(result["embedding"]), expected)
    assert body["timings"]["total_ms"] > 0
    attributes = response.headers["X-Amzn-SageMaker-Custom-Attributes"]
    assert f"fingerprint={body['fingerprint']};failures=3;" in attributes


def test_the_built_in_model_embeds_64_urls_and_finds_them(tmp_path, thumbnail_server):
    """The main job with the real model: images and texts in one space, unit norm."""
    from model.synthetic.thumbnails import sample

    urls, codes = sixty_four(thumbnail_server)
    with started(tmp_path, "--model", "builtin", "--fetch-timeout-ms", "60000") as service:
        assert service.ping().status_code == 200
        body = service.invoke({"urls": urls}).json()
        check_sixty_four(body, codes)
        good = [r["index"] for r in body["results"] if "embedding" in r]
        images = np.float32([body["results"][index]["embedding"] for index in good])
        texts = service.invoke({"texts": [sample(seed).caption for seed in good]}).json()
        vectors = np.float32([result["embedding"] for result in texts["results"]])
    assert body["model"] == "builtin"
    assert body["fingerprint"] == texts["fingerprint"]
    assert images.shape == (61, body["dimension"])
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    nearest = (vectors @ images.T).argmax(axis=1)
    assert np.mean(nearest == np.arange(len(good))) > 0.5


@pytest.mark.parametrize(
    "media_type", ["image/png", "application/x-image", "application/octet-stream"]
)
def test_the_body_may_be_an_image(service, media_type):
    headers = {"Content-Type": media_type}
    response = requests.post(service.url("/invocations"), png(), headers=headers, timeout=60)
    vector = np.float32(response.json()["results"][0]["embedding"])
    np.testing.assert_array_equal(vector, vector_of(png()))


def test_an_image_may_be_a_data_url_in_every_form(service):
    url = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    answers = [
        service.invoke(body).json()["results"]
        for body in ({"image": url}, {"images": [url]}, {"inputs": [{"image": url, "id": "7"}]})
    ]
    headers = {"Content-Type": "application/jsonlines", "Accept": "application/jsonlines"}
    line = json.dumps({"image": url})
    lines = service.session.post(
        service.url("/invocations"), data=line, headers=headers, timeout=60
    ).text
    for (result,) in [*answers, [json.loads(lines)]]:
        np.testing.assert_array_equal(np.float32(result["embedding"]), vector_of(png()))


def test_no_content_type_and_no_accept_is_json(service):
    session = requests.Session()
    session.headers.clear()
    body = json.dumps({"texts": ["a", "a", "b"]}).encode()
    first, second, third = session.post(service.url("/invocations"), body, timeout=60).json()[
        "results"
    ]
    assert first["embedding"] == second["embedding"] != third["embedding"]


def test_base64_embeddings_and_custom_attributes(service):
    headers = {"X-Amzn-SageMaker-Custom-Attributes": "encoding=base64;timings=true"}
    body = service.invoke({"text": "a"}, headers=headers).json()
    vector = np.frombuffer(base64.b64decode(body["results"][0]["embedding"]), dtype="<f4")
    np.testing.assert_array_equal(vector, FakeEncoder().encode_texts(["a"])[0][0])
    assert "encode_ms" in body["timings"]


def test_all_items_failing_is_still_a_200(service):
    response = service.invoke({"urls": ["http://10.0.0.1/a", "nonsense"]})
    assert response.status_code == 200
    codes = [result["error"]["code"] for result in response.json()["results"]]
    assert codes == ["fetch_blocked", "fetch_blocked"]


def test_refusals_have_the_form_of_the_interface(service):
    post = requests.post
    url = service.url("/invocations")
    assert code_of(post(url, b"{", timeout=60)) == (400, "bad_request")
    assert code_of(post(url, b"x", headers={"Content-Type": "text/x-c"}, timeout=60)) == (
        415, "unsupported_media_type",
    )  # fmt: skip
    assert code_of(service.invoke({"text": "a"}, headers={"Accept": "text/html"})) == (
        406, "not_acceptable",
    )  # fmt: skip
    assert code_of(service.invoke({"text": "a", "parameters": {"stream": 1}})) == (
        400, "bad_request",
    )  # fmt: skip
    assert code_of(requests.get(url, timeout=60))[0] == 405
    assert code_of(requests.get(service.url("/models"), timeout=60))[0] == 404


def test_ping_answers_get_and_post(service):
    assert service.ping().status_code == 200
    assert requests.post(service.url("/ping"), timeout=60).status_code == 200


def test_a_body_of_25_mb_is_read_and_a_larger_one_refused(service):
    image = base64.b64encode(png(64, 48)).decode()
    padding = " " * (25 * 2**20 - len(image) - 20)
    body = f'{{"image": "{image}"{padding}}}'.encode()
    assert len(body) <= 25 * 2**20
    response = requests.post(service.url("/invocations"), body, timeout=30)
    assert "embedding" in response.json()["results"][0]
    response = requests.post(service.url("/invocations"), body + bytes(2**20), timeout=30)
    assert code_of(response) == (413, "payload_too_large")


def test_a_chunked_body_is_read_and_bounded(service):
    def chunks(count):
        yield b'{"text": "'
        for _ in range(count):
            yield b"x" * 2**20
        yield b'"}'

    url = service.url("/invocations")
    assert requests.post(url, chunks(1), timeout=30).status_code == 200
    # It may hang up before all was sent; then the next request tells.
    with suppress(requests.ConnectionError):
        assert code_of(requests.post(url, chunks(40), timeout=30)) == (413, "payload_too_large")
    assert service.ping().status_code == 200


def test_more_items_than_permits_pass_through_a_window(service):
    texts = [f"text {number % 700}" for number in range(3000)]
    results = service.invoke({"texts": texts}).json()["results"]
    expected = FakeEncoder().encode_texts(texts)[0]
    for result, vector in zip(results, expected, strict=True):
        np.testing.assert_array_equal(np.float32(result["embedding"]), vector)


def test_a_deadline_of_the_request_is_kept(service):
    with ThumbnailServer(latency_s=2.0) as slow:
        body = {"inputs": [{"text": "a"}, {"url": slow.url("/1.jpg")}]}
        body["parameters"] = {"deadline_ms": 300}
        first, second = service.invoke(body).json()["results"]
    assert "embedding" in first
    assert second["error"]["code"] == "deadline_exceeded"


def test_the_readmes_curl_commands_work(service):
    """As they stand, with the port of this service."""
    readme = (ROOT / "README.md").read_text()
    commands = [line.strip() for line in readme.splitlines() if line.startswith("    curl ")]
    assert len(commands) >= 3
    for line in commands:
        arguments = shlex.split(line.replace(":8080", f":{service.port}"))
        result = subprocess.run([*arguments, "--fail", "-sS"], cwd=ROOT, capture_output=True)
        assert result.returncode == 0, f"{line}: {result.stderr.decode()}"
        assert b"error" not in result.stdout


def test_a_compressed_body_is_refused_by_its_name(service):
    response = service.invoke({"text": "a"}, headers={"Content-Encoding": "gzip"})
    assert code_of(response) == (415, "unsupported_media_type")
    assert "Content-Encoding" in response.json()["error"]["message"]


def test_a_file_of_the_machine_cannot_be_named(service, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png())
    urls = [str(path), f"file://{path}", f"file:{path}"]
    results = service.invoke({"urls": urls}).json()["results"]
    assert [one["error"]["code"] for one in results] == ["fetch_blocked"] * 3
    for key in ("file", "path", "image_file", "ImageFile"):
        assert code_of(service.invoke({"inputs": [{key: str(path)}]})) == (400, "bad_request")
