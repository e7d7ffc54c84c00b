"""What SageMaker's batch transform does with one object, split and assembled by line."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import requests

MB = 2**20
RETRIES = 3
TIMEOUT_S = 600


@dataclass(frozen=True)
class Job:
    """How it asks; by default as `/execution-parameters` says."""

    media_type: str
    concurrent: int
    strategy: str
    payload_bytes: int


def advertised(service: Any, media_type: str) -> Job:
    """The job that the container asks for."""
    answer = service.session.get(service.url("/execution-parameters"), timeout=10).json()
    return Job(
        media_type,
        answer["MaxConcurrentTransforms"],
        answer["BatchStrategy"],
        answer["MaxPayloadInMB"] * MB,
    )


def payloads(lines: Sequence[bytes], job: Job) -> list[bytes]:
    """Whole lines, as many as fit, or one; each with its newline."""
    if job.strategy == "SINGLE_RECORD":
        return [line + b"\n" for line in lines]
    found: list[list[bytes]] = [[]]
    size = 0
    for line in lines:
        if found[-1] and size + len(line) + 1 > job.payload_bytes:
            found.append([])
            size = 0
        found[-1].append(line + b"\n")
        size += len(line) + 1
    return [b"".join(one) for one in found]


def transform(url: str, lines: Sequence[bytes], job: Job) -> list[bytes]:
    """The lines of the output object."""
    local = threading.local()
    headers = {"Content-Type": job.media_type, "Accept": job.media_type}

    def invoke(payload: bytes) -> bytes:
        if not hasattr(local, "session"):
            local.session = requests.Session()
        refused = ""
        for _ in range(1 + RETRIES):
            answer = local.session.post(url, payload, headers=headers, timeout=TIMEOUT_S)
            if answer.status_code == 200:
                return bytes(answer.content)
            refused = answer.text
        raise AssertionError(refused)

    with ThreadPoolExecutor(job.concurrent) as pool:
        answers = list(pool.map(invoke, payloads(lines, job)))
    # AssembleWith Line: a newline behind each answer.
    return b"".join(answer + b"\n" for answer in answers).split(b"\n")[:-1]
