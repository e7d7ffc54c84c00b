"""An archive of TorchScript is read for its tensors; whatever else it names is refused."""

import pickle
import zipfile

import pytest
import torch

from model.convert.archive import is_torchscript
from model.convert.torchscript import read_torchscript
from model.errors import CheckpointError
from tests.model.convert.sources import Creates, archive, held

STATE = {"a.b.0.weight": torch.arange(6.0).reshape(2, 3), "c": torch.tensor(3.0)}


def replaced(path, name, data):
    """Replace an entry of a zip, uncompressed as torch's."""
    with zipfile.ZipFile(path) as old:
        entries = {one: old.read(one) for one in old.namelist()}
    root = next(iter(entries)).partition("/")[0]
    with zipfile.ZipFile(path, "w") as new:
        for each, content in (entries | {f"{root}/{name}": data}).items():
            new.writestr(each, content)


def test_the_tensors_are_found_by_name(tmp_path):
    found = read_torchscript(archive(STATE, tmp_path / "a.pt"))
    assert found.pop("input_resolution") == 32
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[key].float(), STATE[key]) for key in found)
    assert found["c"].dtype == torch.float16


def test_it_is_told_from_a_state_dict(tmp_path):
    torch.save(STATE, tmp_path / "b.pt")
    assert not is_torchscript(tmp_path / "b.pt")
    assert is_torchscript(archive(STATE, tmp_path / "a.pt"))


def test_a_pickle_that_would_create_a_file_runs_nothing(tmp_path):
    path = archive(STATE, tmp_path / "a.pt")
    replaced(path, "data.pkl", pickle.dumps(Creates(tmp_path / "created"), protocol=2))
    with pytest.raises(CheckpointError, match=r"needs \S*open, which .* nothing of it was run"):
        read_torchscript(path)
    assert held(tmp_path) == ["a.pt"]


@pytest.mark.parametrize(
    "name", ["os system", "builtins eval", "torch load", "torch._utils _rebuild_parameter", "x y"]
)
def test_no_other_name_is_looked_up(tmp_path, name):
    module, _, attribute = name.partition(" ")
    path = archive(STATE, tmp_path / "a.pt")
    replaced(path, "data.pkl", f"c{module}\n{attribute}\n.".encode())
    with pytest.raises(CheckpointError, match=f"needs {module}.{attribute}"):
        read_torchscript(path)


def rebuilt(size, stride, offset=0):
    """The pickle of a module with one tensor, of the storage 0."""
    parts = "".join(f"I{one}\n" for one in size), "".join(f"I{one}\n" for one in stride)
    return (
        "c__torch__\nM\n)\x81}S'w'\nctorch._utils\n_rebuild_tensor_v2\n"
        f"((S'storage'\nctorch\nHalfStorage\nS'0'\nS'cpu'\nI6\ntQI{offset}\n"
        f"({parts[0]}t({parts[1]}tI00\nccollections\nOrderedDict\n)RtRsb."
    ).encode("latin-1")


@pytest.mark.parametrize(
    ("size", "stride", "offset"), [((7,), (1,), 0), ((2,), (9,), 0), ((1,), (1,), 99)]
)
def test_a_tensor_beyond_its_storage_is_refused(tmp_path, size, stride, offset):
    path = archive({"w": STATE["a.b.0.weight"]}, tmp_path / "a.pt")
    storages = [n for n in zipfile.ZipFile(path).namelist() if "/data/" in n]
    replaced(path, "data/0", bytes(12))
    assert storages
    replaced(path, "data.pkl", rebuilt((6,), (1,)))
    assert read_torchscript(path)["w"].tolist() == [0] * 6
    replaced(path, "data.pkl", rebuilt(size, stride, offset))
    with pytest.raises(CheckpointError, match="damaged or half-written"):
        read_torchscript(path)


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.99])
def test_half_an_archive_is_refused(tmp_path, kept):
    path = archive(STATE, tmp_path / "a.pt")
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(CheckpointError, match="damaged or half-written"):
        is_torchscript(path)


def test_a_module_that_holds_itself_ends(tmp_path):
    path = archive(STATE, tmp_path / "a.pt")
    replaced(path, "data.pkl", b"c__torch__\nM\n)\x81q\x00}S'a'\nh\x00sb.")
    with pytest.raises(CheckpointError, match="its modules are too deep"):
        read_torchscript(path)
