"""Measure queries beside bulk with each value of `--interactive-wait-ms`, and report."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from inference.loadtest.run import closed_loop
from inference.loadtest.summary import Load
from inference.profile.machine import cores, cpu_name
from serve.asking.transports import HttpTransport, Transport
from serve.benchmark.endpoint_load.check import check, in_words
from serve.benchmark.endpoint_load.grid import MAX_IN_FLIGHT, call, warm_up_s
from serve.benchmark.endpoint_load.interactive import AT_LEAST, KINDS, Interactive, Turns, singles
from serve.benchmark.endpoint_load.payload import Bulk
from serve.benchmark.endpoint_load.record import PACKAGES
from serve.benchmark.endpoint_load.run import payload
from serve.benchmark.query_sweep.page import sweep_page
from serve.benchmark.query_sweep.record import SETTING, Found, Setting, Sweep, document
from serve.benchmark.query_sweep.service import started
from serve.benchmark.query_sweep.tables import idle_sentence, notes, setting_rows
from serve.benchmark.report.terminal import Tell, progress, table, write_page
from serve.benchmark.report.terminal_chart import CHOSEN
from serve.observe.console import open_console
from serve.observe.versions import versions

DEFAULT_RATE_PER_S = 1.0
IDLE_S = 5.0
SEED = 0


@dataclass
class _Measured:
    """What was measured so far."""

    settings: dict[int, Setting]
    idle: dict[str, Load] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)


def run(asked: Sweep) -> int:
    """Run the sweep.

    Returns:
        The exit code: 1 when it was interrupted, or a target was given and no setting keeps it.
    """
    console = open_console(stderr=asked.load.as_json)
    with payload(asked.load, is_local=True) as (bulk, words):
        console.print(_intent(asked), highlight=False, markup=False)
        found = _sweep(asked, bulk, {"sent": words})
    _write(console, found)
    named = asked.target_ms is None or found.choice.wait_ms is not None
    return 0 if found.complete and named else 1


def _intent(asked: Sweep) -> str:
    values = ", ".join(map(str, asked.waits_ms))
    options = " ".join(asked.options)
    return f"sweetspot serve {options} {SETTING} {values}, each started {asked.load.repeats} times"


def _sweep(asked: Sweep, bulk: Bulk, sent: dict[str, str]) -> Found:
    load = asked.load
    rate = load.interactive_rate or DEFAULT_RATE_PER_S
    new = {one: Interactive(rate, load.batch[0], load.concurrency[0]) for one in asked.waits_ms}
    into = _Measured({one: Setting(one, queries) for one, queries in new.items()})
    complete = True
    try:
        with progress(len(asked.waits_ms) * load.repeats * 3 + len(KINDS)) as tell:
            for turn, wait_ms in _order(asked):
                _take_turn(asked, bulk, into, turn, wait_ms, tell)
    except KeyboardInterrupt:
        complete = False
    settings = [into.settings[one] for one in sorted(into.settings)]
    facts = {"model": in_words(into.model)} if into.model else {}
    facts |= sent | {"machine": f"{cpu_name()}, {cores()} cores"}
    return Found(asked, facts, into.model, settings, into.idle, complete, versions(PACKAGES))


def _order(asked: Sweep) -> Iterator[tuple[int, int]]:
    """Yield each turn's values in shuffled order, because machines drift."""
    dice = random.Random(SEED)
    for turn in range(asked.load.repeats):
        for wait_ms in dice.sample(asked.waits_ms, len(asked.waits_ms)):
            yield turn, wait_ms


def _take_turn(
    asked: Sweep, bulk: Bulk, into: _Measured, turn: int, wait_ms: int, tell: Tell
) -> None:
    """Start the service; measure bulk alone, then bulk beside queries.

    A new service has no query in its memory, so batches are full while bulk is alone. Whoever
    measures both on one service, after queries, gets short batches for ten more seconds.
    """
    setting = into.settings[wait_ms]
    tell(f"starting the service with {SETTING} {wait_ms}, turn {turn + 1}")
    with started(wait_ms, asked.options) as url, closing(_connect(url, asked)) as target:
        into.model = check(target, bulk)
        kinds = singles(target)
        turns = Turns(setting.queries, call(target, lambda: bulk.body(setting.queries.batch)))
        tell(f"{SETTING} {wait_ms}: bulk alone, turn {turn + 1}")
        turns.take({}, asked.load.duration_s, turn)
        tell(f"{SETTING} {wait_ms}: bulk beside texts and screenshots, turn {turn + 1}")
        turns.take(kinds, asked.load.duration_s, turn)
        for kind in () if into.idle else KINDS:
            tell(f"a {kind} alone")
            seconds = min(IDLE_S, asked.load.duration_s)
            into.idle[kind] = closed_loop(kinds[kind], 1, seconds, warm_up_s(seconds), AT_LEAST)


def _connect(url: str, asked: Sweep) -> Transport:
    return HttpTransport(url, asked.load.concurrency[0] + len(KINDS) * MAX_IN_FLIGHT)


def _write(console: Console, found: Found) -> None:
    console.print()
    console.print(table(setting_rows(found)))
    if said := idle_sentence(found):
        console.print(said, highlight=False)
    console.print(found.choice.sentence, style=CHOSEN, highlight=False)
    for note in notes(found):
        console.print(f"[yellow]{escape(note)}[/]", highlight=False)
    if path := found.asked.load.report:
        write_page(console, path, sweep_page(found))
    if found.asked.load.as_json:
        click.echo(json.dumps(document(found), indent=2))
