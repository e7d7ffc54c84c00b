"""A flood of pictures that end the process that decodes them, each among good ones.

python -m tests.chaos.flood --pictures 1000
"""

from __future__ import annotations

import base64
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import requests

from model.backends.fake import FakeEncoder
from tests.e2e.service import FORK_SERVER, PREPARING, started
from tests.faulty_pictures import CRASHES
from tests.images import png

# Items of a request, every how many-th of them ends its process, and requests at a time.
ITEMS, EVERY, AT_ONCE = 64, 4, 2
GOOD_PICTURES = 48
PARAMETERS = {"deadline_ms": 600_000, "lane": "bulk", "encoding": "base64"}


@dataclass(frozen=True)
class Report:
    """What came of it. failed: pictures that failed as they should; embedded: good ones, rightly.

    query_s: how long each query beside the flood took. findings: what should not be, in words.
    """

    seconds: float
    failed: int
    embedded: int
    query_s: Sequence[float]
    findings: Sequence[str]


def run(pictures: int, processes: int) -> Report:
    """Start a service, and send `pictures` that end a process."""
    good = _good()
    flags = ("--backend", "fake", "--preprocess-processes", str(processes))
    with (
        tempfile.TemporaryDirectory() as folder,
        started(Path(folder), *flags, program=("tests.e2e.faulty",)) as service,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        worker, start_s = service.worker(), time.monotonic()
        asked = [pool.submit(_ask, service, good, batch) for batch in _batches(pictures)]
        query_s = []
        while not all(one.done() for one in asked):
            query_s.append(_query(service, good[0]))
        answers = list(itertools.chain.from_iterable(one.result() for one in asked))
        took_s = time.monotonic() - start_s
        findings = [one for one in answers if one not in {"failed", "embedded"}]
        findings += ["a query was not answered rightly"] * query_s.count(None)
        if service.worker() != worker or service.ping().status_code != requests.codes.ok:
            findings.append("the worker is another, or not well")
        names = set(service.processes().values())
        if not {FORK_SERVER, PREPARING} <= names:
            findings.append(f"left of its processes: {names}")
    counts = {one: answers.count(one) for one in ("failed", "embedded")}
    return Report(took_s, **counts, query_s=[one or 0.0 for one in query_s], findings=findings)


def _good() -> list[tuple[str, str]]:
    """Pictures and their embeddings, both in base64."""
    encoder, found = FakeEncoder(), []
    for seed in range(GOOD_PICTURES):
        data = png(seed=seed)
        vector = encoder.encode_images(encoder.spec.preprocessing(data)[None])[0]
        found.append((base64.b64encode(data).decode(), base64.b64encode(vector.tobytes()).decode()))
    return found


def _batches(pictures: int) -> Iterator[list[int]]:
    """The numbers of the pictures of each request."""
    numbers = iter(range(pictures))
    while some := list(itertools.islice(numbers, ITEMS // EVERY)):
        yield some


def _ask(service: Any, good: Sequence[tuple[str, str]], numbers: list[int]) -> list[str]:
    """Ask for a request: what came of each item, in a word, or in a sentence if it is wrong."""
    bad = iter(base64.b64encode(CRASHES + b"%d" % number).decode() for number in numbers)
    others = itertools.cycle(good)
    expected = [None if n % EVERY == 1 else next(others) for n in range(EVERY * len(numbers))]
    images = [next(bad) if one is None else one[0] for one in expected]
    body = {"images": images, "parameters": PARAMETERS}
    answer = requests.post(service.url("/invocations"), json=body, timeout=600)
    results = answer.json().get("results", [{}] * len(images))
    return [_word(*pair) for pair in zip(expected, results, strict=True)]


def _word(expected: tuple[str, str] | None, result: dict[str, Any]) -> str:
    error = result.get("error", {})
    if expected is None and error.get("code") == "decode_corrupt" and not error["retryable"]:
        return "failed"
    if expected is not None and result.get("embedding") == expected[1]:
        return "embedded"
    return f"{'bad' if expected is None else 'good'}: {str(result)[:200]}"


def _query(service: Any, good: tuple[str, str]) -> float | None:
    """Ask for one picture beside the flood: how long it took, s; None if it was not embedded."""
    start_s = time.monotonic()
    (result,) = (
        service.invoke({"image": good[0], "parameters": {"encoding": "base64"}})
        .json()
        .get("results", [{}])
    )
    return time.monotonic() - start_s if result.get("embedding") == good[1] else None


@click.command()
@click.option("--pictures", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--processes", type=click.IntRange(1), default=2, show_default=True)
def main(pictures: int, processes: int) -> None:
    """Ends with 1 when a good picture failed, a bad one did not, or the service did not stay."""
    report = run(pictures, processes)
    queries = sorted(report.query_s)
    click.echo(
        f"{report.failed:,} pictures that end their process, {report.embedded:,} good ones: "
        f"{report.seconds:.1f} s, {1000 * report.seconds / max(1, report.failed):.0f} ms each; "
        f"{len(queries):,} queries beside them took {queries[len(queries) // 2]:.2f} s at p50, "
        f"{queries[-1]:.2f} s at most; {len(report.findings)} findings"
    )
    for line in report.findings[:20]:
        click.echo(f"  {line}")
    sys.exit(1 if report.findings or report.failed != pictures else 0)


if __name__ == "__main__":
    main()
