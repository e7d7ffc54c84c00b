"""The wheel as applications and operators install it, beside folders named like ours.

`make wheel-test` runs these. The wheel is built by pip, and the client's environment is filled from
the package index. The service's environment sees the packages of this one in place of the index's.
"""

import json
import subprocess
import sys

import numpy as np
import pytest

from tests.e2e.service import ROOT, Running, without_proxies
from tests.images import png
from tests.ports import free_port

pytestmark = pytest.mark.wheel
FOLDERS = ("deploy", "inference", "model", "serve")
MAX_BYTES = 60_000_000
# What comes with any environment.
TOOLS = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence")
APPLICATION = """
import sys
import deploy, inference, model, serve
from sweetspot import Client, Embedded
with Client(sys.argv[1]) as client:
    results = list(client.embed_texts(["dark login"])) + list(client.embed_urls([sys.argv[2]]))
assert all(isinstance(one, Embedded) for one in results), results
print(*(len(one.embedding) for one in results))
print(*(one.OWNER for one in (deploy, inference, model, serve)))
print(*(name for name in ("click", "numpy", "torch") if name in sys.modules))
"""


TYPED = """
from sweetspot import Client
with Client("http://localhost:8080") as client:
    for one in client.embed_texts(["dark login"]):
        reveal_type(one)
"""


class Environment:
    """One of Python's, empty at first. Its programs run in `project`, whose modules come first."""

    def __init__(self, folder, project):
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        self.bin, self.project = folder / "bin", project
        (self.site,) = folder.glob("lib/python*/site-packages")

    def run(self, program, *words, code=0):
        """Run a program to its end. Returns its output and, after it, its errors."""
        done = subprocess.run(
            [self.bin / program, *map(str, words)], cwd=self.project, env=self.environ,
            capture_output=True, text=True, timeout=400,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    @property
    def environ(self):
        return without_proxies() | {"PYTHONPATH": str(self.project)}

    def pip(self, *words):
        # With the proxies, if the index is behind one.
        done = subprocess.run(
            [self.bin / "pip", *map(str, words)], cwd=self.project, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Someone's, with packages of their own."""
    folder = tmp_path_factory.mktemp("project")
    for name in FOLDERS:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text('OWNER = "the application"\n')
    (folder / "application.py").write_text(APPLICATION)
    (folder / "pictures").mkdir()
    (folder / "pictures" / "one.png").write_bytes(png())
    return folder


@pytest.fixture(scope="module")
def light(tmp_path_factory, project):
    """An environment of the client alone."""
    made = Environment(tmp_path_factory.mktemp("light"), project)
    made.pip("wheel", "--no-deps", "--wheel-dir", made.bin, ROOT)
    made.pip("install", "-c", ROOT / "constraints.txt", *made.bin.glob("*.whl"))
    return made


@pytest.fixture(scope="module")
def whole(tmp_path_factory, project, light):
    """An environment of the service: the same wheel, and what it needs."""
    made = Environment(tmp_path_factory.mktemp("whole"), project)
    made.pip("install", "--no-deps", *light.bin.glob("*.whl"))
    paths = [path for path in sys.path if path.endswith("site-packages")]
    (made.site / "others.pth").write_text("\n".join(paths))
    return made


@pytest.fixture(scope="module")
def service(whole, tmp_path_factory):
    """Serves the built-in model, with processes that fetch and decode."""
    port, log = free_port(), tmp_path_factory.mktemp("log") / "serve.log"
    words = ["serve", "--port", str(port), "--allow-host", "127.0.0.1"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [whole.bin / "sweetspot", *words, "--preprocess-processes", "1"],
            cwd=whole.project, env=whole.environ, stdout=file, stderr=file,
        )  # fmt: skip
    try:
        yield Running(process, port, log).wait_until_ready()
    finally:
        process.terminate()
        process.wait(60)


def test_the_client_alone_is_small(light):
    installed = [
        path
        for path in light.site.rglob("*")
        if path.is_file() and not path.relative_to(light.site).parts[0].startswith(TOOLS)
    ]
    assert sum(path.stat().st_size for path in installed) < MAX_BYTES
    assert any(path.suffix == ".pyc" for path in installed)
    tops = {path.relative_to(light.site).parts[0] for path in installed}
    assert not tops & {"numpy", "torch", *FOLDERS}


def test_a_type_checker_knows_what_the_client_returns(light, tmp_path):
    (tmp_path / "typed.py").write_text(TYPED)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-executable", light.bin / "python",
         "--cache-dir", tmp_path / "cache", "typed.py"],
        cwd=tmp_path, env=without_proxies(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "sweetspot.serve.wire.client_side.Embedded" in done.stdout


@pytest.mark.parametrize("name", ["serve", "check"])
def test_a_command_says_what_to_install_where_the_client_is_alone(light, name):
    words = ["--port", free_port()] if name == "serve" else []
    said = light.run("sweetspot", name, *words, code=1)
    assert said == "Error: this needs numpy: pip install 'sweetspot-clip[serve]'\n"


def test_a_deployment_is_planned_where_the_client_is_alone(light):
    image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/sweetspot:cpu"
    light.run("sweetspot", "deploy", "render", "designs", "--image", image, "-o", "designs.json")
    assert json.loads((light.project / "designs.json").read_text())["Resources"]


@pytest.mark.parametrize("kind", ["light", "whole"])
def test_an_application_embeds_beside_folders_of_our_names(kind, request, service, thumbnail):
    environment = request.getfixturevalue(kind)
    shown = environment.run("python", "application.py", service.url(""), thumbnail)
    sizes, owners, heavy = shown.splitlines()
    assert (sizes, owners, heavy) == ("128 128", " ".join(4 * ["the application"]), "")


@pytest.fixture
def thumbnail():
    from inference.loadtest.thumbnail_server import Reply, ThumbnailServer

    with ThumbnailServer({"/a.png": Reply(png())}) as server:
        yield server.url("/a.png")


def test_the_service_embeds_images_and_texts(service):
    answer = service.invoke({"inputs": [{"text": "dark login"}]}).json()
    assert len(answer["results"][0]["embedding"]) == 128
    sent = service.session.post(
        service.url("/invocations"), data=png(), headers={"Content-Type": "image/png"}
    )
    assert len(sent.json()["results"][0]["embedding"]) == 128


def test_embed_bulk_and_check_run(whole):
    whole.run("python", "-m", "sweetspot", "embed", "pictures", "-o", "embeddings.npy")
    assert np.load(whole.project / "embeddings.npy").shape == (1, 128)
    (whole.project / "texts.jsonl").write_text('{"text": "dark login"}\n')
    words = ("bulk", "texts.jsonl", "-o", "out", "--text-column", "text", "--json")
    assert '"rows"' in whole.run("sweetspot", *words)
    whole.run("sweetspot", "check", "--images", "16")


def test_what_a_message_says_to_install_is_ours(light):
    """pip takes the distribution that is installed, and looks for what the extra needs alone."""
    said = light.pip("install", "--no-deps", "--no-index", "sweetspot-clip[serve]")
    assert "already satisfied: sweetspot-clip[serve]" in said
