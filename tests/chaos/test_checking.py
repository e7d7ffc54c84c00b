"""The chaos run sees what it is there to see: each fault of an answer is a finding."""

import copy
import json
from dataclasses import replace

import pytest

from model.backends.fake import FakeEncoder
from tests.chaos.asking import Ask
from tests.chaos.checking import Circumstances, check, read
from tests.chaos.items import Known, text
from tests.chaos.journal import KILL, Journal
from tests.chaos.worker import Held

QUIET = Circumstances(frozenset(), elapsed_s=0.1)
ITEMS = (
    text("one"),
    text("two"),
    Known("text", "", code="text_invalid"),
    Known("url", "http://127.0.0.1/1.jpg", text("a picture, say").vector, fetched=True),
)
ASK = Ask(ITEMS, (None, "b", None, "d"), deadline_ms=1000, body=b"")


def embedding(value):
    return FakeEncoder().encode_texts([value])[0][0].tolist()


def right():
    return {
        "results": [
            {"index": 0, "embedding": embedding("one")},
            {"index": 1, "id": "b", "embedding": embedding("two")},
            {"index": 2, "error": {"code": "text_invalid"}},
            {"index": 3, "id": "d", "embedding": embedding("a picture, say")},
        ]
    }


def found(answer, circumstances=QUIET):
    return [one.kind for one in check(ASK, answer, circumstances)]


def failed(index, code):
    answer = copy.deepcopy(right())
    result = answer["results"][index]
    result.pop("embedding", None)
    return answer, result.update(error={"code": code})


def test_a_right_answer_has_no_findings():
    assert found(right()) == []


def test_another_embedding_is_wrong():
    answer = right()
    answer["results"][0]["embedding"] = embedding("something else")
    assert found(answer) == ["wrong"]


def test_a_last_digit_is_wrong():
    answer = right()
    answer["results"][0]["embedding"][3] += 1e-6
    assert found(answer) == ["wrong"]


def test_a_neighbours_embedding_is_swapped():
    answer = right()
    answer["results"][0]["embedding"], answer["results"][1]["embedding"] = (
        answer["results"][1]["embedding"],
        answer["results"][0]["embedding"],
    )
    assert found(answer) == ["swapped", "swapped"]


def test_another_order_is_swapped():
    answer = right()
    answer["results"][:2] = answer["results"][1::-1]
    assert set(found(answer)) == {"swapped"}


def test_an_embedding_of_a_bad_item_is_wrong():
    answer = right()
    answer["results"][2] = {"index": 2, "embedding": embedding("")}
    assert found(answer) == ["wrong"]


@pytest.mark.parametrize("results", [None, [], right()["results"][:3], right()["results"] * 2])
def test_fewer_or_more_results_are_missing(results):
    assert found({"results": results}) == ["missing"]


def test_neither_embedding_nor_error_is_missing():
    answer = right()
    del answer["results"][0]["embedding"]
    assert found(answer) == ["missing"]


@pytest.mark.parametrize(
    ("index", "code", "circumstances", "kinds"),
    [
        (0, "encode_failed", QUIET, ["unexplained"]),
        (0, "encode_failed", Circumstances(frozenset({KILL}), 0.1), []),
        (0, "deadline_exceeded", Circumstances(frozenset(), 0.9), ["unexplained"]),
        (0, "deadline_exceeded", Circumstances(frozenset(), 1.0), []),
        (0, "fetch_connect", Circumstances(frozenset({"gone"}), 0.1), ["unexplained"]),
        (2, "decode_corrupt", QUIET, ["unexplained"]),
        (3, "fetch_connect", Circumstances(frozenset({"gone"}), 0.1), []),
        (3, "fetch_timeout", Circumstances(frozenset({"gone"}), 0.1), ["unexplained"]),
        (3, "fetch_connect", QUIET, ["unexplained"]),
    ],
)
def test_a_failure_must_be_explained_by_what_was_under_way(index, code, circumstances, kinds):
    answer, _ = failed(index, code)
    assert found(answer, circumstances) == kinds


def test_a_stream_is_read_in_the_order_of_its_items_and_only_with_its_summary():
    streamed = replace(ASK, streamed=True)
    lines = [json.dumps(one) for one in (*reversed(right()["results"]), {"summary": {}})]
    assert read(streamed, "\n".join(lines).encode()) == right()
    assert found(read(streamed, "\n".join(lines[:-1]).encode())) == ["missing"]


def test_what_grows_is_seen():
    before = Held(rss_mib=250.0, threads=100, descriptors=30)
    assert before.grown(before) == []
    assert Held(360.0, 100, 30).grown(before) == ["360.0 rss_mib"]
    assert Held(250.0, 150, 130).grown(before) == ["150 threads", "130 descriptors"]


def test_the_journal_knows_what_was_under_way_when():
    journal = Journal()
    with journal.during("slow"):
        assert journal.between(0, float("inf")) == {"slow"}
    assert journal.between(0, 1) == frozenset()
    assert journal.worker_away_s(0, float("inf")) == 0
    with journal.during(KILL):
        pass
    assert journal.worker_away_s(0, float("inf")) == sum(journal.spans_s(KILL))
