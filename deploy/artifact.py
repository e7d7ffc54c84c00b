"""model.tar.gz: the files of a checkpoint as SageMaker unpacks them, the same bytes every time."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from deploy.errors import DeployError
from inference.profile import profile
from inference.profile.profile import Profile, ProfileError
from model.checkpoints import checkpoint, graphs, weights
from model.checkpoints.checkpoint import Checkpoint
from model.config import POLICY_VERSIONS
from model.errors import CheckpointError
from model.files import UNFINISHED, whole_file

# Weights hardly compress; more effort would only take longer.
COMPRESSION = 1
FILE_MODE = 0o644

Advance = Callable[[int], object]


class ArtifactError(DeployError):
    """An artifact that the service could not open, or that cannot be written."""


@dataclass(frozen=True)
class Artifact:
    """A written file. digests: of each checkpoint in it, by folder; `""` is the top."""

    path: str
    size: int
    sha256: str
    digests: dict[str, str]


def contents(
    folders: Mapping[str, Path], quantized: Path | None = None, profile_file: Path | None = None
) -> dict[str, Path]:
    """Return the files of an artifact: source path by name in the artifact.

    Args:
        folders: checkpoints by their folder in the artifact; `""` is the top, for a single one.
        quantized: an artifact folder of the same checkpoint, whose graphs are used.
        profile_file: a `sweetspot.json` instead of the checkpoint's own.

    Raises:
        ArtifactError: a checkpoint or its graphs are incomplete, or the others do not match it.
    """
    found: dict[str, Path] = {}
    every = {name: _verify(folder) for name, folder in folders.items()}
    for name, held in every.items():
        for inside, path in _files(held, folders[name]).items():
            found[f"{name}/{inside}".lstrip("/")] = path
    if quantized is not None or profile_file is not None:
        (held,) = every.values()
        graphs_of = held if quantized is None else _verify(quantized)
        if quantized is not None:
            found |= _graphs_for(held, graphs_of)
        if profile_file is not None:
            _check_measured(profile_file, held, graphs_of)
            found[profile.FILE_NAME] = profile_file
    return found


def write(
    folders: Mapping[str, Path], files: Mapping[str, Path], output: Path, advance: Advance
) -> Artifact:
    """Write files of `contents`, and open them as the server would before replacing output.

    Args:
        folders: as given to `contents`.
        files: paths by name in the artifact.
        output: the `.tar.gz`.
        advance: called with the number of bytes read.

    Raises:
        ArtifactError: a file cannot be read or written, or the packed files are not those given.
    """
    if output.resolve() in {path.resolve() for path in files.values()}:
        raise ArtifactError(f"{output} is a file of the artifact itself")
    if not output.parent.is_dir():
        raise ArtifactError(f"{output}: {output.parent} is not a folder")
    if output.exists() and not output.is_file():
        raise ArtifactError(f"{output} is not a plain file")
    try:
        with whole_file(output) as packed:
            _pack(files, packed, advance)
            packed.seek(0)
            with tempfile.TemporaryDirectory(dir=output.parent, prefix=UNFINISHED) as scratch:
                digests = _check(folders, packed, Path(scratch))
            packed.seek(0)
            sha256 = hashlib.file_digest(packed, "sha256").hexdigest()  # type: ignore[arg-type]
    except OSError as exc:
        raise ArtifactError(f"{output}: cannot be written: {exc.strerror or exc}") from exc
    return Artifact(str(output), output.stat().st_size, sha256, digests)


def _files(held: Checkpoint, given: Path) -> dict[str, Path]:
    """Return the files of a checkpoint. given: its folder, or the one around it."""
    files = [*weights.kept_weight_files(held.folder), *checkpoint.companions(held.folder)]
    measured = given / profile.FILE_NAME
    if measured.is_file():
        _read_profiles(measured)
        files.append(measured)
    return {path.name: path for path in files} | _graphs(held)


def _graphs(held: Checkpoint) -> dict[str, Path]:
    """Return the graphs beside a checkpoint, checked against its weights as the server does."""
    with _in_plain_words():
        found = [
            one for precision in graphs.GRAPH_PRECISIONS if (one := graphs.find(held, precision))
        ]
    paths = (path for one in found for path in one.files)
    return {path.relative_to(held.folder).as_posix(): path for path in paths}


def _graphs_for(held: Checkpoint, quantized: Checkpoint) -> dict[str, Path]:
    if _digest(quantized) != _digest(held):
        raise ArtifactError(
            f"--quantized {quantized.folder} is of another checkpoint than {held.folder}"
        )
    found = _graphs(quantized)
    if not found:
        raise ArtifactError(f"--quantized {quantized.folder} holds no {graphs.FOLDER}/")
    return found


def _verify(folder: Path) -> Checkpoint:
    with _in_plain_words():
        return checkpoint.verify(folder)


def _digest(held: Checkpoint) -> str:
    with _in_plain_words():
        return held.digest


@contextmanager
def _in_plain_words() -> Iterator[None]:
    try:
        yield
    except CheckpointError as exc:
        raise ArtifactError(str(exc)) from exc
    except OSError as exc:
        raise ArtifactError(f"{exc.filename} cannot be read: {exc.strerror}") from exc


def _check_measured(profile_file: Path, held: Checkpoint, quantized: Checkpoint) -> None:
    """Check that the profile was measured on an encoder that can be made of these files."""
    with _in_plain_words():
        int8 = graphs.find(quantized, "int8")
        known = {
            checkpoint.fingerprint(held, policy, digest)
            for policy in POLICY_VERSIONS.values()
            for digest in ("", int8.digest if int8 else "")
        }
    if not known & {one.match.checkpoint for one in _read_profiles(profile_file)}:
        raise ArtifactError(
            f"--profile {profile_file} was measured with another checkpoint than {held.folder}"
        )


def _read_profiles(path: Path) -> list[Profile]:
    try:
        return profile.read(path)
    except ProfileError as exc:
        raise ArtifactError(str(exc)) from exc


def _pack(files: Mapping[str, Path], packed: BinaryIO, advance: Advance) -> None:
    """Pack reproducibly: sorted, without owner or time. Links are packed as their files."""
    with (
        gzip.GzipFile("", "wb", COMPRESSION, packed, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for name, path in sorted(files.items()):
            with _in_plain_words():
                opened = path.open("rb")
            with opened as file:
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = os.fstat(file.fileno()).st_size, FILE_MODE
                tar.addfile(entry, _Counted(file, advance))  # type: ignore[arg-type]


def _check(folders: Mapping[str, Path], packed: BinaryIO, unpacked: Path) -> dict[str, str]:
    """Unpack as the platform does, and compare each checkpoint with the one given."""
    with tarfile.open(fileobj=packed) as tar:
        tar.extractall(unpacked, filter="data")
    try:
        opened = {name: _verify(unpacked / name) for name in folders}
        for held in opened.values():
            _files(held, held.folder)
    except ArtifactError as exc:
        raise ArtifactError(f"a file changed while it was packed: {exc}") from exc
    digests = {name: _digest(held) for name, held in opened.items()}
    for name, folder in folders.items():
        if digests[name] != _digest(_verify(folder)):
            raise ArtifactError(f"{folder} changed while it was packed")
    return digests


class _Counted:
    """A file that reports its reads to `advance`."""

    def __init__(self, file: IO[bytes], advance: Advance) -> None:
        self._file, self._advance = file, advance

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._advance(len(data))
        return data
