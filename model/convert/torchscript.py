"""The weights in an archive of TorchScript, without its program: nothing of it is run.

    NAME/data.pkl     a pickle of the modules, whose tensors are places in storages
    NAME/data/0 ...   the storages: numbers, little-endian
    NAME/code/ ...    the program; not read

The pickle may only name what such an archive needs, and none of these names becomes code of torch:
modules are inert, a tensor is a view of a storage.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from model.convert.archive import entries
from model.errors import CheckpointError

PICKLE = "data.pkl"
# OpenAI's are below 1 MB and 10,000 objects.
MAX_PICKLE_BYTES = 8_000_000
MAX_OBJECTS = 100_000
MAX_DEPTH = 32
STORAGES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
# Functions of `torch.jit._pickle` that say of which type a list is; the list comes first.
TYPED = {
    "build_intlist",
    "build_tensorlist",
    "build_doublelist",
    "build_boollist",
    "restore_type_tag",
}


class Refused(pickle.UnpicklingError):
    """The pickle names something that weights do not need."""


class Module:
    """A module of the archive, inert: attributes by name."""

    attributes: Mapping[Any, Any]

    def __setstate__(self, state: Any) -> None:
        self.attributes = state if isinstance(state, dict) else {}


def read_torchscript(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of all modules by their dotted names.

    Raises:
        CheckpointError: it is damaged, or names more than weights need.
    """
    found = {one.filename: one for one in entries(path)}
    root = next(name for name in found if name.endswith("/constants.pkl")).partition("/")[0]
    try:
        with zipfile.ZipFile(path) as archive:
            top = _Reader(archive, found, root).load()
            return dict(_tensors(top))
    except Refused as exc:
        raise CheckpointError(f"{path} {exc}; nothing of it was run") from exc
    except (MemoryError, OSError):
        raise
    except Exception as exc:  # a damaged pickle raises nearly every type
        raise CheckpointError(f"{path} is damaged or half-written: {exc}") from exc


class _Reader(pickle.Unpickler):
    """Reads data.pkl, and the storages that it names."""

    def __init__(
        self, archive: zipfile.ZipFile, found: Mapping[str, zipfile.ZipInfo], root: str
    ) -> None:
        info = found[f"{root}/{PICKLE}"]
        if info.file_size > MAX_PICKLE_BYTES:
            raise Refused(f"describes its modules in {info.file_size} bytes, which is too much")
        data = archive.read(info)
        _check_memo(data)
        super().__init__(io.BytesIO(data))
        self._archive, self._found, self._root = archive, found, root
        self._storages: dict[str, torch.Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name. Raises Refused: weights do not need it."""
        if module == "__torch__" or module.startswith("__torch__."):
            return Module
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        if module == "torch.jit._pickle" and name in TYPED:
            return self._as_it_is
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise Refused(f"needs {module}.{name}, which is more than weights")

    def persistent_load(self, pid: Any) -> torch.Tensor:
        """Read a storage. pid: ("storage", type, key, device, number of elements)."""
        _, dtype, key, _, _ = pid
        if key not in self._storages:
            data = bytearray(self._archive.read(self._found[f"{self._root}/data/{key}"]))
            empty = torch.empty(0, dtype=dtype)
            self._storages[key] = torch.frombuffer(data, dtype=dtype) if data else empty
        return self._storages[key]

    @staticmethod
    def _as_it_is(value: Any, *_: Any) -> Any:
        return value

    @staticmethod
    def _tensor(
        storage: torch.Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
    ) -> torch.Tensor:
        """Return a view; torch checks that it lies within the storage."""
        return storage.as_strided(size, stride, offset)


def _check_memo(data: bytes) -> None:
    """Refuse numbers of remembered objects for which the library would take memory without end."""
    for operation, argument, _ in pickletools.genops(data):
        if "PUT" in operation.name and argument is not None and argument > len(data):
            raise ValueError("it remembers more objects than it has")


def _tensors(
    value: Any, name: str = "", depth: int = 0, left: list[None] | None = None
) -> Iterator[tuple[str, torch.Tensor]]:
    """Walk modules down to their tensors. left: an element for each object that may follow."""
    left = [None] * MAX_OBJECTS if left is None else left
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, Module):
        if depth > MAX_DEPTH:
            raise ValueError("its modules are too deep")
        for key, one in value.attributes.items():
            if not left:
                raise ValueError("it has too many modules")
            left.pop()
            yield from _tensors(one, f"{name}.{key}".lstrip("."), depth + 1, left)
