"""Fragments are committed once, whatever comes between."""

import shutil
from collections import Counter

import lance
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve.commands.bulk.output.lance.committed import INTENT, STATE, Committed
from serve.commands.bulk.output.lance.files import LanceFiles
from serve.commands.bulk.output.lance.publishing import SHARE, is_due
from serve.commands.bulk.output.lance.table import TABLE, Table
from serve.commands.bulk.output.part_files import PartReport
from serve.commands.tables.errors import JobError
from serve.commands.tables.place import Place

ROWS = 3
SCHEMA = pa.schema([("id", pa.string()), ("written", pa.int64())])
part = st.integers(0, 3)
steps = st.lists(
    st.tuples(st.sampled_from(["write", "write twice"]), part)
    | st.tuples(st.sampled_from(["run", "killed before", "killed after", "compact"]), st.none()),
    max_size=10,
)


class Output:
    """An output, and which writing of each part its table should show."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder, self.files = folder, LanceFiles(Place.of(str(folder)))
        self.files.begin(SCHEMA)
        self.written, self.shown, self.fixed = Counter(), {}, set()

    @property
    def table(self):
        return lance.dataset(self.folder / TABLE)

    def write(self, part, *, again):
        """Write a part: other rows, or the same a second time, which are not needed."""
        if again and part in self.fixed:
            self.shown = dict(self.written)  # others are committed first
            with pytest.raises(JobError, match="was compacted"), self.files.shown([part]):
                raise AssertionError("a part that cannot be replaced was let through")
            return
        known = None if again else self.shown.get(part)
        self.written[part] = known or self.written[part] + 1
        rows = {"id": [f"{part}-{row}" for row in range(ROWS)], "written": [self.written[part]] * 3}
        self.files.write(pa.table(rows, SCHEMA), PartReport(part, ROWS), again=again)

    def run(self):
        with self.files.shown([]):
            self.shown = dict(self.written)
            self.check()

    def killed(self, *, committed):
        """Leave the folder as a run does that is killed before its commit, or right after it."""
        before, shown = self.folder.with_name("before"), self.shown
        Committed(self.files.place, Table(self.files.place))  # what a run writes at its start
        shutil.copytree(self.folder, before)
        self.run()
        if committed:
            take(STATE, before, self.folder)
            shutil.rmtree(before)
        else:
            take(INTENT, self.folder, before)
            shutil.rmtree(self.folder)
            before.rename(self.folder)
            self.shown = shown

    def compact(self):
        replaced = any(self.written[part] > time for part, time in self.shown.items())
        if not replaced and len(self.table.get_fragments()) > 1:
            self.table.optimize.compact_files()
            self.fixed = set(self.shown)

    def check(self):
        found = self.table.to_table().to_pylist()
        wanted = [
            {"id": f"{part}-{row}", "written": time}
            for part, time in self.shown.items()
            for row in range(ROWS)
        ]
        assert sorted(found, key=str) == sorted(wanted, key=str)


def take(name, source, target):
    """Make a file as it is in another folder, or remove it."""
    (target / name).unlink(missing_ok=True)
    if (source / name).exists():
        shutil.copy(source / name, target / name)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_the_table_has_each_part_once(tmp_path_factory, steps):
    output = Output(tmp_path_factory.mktemp("law") / "out")
    for step, part in steps:
        match step:
            case "write" | "write twice":
                output.write(part, again=step == "write")
            case "run":
                output.run()
            case "compact":
                output.compact()
            case _:
                output.killed(committed=step == "killed after")
        output.check()
    output.run()


def test_a_commit_that_is_lost_in_doubt_ends_the_job(tmp_path):
    output = Output(tmp_path / "out")
    output.write(0, again=False)
    output.run()
    output.write(1, again=False)
    output.killed(committed=True)
    output.compact()
    output.table.cleanup_old_versions(retain_versions=1)
    with pytest.raises(JobError, match="cannot be told"):
        output.run()


def test_what_a_table_lost_with_its_machine_is_committed_again(tmp_path):
    output = Output(tmp_path / "out")
    for part in range(3):
        output.write(part, again=False)
        output.run()
    newest = min((tmp_path / "out" / TABLE / "_versions").glob("*.manifest"))
    newest.unlink()
    output.run()


def test_a_table_of_any_size_is_committed_seldom():
    committed = commits = waiting = 0
    for _ in range(100_000):
        waiting += 1
        if is_due(waiting, committed, 10.0):
            committed, waiting, commits = committed + waiting, 0, commits + 1
        assert waiting <= 1 + committed / SHARE
    assert commits < SHARE * 10


def test_parts_are_committed_every_ten_seconds_at_most():
    assert is_due(1000, 10, 10.0)
    assert not is_due(1000, 10, 9.9)
