"""`sweetspot quantize`: an artifact with int8 graphs that passed the gate."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from model.checkpoints.weights import weight_files
from model.errors import ModelError, install
from model.load import open_checkpoint
from serve.commands.calibration import texts, thumbnails
from serve.compose import model_config
from serve.observe.console import open_console
from serve.settings import Settings


@dataclass(frozen=True)
class Asked:
    """thumbnails: a folder, or a file that lists URLs and paths. texts: a file, one per line."""

    output: str
    thumbnails: str | None
    texts: str | None
    min_cosine: float
    min_overlap: float
    as_json: bool


def run(settings: Settings, asked: Asked) -> int:
    """Calibrate, pass the gate, write the artifact. Nothing is written below the floors."""
    if find_spec("nncf") is None:
        raise click.ClickException(f"nncf is missing: {install('quantize')}")
    console = Console(stderr=True)
    try:
        report, folder = _quantize(settings, asked, console)
    except ModelError as exc:
        raise click.ClickException(f"{exc}; nothing was written") from exc
    except OSError as exc:
        raise click.ClickException(str(exc)) from exc
    if asked.as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        _show(open_console(), report)
    console.print(f"{folder}; serve it: sweetspot serve --model {asked.output}", highlight=False)
    return 0


def _quantize(settings: Settings, asked: Asked, console: Console) -> tuple[dict[str, Any], Path]:
    from model.backends.export import save
    from model.backends.openvino_encoder import OpenVinoEncoder
    from model.fidelity.quantize import Floors, as_report, quantize

    floors = Floors(asked.min_cosine, asked.min_overlap)
    checkpoint = open_checkpoint(settings.model)
    weight_files(checkpoint.folder)  # of a whole artifact
    said = texts(asked.texts)
    encoder = OpenVinoEncoder(checkpoint, replace(model_config(settings), precision="float32"))
    pixels, failed = thumbnails(settings, encoder, asked.thumbnails)
    left_out = f" ({failed} could not be read)" if failed else ""
    console.print(f"calibrating on {len(pixels)} thumbnails{left_out} and {len(said)} texts")
    towers = quantize(encoder, pixels, said, floors, console.print)
    report = as_report(towers, floors, generated=not (asked.thumbnails or asked.texts))
    graphs = {name: tower.graph for name, tower in towers.items()}
    folder = save(Path(asked.output), "int8", checkpoint, graphs, encoder.tokenizer, report)
    return report, folder


def _show(console: Console, report: dict[str, Any]) -> None:
    table = Table("tower", title="int8 against float32, on items held out", box=None)
    for name in ("cosine min", "p1", "mean", "centred min", "p1", "neighbours kept", "in float32"):
        table.add_column(name, justify="right")
    for name in ("image", "text"):
        kept = f"{len(report[name]['in_float32'])} layers"
        _add_row(table, name, report[name], kept)
        if (beside := report[name]["in_bfloat16"]) is not None:
            _add_row(table, f"{name}, rest in bfloat16", beside, "-")
    console.print(table)


def _add_row(table: Table, name: str, found: dict[str, Any], kept: str) -> None:
    plain, centred = found["plain"], found["centred"]
    numbers = (*(plain[key] for key in ("min", "p1", "mean")), centred["min"], centred["p1"])
    table.add_row(name, *(f"{x:.4f}" for x in numbers), f"{found['overlap']:.1%}", kept)
