"""The folder `openvino/` of a checkpoint: exported or quantized graphs of both towers.

    openvino/float32/image.xml, image.bin, text.xml, text.bin   OpenVINO's own format
                     tokenizer.json                             the tokenizer, ready to use; none if
                                                                only the checkpoint's own will do
                     graphs.json                                what they are, and their weights

One folder per precision. Light to import: needs neither OpenVINO nor torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.layouts import GRAPHS, MANIFEST
from model.checkpoints.weights import hash_files
from model.errors import CheckpointError

FOLDER = GRAPHS
TOKENIZER = "tokenizer.json"
VERSION = 1
FILES = ("image.xml", "image.bin", "text.xml", "text.bin")
# bfloat16 uses the float32 graphs.
GraphPrecision = Literal["float32", "int8"]
GRAPH_PRECISIONS: tuple[GraphPrecision, ...] = ("float32", "int8")


@dataclass(frozen=True)
class Graphs:
    """Complete graphs of a checkpoint's weights.

    end: id of the token that ends a text. pad: of the token that fills the context; None if texts
    are not padded to it. digest: of the graphs, hex. fidelity: of quantized graphs, compared with
    float32.
    """

    folder: Path
    precision: GraphPrecision
    end: int
    pad: int | None
    digest: str
    fidelity: dict[str, Any]

    @property
    def files(self) -> list[Path]:
        """All files, the manifest last."""
        tokenizer = [self.tokenizer] if self.tokenizer else []
        return [*(self.folder / name for name in FILES), *tokenizer, self.folder / MANIFEST]

    @property
    def cosine(self) -> float | None:
        """The smallest recorded cosine to float32, at the first percentile; None if not recorded.

        It is the smallest of both towers, in float32 and in bfloat16 where layers are not int8.
        """
        towers = [self.fidelity[name] for name in ("image", "text") if name in self.fidelity]
        measured = [*towers, *(one["in_bfloat16"] for one in towers if one.get("in_bfloat16"))]
        return min((one["plain"]["p1"] for one in measured), default=None)

    @property
    def tokenizer(self) -> Path | None:
        """The tokenizer's file; None if only the checkpoint's own will do."""
        path = self.folder / TOKENIZER
        return path if path.is_file() else None


def graphs_folder(checkpoint_folder: Path, precision: GraphPrecision) -> Path:
    """Return the folder for the graphs of a precision."""
    return checkpoint_folder / FOLDER / precision


def check_int8(checkpoint_folder: Path) -> None:
    """Raise CheckpointError if a checkpoint has no int8 graphs."""
    if not graphs_folder(checkpoint_folder, "int8").is_dir():
        raise CheckpointError(
            f"precision int8 was requested, but {checkpoint_folder} holds no int8 graphs; "
            f"create them: sweetspot quantize --model {checkpoint_folder} -o DIR"
        )


def find(checkpoint: Checkpoint, precision: GraphPrecision) -> Graphs | None:
    """Return the graphs in a checkpoint's folder, or None if there are none. Raises as `read`."""
    folder = graphs_folder(checkpoint.folder, precision)
    return read(folder, checkpoint, precision) if folder.is_dir() else None


def read(folder: Path, checkpoint: Checkpoint, precision: GraphPrecision) -> Graphs:
    """Return the graphs in a folder.

    Raises:
        CheckpointError: they are damaged, half-written, or made from other weights.
    """
    manifest = _manifest(folder)
    if manifest["checkpoint"] != checkpoint.digest:
        raise CheckpointError(
            f"{folder} was made from other weights than the checkpoint's; create it again, "
            "or remove it"
        )
    for name, size in manifest["bytes"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            raise CheckpointError(f"{path} is missing or half-written")
    if _digest(folder, manifest["bytes"]) != manifest["digest"]:
        raise CheckpointError(f"the graphs in {folder} are damaged, or come from two exports")
    return Graphs(
        folder=folder,
        precision=precision,
        end=manifest["end"],
        pad=manifest.get("pad"),
        digest=manifest["digest"],
        fidelity=manifest.get("fidelity", {}),
    )


def write_manifest(
    folder: Path,
    checkpoint: Checkpoint,
    end: int,
    fidelity: dict[str, Any] | None = None,
    pad: int | None = None,
) -> None:
    """Write the manifest of the graphs in a folder. Write it last: it marks them as complete."""
    names = [name for name in (*FILES, TOKENIZER) if name in FILES or (folder / name).is_file()]
    manifest: dict[str, Any] = {
        "version": VERSION,
        "checkpoint": checkpoint.digest,
        "digest": _digest(folder, names),
        "end": end,
        "bytes": {name: (folder / name).stat().st_size for name in names},
        "weights": checkpoint.weights.as_dict(),
    }
    if pad is not None:
        manifest["pad"] = pad
    if fidelity is not None:
        manifest["fidelity"] = fidelity
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def _digest(folder: Path, names: Collection[str]) -> str:
    """Return the digest of files in their usual order."""
    paths = (folder / name for name in (*FILES, TOKENIZER) if name in names)
    return hashlib.sha256(hash_files(paths)).hexdigest()


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["version"] != VERSION:
            raise CheckpointError(f"{path} has version {manifest['version']}, not {VERSION}")
        if set(manifest["bytes"].keys()) - {TOKENIZER} != set(FILES):
            raise CheckpointError(f"{path} does not name every file")
        if not isinstance(manifest["end"], int):
            raise TypeError("end is not a number")
        _ = manifest["checkpoint"] + manifest["digest"]
        return dict(manifest)
    except FileNotFoundError as exc:
        raise CheckpointError(f"{path} is missing: the graphs are half-written") from exc
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise CheckpointError(f"{path} is not a valid manifest of graphs: {exc}") from exc
