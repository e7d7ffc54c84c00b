"""What a preparing process tells comes through as it was, and nonsense is refused."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import FetchHttpStatus, FileUnreadable, NotModified
from inference.preparation.processes import replies
from inference.types import Failure, ImageDetails
from model.errors import CorruptImage

SPANS = [("fetch", 1.5, 2.5)]
DIGEST = bytes(range(32)).hex()

etags = st.none() | st.text([chr(one) for one in range(0x21, 0x7F)], min_size=2, max_size=40)
sides = st.none() | st.integers(1, 50_000_000)
details = st.none() | st.builds(
    ImageDetails,
    sha256=st.binary(min_size=32, max_size=32),
    fetched_s=st.floats(0, 1e11),
    etag=etags,
    width=sides,
    height=sides,
)
errors = st.builds(
    FetchHttpStatus,
    st.just("503 Service Unavailable"),
    retryable=st.booleans(),
    retry_after_s=st.none() | st.floats(0, 3600),
) | st.sampled_from([CorruptImage("cut"), FileUnreadable("gone"), NotModified("304")])


@given(details)
def test_the_details_of_an_image_come_with_its_pixels(known):
    done = replies.read(replies.ready(7, SPANS, known))
    assert done == replies.Done(7, SPANS, None, known)


@given(errors, details)
def test_a_failure_comes_with_its_details_and_its_pause(error, known):
    done = replies.read(replies.failed(7, SPANS, error, known))
    assert type(done.error) is type(error)
    assert Failure.of(done.error) == Failure.of(error)
    assert done.details == known


@given(details)
def test_a_fault_comes_with_its_details_and_its_traceback(known):
    done = replies.read(replies.failed(7, SPANS, KeyError("a bug"), known))
    assert (done.error.name, done.details) == ("KeyError", known)
    assert "a bug" in str(done.error)


def told(digest=DIGEST, fetched_s=1.5, etag='"a"', width=4, height=3):
    return [digest, fetched_s, etag, width, height]


@pytest.mark.parametrize(
    "nonsense",
    [
        ["ready", 7, []],
        ["ready", 7, [], told(digest="00")],
        ["ready", 7, [], told(digest="not hex")],
        ["ready", 7, [], told(digest=None)],
        ["ready", 7, [], told(fetched_s="now")],
        ["ready", 7, [], told(etag="a\r\nCookie: b")],
        ["ready", 7, [], told(etag="")],
        ["ready", 7, [], told(width="4")],
        ["ready", 7, [], told()[:4]],
        ["ready", 7, [], "details"],
        ["failed", 7, [], None, "fetch_http_status", "503", True],
        ["failed", 7, [], None, "fetch_http_status", "503", True, -1.0],
        ["failed", 7, [], None, "fetch_http_status", "503", True, 3601.0],
        ["failed", 7, [], None, "fetch_http_status", "503", True, "soon"],
        ["failed", 7, [], None, "no such code", "503", True, None],
        ["fault", 7, [], None, "KeyError", "text"],
        ["other", 7, [], None],
    ],
)
def test_nonsense_is_refused(nonsense):
    with pytest.raises((ValueError, TypeError, KeyError)):
        replies.read(orjson.dumps(nonsense))
