"""Index 1,000 thumbnails with the client, then search them by text and by a screenshot.

Needs a running service on this machine. This script draws and serves the thumbnails.

sweetspot serve --allow-host 127.0.0.1
python examples/search.py
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from deploy.client import Client, Embedded, EndpointError, Result
from inference.loadtest.thumbnail_server import ThumbnailServer
from model.synthetic.attributes import Attributes
from model.synthetic.thumbnails import attributes_of, draw, encode

Float32Array = NDArray[np.float32]

TEXTS = ("dark login screen", "pricing cards", "green chat on a phone")
# The screenshot is drawn for the query only and is not in the index.
SCREENSHOT = Attributes("calendar", "blue", "dark", "tablet")
# Training uses lower seeds only.
FIRST_SEED = 900_000_000
HITS = 3
NOT_ALLOWED = "no thumbnail was embedded: start the service with --allow-host 127.0.0.1"

console = Console()


@click.command()
@click.argument("endpoint", default="http://localhost:8080")
@click.option("--thumbnails", "count", type=click.IntRange(HITS), default=1000, show_default=True)
def main(endpoint: str, count: int) -> None:
    """Index thumbnails through ENDPOINT, then search them."""
    try:
        _search(endpoint, count)
    except EndpointError as exc:
        raise click.ClickException(str(exc)) from exc


def _search(endpoint: str, count: int) -> None:
    with ThumbnailServer() as server, Client(endpoint) as client:
        found = client.embed_urls(server.thumbnails(count, FIRST_SEED), progress=True)
        seeds, index = matrix(found)
        if not seeds:
            raise click.ClickException(NOT_ALLOWED)
        console.print(f"{len(seeds):,} of {count:,} thumbnails, {index.shape[1]} dimensions")

        screenshot = encode(draw(SCREENSHOT, seed=7), "PNG")
        queries = [{"text": text} for text in TEXTS]
        _, asked = matrix(client.embed([*queries, {"image": screenshot}]))
    names = [*TEXTS, f"screenshot of a {SCREENSHOT.kind}"]
    console.print(hits(names, asked @ index.T, seeds))


def matrix(results: Iterable[Result]) -> tuple[list[int], Float32Array]:
    """Return the seeds of embedded items and their embeddings, float32 [N, D] of unit norm."""
    good = []
    for result in results:
        if isinstance(result, Embedded):
            good.append(result)
        else:
            console.print(f"item {result.index}: {result.code}: {result.message}", markup=False)
    seeds = [FIRST_SEED + one.index for one in good]
    return seeds, np.array([one.embedding for one in good], dtype=np.float32)


def hits(names: list[str], cosines: Float32Array, seeds: list[int]) -> Table:
    """Return a table of each query's best thumbnails and their attributes. cosines: [Q, N]."""
    table = Table("query", "cosine", "thumbnail", box=None, pad_edge=False)
    for name, row in zip(names, cosines, strict=True):
        best = np.argsort(-row)[:HITS]
        for shown, column in zip(itertools.chain([name], itertools.repeat("")), best, strict=False):
            what = " / ".join(attributes_of(seeds[column]))
            table.add_row(shown, f"{row[column]:.3f}", what)
    return table


if __name__ == "__main__":
    main()
