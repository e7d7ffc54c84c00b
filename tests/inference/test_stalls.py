"""What hangs is found by its age."""

from inference.stalls import Stalls


def test_the_oldest_is_named_once_it_is_too_old():
    now_s = 0.0
    hangs = Stalls(10.0, clock=lambda: now_s)
    assert hangs.found() is None
    with hangs.watch("the first"):
        now_s = 5.0
        with hangs.watch("the second"):
            now_s = 10.0
            assert hangs.found() is None
            now_s = 10.5
            assert hangs.found() == "the first has taken more than 10 s"
        assert hangs.found() == "the first has taken more than 10 s"
    assert hangs.found() is None
