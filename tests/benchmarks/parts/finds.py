from benchmarks.gpu.plan import Found


def run(plan, box):
    return Found({"cosine": 0.5}, "0.5", ("0.5 is below the floor",))
