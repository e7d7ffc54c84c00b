"""Index 1,000 thumbnails with the client, then search them by text and by a screenshot.

Needs a running service on this machine. This script draws and serves the thumbnails.

sweetspot serve --allow-host 127.0.0.1
python examples/search.py
python examples/search.py --lancedb demo/search --where "device = 'phone'"

With --lancedb (pip install lancedb), embeddings stay in a table of LanceDB. The next run embeds
only what the table lacks, and deletes what is no longer there.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from inference.loadtest.thumbnail_server import ThumbnailServer
from model.synthetic.attributes import Attributes
from model.synthetic.thumbnails import attributes_of, draw, encode
from sweetspot import Client, Embedded, EndpointError, Result

Float32Array = NDArray[np.float32]

TEXTS = ("dark login screen", "pricing cards", "green chat on a phone")
# The screenshot is drawn for the query only and is not in the index.
SCREENSHOT = Attributes("player", "blue", "dark", "tablet")
NAMES = (*TEXTS, f"screenshot of a {SCREENSHOT.kind}")
# Training uses lower seeds only.
FIRST_SEED = 900_000_000
HITS = 3
TABLE = "thumbnails"
NOT_ALLOWED = "no thumbnail was embedded: start the service with --allow-host 127.0.0.1"

console = Console()
# Seeds and cosines of the best thumbnails, for each query.
Hits = list[list[tuple[int, float]]]


@click.command()
@click.argument("endpoint", default="http://localhost:8080")
@click.option("--thumbnails", "count", type=click.IntRange(HITS), default=1000, show_default=True)
@click.option("--lancedb", "folder", help="keep the embeddings in a table in this folder")
@click.option("--where", help="search only these rows of the table, in SQL")
def main(endpoint: str, count: int, folder: str | None, where: str | None) -> None:
    """Index thumbnails through ENDPOINT, then search them."""
    if where and not folder:
        raise click.UsageError("--where needs --lancedb")
    try:
        with ThumbnailServer() as server, Client(endpoint) as client:
            urls = dict(enumerate(server.thumbnails(count, FIRST_SEED), FIRST_SEED))
            found = in_lancedb(client, urls, folder, where) if folder else in_numpy(client, urls)
    except EndpointError as exc:
        raise click.ClickException(str(exc)) from exc
    console.print(table_of(found))


def in_numpy(client: Client, urls: Mapping[int, str]) -> Hits:
    """Embed all thumbnails, by seed, and search them in memory."""
    seeds, index = embed(client, urls)
    if not seeds:
        raise click.ClickException(NOT_ALLOWED)
    console.print(f"{len(seeds):,} of {len(urls):,} thumbnails, {index.shape[1]} dimensions")
    cosines = queries(client) @ index.T
    best = np.argsort(-cosines)[:, :HITS]
    return [[(seeds[at], row[at]) for at in of] for row, of in zip(cosines, best, strict=True)]


def in_lancedb(client: Client, urls: Mapping[int, str], folder: str, where: str | None) -> Hits:
    """Bring a table up to date with the thumbnails, and search it."""
    asked = queries(client)
    table = opened(folder, client.fingerprint, asked.shape[1])
    known = set(table.to_arrow().column("seed").to_pylist())
    seeds, index = embed(client, {seed: url for seed, url in urls.items() if seed not in known})
    if seeds:
        table.add([row(*one) for one in zip(seeds, index, strict=True)])
    gone = known - urls.keys()
    if gone:
        table.delete(f"seed IN ({', '.join(map(str, gone))})")
    count = table.count_rows()
    console.print(f"{len(seeds):,} added, {len(gone):,} deleted, {count:,} in the table")
    if not count:
        raise click.ClickException(NOT_ALLOWED)
    found = []
    for vector in asked:
        # The embeddings have unit norm, so a distance of LanceDB is 1 - cosine.
        search = table.search(vector).distance_type("dot").limit(HITS)
        hits = (search.where(where) if where else search).to_list()
        found.append([(hit["seed"], 1 - hit["_distance"]) for hit in hits])
    return found


def opened(folder: str, fingerprint: str | None, dimension: int) -> Any:
    """Open the table, or create it. It belongs to one checkpoint, by its fingerprint."""
    os.environ.setdefault("LANCEDB_LOG", "error")  # it warns of each new table
    import lancedb
    import pyarrow as pa

    database = lancedb.connect(folder)
    try:
        table = database.open_table(TABLE)
    except ValueError:  # there is none
        words = ((name, pa.string()) for name in Attributes._fields)
        fields = [("seed", pa.int64()), *words, ("embedding", pa.list_(pa.float32(), dimension))]
        schema = pa.schema(fields, metadata={"fingerprint": fingerprint})
        table = database.create_table(TABLE, schema=schema)
    kept = table.schema.metadata[b"fingerprint"].decode()
    if kept != fingerprint:
        raise click.ClickException(
            f"the table in {folder} has embeddings of fingerprint {kept}, and the service gives "
            f"{fingerprint}: they cannot be compared; use another folder"
        )
    return table


def row(seed: int, embedding: Float32Array) -> dict[str, Any]:
    """Return a row of the table."""
    return {"seed": seed, "embedding": embedding, **attributes_of(seed)._asdict()}


def embed(client: Client, urls: Mapping[int, str]) -> tuple[list[int], Float32Array]:
    """Return the seeds of embedded thumbnails, and their embeddings, float32 [N, D]."""
    seeds = list(urls)
    good = embedded(client.embed_urls(urls.values(), progress=True))
    return [seeds[one.index] for one in good], vectors(good)


def queries(client: Client) -> Float32Array:
    """Return the embeddings of the texts and the screenshot, float32 [Q, D] of unit norm."""
    screenshot = encode(draw(SCREENSHOT, seed=7), "PNG")
    texts = [{"text": text} for text in TEXTS]
    return vectors(embedded(client.embed([*texts, {"image": screenshot}])))


def embedded(results: Iterable[Result]) -> list[Embedded]:
    """Return the results that have an embedding, and print the others."""
    good = []
    for result in results:
        if isinstance(result, Embedded):
            good.append(result)
        else:
            console.print(f"item {result.index}: {result.code}: {result.message}", markup=False)
    return good


def vectors(results: list[Embedded]) -> Float32Array:
    """Return the embeddings, float32 [N, D]."""
    return np.array([one.embedding for one in results], dtype=np.float32)


def table_of(found: Hits) -> Table:
    """Return a table of each query's best thumbnails and their attributes."""
    table = Table("query", "cosine", "thumbnail", box=None, pad_edge=False)
    for name, hits in zip(NAMES, found, strict=True):
        names = itertools.chain([name], itertools.repeat(""))
        for shown, (seed, cosine) in zip(names, hits, strict=False):
            table.add_row(shown, f"{cosine:.3f}", " / ".join(attributes_of(seed)))
    return table


if __name__ == "__main__":
    main()
