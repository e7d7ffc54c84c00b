"""Parts of the output: what was saved of one comes back, and whole ones are read by others."""

import lance
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve.commands.bulk.inputs.rows import Rows
from serve.commands.bulk.output.formats import FORMATS
from serve.commands.bulk.output.lance.table import TABLE
from serve.commands.bulk.output.outcomes import Outcome, Outcomes
from serve.commands.bulk.output.part_files import PartReport
from serve.commands.bulk.output.parts import Parts
from serve.commands.tables.place import Place

D = 3
text = st.none() | st.text(st.characters(codec="utf-8"), max_size=5)
size = st.none() | st.integers(0, 2**31 - 1)
none = st.none()
embedded = st.builds(
    Outcome, code=none, message=none, retryable=none,
    width=size, height=size, sha256=text, etag=text, how=st.sampled_from(["encoded", "unchanged"]),
    fetched_us=st.none() | st.integers(0, 2**52),
)  # fmt: skip
failed = st.builds(
    Outcome, code=st.sampled_from(["fetch_timeout", "decode_corrupt"]), message=text,
    retryable=st.booleans(), etag=text, width=none, height=none, sha256=none,
    fetched_us=none, how=none,
)  # fmt: skip
in_a_folder = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def filled(found):
    outcomes = Outcomes(len(found), D)
    for row, one in enumerate(found):
        outcomes.found[row] = one
        if one.code is None:
            outcomes.vectors[row] = np.arange(D) + row
    return outcomes


def parts_in(folder, form="parquet", dtype=None):
    parts = Parts(Place.of(str(folder)), D, dtype or pa.float32(), "print", form)
    parts.begin(rows_of(0))
    return parts


def tables(folder, form):
    """Return what readers of the folder see."""
    if form == "lance":
        return lance.dataset(folder / TABLE).to_table()
    return ds.dataset(folder, format=form).to_table()


def rows_of(count):
    others = pa.table({"n": pa.array(range(count), pa.int64())})
    names = [f"u{row}" for row in range(count)]
    return Rows(pa.array(names, pa.string()), names, None, others, {})


@in_a_folder
@given(st.lists(embedded | failed, min_size=1, max_size=9), st.data())
def test_what_was_saved_comes_back(tmp_path_factory, found, data):
    parts = parts_in(tmp_path_factory.mktemp("parts"))
    outcomes = filled(found)
    saved = data.draw(st.lists(st.sampled_from(range(len(found))), unique=True))
    cut = data.draw(st.integers(0, len(saved)))
    for some in (saved[:cut], saved[cut:]):
        if some:
            parts.save(7, outcomes, some)
    again = Outcomes(len(found), D)
    parts.restore(7, again, lasting=False)
    assert again.missing() == sorted(set(range(len(found))) - set(saved))
    lasting = Outcomes(len(found), D)
    parts.restore(7, lasting, lasting=True)
    passing = {row for row in saved if found[row].retryable}
    assert set(lasting.missing()) == set(again.missing()) | passing
    for row in saved:
        assert again.found[row] == found[row]
        if found[row].code is None:
            assert np.array_equal(again.vectors[row], outcomes.vectors[row])


@pytest.mark.parametrize("form", FORMATS)
@in_a_folder
@given(st.lists(embedded | failed, min_size=1, max_size=9))
def test_a_whole_part_says_what_is_in_it(tmp_path_factory, form, found):
    folder = tmp_path_factory.mktemp("parts")
    parts, outcomes = parts_in(folder, form), filled(found)
    files = parts.files
    parts.save(3, outcomes, [0])
    assert (files.whole(), files.is_whole(3)) == (set(), False)
    with files.shown([]) as tell:
        report = parts.write(3, rows_of(len(found)), outcomes, cpu_s=1.5)
        tell(3)
    assert (files.whole(), files.is_whole(3)) == ({3}, True)
    assert files.report(3) == report
    assert not (folder / "_open" / "part-00000003").exists()
    assert sum(report.counts.values()) == report.rows == len(found)
    assert report.retryable == sum(bool(one.retryable) for one in found)

    table = tables(folder, form)
    assert table.column_names[:4] == ["id", "url", "n", "embedding"]
    assert table["error_code"].to_pylist() == [one.code for one in found]
    assert table["fingerprint"].to_pylist() == ["print"] * len(found)
    for row, (one, vector) in enumerate(zip(found, table["embedding"].to_pylist(), strict=True)):
        assert vector == (None if one.code else [row, row + 1, row + 2])

    lasting = Outcomes(len(found), D)
    parts.restore_lasting(3, lasting)
    assert lasting.missing() == [row for row, one in enumerate(found) if one.retryable]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("dtype", [pa.float32(), pa.float16()])
def test_embeddings_are_lists_of_a_fixed_size(tmp_path, form, dtype):
    parts, outcomes = parts_in(tmp_path, form, dtype), filled([Outcome(how="encoded")] * 2)
    parts.write(0, rows_of(2), outcomes, cpu_s=0)
    kind = parts.files.take(0, ["embedding"]).schema.field("embedding").type
    assert (kind.list_size, kind.value_type) == (D, dtype)
    again = Outcomes(2, D)
    parts.restore_lasting(0, again)
    assert np.array_equal(again.vectors, outcomes.vectors)


def test_counts_are_by_code_and_by_how_a_row_was_made(tmp_path):
    found = [Outcome("fetch_dns", "no such host", True), *[Outcome(how="encoded")] * 3]
    report = parts_in(tmp_path).write(0, rows_of(4), filled(found), cpu_s=0.25)
    assert report == PartReport(
        0, 4, {"fetch_dns": 1, "encoded": 3}, 1, 0.25, {"fetch_dns": "no such host"}
    )
