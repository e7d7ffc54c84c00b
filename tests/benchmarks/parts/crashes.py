import os
import signal


def run(plan, box):
    box.note({"so": "far"})
    os.kill(os.getpid(), signal.SIGSEGV)
