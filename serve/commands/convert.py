"""`sweetspot convert`: a checkpoint of another layout, as an artifact that is served."""

from __future__ import annotations

import time
from pathlib import Path

import click

from model.errors import ModelError


def run(source: str, output: str, base: str | None) -> int:
    """Convert and compare. Nothing is kept that differs from its source."""
    # It imports torch and transformers.
    from model.convert.convert import convert

    start_s = time.perf_counter()
    folder = Path(output)
    try:
        row = convert(source, folder, base, click.echo)
    except ModelError as exc:
        raise click.ClickException(str(exc)) from exc
    except MemoryError as exc:
        raise click.ClickException(f"{source} does not fit into memory") from exc
    except OSError as exc:
        raise click.ClickException(f"cannot convert to {output}: {exc.strerror or exc}") from exc
    size = sum(path.stat().st_size for path in folder.iterdir())
    cosine = min(row.images.plain.min, row.texts.plain.min)
    took_s = time.perf_counter() - start_s
    click.echo(
        f"{folder}: {size / 1e6:.1f} MB, converted in {took_s:.1f} s, cosine to the source at "
        f"least {cosine:.6f}; serve it: sweetspot serve --model {folder}"
    )
    return 0
