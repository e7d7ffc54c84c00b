"""The build backend: setuptools, but a wheel has one name at its top level.

A wheel is built from a copy of the tree, in which the packages lie under that name. All other hooks
are those of setuptools, so an editable installation imports the tree as it is. There is no hook for
the metadata of a wheel: pip reads them from the wheel.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

from setuptools import build_meta

from packing.one_name import gather

build_editable = build_meta.build_editable
build_sdist = build_meta.build_sdist
get_requires_for_build_editable = build_meta.get_requires_for_build_editable
get_requires_for_build_sdist = build_meta.get_requires_for_build_sdist
get_requires_for_build_wheel = build_meta.get_requires_for_build_wheel
prepare_metadata_for_build_editable = build_meta.prepare_metadata_for_build_editable


def build_wheel(
    wheel_directory: str,
    config_settings: Any = None,
    metadata_directory: str | None = None,  # noqa: ARG001 - of the hook that is not there
) -> str:
    """See PEP 517."""
    target = Path(wheel_directory).absolute()
    with tempfile.TemporaryDirectory() as folder:
        gather(Path.cwd(), Path(folder))
        with contextlib.chdir(folder):
            return str(build_meta.build_wheel(str(target), config_settings))
