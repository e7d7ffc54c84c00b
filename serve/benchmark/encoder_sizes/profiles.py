"""Build a profile from an encoder's measurement, write it, compare it with an older one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from inference.profile.profile import (
    Profile,
    ProfileError,
    Threads,
    TowerProfile,
    check,
    find,
    write,
)
from inference.tuning.threads import MeasuredThreads
from inference.tuning.tune import Tuned
from model.encoder import EncoderSpec
from serve.benchmark.encoder_sizes.exhaustive import Exhaustive
from serve.benchmark.encoder_sizes.words import warning
from serve.plan import match_of, tower_profile, versions


@dataclass
class Measured:
    """Measurements of one back end so far.

    threads: used while the towers were measured. cosine: the smallest one to the first back end's
    embeddings, when several back ends are compared. recorded: the one to float32 that int8 was
    made with.
    """

    spec: EncoderSpec
    preprocess: str
    threads: Threads
    plans: list[MeasuredThreads] = field(default_factory=list)
    towers: dict[str, Tuned] = field(default_factory=dict)
    exhaustive: Exhaustive | None = None
    cosine: float = 1.0
    recorded: float | None = None

    @property
    def complete(self) -> bool:
        """Whether both towers were measured completely."""
        return len(self.towers) == 2 and all(one.complete for one in self.towers.values())

    @property
    def words(self) -> str:
        """Back end, device and precision, in words."""
        return f"{self.spec.backend} on {self.spec.device} in {self.spec.precision}"

    def profile(self) -> Profile:
        """Return the profile to write. Both towers must be measured."""
        return Profile(
            match=match_of(self.spec),
            threads=self.threads,
            image=tower_profile(self.towers["image"]),
            text=tower_profile(self.towers["text"]),
            versions=versions(),
            preprocess=self.preprocess,
        )


def keep(console: Console, folder: Path, found: Measured) -> None:
    """Write the profile into a folder, unless it is incomplete or noisy."""
    doubts = [] if found.complete else ["interrupted"]
    doubts += [note for tuned in found.towers.values() if (note := warning(tuned))]
    if doubts:
        console.print(f"[yellow]no profile is written: {doubts[0]}[/]")
        return
    with _in_plain_words(folder):
        path = write(folder, found.profile())
    console.print(f"profile: {path}", highlight=False)


def check_kept(folder: Path) -> None:
    """Check before measuring that a profile can be written. Raises ClickException."""
    with _in_plain_words(folder):
        check(folder)


@contextmanager
def _in_plain_words(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ProfileError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise click.ClickException(f"cannot write a profile to {folder}: {reason}") from exc


def lost_against(console: Console, older: Path, found: Measured, max_loss: float) -> bool:
    """Show each size's throughput against an older profile's.

    Returns whether an old sweet spot lost more than `max_loss`, 0..1, of its throughput.
    """
    now = found.profile()
    try:
        old = find([older], now.match)
    except ProfileError as exc:
        raise click.ClickException(str(exc)) from exc
    if old is None:
        raise click.ClickException(f"{older} has no profile of this machine and model")
    losses = [
        _lost(console, name, before, after, max_loss)
        for name, before, after in (("image", old.image, now.image), ("text", old.text, now.text))
    ]
    if any(losses):
        console.print(f"[red]a sweet spot lost more than {max_loss:.0%}[/]")
    return any(losses)


def _lost(
    console: Console, name: str, before: TowerProfile, after: TowerProfile, max_loss: float
) -> bool:
    earlier = {point.n: point for point in before.points}
    table = Table(title=f"{name} tower, throughput new / old", box=None, title_justify="left")
    for column in ("batch", "ratio", "spread old", "spread new"):
        table.add_column(column, justify="right")
    lost = False
    for point in after.points:
        if point.n not in earlier:
            continue
        was = earlier[point.n]
        ratio = was.p50_ms / point.p50_ms
        spreads = (f"{one.p95_ms / one.p50_ms - 1:.0%}" for one in (was, point))
        table.add_row(str(point.n), f"{ratio:.3f}", *spreads)
        lost |= point.n == before.batch_size and ratio < 1 - max_loss
    console.print(table)
    return lost
