"""Search thumbnails by text, with a thumbnail server and the service on this machine.

Starts a local thumbnail server and the real service with the built-in model, sends a batch of
thumbnail URLs (one of them dead) and some texts to /invocations, prints the nearest thumbnails
of each text, and draws a contact sheet: one row per query, its best thumbnails from left to right.
Leaves the thumbnails in demo/thumbnails, named by what they show, and their URLs in demo/urls.txt.

python examples/demo.py
"""

from __future__ import annotations

import io
import itertools
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import requests
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.table import Table

from inference.loadtest.thumbnail_server import Reply, ThumbnailServer
from model.files import whole_file, write_whole
from model.synthetic.thumbnails import Thumbnail, attributes_of, sample

ROOT = Path(__file__).parents[1]
# Query: attributes of its right answers. The set holds at least ANSWERS such thumbnails.
QUERIES = {
    "dark login screen": {"kind": "login", "mode": "dark"},
    "pricing cards": {"kind": "pricing"},
    "a calendar on a tablet": {"kind": "calendar", "device": "tablet"},
    "green chat on a phone": {"kind": "chat", "colour": "green", "device": "phone"},
    "dashboard with a bar chart": {"kind": "dashboard"},
    "media player, night mode": {"kind": "player", "mode": "dark"},
    "settings with toggles, purple": {"kind": "settings", "colour": "purple"},
}
THUMBNAILS, ANSWERS = 160, 5
# Training uses lower seeds only.
FIRST_SEED = 900_000_000
START_TIMEOUT_S = 60
BEST = 5
FOLDER = ROOT / "demo"
SHEET = FOLDER / "contact-sheet.png"
# Where `python3 -m http.server`, as in README.md, serves the thumbnails.
SERVED = "http://127.0.0.1:8000"
CELL_PX, GAP_PX, LABEL_PX = 200, 16, 230

console = Console()


def main() -> None:
    """Run the demo, then stop the server and the service."""
    drawn = {seed: sample(seed) for seed in choose_seeds()}
    leave_thumbnails(drawn)
    with served(drawn) as thumbnails, service() as url:
        urls = [thumbnails.url(f"/{seed}.jpg") for seed in drawn]
        urls.insert(THUMBNAILS // 2, thumbnails.url("/this-one-is-gone.jpg"))
        images = invoke(url, {"urls": urls, "parameters": {"timings": True}})
        texts = invoke(url, {"texts": list(QUERIES)})
        found = nearest(urls, images, texts)
        print_found(found)
        draw_sheet(found, drawn)
    console.print(
        f"\nThe contact sheet is [bold]{SHEET.relative_to(ROOT)}[/], beside thumbnails to try"
    )


def choose_seeds() -> list[int]:
    """Return sorted seeds of THUMBNAILS thumbnails, at least ANSWERS of them for each query."""
    chosen: set[int] = set()
    seeds = itertools.count(FIRST_SEED)
    for wanted in QUERIES.values():
        matching = (
            seed for seed in seeds if wanted.items() <= attributes_of(seed)._asdict().items()
        )
        chosen.update(itertools.islice(matching, ANSWERS))
    chosen.update(itertools.islice(seeds, THUMBNAILS - len(chosen)))
    return sorted(chosen)


def leave_thumbnails(drawn: dict[int, Thumbnail]) -> None:
    """Write the thumbnails into a folder, and a list of the URLs at which it may be served."""
    folder = FOLDER / "thumbnails"
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for seed, thumbnail in drawn.items():
        suffix = thumbnail.mime.removeprefix("image/")
        names.append(f"{'-'.join(thumbnail.attributes)}-{seed - FIRST_SEED}.{suffix}")
        (folder / names[-1]).write_bytes(thumbnail.data)
    write_whole(FOLDER / "urls.txt", "".join(f"{SERVED}/{name}\n" for name in names))


def served(drawn: dict[int, Thumbnail]) -> ThumbnailServer:
    """Return a server of the thumbnails, at their seeds."""
    return ThumbnailServer(
        {f"/{seed}.jpg": Reply(one.data, one.mime) for seed, one in drawn.items()}
    )


@contextmanager
def service() -> Iterator[str]:
    """Run `sweetspot serve` with the built-in model on a free port, and yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "sweetspot", "serve", "--model", "builtin"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--allow-host", "127.0.0.1"]
    console.print("[bold]$ sweetspot serve --model builtin --allow-host 127.0.0.1[/]")
    environ = {name: value for name, value in os.environ.items() if name[:10] != "SWEETSPOT_"}
    process = subprocess.Popen(command, cwd=ROOT, env=environ)
    try:
        wait_until_ready(process, f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    """Poll /ping until it answers 200. Raises SystemExit: the service did not start."""
    limit_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < limit_s and process.poll() is None:
        try:
            if requests.get(f"{url}/ping", timeout=2).ok:
                return
        except (requests.ConnectionError, requests.Timeout):
            pass
        time.sleep(0.05)
    raise SystemExit("the service did not start; see its messages above")


def invoke(url: str, body: dict[str, object]) -> dict[str, object]:
    """Send one request to /invocations, print its failures, and return the answer."""
    response = requests.post(f"{url}/invocations", json=body, timeout=120)
    response.raise_for_status()
    answer: dict[str, object] = response.json()
    results: list[dict[str, object]] = answer["results"]  # type: ignore[assignment]
    failed = [result for result in results if "error" in result]
    console.print(
        f"{len(results)} items, {len(failed)} failed, in {response.elapsed.total_seconds():.1f} s"
    )
    if "timings" in answer:
        console.print(f"  spans: {answer['timings']}")
    for result in failed:
        console.print(f"  item {result['index']}: {result['error']}")
    return answer


def nearest(
    urls: list[str], images: dict[str, object], texts: dict[str, object]
) -> list[tuple[str, list[tuple[float, int]]]]:
    """Return the best thumbnails of each query as (cosine, seed), best first."""
    kept, vectors = embeddings(images)
    _, queries = embeddings(texts)
    found = []
    for query, cosines in zip(QUERIES, queries @ vectors.T, strict=True):
        best = np.argsort(-cosines)[:BEST]
        seeds = [int(Path(urls[kept[column]]).stem) for column in best]
        found.append((query, list(zip((float(cosines[c]) for c in best), seeds, strict=True))))
    return found


def embeddings(answer: dict[str, object]) -> tuple[list[int], NDArray[np.float32]]:
    """Return the indices of the embedded items, and their embeddings, float32 [N, D]."""
    results: list[dict[str, list[float]]] = answer["results"]  # type: ignore[assignment]
    kept = [index for index, result in enumerate(results) if "embedding" in result]
    return kept, np.array([results[index]["embedding"] for index in kept], dtype=np.float32)


def print_found(found: list[tuple[str, list[tuple[float, int]]]]) -> None:
    """Print a row per query: the cosine and attributes of its three best thumbnails."""
    table = Table("text", "nearest thumbnails, by cosine", show_lines=True)
    for query, best in found:
        lines = [f"{cosine:.3f}  {' / '.join(attributes_of(seed))}" for cosine, seed in best[:3]]
        table.add_row(query, "\n".join(lines))
    console.print(table)


def draw_sheet(
    found: list[tuple[str, list[tuple[float, int]]]], drawn: dict[int, Thumbnail]
) -> None:
    """Draw a row per query, its thumbnails from left to right, and the cosine under each."""
    row_px = CELL_PX + 2 * GAP_PX + 10
    size = (LABEL_PX + BEST * (CELL_PX + GAP_PX) + GAP_PX, len(found) * row_px + GAP_PX)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    label, small = ImageFont.load_default(18), ImageFont.load_default(13)
    for row, (query, best) in enumerate(found):
        top = GAP_PX + row * row_px
        wrapped = "\n".join(textwrap.wrap(query, 22))
        pen.multiline_text((GAP_PX, top + CELL_PX // 2 - 20), wrapped, "black", label)
        for column, (cosine, seed) in enumerate(best):
            left = LABEL_PX + column * (CELL_PX + GAP_PX)
            picture = Image.open(io.BytesIO(drawn[seed].data)).convert("RGB")
            picture.thumbnail((CELL_PX, CELL_PX))
            place = (left + (CELL_PX - picture.width) // 2, top + (CELL_PX - picture.height) // 2)
            sheet.paste(picture, place)
            pen.text((left + CELL_PX // 2 - 14, top + CELL_PX + 4), f"{cosine:.3f}", "gray", small)
    with whole_file(SHEET) as file:
        sheet.save(file, "PNG")


if __name__ == "__main__":
    main()
