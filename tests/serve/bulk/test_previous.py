"""With an earlier output, only what changed is embedded."""

from dataclasses import replace

import pytest

from inference.loadtest.thumbnail_server import Reply
from tests.bulk_jobs import rows, run, timeless
from tests.images import jpeg

COUNT = 40


@pytest.fixture
def urls(server, tmp_path):
    """Thumbnails with ETags, one of them dead."""
    for seed in range(COUNT):
        etag = {"ETag": f'"{seed}"'}
        server.replies[f"/{seed}"] = Reply(jpeg(seed=seed), headers=etag)
    path = tmp_path / "urls.txt"
    paths = [f"/{seed}" for seed in range(COUNT)]
    paths[5] = "/gone"
    path.write_text("\n".join(map(server.url, paths)))
    return path


def job(urls, output, *flags):
    code, summary, printed = run(urls, "-o", output, "--rows-per-part", 16, *flags)
    assert code == 0, printed
    return summary


def test_what_has_the_same_etag_is_neither_sent_nor_encoded(urls, tmp_path):
    first = job(urls, tmp_path / "sunday")
    assert (first["encoded"], first["failed"]) == (COUNT - 1, 1)
    again = job(urls, tmp_path / "monday", "--previous", tmp_path / "sunday")
    assert (again["unchanged"], again["encoded"], again["failed"]) == (COUNT - 1, 0, 1)
    sunday, monday = rows(tmp_path / "sunday"), rows(tmp_path / "monday")
    assert timeless(monday) == timeless(sunday)
    assert all(
        b["fetched_at"] > a["fetched_at"] for a, b in zip(sunday, monday, strict=True) if a["etag"]
    )


def test_what_has_the_same_bytes_is_not_encoded(server, urls, tmp_path):
    job(urls, tmp_path / "sunday")
    for path, reply in server.replies.items():
        server.replies[path] = replace(reply, headers={"ETag": '"other-host"'})
    again = job(urls, tmp_path / "monday", "--previous", tmp_path / "sunday")
    assert (again["same_bytes"], again["encoded"], again["failed"]) == (COUNT - 1, 0, 1)
    assert {one["etag"] for one in rows(tmp_path / "monday")} == {'"other-host"', None}


def test_what_changed_is_encoded(server, urls, tmp_path):
    job(urls, tmp_path / "sunday")
    for seed in (3, 31):
        server.replies[f"/{seed}"] = Reply(jpeg(seed=seed + 500), headers={"ETag": '"new"'})
    server.replies["/gone"] = Reply(jpeg(seed=999))
    again = job(urls, tmp_path / "monday", "--previous", tmp_path / "sunday")
    assert (again["unchanged"], again["encoded"]) == (COUNT - 3, 3)
    pairs = zip(rows(tmp_path / "sunday"), rows(tmp_path / "monday"), strict=True)
    assert [row for row, (a, b) in enumerate(pairs) if a["embedding"] != b["embedding"]] == [
        3,
        5,
        31,
    ]


def test_another_order_finds_the_same_rows(urls, tmp_path):
    job(urls, tmp_path / "sunday")
    lines = urls.read_text().splitlines()
    urls.write_text("\n".join([*reversed(lines), lines[0]]))
    again = job(urls, tmp_path / "monday", "--previous", tmp_path / "sunday")
    assert (again["unchanged"], again["encoded"], again["failed"]) == (COUNT, 0, 1)
    sunday, monday = rows(tmp_path / "sunday"), rows(tmp_path / "monday")
    assert [one["embedding"] for one in monday[:-1]] == [one["embedding"] for one in sunday[::-1]]


def test_equal_bytes_are_encoded_once(server, tmp_path):
    path = tmp_path / "urls.txt"
    path.write_text("\n".join(server.url(f"/{seed % 4}.jpg?{seed}") for seed in range(64)))
    summary = job(path, tmp_path / "out")
    assert (summary["encoded"], summary["same_bytes"]) == (4, 60)
    found = rows(tmp_path / "out")
    assert all(one["embedding"] == found[row % 4]["embedding"] for row, one in enumerate(found))
    assert len({one["content_sha256"] for one in found}) == 4


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--preprocess", "reference"], "was made by another model, precision or --preprocess"),
        (["--dtype", "float16"], "holds float32, and this job float16"),
    ],
)
def test_what_another_model_made_is_not_reused(urls, tmp_path, flags, why):
    job(urls, tmp_path / "sunday")
    code, _, printed = run(
        urls, "-o", tmp_path / "monday", "--previous", tmp_path / "sunday", *flags
    )
    assert code == 1
    assert why in printed


def test_an_output_is_not_its_own_earlier_one(urls, tmp_path):
    job(urls, tmp_path / "sunday")
    code, _, printed = run(urls, "-o", tmp_path / "sunday", "--previous", tmp_path / "sunday",
                           "--rows-per-part", 16)  # fmt: skip
    assert (code, "is the output itself" in printed) == (1, True)
    code, _, printed = run(urls, "-o", tmp_path / "monday", "--previous", tmp_path)
    assert (code, "holds no job" in printed) == (1, True)
