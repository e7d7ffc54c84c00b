"""What a container is to a benchmark: how it is started, asked and understood. Data only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Below it an embedding is not the one that was asked for.
EXACT = 0.999
# No library reports home, or asks a hub for what lies in a folder.
QUIET = {"DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


@dataclass(frozen=True)
class Site:
    """Where one runs. python: of its environment. model: the folder of its checkpoint."""

    python: Path
    model: Path
    port: int


@dataclass(frozen=True)
class Container:
    """A service that embeds the images of URLs.

    command: its program and arguments. environ: variables beside QUIET's. words: what it is.
    ask: the JSON of a request of URLs. answer: embeddings in an answer, None for one that failed.
    requirements: its own environment by its file's name; None for the project's.
    polls: whether it takes processor time while nobody asks it. min_cosine: to the reference.
    imports: a line of Python that imports what it runs on.
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
