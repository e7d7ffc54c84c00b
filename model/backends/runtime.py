"""OpenVINO, imported so that it tells nobody of it: import it from here only.

On import, and at each conversion, OpenVINO (and nncf) report to an analytics server over the
network unless the user has opted out, and leave files in the home folder. A service inside
somebody's network must not; docs/decisions/0008.
"""

from __future__ import annotations

import sys
from functools import cache

# None makes `import openvino_telemetry` fail, and both packages then go on without it.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # what Python documents

import openvino  # noqa: E402 - only now

__all__ = ["core", "openvino"]


@cache
def core() -> openvino.Core:
    """The one of this process: never a second.

    Each core's CPU plugin gives the thread that makes it a stack for signal handlers, and puts the
    one before back when it goes. Of two that go in the order they came, the second puts back the
    first's, which is freed: the next signal, Ctrl-C say, ends the process. OpenVINO 2026.4.
    """
    return openvino.Core()
