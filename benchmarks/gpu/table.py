"""Table of a run: machine and versions in the title, a row for each part."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from benchmarks.gpu.document import Document
from benchmarks.gpu.parts import FIRST, PARTS
from benchmarks.gpu.plan import first_line

COLOURS = {"ok": "green", "skipped": "yellow"}
SHOWN = ("python", "torch", "transformers", "numpy", "pillow")


def table(document: Document) -> Table:
    """Make the table of the parts that have ended."""
    found = Table("part", "state", "s", "result", title=_title(document), show_lines=True)
    words = {part.name: part.words for part in PARTS}
    for name, one in document.parts.items():
        colour = COLOURS.get(one["state"], "red")
        said = [one["headline"], first_line(one["error"]), *one["problems"]]
        found.add_row(
            f"{name}\n[dim]{words[name]}[/]",
            f"[{colour}]{one['state']}[/]",
            f"{one['seconds']:.1f}",
            escape("\n".join(filter(None, said))),
        )
    return found


def _title(document: Document) -> str:
    machine = document.parts.get(FIRST, {}).get("headline", "")
    versions = document.versions
    listed = ", ".join(f"{name} {versions[name]}" for name in SHOWN if name in versions)
    return escape(f"{machine}\n{listed}")
