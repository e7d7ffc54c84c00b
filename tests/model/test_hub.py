"""The hub's path, end to end, against a local server that speaks the hub's protocol."""

import json
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.model.convert.sources import sentence_transformers

ROOT = Path(__file__).parents[2]
COMMIT = "5f" * 20


@contextmanager
def hub(repositories):
    """Serve {"owner/name": folder}, every revision of it at COMMIT. Yields (url, files asked)."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            path = self.path.split("?")[0]
            found = re.fullmatch(r"/api/models/([^/]+/[^/]+)(/(revision|tree)/.+)?", path)
            if found and found.group(1) in repositories:
                folder = repositories[found.group(1)]
                files = [one for one in folder.rglob("*") if one.is_file()]
                info = {"id": found.group(1), "sha": COMMIT, "siblings": []}
                tree = [
                    {
                        "type": "file",
                        "path": one.relative_to(folder).as_posix(),
                        "size": one.stat().st_size,
                        "oid": "0" * 40,
                    }
                    for one in files
                ]
                return self.answer(json.dumps(tree if found.group(3) == "tree" else info).encode())
            found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path)
            if found and found.group(1) in repositories:
                asked.append(found.group(2))
                return self.answer((repositories[found.group(1)] / found.group(2)).read_bytes())
            return self.answer(b"{}", 404, {"X-Error-Code": "RepoNotFound"})

        def answer(self, body, status=200, headers=()):
            self.send_response(status)
            standard = {"ETag": f'"{hash(body):x}"', "X-Repo-Commit": COMMIT}
            for name, value in (standard | dict(headers)).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


def embed(model, home, endpoint):
    """`sweetspot embed --model owner/name` in a process: the hub's library reads at import."""
    arguments = ["embed", "--model", model, "--text", "a login form", "--format", "jsonl"]
    arguments += ["--backend", "torch"]  # converts no graphs
    return python(["-m", "sweetspot", *arguments], home, endpoint)


def downloaded(hub_id, home, endpoint, function="download", **environ):
    """Return the folder that a function of the hub finds in a process."""
    code = f"from model.checkpoints import hub; print(hub.{function}({hub_id!r}))"
    result = python(["-c", code], home, endpoint, **environ)
    assert result.returncode == 0, result.stderr
    return Path(result.stdout.strip())


def environ_of(home, endpoint):
    return os.environ | {"HF_HOME": str(home), "HF_ENDPOINT": endpoint}


def python(arguments, home, endpoint, **environ):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environ_of(home, endpoint) | environ,
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_a_hub_id_is_downloaded_and_found_again_offline(small_checkpoint, tmp_path):
    with hub({"owner/name": small_checkpoint}) as (endpoint, asked):
        result = embed("owner/name", tmp_path, endpoint)
    assert result.returncode == 0, result.stderr
    assert "model.safetensors" in asked
    assert len(json.loads(result.stdout)["embedding"]) == 24
    found = downloaded("owner/name", tmp_path, endpoint, HF_HUB_OFFLINE="1")
    assert found.name == COMMIT
    assert (found / "model.safetensors").exists()
    # The server is gone: the cache also serves a restart that does not know it is offline.
    assert downloaded("owner/name", tmp_path, endpoint) == found


def test_a_revision_is_asked_for(small_checkpoint, tmp_path):
    with hub({"owner/name": small_checkpoint}) as (endpoint, _):
        assert downloaded("owner/name@v1", tmp_path, endpoint).name == COMMIT
    assert (tmp_path / "hub" / "models--owner--name" / "refs" / "v1").read_text() == COMMIT


def test_a_repository_of_pickles_is_refused_and_not_downloaded(small_checkpoint, tmp_path):
    folder = tmp_path / "pickles"
    folder.mkdir()
    for path in small_checkpoint.iterdir():
        name = "pytorch_model.bin" if path.name == "model.safetensors" else path.name
        (folder / name).write_bytes(path.read_bytes())
    with hub({"owner/name": folder}) as (endpoint, asked):
        result = embed("owner/name", tmp_path / "home", endpoint)
    assert result.returncode == 1
    assert "only safetensors are loaded" in result.stderr
    assert "sweetspot convert owner/name -o FOLDER" in result.stderr
    assert "pytorch_model.bin" not in asked


def test_for_conversion_a_repository_is_downloaded_with_one_form_of_its_weights(
    small_checkpoint, tmp_path
):
    folder = tmp_path / "both"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    for name in ("adapter_model.bin", "pytorch_model.bin"):
        (folder / name).write_bytes(b"pickle")
    with hub({"owner/pickles": folder}) as (endpoint, asked):
        found = downloaded("owner/pickles", tmp_path / "home", endpoint, "download_any")
    assert (found / "pytorch_model.bin").exists()
    assert "adapter_model.bin" not in asked
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    with hub({"owner/safe": folder}) as (endpoint, asked):
        found = downloaded("owner/safe", tmp_path / "home", endpoint, "download_any")
    assert (found / "adapter_model.safetensors").exists()
    assert not {"adapter_model.bin", "pytorch_model.bin"} & set(asked)


def test_a_repository_of_another_layout_is_served_or_says_what_it_is(small_checkpoint, tmp_path):
    outer = sentence_transformers(small_checkpoint, tmp_path / "outer")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    code = (
        "from model.load import open_checkpoint\nfor one in ('owner/outer', 'owner/adapter'):\n"
        "    print(open_checkpoint(one).folder.name)"
    )
    with hub({"owner/outer": outer, "owner/adapter": adapter}) as (endpoint, _):
        result = python(["-c", code], tmp_path / "home", endpoint)
    assert result.stdout.strip() == "0_CLIPModel", result.stderr
    assert result.stderr.splitlines()[-1].endswith(
        "owner/adapter is an adapter of PEFT, without model.safetensors; only safetensors are "
        "loaded; convert it once: sweetspot convert owner/adapter -o FOLDER"
    )


def test_a_repository_that_does_not_exist(tmp_path):
    with hub({}) as (endpoint, _):
        result = embed("owner/name", tmp_path, endpoint)
    assert result.returncode == 1
    assert "owner/name: no such repository" in result.stderr
    assert "Traceback" not in result.stderr
