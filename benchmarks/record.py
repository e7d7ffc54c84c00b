"""Result files with machine, versions, command and date."""

from __future__ import annotations

import datetime
import json
import platform
import sys
from pathlib import Path
from typing import Any

from inference.profile.machine import cores, cpu_name
from model.files import write_whole
from serve.observe.versions import versions

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "transformers", "pillow", "numpy", "requests", "flask", "gunicorn", "openvino")


def record(name: str, result: Any) -> Path:
    """Write `benchmarks/results/<name>.json` and return its path. name: of the benchmark."""
    command = " ".join(["python", "-m", f"benchmarks.{name}", *sys.argv[1:]])
    document = facts(command) | {"result": result}
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    write_whole(path, json.dumps(document, indent=2) + "\n")
    return path


def facts(command: str) -> dict[str, Any]:
    """Return what every record contains beside its result."""
    return {
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": {
            "cpu": cpu_name(),
            "cores": cores(),
            "platform": f"{platform.system()} {platform.machine()}",
        },
        "versions": versions(PACKAGES),
    }
