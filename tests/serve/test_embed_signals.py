"""A signal ends a run, whatever becomes of the exception that it raises."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOST = """
import os, signal, time
from serve.commands import signals

class Finalizer:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)

with signals.guarded():
    signals.unwind()
    Finalizer()
    time.sleep(60)
"""


def test_an_exception_that_a_finalizer_loses_ends_the_process_later():
    done = subprocess.run(
        [sys.executable, "-c", LOST], cwd=ROOT, capture_output=True, timeout=30, text=True
    )
    assert done.returncode == 130
    assert done.stderr.startswith("interrupted: nothing was embedded\n")
