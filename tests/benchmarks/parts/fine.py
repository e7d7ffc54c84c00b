import os

from benchmarks.gpu.plan import Found


def run(plan, box):
    return Found({"pid": os.getpid()}, "all is well")
