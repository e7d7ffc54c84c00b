"""training.json: what a checkpoint was trained on, how, and what came of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serve.commands.train.results.recalls import Report
from serve.observe.versions import versions

FILE_NAME = "training.json"
VERSION = 1
PACKAGES = ("sweetspot", "numpy", "pillow", "pyarrow")


def record(report: Report, data: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document: the report, and where its pairs came from.

    data: sizes and digests of the sets. settings: of the command, besides the training's options.
    """
    return {
        "version": VERSION,
        "data": dict(data),
        "settings": dict(settings),
        **report,
        "versions": {**versions(PACKAGES), **report["versions"]},
    }
