def run(plan, box):
    box.note({"so": "far"})
    raise ValueError("what went wrong")
