"""One image through both policies: what came of it, and whether that is as it should be."""

import ctypes
import re
import signal
import time
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model.errors import DecodeError
from model.images.preprocess import preprocess

MIB = 2**20
# The dearest file within the limits took 1.6 s of CPU; the machine may be slow.
MAX_CPU_S = 5
# Growth of the process while it decodes: the decoders' own, and for each px that may be announced.
# An animated WebP takes 19 bytes a px.
MAX_GROWTH_BYTES = 128 * MIB
MAX_BYTES_PER_PIXEL = 24
MAX_MESSAGE_CHARS = 250
LEAK = re.compile(r"/(tmp|usr|home|root|opt|var)/|site-packages|Traceback|0x[0-9a-f]{6,}")
# Of glibc's mallopt: what memory is filled with before it is handed out, 0 for nothing.
M_PERTURB = -6
FILL = 0xAA


class Outcome(NamedTuple):
    """codes: `ok` or a failure's, by policy. fault: what should not be, or nothing."""

    codes: dict[str, str]
    fault: str = ""
    cpu_s: float = 0.0
    growth_bytes: int = 0


def check(case):
    """Both policies, within the limits. A crash or a hang ends the process."""
    results = {}
    with _watched() as spent:
        for policy in ("display", "reference"):
            results[policy] = _run(case, policy)
    faults = [fault for _, fault in results.values()]
    limit_bytes = MAX_GROWTH_BYTES + MAX_BYTES_PER_PIXEL * case.max_pixels
    if spent["growth_bytes"] > limit_bytes:
        faults.append(f"took {spent['growth_bytes'] // MIB} MiB of {limit_bytes // MIB}")
    faults += [_compare(case, policy, result) for policy, (result, _) in results.items()]
    codes = {
        policy: result if isinstance(result, str) else "ok"
        for policy, (result, _) in results.items()
    }
    return Outcome(codes, next(filter(None, faults), ""), **spent)


def _compare(case, policy, first):
    """Decode again over memory of known contents: pixels may depend on the file alone."""
    if isinstance(first, str):
        return ""
    malloc = ctypes.CDLL(None)
    malloc.mallopt(M_PERTURB, FILL)
    again, fault = _run(case, policy)
    malloc.mallopt(M_PERTURB, 0)
    same = not isinstance(again, str) and np.array_equal(first, again)
    return fault or ("" if same else f"{policy}: shows memory that nobody wrote")


def _run(case, policy):
    """(pixels or code, fault)."""
    # Its default action ends the process, whatever C code is at work.
    signal.setitimer(signal.ITIMER_PROF, MAX_CPU_S)
    try:
        pixels = preprocess(case.data, case.size, policy, case.max_pixels)
    except DecodeError as exc:
        return exc.code, _message_fault(str(exc))
    except Exception as exc:
        where = traceback.extract_tb(exc.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return type(exc).__name__, f"{policy}: raised {type(exc).__name__} at {place}: {exc}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if pixels.dtype != np.uint8 or pixels.shape != (case.size, case.size, 3):
        return "ok", f"{policy}: became {pixels.dtype} {pixels.shape}"
    return pixels, ""


def _message_fault(message):
    if "not enough memory" in message:
        return "asked for more memory than there may be"
    if len(message) > MAX_MESSAGE_CHARS or LEAK.search(message) or not message.isprintable():
        return f"a message that tells too much: {message!r}"
    return ""


@contextmanager
def _watched():
    """CPU seconds of the block, and growth of the process at its peak."""
    spent = {}
    # Linux forgets the peak so far.
    Path("/proc/self/clear_refs").write_text("5")
    before_bytes, start_s = resident("VmRSS"), time.process_time()
    yield spent
    spent["cpu_s"] = time.process_time() - start_s
    spent["growth_bytes"] = resident("VmHWM") - before_bytes


def resident(what):
    """Bytes: VmRSS, now; VmHWM, at the peak; VmSize, of addresses."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"{what}:\s*(\d+)", status)[1])
