"""Files and folders that are whole or as they were."""

import os
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from model.files import (
    check_folder,
    check_writable,
    whole_file,
    whole_files,
    whole_folder,
    write_whole,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_there_once_it_is_whole(tmp_path):
    path = tmp_path / "new.json"
    with whole_file(path) as file:
        file.write(b"half")
        file.flush()
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert names(tmp_path) == ["new.json"]


def half_written(path, failure):
    with whole_file(path) as file:
        file.write(b"lost")
        raise failure


def half_filled(target):
    with whole_folder(target) as folder:
        (folder / "lost").touch()
        raise ValueError("half written")


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_was_there_outlives_a_failure(tmp_path, failure):
    path = tmp_path / "keep.json"
    path.write_text("kept")
    with pytest.raises(failure):
        half_written(path, failure)
    assert path.read_text() == "kept"
    assert names(tmp_path) == ["keep.json"]


def test_a_new_file_has_the_mode_of_any_new_file_and_an_old_one_keeps_its_own(tmp_path):
    plain, new, old = tmp_path / "plain", tmp_path / "new", tmp_path / "old"
    plain.touch()
    old.touch(mode=0o640)
    write_whole(new, "text")
    write_whole(old, "text")
    assert new.stat().st_mode == plain.stat().st_mode
    assert stat.S_IMODE(old.stat().st_mode) == 0o640


def test_a_link_stays_and_leads_to_the_new_file(tmp_path):
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_whole(link, "new: ü")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "new: ü"


def test_a_link_to_nothing_makes_the_file_it_names(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "later")
    write_whole(tmp_path / "link", "text")
    assert (tmp_path / "later").read_text() == "text"


def test_a_pipe_and_the_null_device_are_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_whole(pipe, "text")
    reader.join(10)
    assert read == [b"text"]
    write_whole(os.devnull, "text")
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize("redirection", [">", ">>", "|cat>"])
def test_standard_output_by_its_name_goes_where_the_shell_sends_it(tmp_path, redirection):
    code = "from model.files import write_whole; write_whole('/dev/stdout', 'text')"
    command = f'"{sys.executable}" -c "{code}" {redirection} "{tmp_path / "out"}"'
    subprocess.run(command, shell=True, check=True)
    assert (tmp_path / "out").read_text() == "text"


def test_a_folder_that_is_not_there_is_said_at_the_start(tmp_path):
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "no" / "file"):
        raise AssertionError("nothing is done before it")


def test_a_folder_is_refused_as_a_file(tmp_path):
    with pytest.raises(IsADirectoryError), whole_file(tmp_path):
        raise AssertionError("nothing is done before it")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_is_read_only_is_not_replaced(tmp_path):
    path = tmp_path / "keep"
    path.touch(mode=0o444)
    with pytest.raises(PermissionError), whole_file(path):
        raise AssertionError("nothing is done before it")


def test_a_folder_takes_the_place_of_the_one_before(tmp_path):
    target = tmp_path / "deep" / "graphs"
    for text in ("first", "second"):
        with whole_folder(target) as folder:
            (folder / text).write_text(text)
    assert names(target) == ["second"]
    assert names(target.parent) == ["graphs"]


def test_a_folder_outlives_a_failure(tmp_path):
    target = tmp_path / "graphs"
    target.mkdir()
    (target / "kept").touch()
    with pytest.raises(ValueError, match="half written"):
        half_filled(target)
    assert names(tmp_path) == ["graphs"]
    assert names(target) == ["kept"]


def test_a_folder_outlives_one_that_cannot_take_its_place(tmp_path):
    target = tmp_path / "graphs"
    target.mkdir()
    (target / "kept").touch()
    with pytest.raises(FileNotFoundError), whole_folder(target) as folder:
        folder.rmdir()
    assert names(target) == ["kept"]


def test_files_move_into_a_folder_once_all_are_whole(tmp_path):
    (tmp_path / "mine").touch()
    (tmp_path / "replaced").write_text("old")
    for failure in (KeyboardInterrupt, None):
        with suppress(KeyboardInterrupt), whole_files(tmp_path) as folder:
            (folder / "new").touch()
            (folder / "replaced").write_text("new")
            assert (tmp_path / "replaced").read_text() == "old"
            if failure:
                raise failure
        assert (tmp_path / "replaced").read_text() == ("old" if failure else "new")
        assert names(tmp_path) == ["mine", "replaced"] if failure else ["mine", "new", "replaced"]


@pytest.mark.parametrize("name", ["file", "new", "link"])
def test_what_can_be_written_is_left_alone_by_the_check(tmp_path, name):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "later")
    check_writable(tmp_path / name)
    check_folder(tmp_path / "to" / "be" / "made")
    assert names(tmp_path) == ["file", "link"]
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("special", ["pipe", "/dev/null", "/dev/stdout"])
def test_the_check_opens_nothing_that_somebody_reads(tmp_path, special):
    os.mkfifo(tmp_path / "pipe")
    check_writable(tmp_path / special)


@pytest.mark.parametrize("place", ["no/file", "file/file", "folder"])
def test_what_cannot_be_written_is_said_by_the_check(tmp_path, place):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="[a-z]"):
        check_writable(tmp_path / place)


@pytest.mark.parametrize("place", ["file", "file/to/be/made", "/proc/to/be/made"])
def test_a_folder_that_cannot_be_made_is_said_by_the_check(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="[a-z]"):
        check_folder(tmp_path / place)
