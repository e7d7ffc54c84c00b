"""Lets torchvision's Python be imported where its compiled part does not fit torch's build.

A wheel for CUDA cannot load its C++ beside a torch for CPUs. torchvision goes on without it, but
stops when it describes the operators of that part, which are for detection. So their names are
made known to torch, without any code. Its transforms of Pillow's pictures need none of them.
"""

import re
from importlib.util import find_spec
from pathlib import Path

import torch

NAMED = re.compile(r"register_(?:meta|fake)\(\"(?:torchvision::)?(\w+)\"")
# Holds what was made known; it is forgotten with this object.
LIBRARY = torch.library.Library("torchvision", "FRAGMENT")


def name_missing_operators():
    """Make the operators known if torchvision's own cannot be loaded. Call before its import."""
    folder = Path(find_spec("torchvision").origin).parent
    try:
        torch.ops.load_library(next(folder.glob("_C*.so")))
    except (OSError, StopIteration):
        for name in sorted(set(NAMED.findall((folder / "_meta_registrations.py").read_text()))):
            LIBRARY.define(f"{name}(Tensor x) -> Tensor")
