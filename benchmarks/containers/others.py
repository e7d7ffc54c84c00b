"""The other containers: run as documented, with the settings that suit this load best.

- flask: one synchronous gunicorn worker; downloads one after another; torch on all cores.
- flask-threads: four gunicorn threads for the four clients, downloads and decodes on sixteen.
- litserve: one worker per core, each with torch on one thread, so that one downloads while another
  encodes; up to two requests a batch, with a wait of up to 50 ms; downloads and decodes on sixteen
  threads. In trials on a busy machine one worker with all cores took more core time an image.
- infinity: batches of 32, its default; torch on all cores, float32, no BetterTransformer, which its
  torch version lacks. Its block list of private addresses is emptied, because it blocks localhost.
- infinity-compiled: the same with torch.compile, which needs a C++ compiler.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.containers.container import Container, Site

LITSERVE_APP = str(Path(__file__).with_name("litserve_app.py"))
FLASK_APP = "benchmarks.containers.flask_app:app"


def _answer(answer: Any) -> list[list[float] | None]:
    return list(answer["embeddings"])


def _flask(*options: str) -> Any:
    def command(site: Site) -> list[str]:
        bind = f"127.0.0.1:{site.port}"
        gunicorn = [str(site.python), "-m", "gunicorn", FLASK_APP, "--workers", "1"]
        return [*gunicorn, "--bind", bind, "--timeout", "120", *options]

    return command


def _flask_environ(downloads: int) -> Any:
    def environ(site: Site) -> Mapping[str, str]:
        return {"MODEL": str(site.model), "DOWNLOADS": str(downloads)}

    return environ


def _litserve(site: Site) -> list[str]:
    return [str(site.python), LITSERVE_APP, "--model", str(site.model), "--port", str(site.port)]


def _infinity(site: Site, compiled: str = "--no-compile") -> list[str]:
    program = str(site.python.with_name("infinity_emb"))
    where = ["--host", "127.0.0.1", "--port", str(site.port)]
    model = ["--model-id", str(site.model), "--served-model-name", "clip", "--engine", "torch"]
    run = "--device cpu --dtype float32 --no-bettertransformer --batch-size 32"
    return [program, "v2", *where, *model, *run.split(), compiled]


CLASSIC_IMPORTS = (
    "import flask, gunicorn.app.wsgiapp, requests, torch; "
    "from transformers import CLIPModel, CLIPProcessor"
)
FLASK = Container(
    name="flask",
    words="Flask and transformers, downloads one after another",
    command=_flask(),
    environ=_flask_environ(1),
    answer=_answer,
    imports=CLASSIC_IMPORTS,
)
FLASK_THREADS = replace(
    FLASK,
    name="flask-threads",
    words="the same with threads for downloads and requests",
    command=_flask("--threads", "4"),
    environ=_flask_environ(16),
)
LITSERVE = Container(
    name="litserve",
    words="LitServe with its batching",
    command=_litserve,
    answer=_answer,
    requirements="litserve",
    polls=True,
)
INFINITY = Container(
    name="infinity",
    words="infinity_emb's server",
    command=_infinity,
    environ=lambda _: {"INFINITY_MEDIA_URL_BLACKLIST": "", "INFINITY_ANONYMOUS_USAGE_STATS": "0"},
    ask=lambda urls: {"model": "clip", "modality": "image", "input": list(urls)},
    answer=lambda answer: [one["embedding"] for one in answer["data"]],
    path="/embeddings",
    ready_path="/health",
    requirements="infinity",
)
INFINITY_COMPILED = replace(
    INFINITY,
    name="infinity-compiled",
    words="the same, compiled",
    command=lambda site: _infinity(site, "--compile"),
)
OTHERS = (FLASK, FLASK_THREADS, LITSERVE, INFINITY, INFINITY_COMPILED)
