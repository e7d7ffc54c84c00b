"""`sweetspot benchmark endpoint`: put load on a running endpoint, and report the results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from inference.profile.machine import cores, cpu_name
from serve.asking.transports import HttpTransport, SageMakerTransport, Transport
from serve.benchmark.endpoint_load.check import check, in_words
from serve.benchmark.endpoint_load.grid import MAX_IN_FLIGHT, closed_cells, open_cells
from serve.benchmark.endpoint_load.interactive import KINDS, Interactive, measure, steps
from serve.benchmark.endpoint_load.load_cells import Cell, recommend
from serve.benchmark.endpoint_load.page import endpoint_page
from serve.benchmark.endpoint_load.payload import POOL, Bulk, inline_images
from serve.benchmark.endpoint_load.record import PACKAGES, Asked, Found, compare, document
from serve.benchmark.endpoint_load.terminal import show, show_comparison
from serve.benchmark.endpoint_load.thumbnails import served
from serve.benchmark.report.documents import older
from serve.benchmark.report.terminal import Tell, progress, write_page
from serve.observe.console import open_console
from serve.observe.versions import versions


def run(asked: Asked) -> int:
    """Benchmark an endpoint.

    Returns:
        The exit code: 1 when it was interrupted, when nothing was answered, or when too much
        was lost; else 0.
    """
    console = open_console(stderr=asked.as_json)
    old = older(asked.compare, "endpoint") if asked.compare else None
    target = _target(asked)
    with payload(asked, is_local=target.is_local) as (bulk, words):
        model = check(target, bulk)
        facts = {"endpoint": target.name, "model": in_words(model), "sent": words} | _facts()
        console.print(" · ".join(facts.values()), highlight=False, markup=False)
        found = replace(_measure(target, bulk, asked, facts), model=model)
    _write(console, found)
    lost = old is not None and _lost(console, old, found)
    answered = any(one.load.requests for one in found.cells)
    return 0 if found.complete and answered and not lost else 1


def _measure(target: Transport, bulk: Bulk, asked: Asked, facts: dict[str, str]) -> Found:
    """Measure the grid, then single requests beside bulk, until done or interrupted."""
    cells: list[Cell] = []
    interactive, complete = None, True
    if asked.interactive_rate is not None:
        interactive = Interactive(asked.interactive_rate, asked.batch[0], asked.concurrency[0])
    try:
        with progress(_steps(asked)) as tell:
            for cell in _cells(target, bulk, asked, tell):
                cells.append(cell)
                if not cell.load.complete:
                    raise KeyboardInterrupt
            if interactive is not None:
                measure(interactive, target, bulk, asked.duration_s, asked.repeats, tell)
    except KeyboardInterrupt:
        complete = False
    cells.sort(key=lambda one: one.key)
    choice = recommend(cells, asked.latency_target_ms)
    return Found(asked, facts, cells, choice, interactive, complete, versions(PACKAGES))


def _cells(target: Transport, bulk: Bulk, asked: Asked, tell: Tell) -> Iterator[Cell]:
    if asked.rate is not None:
        return open_cells(target, bulk, asked.batch, asked.rate, asked.duration_s, tell)
    return closed_cells(target, bulk, asked.batch, asked.concurrency, asked.duration_s, tell)


def _steps(asked: Asked) -> int:
    loads = len(asked.concurrency) if asked.rate is None else 1
    singles = 0 if asked.interactive_rate is None else steps(asked.repeats)
    return len(asked.batch) * loads + singles


def _target(asked: Asked) -> Transport:
    """Return the endpoint's transport, with a connection for each sending thread."""
    if (asked.url is None) == (asked.endpoint_name is None):
        raise click.UsageError("say which endpoint: either --url or --endpoint-name")
    connections = max(asked.concurrency) + (len(KINDS) + 1) * MAX_IN_FLIGHT
    try:
        if asked.url is not None:
            return HttpTransport(asked.url, connections)
        return SageMakerTransport(str(asked.endpoint_name), None, connections)
    except ValueError as exc:
        raise click.ClickException(str(exc)) from exc


@contextmanager
def payload(asked: Asked, *, is_local: bool) -> Iterator[tuple[Bulk, str]]:
    """Yield the content of bulk requests, and its description. is_local: the endpoint is here."""
    if asked.urls is not None and asked.inline:
        raise click.UsageError("either --urls or --inline, not both")
    count = max(POOL, *asked.batch)
    if asked.urls is not None:
        lines = Path(asked.urls).read_text(encoding="utf-8").splitlines()
        urls = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
        if len(urls) < max(asked.batch):
            raise click.ClickException(
                f"{asked.urls} has {len(urls)} different URLs; "
                f"requests of {max(asked.batch)} images need as many"
            )
        yield Bulk("urls", urls), f"{len(urls)} URLs of {asked.urls}"
    elif asked.inline:
        yield Bulk("images", inline_images(count)), f"{count} thumbnails in the body"
    elif is_local:
        with served(count, asked.latency_ms) as urls:
            words = f"{count} thumbnails of this machine, each after {asked.latency_ms:g} ms"
            yield Bulk("urls", urls), words
    else:
        raise click.UsageError(
            "the endpoint is not on this machine and cannot fetch from it: give --urls or --inline"
        )


def _facts() -> dict[str, str]:
    return {"load from": f"{cpu_name()}, {cores()} cores"}


def _write(console: Console, found: Found) -> None:
    show(console, found)
    if found.asked.as_json:
        click.echo(json.dumps(document(found), indent=2))
    if found.asked.report:
        write_page(console, found.asked.report, endpoint_page(found))


def _lost(console: Console, old: dict[str, Any], found: Found) -> bool:
    """Compare. Returns whether the best combination lost more than `max_loss`."""
    try:
        rows = compare(old, found.cells)
    except ValueError as exc:
        raise click.ClickException(f"cannot compare with {found.asked.compare}: {exc}") from exc
    return show_comparison(console, rows, found.asked.max_loss)
