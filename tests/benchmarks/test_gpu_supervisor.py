"""A part that fails, crashes or hangs is recorded, and the next one runs."""

import json
from pathlib import Path

import pytest

from benchmarks.gpu.document import Document
from benchmarks.gpu.parts import BUDGET_S, PARTS, Part
from benchmarks.gpu.plan import Box, Plan
from benchmarks.gpu.supervisor import Supervisor

BOX_S = 30.0
# Of one that hangs: long enough to begin, on a machine that is busy.
SHORT_S = 4.0


def part(name, seconds=BOX_S):
    return Part(name, seconds, "", package="tests.benchmarks.parts")


@pytest.fixture
def ran(tmp_path):
    """Runs parts, and returns how each ended and what the record says of it."""

    def run(*parts, budget_s=300.0):
        document = Document(tmp_path / "record", "a command", {})
        plan = Plan("cpu", quick=True, folder=tmp_path)
        with Supervisor(plan, budget_s) as supervisor:
            for one, ended in supervisor.run(parts, document.note):
                document.ended(one, ended)
        return json.loads(document.path.read_text())["parts"]

    return run


def is_alive(pid):
    """Whether it runs; one that has ended may wait for whoever asks after it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_parts_share_a_process_as_long_as_all_is_well(tmp_path):
    parts = [part("fine"), part("declines"), part("fine")]
    with Supervisor(Plan("cpu", quick=True, folder=tmp_path), 300.0) as supervisor:
        first, declined, last = (ended for _, ended in supervisor.run(parts, lambda *_: None))
        assert first.found.numbers == last.found.numbers
        assert is_alive(last.found.numbers["pid"])
    assert (declined.state, declined.found.headline) == ("skipped", "it makes no sense here")
    assert not is_alive(last.found.numbers["pid"])


def test_one_that_raises_leaves_its_traceback_and_its_numbers(ran):
    found = ran(part("raises"), part("fine"))
    assert found["raises"]["state"] == "failed"
    assert "ValueError: what went wrong" in found["raises"]["error"]
    assert found["raises"]["numbers"] == {"so": "far"}
    assert found["fine"]["state"] == "ok"


def test_one_that_finds_what_must_not_be_has_failed(ran):
    found = ran(part("finds"), part("fine"))
    assert found["finds"]["state"] == "failed"
    assert found["finds"]["problems"] == ["0.5 is below the floor"]
    assert found["finds"]["numbers"] == {"cosine": 0.5}
    assert found["fine"]["state"] == "ok"


def test_one_that_crashes_says_where(ran):
    found = ran(part("crashes"), part("fine"))
    assert found["crashes"]["state"] == "died"
    assert found["crashes"]["numbers"] == {"so": "far"}
    assert "crashes.py" in found["crashes"]["error"]
    assert found["fine"]["state"] == "ok"


def test_one_that_hangs_is_killed_with_what_it_started_and_says_where(ran):
    found = ran(part("hangs", SHORT_S), part("fine"))
    assert found["hangs"]["state"] == "out of time"
    assert "hangs.py" in found["hangs"]["error"]
    assert not is_alive(found["hangs"]["numbers"]["child"])
    assert found["fine"]["state"] == "ok"


def test_the_budget_ends_the_part_that_runs_and_skips_the_rest(ran):
    found = ran(part("hangs"), part("fine"), budget_s=4.0)
    assert found["hangs"]["state"] == "out of time"
    assert (found["fine"]["state"], found["fine"]["headline"]) == ("skipped", "no time was left")


def test_without_the_machine_nothing_else_is_tried(ran):
    found = ran(part("machine"), part("fine"))
    assert found["machine"]["state"] == "failed"
    assert found["fine"]["state"] == "skipped"


def test_what_a_part_has_noted_is_recorded_while_it_runs(tmp_path):
    document = Document(tmp_path, "a command", {})
    document.note(part("fine"), {"so": "far"})
    said = json.loads((tmp_path / "gpu.json").read_text())["parts"]["fine"]
    assert (said["state"], said["numbers"]) == ("running", {"so": "far"})
    assert [path.name for path in tmp_path.iterdir()] == ["gpu.json"]


def test_all_parts_fit_into_seven_minutes_though_each_hangs():
    assert BUDGET_S == 420
    assert sum(one.seconds for one in PARTS) <= BUDGET_S


def test_a_box_is_shared_among_what_is_to_come():
    now_s = [0.0]
    box = Box(12.0, clock=lambda: now_s[0])
    share = box.share(3)
    assert share.left_s == 4.0
    now_s[0] = 3.0
    assert (share.left_s, box.share(2).left_s) == (1.0, 4.5)
    now_s[0] = 20.0
    assert (share.left_s, box.left_s) == (0.0, 0.0)
