"""Description of a container: how to start it, and its requests and answers. Data only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Minimum cosine to the reference; below it an embedding is wrong.
EXACT = 0.999
# Libraries send no telemetry and do not ask the hub.
QUIET = {"DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


@dataclass(frozen=True)
class Site:
    """Where a container runs. python: its environment's. model: its checkpoint's folder."""

    python: Path
    model: Path
    port: int


@dataclass(frozen=True)
class Container:
    """A service that embeds the images of URLs.

    command: its program and arguments. environ: variables besides QUIET's. words: a description.
    ask: the JSON of a request of URLs. answer: embeddings of an answer, None for a failed item.
    requirements: name of the requirements file of its own environment; None: the project's.
    polls: whether it takes processor time while idle. min_cosine: to the reference.
    imports: a line of Python that imports its packages.
    """

    name: str
    words: str
    command: Callable[[Site], list[str]]
    answer: Callable[[Any], list[list[float] | None]]
    environ: Callable[[Site], Mapping[str, str]] = field(default=lambda _: {})
    ask: Callable[[Sequence[str]], Any] = field(default=lambda urls: {"urls": list(urls)})
    path: str = "/invocations"
    ready_path: str = "/ping"
    requirements: str | None = None
    polls: bool = False
    min_cosine: float = EXACT
    imports: str = "pass"
