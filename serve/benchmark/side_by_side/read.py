"""Reads the documents of all benchmarks, also those of older versions, which lack some keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from inference.profile.price import Price, PriceError, core_ms
from inference.profile.profile import Profile, ProfileError
from inference.profile.profile import read as read_profiles
from inference.profile.speed import images_a_second
from serve.benchmark.side_by_side.measured import Measured

Document = Mapping[str, Any]
LOOPBACK = ("localhost", "127.0.0.1", "::1")
CPU = "cpu"


def read(paths: Sequence[str]) -> list[Measured]:
    """Return the measurements of documents. Raises ClickException, naming the file."""
    names = [Path(path).stem for path in paths]
    if len(set(names)) < len(names):
        names = list(paths)
    return [one for path, name in zip(paths, names, strict=True) for one in _read(Path(path), name)]


def _read(path: Path, name: str) -> list[Measured]:
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as exc:
        raise click.ClickException(f"{path} is not JSON") from exc
    kind = _kind(document)
    if kind not in READERS:
        raise click.ClickException(f"{path} is not a document of `benchmark ... --json`")
    try:
        return READERS[kind](document, name, path)
    except ProfileError as exc:
        raise click.ClickException(str(exc)) from exc
    except PriceError as exc:
        raise click.ClickException(f"{path}: {exc}") from exc
    except (LookupError, TypeError, ValueError, AttributeError) as exc:
        raise click.ClickException(f"{path} is a damaged document of `benchmark {kind}`") from exc


def _kind(document: Any) -> str | None:
    """Return the benchmark. A profile names none, nor did the encoder's documents."""
    if not isinstance(document, dict):
        return None
    known = document.get("benchmark")
    return "encoder" if known is None and "profiles" in document else known


def _encoder(document: Document, name: str, path: Path) -> list[Measured]:
    profiles = read_profiles(path)
    runs = document.get("runs") or [{}] * len(profiles)
    pairs = list(zip(profiles, runs, strict=True))
    several = len(pairs) > 1
    return [
        _profile(document, one, run, f"{name}, {one.match.precision}" if several else name)
        for one, run in pairs
    ] or [Measured(name, "encoder", "", complete=False)]


def _profile(document: Document, profile: Profile, run: Document, name: str) -> Measured:
    match, size, images_s = profile.match, profile.image.batch_size, images_a_second(profile)
    model = run.get("model") or {}
    on_cpu = match.device == CPU
    return Measured(
        name=name,
        kind="encoder",
        load="the image tower alone",
        model=model.get("name"),
        fingerprint=match.checkpoint,
        precision=match.precision,
        machine=_machine(match.cpu, match.cores) if on_cpu else match.device,
        code=_code(document),
        images_s=images_s,
        p95_ms=next((point.p95_ms for point in profile.image.points if point.n == size), None),
        million=_million(document.get("price") or run.get("price"), images_s),
        core_ms=core_ms(match.cores, images_s) if on_cpu else None,
        spot=f"batches of {size}",
        cosine=model.get("cosine"),
        complete=document.get("complete", True),
    )


def _pipeline(document: Document, name: str, _: Path) -> list[Measured]:
    asked, found = document["asked"], document["pipeline"]
    load = (
        f"{asked['mix']} after {asked['latency_ms']:g} ms, "
        f"{asked['batch']} x {asked['concurrency']}"
    )
    return [
        Measured(
            name,
            "pipeline",
            load,
            **_common(document),
            machine=_here(document),
            images_s=found["items_per_s"],
            p95_ms=found["p95_ms"],
            million=_million(document.get("price"), found["items_per_s"]),
            core_ms=document.get("core_ms"),
            spot=f"batches of {document['plan']['batch_size']}",
        )
    ]


def _endpoint(document: Document, name: str, _: Path) -> list[Measured]:
    asked, chosen = document["asked"], document["recommendation"]["cell"]
    cell: Document = next((one for one in document["cells"] if _has(one, chosen)), {})
    speed = cell.get("items_per_s")
    return [
        Measured(
            name,
            "endpoint",
            _sent(asked),
            **_common(document),
            machine=_served_by(document),
            images_s=speed,
            p95_ms=cell.get("p95_ms"),
            million=_million(document.get("price"), speed),
            core_ms=cell.get("core_ms"),
            spot=f"{cell['batch']} x {_at_once(cell)}" if cell else None,
        )
    ]


def _sweep(document: Document, name: str, _: Path) -> list[Measured]:
    asked, wait_ms = document["asked"], document["recommendation"]["wait_ms"]
    settings = document["settings"]
    one = next((it for it in settings if it["interactive_wait_ms"] == wait_ms), None)
    first = settings[0]
    target_ms = asked["query_target_ms"]
    load = (
        f"{first['batch']} x {first['concurrency']} beside {first['rate_per_s']:g} texts and "
        "screenshots a second" + ("" if target_ms is None else f", texts within {target_ms:g} ms")
    )
    beside = [turn["items_per_s"] for turn in one["bulk"]["beside"]] if one else []
    speed = sorted(beside)[len(beside) // 2] if beside else None
    return [
        Measured(
            name,
            "interactive_sweep",
            load,
            **_common(document),
            machine=_here(document),
            images_s=speed,
            p95_ms=one["text"]["beside_bulk"]["p95_ms"] if one else None,
            million=_million(document.get("price"), speed),
            spot=None if one is None else f"wait {wait_ms} ms",
        )
    ]


READERS: dict[str | None, Callable[[Document, str, Path], list[Measured]]] = {
    "encoder": _encoder,
    "pipeline": _pipeline,
    "endpoint": _endpoint,
    "interactive_sweep": _sweep,
}


def _common(document: Document) -> dict[str, Any]:
    model = document.get("model") or {}
    return {
        "model": model.get("name"),
        "fingerprint": model.get("fingerprint"),
        "precision": model.get("precision"),
        "cosine": model.get("cosine"),
        "code": _code(document),
        "complete": document["complete"],
    }


def _has(cell: Document, identity: Document | None) -> bool:
    return identity is not None and all(cell[key] == value for key, value in identity.items())


def _at_once(cell: Document) -> str:
    at_once = cell["concurrency"]
    return f"{cell['rate_per_s']:g}/s" if at_once is None else str(at_once)


def _sent(asked: Document) -> str:
    what = f"thumbnails after {asked['latency_ms']:g} ms"
    if asked["urls"]:
        what = f"URLs of {Path(asked['urls']).name}"
    elif asked["inline"]:
        what = "thumbnails in the body"
    loads = [f"{asked['rate']:g}/s"] if asked["rate"] else asked["concurrency"]
    grid = f"{','.join(map(str, asked['batch']))} x {','.join(map(str, loads))}"
    target = asked["latency_target_ms"]
    return f"{what}, {grid}" + ("" if target is None else f", p95 within {target:g} ms")


def _served_by(document: Document) -> str | None:
    """Return the machine of the endpoint: this one, or its instance type if that was named."""
    if urlsplit(document["asked"]["url"] or "").hostname in LOOPBACK:
        return _here(document)
    return (document.get("price") or {}).get("instance_type")


def _here(document: Document) -> str:
    return _machine(document["machine"]["cpu"], document["machine"]["cores"])


def _machine(cpu: str, cores: int) -> str:
    return f"{cpu}, {cores} core" + ("" if cores == 1 else "s")


def _code(document: Document) -> str | None:
    code = document.get("code") or {"version": (document.get("versions") or {}).get("sweetspot")}
    return " ".join(one for one in (code.get("version"), code.get("commit")) if one) or None


def _million(price: Document | None, images_s: float | None) -> float | None:
    if price is None or images_s is None:
        return None
    return Price(price["per_hour"], price.get("instance_type")).per_million(images_s)
