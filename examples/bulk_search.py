"""Index thumbnails with `sweetspot bulk`, then search them with DuckDB and LanceDB.

    python examples/bulk_search.py [--thumbnails 1000] [--format lance] [--output FOLDER]

Each index is asked by a text and by a screenshot. The thumbnails are generated and served on this
machine. The output is of Parquet, or a table of Lance.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds

from inference.loadtest.thumbnail_server import ThumbnailServer
from model.synthetic.attributes import Attributes
from model.synthetic.thumbnails import caption_of, draw, encode

os.environ.setdefault("LANCEDB_LOG", "error")  # it warns of each new table
NEEDED = ("duckdb", "lance", "lancedb")
TEXTS = ("dark login screen", "green chat on a phone")
# The screenshot is drawn for the query only and is not in the index.
SCREENSHOT = Attributes("player", "blue", "dark", "tablet")
# Training uses lower seeds only.
FIRST_SEED = 900_000_000
TOP = 3
TABLE = "embeddings.lance"
Found = Sequence[tuple[str, float]]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--thumbnails", type=int, default=1000)
    options.add_argument("--format", choices=["parquet", "lance"], default="parquet")
    options.add_argument("--output", type=Path, help="[default: demo/bulk-FORMAT]")
    asked = options.parse_args()
    if not all(map(find_spec, NEEDED)):
        sys.exit("this example needs: pip install duckdb lancedb pylance")
    output = asked.output or Path(f"demo/bulk-{asked.format}")
    with ThumbnailServer() as server:
        index(server.thumbnails(asked.thumbnails, FIRST_SEED), output, asked.format)
    queries = embed_queries(output)
    for words, vector in queries.items():
        print(f"\n{words}")
        for name, search in (("DuckDB", in_duckdb), ("LanceDB", in_lancedb)):
            for url, score in search(output, vector):
                print(f"  {name:8} {score:.3f}  {caption(url)}")


def index(urls: Sequence[str], output: Path, form: str) -> None:
    """Embed all URLs."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write("\n".join(urls))
        listed.flush()
        flags = ("--format", form, "--allow-host", "127.0.0.1")
        sweetspot("bulk", listed.name, "-o", str(output), *flags)


def embed_queries(output: Path) -> dict[str, np.ndarray]:
    """Return float32 [D] of each text and of the screenshot, by the same model."""
    screenshot, vectors = output / "_query.png", output / "_query.npy"
    screenshot.write_bytes(encode(draw(SCREENSHOT, seed=7), "PNG"))
    texts = [word for text in TEXTS for word in ("--text", text)]
    sweetspot("embed", str(screenshot), *texts, "--format", "npy", "-o", str(vectors))
    names = [f"screenshot of a {SCREENSHOT.kind}", *TEXTS]
    return dict(zip(names, np.load(vectors), strict=True))


def in_duckdb(output: Path, query: np.ndarray) -> Found:
    """Search the output as it is."""
    import duckdb

    database = duckdb.connect()
    database.register("screens", read(output))
    return database.execute(
        """SELECT url, list_inner_product(embedding, ?::FLOAT[]) AS score
           FROM screens WHERE error_code IS NULL ORDER BY score DESC LIMIT ?""",
        [query.tolist(), TOP],
    ).fetchall()


def in_lancedb(output: Path, query: np.ndarray) -> Found:
    """Search the table of the output, or one that is made of its Parquet files."""
    import lancedb

    if (output / TABLE).exists():
        table = lancedb.connect(output).open_table("embeddings")
    else:
        rows = read(output).scanner(filter=ds.field("error_code").is_null())
        database = lancedb.connect(output / "_lancedb")
        table = database.create_table("screens", rows.to_reader(), mode="overwrite")
    search: Any = table.search(query)
    hits = search.distance_type("dot").limit(TOP).to_list()
    return [(hit["url"], 1 - hit["_distance"]) for hit in hits]


def read(output: Path) -> ds.Dataset:
    """Return the rows of an output as pyarrow reads them."""
    import lance

    table = output / TABLE
    return lance.dataset(table) if table.exists() else ds.dataset(output, format="parquet")


def caption(url: str) -> str:
    """Say what a generated thumbnail shows."""
    return caption_of(int(Path(url).stem))


def sweetspot(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "sweetspot", *words], check=True)


if __name__ == "__main__":
    main()
