"""The profile file `sweetspot.json`: measurements, choices, and the machine they hold for.

It does not import NumPy, because `deploy` reads profiles without it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from model.files import check_folder, check_writable, write_whole

FILE_NAME = "sweetspot.json"
VERSION = 1
# The most items of a batch, or threads: a larger number is a typing error.
MAX_COUNT = 4096


class ProfileError(Exception):
    """A profile file cannot be used. The message names the file."""


@dataclass(frozen=True)
class Match:
    """What a profile holds for: all fields must match. checkpoint: the encoder's fingerprint."""

    cpu: str
    cores: int
    device: str
    checkpoint: str
    backend: str
    precision: str


@dataclass(frozen=True)
class MeasuredPoint:
    """Service time of a batch of n, ms."""

    n: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class TowerProfile:
    """One tower's curve and the batch size chosen on it. a_ms, b_ms: of its linear part."""

    batch_size: int
    rule: str
    a_ms: float
    b_ms: float
    points: tuple[MeasuredPoint, ...]


@dataclass(frozen=True)
class Threads:
    """Threads. encoder: of one forward pass. streams: passes at once. decode, io: of each lane.

    processes: those that decode and fetch in these threads; 0 is the service's own.
    """

    encoder: int
    streams: int
    decode: int
    io: int
    processes: int = 0


@dataclass(frozen=True)
class Profile:
    """Measurements and choices. versions: of packages; a difference only causes a warning."""

    match: Match
    threads: Threads
    image: TowerProfile
    text: TowerProfile
    versions: dict[str, str] = field(default_factory=dict)
    preprocess: str = "display"


def read(path: Path) -> list[Profile]:
    """Read all profiles of a file.

    Raises:
        ProfileError: it is missing, or not a profile file of this version.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["version"] != VERSION:
            raise ProfileError(f"{path} has version {document['version']}, not {VERSION}")
        return [_profile(one) for one in document["profiles"]]
    except FileNotFoundError as exc:
        raise ProfileError(f"{path} is missing") from exc
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as exc:
        raise ProfileError(f"{path} is not a profile: {str(exc)[:200]!r}") from exc


def find(paths: Iterable[Path], match: Match) -> Profile | None:
    """Return the first profile that holds for `match`, in the order of the files that exist.

    Raises:
        ProfileError: a file that exists cannot be read.
    """
    for path in paths:
        if path.is_file():
            for profile in read(path):
                if profile.match == match:
                    return profile
    return None


def write(folder: Path, profile: Profile) -> Path:
    """Write a profile into the folder's file. It replaces one with the same match only.

    The file is replaced whole, since a service may read it at the same time.

    Raises:
        ProfileError: the file there cannot be read. OSError: the folder cannot be written.
    """
    path = folder / FILE_NAME
    others = [one for one in read(path) if one.match != profile.match] if path.exists() else []
    text = json.dumps(document([*others, profile]), indent=2) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)
    return path


def check(folder: Path) -> None:
    """Check before a measurement that `write` can succeed after it. Raises the same errors."""
    path = folder / FILE_NAME
    if path.exists():
        read(path)
        check_writable(path)
    else:
        check_folder(folder)


def document(profiles: Iterable[Profile]) -> dict[str, Any]:
    """Return the file's JSON."""
    return {"version": VERSION, "profiles": [asdict(profile) for profile in profiles]}


def _profile(one: dict[str, Any]) -> Profile:
    threads = Threads(**one["threads"])
    for name, count in asdict(threads).items():
        _check(_is_count(count) or (name == "processes" and count == 0), f"threads.{name}")
    return Profile(
        match=Match(**one["match"]),
        threads=threads,
        image=_tower(one["image"]),
        text=_tower(one["text"]),
        versions=dict(one["versions"]),
        preprocess=one["preprocess"],
    )


def _tower(one: dict[str, Any]) -> TowerProfile:
    points = tuple(MeasuredPoint(**point) for point in one["points"])
    _check(_is_count(one["batch_size"]), "batch_size")
    _check(len({point.n for point in points}) == len(points) > 0, "points")
    for point in points:
        _check(_is_count(point.n) and _is_time(point.p50_ms) and _is_time(point.p95_ms), "points")
    return TowerProfile(**{**one, "points": points})


def _check(holds: bool, name: str) -> None:
    """Raise ValueError for an impossible value."""
    if not holds:
        raise ValueError(f"{name} is invalid")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_COUNT


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value > 0
