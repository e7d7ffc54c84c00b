from benchmarks.gpu.plan import Skipped


def run(plan, box):
    raise Skipped("it makes no sense here")
