"""Documents of every benchmark side by side, from two commits and two machines."""

import json
import subprocess
from dataclasses import replace

import click
import pytest

from serve.benchmark.side_by_side.answers import advice, answers, remarks
from serve.benchmark.side_by_side.measured import Measured, share_cosines
from serve.benchmark.side_by_side.page import compare_page
from serve.benchmark.side_by_side.read import read
from tests.e2e.service import ROOT, command
from tests.serve.benchmark.golden import DOCUMENTS, GOLDEN, rendered

PIPELINES = [path for path in DOCUMENTS if path.name.startswith("pipeline")]
PROFILE = ROOT / "tests" / "deploy" / "profile.json"
FAST = Measured("fast", "pipeline", "photos", images_s=100.0, p95_ms=50.0, million=3.0)
CHEAP = Measured("cheap", "pipeline", "photos", images_s=60.0, p95_ms=80.0, million=1.0)


def changed(tmp_path, path, change):
    """A copy of a document after a change."""
    document = json.loads(path.read_text())
    change(document)
    copy = tmp_path / f"{path.stem}-changed.json"
    copy.write_text(json.dumps(document))
    return str(copy)


def test_the_table_and_the_answers_are_the_golden_ones():
    assert len(DOCUMENTS) == 8
    assert rendered() == GOLDEN.read_text()


def test_the_command_prints_them_and_writes_a_page(tmp_path):
    page = tmp_path / "page.html"
    words = command("benchmark", "compare", *map(str, PIPELINES), "--report", str(page))
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "URLs to embeddings: take pipeline-" in " ".join(ran.stdout.split())
    assert "pipeline-1-core" in page.read_text()


def test_the_best_is_named_by_each_question():
    found = {one.question: one for one in answers([FAST, CHEAP])}
    assert found["most images/s"].best is FAST
    assert found["lowest price of a million"].best is CHEAP
    assert found["lowest p95"].value == "50.0 ms"
    assert "closest to float32" not in found
    assert advice(answers([FAST, CHEAP])) == (
        "URLs to embeddings: take cheap for the lowest price, 1.00 a million images; "
        "fast for the most images/s, 100.0"
    )


def test_a_small_difference_and_an_unknown_value_are_said():
    near, silent = replace(CHEAP, name="near", images_s=98.0), replace(FAST, name="silent")
    silent = replace(silent, images_s=None, million=None)
    fastest = answers([FAST, near, CHEAP, silent])[0]
    assert (fastest.equal, fastest.unknown) == (("near",), ("silent",))
    assert "without a price: silent; measure with --price-per-hour" in remarks([FAST, silent])


@pytest.mark.parametrize(
    ("other", "remark"),
    [
        (replace(CHEAP, load="small"), "pipeline: other loads are not compared (fast: photos; che"),
        (replace(CHEAP, kind="encoder"), "benchmarks of different kinds measure different things"),
        (replace(CHEAP, complete=False), "cheap was interrupted: not compared"),
    ],
)
def test_what_is_not_comparable_gets_no_answer_but_a_reason(other, remark):
    assert answers([FAST, other]) == []
    assert any(remark in one for one in remarks([FAST, other]))
    assert "Nothing here is comparable; the reasons are below" in compare_page([FAST, other])


def test_embeddings_that_do_not_mix_are_said():
    a, b = (replace(FAST, name=name, model=name, fingerprint=name) for name in ("a", "b"))
    assert "different models, whose embeddings do not mix: a, b" in remarks([a, b])
    b = replace(b, model="a")
    assert "fingerprints differ: do not mix their embeddings in one index" in remarks([a, b])


def test_what_one_document_knows_of_a_fingerprint_holds_for_the_others():
    known = replace(FAST, fingerprint="f", cosine=0.999)
    same, other = replace(CHEAP, fingerprint="f"), replace(CHEAP, fingerprint="g")
    assert [one.cosine for one in share_cosines([same, known, other])] == [0.999, 0.999, None]


def test_older_documents_and_profiles_lack_keys_and_are_read(tmp_path):
    def older(document):
        for key in ("code", "model", "price", "core_ms"):
            del document[key]

    old, profile = read([changed(tmp_path, PIPELINES[0], older), str(PROFILE)])
    assert old.images_s == json.loads(PIPELINES[0].read_text())["pipeline"]["items_per_s"]
    assert (old.model, old.million, old.code) == (None, None, "0.1.0")
    assert (profile.kind, profile.images_s, profile.machine) == ("encoder", 160.0, "Xeon, 4 cores")


def test_a_price_that_changed_is_followed(tmp_path):
    def dearer(document):
        document["price"]["per_hour"] *= 2

    copy = changed(tmp_path, PIPELINES[0], dearer)
    then, now = read([str(PIPELINES[0]), copy])
    assert now.million == pytest.approx(2 * then.million)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no", "is not JSON"),
        ("[]", "is not a document of `benchmark ... --json`"),
        ('{"benchmark": "other"}', "is not a document of `benchmark ... --json`"),
        ('{"benchmark": "pipeline"}', "is a damaged document of `benchmark pipeline`"),
        ('{"benchmark": "endpoint", "asked": 3}', "is a damaged document of `benchmark endpoint`"),
        ('{"profiles": [{}], "version": 1}', "is not a profile"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_name(tmp_path, text, words):
    path = tmp_path / "document.json"
    path.write_text(text)
    with pytest.raises(click.ClickException) as refused:
        read([str(path)])
    assert words in refused.value.message
    assert str(path) in refused.value.message
