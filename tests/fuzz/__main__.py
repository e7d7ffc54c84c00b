"""Mutated and hostile images through preprocessing, by both policies.

A crash, more CPU or memory than allowed, an exception that is no DecodeError, pixels of another
shape, pixels of memory that nobody wrote, or a message that tells too much is a finding: its bytes
are kept under `fuzz-findings/`, and the run ends with 1. The same seed and number make the same
image: `--seed 0 --first 1234 --count 1` checks it again.
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tests.fuzz.cases import case, ids
from tests.fuzz.check import MIB
from tests.fuzz.watch import Ended, run

FINDINGS = Path(__file__).parents[2] / "fuzz-findings"
CODES = {
    "ok": "ok",
    "decode_corrupt": "corrupt",
    "decode_unsupported": "unsupported",
    "decode_too_many_pixels": "too many px",
    "finding": "finding",
}
MAX_KEPT = 200
# What caches may keep.
MAX_GROWN_BYTES = 32 * MIB


class Tally:
    """What came of a run."""

    def __init__(self):
        self.codes = Counter()
        self.images = Counter()
        self.findings = []
        self.slowest = self.largest = (0, "")
        self.grown_bytes = 0

    def add(self, one, name, outcome):
        image_format = name.partition(".")[0]
        self.images[image_format] += 1
        for code in outcome.codes.values():
            self.codes[image_format, code] += 1
        label = f"{name}, {one}" if isinstance(one, int) else one
        self.slowest = max(self.slowest, (outcome.cpu_s, label))
        self.largest = max(self.largest, (outcome.growth_bytes, label))
        if outcome.fault:
            self.codes[image_format, "finding"] += 1
            self.findings.append((one, name, outcome.fault))

    def end(self, ended):
        """The last worker has; what is wrong with the run as a whole is a finding, too."""
        self.grown_bytes = ended.grown_bytes
        if ended.grown_bytes > MAX_GROWN_BYTES:
            self.findings.append((0, "run", f"grew by {ended.grown_bytes // MIB} MiB"))
        if ended.printed:
            self.findings.append((0, "run", f"decoders printed: {ended.printed[:500]}"))


def main():
    options = _options()
    chosen = ids(options.first, options.count, options.hostile)
    console, tally, start_s = Console(), Tally(), time.monotonic()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("images", total=len(chosen))
        for event in run(options.seed, chosen):
            if isinstance(event, Ended):
                tally.end(event)
                continue
            place, name, outcome = event
            tally.add(chosen[place], name or case(options.seed, chosen[place]).name, outcome)
            progress.advance(task)
    _keep(options.seed, tally.findings)
    _report(console, tally, time.monotonic() - start_s)
    return 1 if tally.findings else 0


def _options():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="mutated images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--hostile", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args()


def _keep(seed, findings):
    """Write the bytes of each, and what is wrong with them."""
    for one, name, fault in findings[:MAX_KEPT]:
        FINDINGS.mkdir(exist_ok=True)
        stem = f"{seed}-{one}-{name}" if isinstance(one, int) else one
        (FINDINGS / f"{stem}.txt").write_text(fault + "\n")
        if name != "run":
            (FINDINGS / stem).write_bytes(case(seed, one).data)


def _report(console, tally, took_s):
    table = Table(title="Images, and what came of them by each of two policies")
    table.add_column("format")
    for column in ("images", *CODES.values()):
        table.add_column(column, justify="right")
    for image_format, images in sorted(tally.images.items()):
        counts = [tally.codes[image_format, code] for code in CODES]
        table.add_row(image_format, f"{images:,}", *(f"{count:,}" for count in counts))
    table.add_section()
    totals = [sum(tally.codes[name, code] for name in tally.images) for code in CODES]
    table.add_row("all", f"{tally.images.total():,}", *(f"{total:,}" for total in totals))
    console.print(table)
    for one, name, fault in tally.findings[:20]:
        console.print(f"[red]finding[/red] {one} {name}: {fault.splitlines()[0][:200]}")
    (cpu_s, slowest), (growth_bytes, largest) = tally.slowest, tally.largest
    console.print(
        f"{took_s:.0f} s, {len(tally.findings)} findings. At most {cpu_s:.1f} s of CPU ({slowest}) "
        f"and {growth_bytes // MIB} MiB ({largest}) for an image; {tally.grown_bytes // MIB} MiB "
        "more at the end than when warm."
    )


if __name__ == "__main__":
    sys.exit(main())
