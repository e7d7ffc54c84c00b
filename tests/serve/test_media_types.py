"""JSON Lines, CSV, plain text and npy: a line in, a line out, whatever stands on it."""

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.stats import StageTimes
from inference.types import Answer, Embedding, Failure, ImageUrl, Text, Unreadable
from model.backends.fake import FakeEncoder
from serve.errors import HttpError
from serve.wire.answers import LINES, OF_SEVERAL, RENDERERS, negotiate, render, render_stream
from serve.wire.media_types import CSV, JSON_LINES, NPY
from serve.wire.protocol import parse

SPEC = FakeEncoder().spec
SPECS = {SPEC.name: SPEC}
FAILED = Failure("fetch_dns", "no address", retryable=False)
VECTOR = np.linspace(-1, 1, SPEC.dimension, dtype=np.float32)


def parsed(media_type, body, attributes="", max_items=1000):
    body = body if isinstance(body, bytes) else body.encode()
    return parse(media_type, attributes, body, max_items)


# What others call JSON Lines.
ALIASES = ["application/jsonl", "application/x-ndjson", "application/x-jsonlines"]


@pytest.mark.parametrize("name", ALIASES)
def test_json_lines_by_another_name_are_the_same(name):
    body = '{"url": "https://a/b"}\n[1]\n\n{"text": "x", "id": "7"}'
    for media_type in (name, name.upper(), f"{name}; charset=utf-8"):
        assert parsed(media_type, body, "stream=true") == parsed(JSON_LINES, body, "stream=true")
    with pytest.raises(HttpError, match="charset 'latin-1'"):
        parsed(f"{name}; charset=latin-1", body)
    with pytest.raises(HttpError, match="more than 2 lines"):
        parsed(name, body, max_items=2)


@pytest.mark.parametrize("name", ALIASES)
@pytest.mark.parametrize("last_newline", [True, False])
def test_they_are_answered_the_same(name, last_newline):
    """Byte by byte, also without the last newline, as in a batch transform job."""
    assert answered(name, last_newline=last_newline) == answered(
        JSON_LINES, last_newline=last_newline
    )
    assert answered(name, last_newline=last_newline).endswith(b"\n") == last_newline


def test_an_item_a_line_of_json():
    body = '{"url": "https://a/b"}\r\n{"text": "x", "id": "7"}\n\n[1]\n{"text": 5}\n{"url": "c"}'
    request = parsed(JSON_LINES, body)
    assert request.items == [
        ImageUrl("https://a/b"),
        Text("x"),
        Unreadable("the line is empty"),
        Unreadable("the line must be a JSON object, not a list"),
        Unreadable("the line.text must be a string, not a number"),
        ImageUrl("c"),
    ]
    assert request.ids == [None, "7", None, None, None, None]


def test_a_url_a_line_of_csv():
    body = '\ufeffhttps://a/b\r\n"https://a/b,c",7\n\nx,y,z\nd,"e""f"'
    request = parsed("text/csv; charset=utf-8", body)
    assert request.items == [
        ImageUrl("https://a/b"),
        ImageUrl("https://a/b,c"),
        Unreadable("the line is empty"),
        Unreadable("the line is not url or url,id"),
        ImageUrl("d"),
    ]
    assert request.ids == [None, "7", None, None, 'e"f']


@pytest.mark.parametrize("line", ["", " ", "\t \r", '""', '"  "', " , "])
def test_a_line_of_csv_that_holds_blanks_only_is_empty(line):
    request = parsed(CSV, f"https://a/b\n{line}\nhttps://a/c\n")
    assert request.items[1:] == [Unreadable("the line is empty"), ImageUrl("https://a/c")]


def test_one_query_of_plain_text():
    request = parsed("text/plain", "dark login screen\n", "lane=bulk")
    assert request.items == [Text("dark login screen\n")]
    assert request.parameters.lane == "bulk"
    assert parsed("text/plain", b"\xff").items == [Text("\udcff")]  # the item's own failure


@pytest.mark.parametrize("media_type", [JSON_LINES, CSV])
def test_no_line_at_all_is_refused(media_type):
    with pytest.raises(HttpError, match="the body is empty"):
        parsed(media_type, "")


@pytest.mark.parametrize("media_type", [JSON_LINES, CSV])
def test_more_lines_than_allowed_are_refused(media_type):
    assert len(parsed(media_type, "a\n" * 3, max_items=3).items) == 3
    assert len(parsed(media_type, "a\n" * 2 + "a", max_items=3).items) == 3
    with pytest.raises(HttpError) as caught:
        parsed(media_type, "a\n" * 3 + "a", max_items=3)
    assert caught.value.code == "payload_too_large"


def test_text_in_another_charset_is_refused():
    with pytest.raises(HttpError, match="charset 'iso-8859-1': send UTF-8") as caught:
        parsed("text/plain; charset=ISO-8859-1", "a")
    assert caught.value.code == "unsupported_media_type"


def test_a_data_url_may_be_longer_than_the_csv_modules_own_limit():
    url = "data:image/png;base64," + "A" * 1_000_000
    assert parsed(CSV, f'"{url}"').items == [ImageUrl(url)]


lines = st.lists(
    st.sampled_from(["", " ", '{"text": "a"}', '{"url": "u", "id": "1"}', "{", "[]", '{"x": 1}']),
    min_size=1,
    max_size=20,
)


@given(lines=lines, ended=st.booleans())
def test_a_line_of_json_is_an_item_and_a_line_of_the_answer(lines, ended):
    body = "\n".join(lines) + ("\n" if ended else "")
    expected = lines if ended or lines[-1] else lines[:-1]
    if not expected:
        return
    request = parsed(JSON_LINES, body)
    assert len(request.items) == len(expected)
    for line, item in zip(expected, request.items, strict=True):
        assert isinstance(item, Unreadable) == (not line.startswith(('{"text', '{"url')))
    results = [
        FAILED if isinstance(one, Unreadable) else Embedding(VECTOR) for one in request.items
    ]
    answer = render(
        JSON_LINES, request, Answer(results, StageTimes()), SPECS, last_newline=ended
    ).decode()
    assert answer.endswith("\n") == ended
    assert [json.loads(line)["index"] for line in answer.splitlines()] == [*range(len(expected))]


fields = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)


@given(rows=st.lists(st.lists(fields, max_size=3), min_size=1, max_size=10))
def test_what_the_csv_module_writes_is_read_back_row_by_row(rows):
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    request = parsed(CSV, file.getvalue().removeprefix("\ufeff"))
    assert len(request.items) == len(rows)
    for row, item, item_id in zip(rows, request.items, request.ids, strict=True):
        if isinstance(item, ImageUrl) and not file.getvalue().startswith("\ufeff"):
            assert row == [item.url] if item_id is None else row == [item.url, item_id]


@given(body=st.binary(max_size=200))
def test_any_bytes_are_items_or_refused(body):
    for media_type in (JSON_LINES, CSV, "text/plain"):
        try:
            request = parsed(media_type, body)
        except HttpError as exc:
            assert exc.code == "bad_request"
        else:
            assert len(request.items) == len(request.ids) > 0


def answered(media_type, **options):
    request = parsed(JSON_LINES, '{"text": "a"}\n{"url": "b", "id": "f2"}\n')
    answer = Answer([Embedding(VECTOR), FAILED], StageTimes())
    return render(media_type, request, answer, SPECS, **({"last_newline": True} | options))


def test_lines_of_json():
    first, second = answered(JSON_LINES).splitlines()
    np.testing.assert_array_equal(np.float32(json.loads(first)["embedding"]), VECTOR)
    assert json.loads(second) == {
        "index": 1, "id": "f2",
        "error": {"code": "fetch_dns", "message": "no address", "retryable": False},
    }  # fmt: skip


def test_lines_of_csv():
    first, second = csv.reader(io.StringIO(answered(CSV).decode()))
    assert first[0] == ""
    np.testing.assert_array_equal(np.float32(first[1:]), VECTOR)
    assert second == ["fetch_dns", *[""] * SPEC.dimension]
    assert not answered(CSV, last_newline=False).endswith(b"\n")


def test_npy():
    rows = np.load(io.BytesIO(answered(NPY, last_newline=False)), allow_pickle=False)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, [VECTOR, np.full(SPEC.dimension, np.nan)])


def test_a_stream_ends_with_a_summary():
    request = parsed(JSON_LINES, '{"text": "a"}\n' * 3, "timings=true")
    groups = [[(1, Embedding(VECTOR))], [(0, FAILED), (2, Embedding(VECTOR))]]
    parts = list(render_stream(request, groups, StageTimes(), SPECS))
    assert [part.count(b"\n") for part in parts] == [1, 2, 1]
    *results, last = [json.loads(line) for line in b"".join(parts).splitlines()]
    assert [one["index"] for one in results] == [1, 0, 2]
    summary = last["summary"]
    assert summary["timings"].keys() >= {"total_ms"}
    assert (summary["items"], summary["failures"]) == (3, 1)
    assert summary["fingerprint"] == SPEC.fingerprint


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "application/json"),
        ("text/csv", CSV),
        ("application/x-npy, application/json;q=0.5", NPY),
        ("application/json;q=0.5, application/jsonlines", JSON_LINES),
        ("text/*", CSV),
        ("application/*", "application/json"),
        *[(name, name) for name in ALIASES],
        ("application/jsonl;q=0.5, application/json;q=0.4", "application/jsonl"),
        ("application/jsonl;q=0.4, application/json;q=0.5", "application/json"),
        ("application/x-ndjson;q=0.9, application/jsonlines;q=0.8, */*;q=0.1", ALIASES[1]),
        ("Application/X-NDJSON; charset=utf-8", ALIASES[1]),
        ("application/jsonl;q=0, text/csv;q=0.1", CSV),
    ],
)
def test_the_answers_type_is_what_the_client_likes_best(accept, media_type):
    assert negotiate(accept, RENDERERS) == media_type


def test_what_is_none_of_them_is_told_all_of_them():
    with pytest.raises(HttpError) as caught:
        negotiate("text/html", RENDERERS)
    assert all(name in str(caught.value) for name in ["application/jsonlines", CSV, NPY, *ALIASES])
    assert {JSON_LINES, *ALIASES} < LINES
    assert {JSON_LINES, *ALIASES} < set(OF_SEVERAL)
