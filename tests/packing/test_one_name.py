"""The wheel: what is in it, and what its modules import."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from importlib.metadata import packages_distributions

import pytest

import sweetspot
from packing.one_name import PACKAGES, is_ours, qualified
from serve.cli import OF_THE_SERVICE
from tests.e2e.service import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
BUILD = "import sys; from packing.backend import build_wheel; build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Its files by name."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)], cwd=ROOT, check=True, capture_output=True
    )
    (path,) = folder.iterdir()
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def modules(wheel):
    """The syntax trees of its modules by name."""
    return {name: ast.parse(data) for name, data in wheel.items() if name.endswith(".py")}


def test_one_name_is_at_the_top(wheel):
    about = f"sweetspot_clip-{PROJECT['version']}.dist-info"
    assert {name.partition("/")[0] for name in wheel} == {"sweetspot", about}
    assert wheel[f"{about}/top_level.txt"].split() == [b"sweetspot"]
    assert message_from_bytes(wheel[f"{about}/METADATA"])["Name"] == "sweetspot-clip"


def test_every_file_that_the_tree_has_is_there(wheel):
    """But for notes, which are for whoever reads the tree, and byte code."""
    tree = {
        f"sweetspot/{path.relative_to(ROOT)}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    left_out = tree - wheel.keys()
    assert "sweetspot/py.typed" in wheel
    assert all(name.startswith("sweetspot/model/synthetic/") for name in left_out), left_out
    assert all(name.endswith((".md", ".txt")) for name in left_out), left_out


def test_no_module_imports_a_package_of_the_tree_by_its_old_name(modules):
    assert len(modules) > 400
    imported = [
        module
        for tree in modules.values()
        for node in ast.walk(tree)
        for module in imports_of(node)
    ]
    assert "sweetspot.serve.settings" in imported
    assert not [module for module in imported if is_ours(module)]


def imports_of(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def test_no_string_names_a_module_of_the_tree(modules):
    """`-m serve.x`, gunicorn's `serve.x.Worker` and the like are nowhere once it is installed."""
    known = {name.removesuffix(".py").removesuffix("/__init__") for name in modules}
    named = re.compile(rf"(?<![\w/.])((?:{'|'.join(PACKAGES)})(?:\.\w+)+)")
    found = [
        (name, text)
        for name, tree in modules.items()
        for value in strings(tree)
        for text in named.findall(value)
        if "/".join(["sweetspot", *text.split(".")[:2]]) in known
    ]
    assert not found


def strings(tree):
    """All but docstrings."""
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in said and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from serve import cli", "from sweetspot.serve import cli"),
        ("import model.files as files", "import sweetspot.model.files as files"),
        ("if x:\n    from model.a import b", "if x:\n    from sweetspot.model.a import b"),
        ('"é"; from deploy import (\n  a,\n)\n', '"é"; from sweetspot.deploy import (\n  a,\n)\n'),
        (
            "import os, model.a as a, inference.b as b",
            "import os, sweetspot.model.a as a, sweetspot.inference.b as b",
        ),
        ("from models.a import serve", "from models.a import serve"),
        ('say("from serve import cli")\r\n', 'say("from serve import cli")\r\n'),
    ],
)
def test_imports_alone_are_rewritten(source, expected):
    assert qualified(source.encode(), "a.py").decode() == expected


def test_an_import_that_binds_a_packages_own_name_is_refused():
    with pytest.raises(ValueError, match=r"a\.py:2: write `from .* not `import serve\.cli`"):
        qualified(b"\nimport serve.cli", "a.py")


def test_what_an_application_installs_is_light_and_every_extra_has_the_service():
    light = {re.split("[^a-z0-9]", one)[0] for one in PROJECT["dependencies"]}
    assert light == {"boto3", "click", "rich", "tenacity", "urllib3"}
    others = [extra for extra in EXTRAS if extra not in ("serve", "dev")]
    assert all(EXTRAS[one][0].startswith("sweetspot-clip[") for one in others)


def test_the_packages_of_the_service_are_known_by_what_they_are_imported_as():
    needed = {re.split("[<>=]", one)[0] for one in EXTRAS["serve"]}
    names = packages_distributions()
    providing = {
        names[name][0].lower().replace("_", "-") for name in OF_THE_SERVICE if name in names
    }
    # Several distributions share the name `google`.
    assert needed ^ providing <= {"protobuf", *map(str.lower, names["google"])}


def test_every_public_name_is_found_when_it_is_asked_for():
    assert all(getattr(sweetspot, name) for name in sweetspot.__all__)
    assert sweetspot.Client.__module__ == "deploy.client.client"
    with pytest.raises(AttributeError, match="module 'sweetspot' has no attribute 'client'"):
        sweetspot.client  # noqa: B018
