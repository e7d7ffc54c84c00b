"""The image, run as the platform and as a careful operator run it. `make image-test`."""

import base64
import json
import os
import shutil
import subprocess
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner
from PIL import Image

from inference.loadtest.thumbnail_server import Reply, ThumbnailServer
from model.checkpoints.checkpoint import BUILTIN_FOLDER
from sweetspot import main
from tests.checkpoints import make_convnext, make_resnet, make_siglip
from tests.image.engine import AS_NOBODY, IMAGE, MEMORY, engine, run, served
from tests.image.sbom import bill
from tests.images import encode, png
from tests.inference.test_engine import wait_for

pytestmark = pytest.mark.image
ALLOW = ("-e", "SWEETSPOT_ALLOW_HOST=127.0.0.1")
# Enough for the built-in and small pictures.
SCANTY = "560m"
MAX_BYTES = 1_600_000_000
ASK = """
import time, urllib.request as http
def ask(path, body=None):
    headers = {'Content-Type': 'application/json'}
    asked = http.Request('http://127.0.0.1:8080' + path, body, headers)
    return http.urlopen(asked, timeout=30).read()
for _ in range(600):
    try:
        ask('/ping')
        break
    except OSError:
        time.sleep(0.1)
print(ask('/invocations', b'{"text": "a dark login screen"}').decode())
"""


FOREIGN = """
import importlib.util, json
names = ("open_clip", "timm", "torchvision", "sentence_transformers")
print(json.dumps([name for name in names if importlib.util.find_spec(name)]))
"""

# Each Python process of the container: its name, its share of all memory, and what only it has.
PROCESSES = """
import json, os, pathlib
found = []
for folder in pathlib.Path('/proc').glob('[0-9]*'):
    pid = int(folder.name)
    try:
        lines = (folder / 'smaps_rollup').read_text().splitlines()[1:]
        name = (folder / 'comm').read_text().strip()
    except OSError:
        continue
    kib = {line.split(':')[0]: int(line.split()[1]) for line in lines}
    own = kib['Private_Clean'] + kib['Private_Dirty']
    if pid != os.getpid():
        found.append({'pid': pid, 'name': name, 'pss_mib': round(kib['Pss'] / 1024, 1),
                      'own_mib': round(own / 1024, 1)})
shm = os.statvfs('/dev/shm')
used = (shm.f_blocks - shm.f_bfree) * shm.f_frsize / 2**20
print(json.dumps({'processes': found, 'dev_shm_mib': used}))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A checkpoint of one's own, as it is mounted."""
    folder = tmp_path_factory.mktemp("artifact") / "model"
    shutil.copytree(BUILTIN_FOLDER, folder)
    folder.parent.chmod(0o755)
    return folder


def test_as_the_platform_runs_it(model):
    """`serve`, root, a read-only mount, no network."""
    options = ("--network", "none", "-v", f"{model}:/opt/ml/model:ro")
    with served("serve", options=options, port_variable="NOTHING", ready=False) as container:
        answer = json.loads(container.ask_inside(ASK))
    assert answer["model"] == "model"
    assert "embedding" in answer["results"][0]


@pytest.mark.parametrize("make", [make_resnet, make_convnext, make_siglip])
def test_other_families_are_served_without_the_libraries_they_come_from(make, tmp_path):
    """A ResNet and a ConvNeXt that were converted, and a SigLIP, each with its graphs."""
    folder = make(tmp_path / "model")
    tmp_path.chmod(0o755)
    assert CliRunner().invoke(main, ["export", "--model", str(folder)]).exit_code == 0
    options = ("--network", "none", "-v", f"{folder}:/opt/ml/model:ro")
    with served("serve", options=options, port_variable="NOTHING", ready=False) as container:
        answer = json.loads(container.ask_inside(ASK))
        foreign = container.ask_inside(FOREIGN)
    assert len(answer["results"][0]["embedding"]) == answer["dimension"]
    assert json.loads(foreign) == []


def test_as_nobody_with_a_read_only_root_and_no_capabilities():
    """64 thumbnails of a server on this machine."""
    with ThumbnailServer() as server, served(options=AS_NOBODY + ALLOW) as container:
        body = container.invoke({"urls": server.thumbnails(64)}).json()
    assert body["model"] == "builtin"
    assert all("embedding" in one for one in body["results"])
    assert len(body["results"]) == 64


def test_the_platforms_port_is_bound():
    with served(port_variable="SAGEMAKER_BIND_TO_PORT") as container:
        assert container.invoke({"text": "a"}).status_code == 200


def test_sigterm_under_load_answers_what_was_accepted_and_ends_with_0():
    ends = []
    with (
        ThumbnailServer({"/a": Reply(png())}, latency_s=0.2) as server,
        served(options=ALLOW) as container,
    ):
        stopping = threading.Event()

        def ask():
            while True:
                session = requests.Session()
                session.trust_env = False
                try:
                    answer = session.post(
                        container.url("/invocations"), json={"url": server.url("/a")}, timeout=60
                    )
                except requests.ConnectionError as exc:
                    ends.append("refused" if "refused" in str(exc) else str(exc))
                    return
                if answer.status_code == 503:
                    ends.append(answer.json()["error"]["code"])
                    return
                assert "embedding" in answer.json()["results"][0]
                if stopping.is_set():
                    ends.append("answered")

        clients = [threading.Thread(target=ask) for _ in range(16)]
        for client in clients:
            client.start()
        time.sleep(1)
        stopping.set()
        engine("stop", "-t", "30", container.name)
        for client in clients:
            client.join(60)
        assert container.state()["ExitCode"] == 0
    assert set(ends) <= {"answered", "refused", "not_ready"}, set(ends)


def test_with_one_cpu_the_threads_and_the_batch_are_others_and_the_log_says_why():
    with served(options=("--cpus", "1")) as container:
        log = container.logs()
    assert "1 core by the container's limit" in log
    assert "3.0 GiB by the container's limit" in log
    assert "1 stream of 1, 1 decoding" in log


def test_processes_fit_into_a_small_container_and_share_no_dev_shm(record_property):
    """2 GiB, two cores, and the 64 MB of /dev/shm that a container has by default."""
    options, memory = (*ALLOW, "--cpus", "2"), ("--memory", "2g", "--memory-swap", "2g")
    with ThumbnailServer() as server, served(options=options, memory=memory) as container:
        urls = server.thumbnails(256)
        requests_of_64 = [{"urls": urls[start : start + 64]} for start in range(0, 256, 64)]
        with ThreadPoolExecutor(4) as pool:
            for answer in pool.map(container.invoke, 3 * requests_of_64):
                assert all("embedding" in one for one in answer.json()["results"])
        found = json.loads(container.ask_inside(PROCESSES))
        record_property("processes", json.dumps(found))
        ours = [one for one in found["processes"] if one["name"] == "sweetspot-prep"]
        assert len(ours) == 2
        assert all(one["own_mib"] < 100 for one in ours), found
        assert found["dev_shm_mib"] < 1
        before = container.worker()
        container.ask_inside(f"import os; os.kill({before}, 9)")
        wait_for(lambda: container.worker() not in {before, ""}, 60)
        container.wait_until_ready()
        after = json.loads(container.ask_inside(PROCESSES))["processes"]
        gone = {one["pid"] for one in found["processes"] if one["pid"] != 1}
        assert not gone & {one["pid"] for one in after}


def test_pictures_over_the_memory_limit_fail_alone_and_the_container_serves_on():
    """48 megapixels do not fit; of 8 megapixels many do, in turns."""
    sizes = [(8000, 6000), (64, 48), *[(3840, 2160 + more) for more in range(30)]]
    inputs = [{"url": _data_url(*size)} for size in sizes]
    with served(memory=("--memory", SCANTY, "--memory-swap", SCANTY)) as container:
        log = container.logs()
        worker = container.worker()
        results = container.invoke({"inputs": inputs}).json()["results"]
        assert results[0]["error"]["code"] == "decode_too_many_pixels"
        assert "MiB of memory" in results[0]["error"]["message"]
        assert all("embedding" in one for one in results[1:])
        assert container.invoke({"text": "still there"}).status_code == 200
        assert container.worker() == worker
    assert "by the container's limit" in log


def _data_url(width, height):
    return (
        "data:image/png;base64,"
        + base64.b64encode(encode(Image.new("RGB", (width, height)), compress_level=1)).decode()
    )


def test_the_other_commands_work():
    assert "--model" in run("serve", "--help")
    assert "CloudFormation" in run("deploy", "render", "--help")
    rows = json.loads(run("settings", "--json"))
    assert rows
    profile = json.loads(run("benchmark", "encoder", "--json"))
    assert profile["profiles"][0]["image"]["batch_size"] >= 1
    assert "dark" in run("embed", "--text", "dark", "--format", "jsonl")
    found = json.loads(run("check", "--images", "16", "--json"))
    assert found


def test_the_bill_of_materials_names_what_is_inside():
    components = json.loads(bill())["components"]
    names = {one["purl"].split("@")[0] for one in components}
    assert {
        "pkg:pypi/torch",
        "pkg:pypi/openvino",
        "pkg:pypi/sweetspot-clip",
        "pkg:deb/debian/libc6",
    } <= names


def test_the_image_is_small_and_says_what_it_is():
    found = json.loads(engine("inspect", IMAGE))[0]
    assert found["Size"] <= MAX_BYTES
    labels = found["Config"]["Labels"]
    for capability in ("accept-bind-to-port", "multi-models"):
        assert labels[f"com.amazonaws.sagemaker.capabilities.{capability}"] == "true"
    assert {"org.opencontainers.image.version", "org.opencontainers.image.revision"} <= set(labels)
    assert found["Config"]["Entrypoint"] == ["sweetspot"]


def test_nothing_that_only_builds_is_inside():
    """No compiler, headers of torch, tests, caches, nncf."""
    program = (
        "import pathlib, shutil; packages = pathlib.Path('/srv/packages');"
        "wrong = [p for p in ('torch/include', 'torch/test', 'nncf', 'pytest', 'moto')"
        " if (packages / p).exists()];"
        "wrong += [c for c in ('gcc', 'cc', 'make') if shutil.which(c)];"
        "wrong += [p for p in ('/root/.cache', '/build') if pathlib.Path(p).exists()];"
        "print(wrong)"
    )
    shown = engine("run", "--rm", *MEMORY, "--entrypoint", "python", IMAGE, "-c", program)
    assert shown.strip() == "[]"


def test_nothing_of_the_machine_that_built_it_is_inside(tmp_path):
    """Its paths, package mirrors and certificates, in every layer's names and texts."""
    root = Path(__file__).parents[2]
    configured = subprocess.run(
        ["pip", "config", "list"], capture_output=True, text=True
    ).stdout.replace("'", " ")
    words = {str(root), os.uname().nodename}
    words |= {word for word in configured.split() if "//" in word and "pypi.org" not in word}
    words |= {word.split("/")[2] for word in words if "://" in word and word.split("/")[2]}
    words = {word.encode() for word in words if len(word) > 6}
    archive = tmp_path / "image.tar"
    engine("save", "-o", str(archive), IMAGE)
    found = set()
    with tarfile.open(archive) as image:
        for layer in image:
            if not layer.isfile():
                continue
            data = image.extractfile(layer)
            try:
                with tarfile.open(fileobj=data) as files:
                    for member in files:
                        if member.isfile() and member.size < 5_000_000:
                            text = files.extractfile(member).read()
                            found |= {(member.name, word) for word in words if word in text}
            except tarfile.ReadError:
                data.seek(0)
                text = data.read()
                found |= {(layer.name, word) for word in words if word in text}
    assert not found
